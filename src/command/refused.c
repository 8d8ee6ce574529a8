/* Commands that larder refuses: those that act on the server behind larder as a process, unless `allow-admin` lets them through. */
#include "command/families.h"
#include "command/subcommand.h"
#include "core/blocked.h"

#include <stdio.h>

/* Writes the call's command in upper case, with its subcommand when it has one ("CLUSTER
 * FAILOVER"). */
static void shown_name(const struct call *call, char *out, size_t size)
{
    subcommand_full_name(call->larder->commands, call->command, out, size);
    for (char *p = out; *p != '\0'; p++)
        *p = *p == '|' ? ' ' : (char)(*p >= 'a' && *p <= 'z' ? *p - ('a' - 'A') : *p);
}

static void refuse_admin(struct call *call)
{
    char name[SUBCOMMAND_NAME_SIZE];
    if (call->larder->config.allow_admin) {
        if ((call->command->flags & COMMAND_ALLOW_BUSY) && link_is_busy(call->larder->link))
            call_aside(call);
        else
            call_write(call);
        return;
    }
    shown_name(call, name, sizeof(name));
    reply_error(&call->reply,
                "ERR %s is an administrative command; set allow-admin to send it upstream", name);
}

static void acl_whoami(struct call *call)
{
    reply_bulk_str(&call->reply, "default");
}

/* Subcommands that change or tell what only an operator should: of containers whose other
 * subcommands pass. */
#define ADMIN(word, n)                                                                             \
    {                                                                                              \
        .name = (word), .fn = refuse_admin, .arity = (n),                                          \
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT, .group = "server", .since = "7.0.0",            \
        .summary = "Administers the upstream (allow-admin)"                                        \
    }

static const struct command acl_subs[] = {
    {.name = "whoami",
     .fn = acl_whoami,
     .arity = 2,
     .flags = COMMAND_LOCAL | COMMAND_NOSCRIPT,
     .group = "server",
     .since = "6.0.0",
     .summary = "Returns the name of the user: default"},
    ADMIN("setuser", -3),
    ADMIN("deluser", -3),
    ADMIN("getuser", 3),
    ADMIN("users", 2),
    ADMIN("list", 2),
    ADMIN("log", -2),
    ADMIN("load", 2),
    ADMIN("save", 2),
    ADMIN("dryrun", -4),
    {.name = NULL},
};

static const struct command module_subs[] = {
    {.name = "list",
     .fn = call_pass,
     .arity = 2,
     .flags = COMMAND_NOSCRIPT,
     .group = "server",
     .since = "4.0.0",
     .summary = "Returns the modules of the upstream"},
    ADMIN("load", -3),
    ADMIN("loadex", -3),
    ADMIN("unload", 3),
    {.name = NULL},
};

static const struct command cluster_subs[] = {
    ADMIN("addslots", -3),        ADMIN("addslotsrange", -4), ADMIN("bumpepoch", 2),
    ADMIN("delslots", -3),        ADMIN("delslotsrange", -4), ADMIN("failover", -2),
    ADMIN("flushslots", 2),       ADMIN("forget", 3),         ADMIN("meet", -4),
    ADMIN("replicate", 3),        ADMIN("reset", -2),         ADMIN("saveconfig", 2),
    ADMIN("set-config-epoch", 3), ADMIN("setslot", -4),       {.name = NULL},
};

/* `more`: COMMAND_WRITES_ALL where the data may be another afterwards. */
#define SERVER(word, n, more, version, text, usage)                                                \
    {                                                                                              \
        .name = (word), .fn = refuse_admin, .arity = (n),                                          \
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | (more), .group = "server", .since = (version), \
        .summary = text " (allow-admin)", .args = (usage)                                          \
    }
#define CONTAINER(word, family, version, text, children)                                           \
    {                                                                                              \
        .name = (word), .fn = call_pass, .arity = -2, .group = (family), .since = (version),       \
        .summary = (text), .subs = (children)                                                      \
    }

const struct command refused_commands[] = {
    SERVER("shutdown", -1, COMMAND_ALLOW_BUSY | COMMAND_NEVER_QUEUED, "1.0.0", "Stops the upstream",
           "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]"),
    SERVER("debug", -2, COMMAND_WRITES_ALL, "1.0.0", "Internals of the upstream",
           "subcommand [argument ...]"),
    SERVER("replicaof", 3, COMMAND_WRITES_ALL, "5.0.0",
           "Makes the upstream a replica, or a primary", "host port"),
    SERVER("slaveof", 3, COMMAND_WRITES_ALL, "1.0.0", "As REPLICAOF", "host port"),
    SERVER("failover", -1, COMMAND_WRITES_ALL, "6.2.0", "Hands the upstream's role to a replica",
           "[TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]"),
    SERVER("bgsave", -1, 0, "1.0.0", "Saves the upstream's data in the background", "[SCHEDULE]"),
    SERVER("bgrewriteaof", 1, 0, "1.0.0", "Rewrites the upstream's append-only file", NULL),
    SERVER("save", 1, COMMAND_NEVER_QUEUED, "1.0.0", "Saves the upstream's data", NULL),
    {.name = "pfdebug",
     .fn = call_write,
     .arity = -3,
     .flags = COMMAND_WRITE | COMMAND_DENYOOM,
     .first = 2,
     .last = 2,
     .step = 1,
     .group = "hyperloglog",
     .since = "2.8.9",
     .summary = "Shows and changes how the upstream keeps a HyperLogLog",
     .args = "subcommand key"},
    CONTAINER("module", "server", "4.0.0", "Modules of the upstream", module_subs),
    CONTAINER("acl", "server", "6.0.0", "Users of the upstream", acl_subs),
    CONTAINER("cluster", "cluster", "3.0.0", "The cluster of the upstream", cluster_subs),
    {.name = NULL},
};
