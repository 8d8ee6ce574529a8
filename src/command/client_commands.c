/* CLIENT: the connections of larder's own clients; the rows, and the subcommands that concern the
 * caller.
 *
 * CLIENT TRACKING and its kin are in client_tracking.c. */
#include "command/client_commands.h"

#include "base/mem.h"
#include "command/families.h"
#include "command/subcommand.h"
#include "core/blocked.h"
#include "core/readonly_scripts.h"

/* Names and libraries */

/* Replaces *text by a copy of `value`. Returns false without memory. */
static bool replace_text(char **text, struct bytes value)
{
    char *copy = mem_try(value.len + 1);
    if (copy == NULL)
        return false;
    if (value.len > 0)
        memcpy(copy, value.ptr, value.len);
    copy[value.len] = '\0';
    mem_free(*text);
    *text = copy;
    return true;
}

/* CLIENT LIST's lines are split at blanks by those who read them. */
static bool is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '!' || text.ptr[i] > '~')
            return false;
    return true;
}

/* Replies after replace_text. */
static bool set_text(struct call *call, char **text, struct bytes value)
{
    if (replace_text(text, value))
        return true;
    reply_error(&call->reply, "ERR out of memory");
    return false;
}

bool client_commands_set_name(struct call *call, struct bytes name)
{
    if (!is_printable(name)) {
        reply_error(&call->reply,
                    "ERR Client names cannot contain spaces, newlines or special characters.");
        return false;
    }
    return set_text(call, &call->client->name, name);
}

void client_commands_forget_name(struct client *client)
{
    mem_free(client->name);
    client->name = mem_strdup("");
}

static void client_setname(struct call *call)
{
    if (client_commands_set_name(call, call->argv[2]))
        reply_ok(&call->reply);
}

static void client_getname(struct call *call)
{
    if (call->client->name[0] == '\0')
        reply_null(&call->reply);
    else
        reply_bulk_str(&call->reply, call->client->name);
}

/* As Redis 7.2. */
static void client_setinfo(struct call *call)
{
    bool is_name = bytes_is(call->argv[2], "lib-name");
    if (!is_name && !bytes_is(call->argv[2], "lib-ver")) {
        reply_error(&call->reply, "ERR Unrecognized option '%.*s'", subcommand_shown(call->argv[2]),
                    call->argv[2].ptr);
        return;
    }
    if (!is_printable(call->argv[3])) {
        reply_error(&call->reply, "ERR %s cannot contain spaces, newlines or special characters.",
                    is_name ? "lib-name" : "lib-ver");
        return;
    }
    if (set_text(call, is_name ? &call->client->lib_name : &call->client->lib_version,
                 call->argv[3]))
        reply_ok(&call->reply);
}

static void client_id(struct call *call)
{
    reply_int(&call->reply, (int64_t)call->client->id);
}

bool client_commands_parse_type(struct call *call, struct bytes name, enum client_type *type)
{
    static const struct {
        const char *name;
        enum client_type type;
    } types[] = {{"normal", CLIENT_TYPE_NORMAL},
                 {"slave", CLIENT_TYPE_REPLICA},
                 {"replica", CLIENT_TYPE_REPLICA},
                 {"pubsub", CLIENT_TYPE_PUBSUB},
                 {"master", CLIENT_TYPE_MASTER}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (bytes_is(name, types[i].name)) {
            *type = types[i].type;
            return true;
        }
    }
    reply_error(&call->reply, "ERR Unknown client type '%.*s'", subcommand_shown(name), name.ptr);
    return false;
}

/* Switches */

static void set_switch(struct call *call, bool *flag)
{
    bool is_on = bytes_is(call->argv[2], "on");
    if (!is_on && !bytes_is(call->argv[2], "off")) {
        call_syntax_error(call);
        return;
    }
    *flag = is_on;
    reply_ok(&call->reply);
}

static void client_no_evict(struct call *call)
{
    set_switch(call, &call->client->no_evict);
}

static void client_no_touch(struct call *call)
{
    set_switch(call, &call->client->no_touch);
}

void client_commands_unmute(struct call *call)
{
    struct client *client = call->client;
    if (!client->reply_off && !client->reply_skip)
        return;
    client->reply_off = client->reply_skip = client->reply_skip_next = false;
    call->reply = client_begin_reply(client);
}

/* OFF and SKIP have no reply of their own. */
static void client_reply(struct call *call)
{
    struct client *client = call->client;
    if (bytes_is(call->argv[2], "on")) {
        client_commands_unmute(call);
        reply_ok(&call->reply);
    } else if (bytes_is(call->argv[2], "off")) {
        client->reply_off = true;
    } else if (bytes_is(call->argv[2], "skip")) {
        if (!client->reply_off)
            client->reply_skip_next = true;
    } else {
        call_syntax_error(call);
    }
}

/* Pausing: core holds the clients back; here is only said until when. */

static void client_pause(struct call *call)
{
    struct larder *larder = call->larder;
    int64_t ms;
    bool writes_only = call->argc == 4 && bytes_is(call->argv[3], "write");
    if (call->argc > 4) {
        subcommand_bad_arguments(call);
    } else if (call->argc == 4 && !writes_only && !bytes_is(call->argv[3], "all")) {
        reply_error(&call->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
    } else if (!bytes_parse_i64(call->argv[2], &ms)) {
        reply_error(&call->reply, "ERR timeout is not an integer or out of range");
    } else if (ms < 0) {
        reply_error(&call->reply, "ERR timeout is negative");
    } else {
        int64_t until_ms;
        if (__builtin_add_overflow(larder_now_ms(larder), ms, &until_ms))
            until_ms = INT64_MAX;
        /* A second pause makes the first one longer or stricter, never weaker. */
        bool is_paused = larder->paused_until_ms > larder_now_ms(larder);
        larder->paused_writes_only = writes_only && (!is_paused || larder->paused_writes_only);
        if (!is_paused || until_ms > larder->paused_until_ms)
            larder->paused_until_ms = until_ms;
        readonly_scripts_forget_functions(larder->readonly_scripts);
        reply_ok(&call->reply);
    }
}

static void client_unpause(struct call *call)
{
    call->larder->paused_until_ms = 0;
    call->larder->paused_writes_only = false;
    client_resume_all(call->larder);
    reply_ok(&call->reply);
}

static void client_unblock(struct call *call)
{
    struct client *client;
    int64_t id;
    if (call->argc > 4)
        subcommand_bad_arguments(call);
    else if (call->argc == 4 && !bytes_is(call->argv[3], "timeout") &&
             !bytes_is(call->argv[3], "error"))
        reply_error(&call->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    else if (!bytes_parse_i64(call->argv[2], &id))
        reply_error(&call->reply, "ERR value is not an integer or out of range");
    else if (id < 1 || (client = client_find(call->larder, (uint64_t)id)) == NULL)
        reply_int(&call->reply, 0);
    else
        call_unblock(call, client, call->argc == 4 && bytes_is(call->argv[3], "error"));
}

#define ROW(word, function, n)                                                                     \
    .name = (word), .fn = (function), .arity = (n), .flags = COMMAND_LOCAL | COMMAND_NOSCRIPT,     \
    .group = "connection"

static const struct command subs[] = {
    {ROW("id", client_id, 2), .since = "5.0.0", .summary = "Returns the id of the connection"},
    {ROW("info", client_list_info, 2), .since = "6.2.0", .summary = "Describes the connection"},
    {ROW("list", client_list_all, -2), .since = "2.4.0",
     .summary = "Describes all connections, or those of a type or with an id",
     .args = "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]"},
    {ROW("kill", client_kill, -3), .since = "2.4.0",
     .summary = "Closes connections by address, id, type or user",
     .args = "<ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] | [USER "
             "username] | [ADDR ip:port] | "
             "[LADDR ip:port] | [SKIPME <YES | NO>] ...>>"},
    {ROW("getname", client_getname, 2), .since = "2.6.9",
     .summary = "Returns the name of the connection"},
    {ROW("setname", client_setname, 3), .since = "2.6.9", .summary = "Names the connection",
     .args = "connection-name"},
    {ROW("setinfo", client_setinfo, 4), .since = "7.2.0",
     .summary = "Tells the client library's name or version",
     .args = "<LIB-NAME libname | LIB-VER libver>"},
    {ROW("no-evict", client_no_evict, 3), .since = "7.0.0",
     .summary = "Marks the connection as not to be closed for memory", .args = "<ON | OFF>"},
    {ROW("no-touch", client_no_touch, 3), .since = "7.2.0",
     .summary = "Lets the connection's reads leave no trace in the access history",
     .args = "<ON | OFF>"},
    {ROW("reply", client_reply, 3), .since = "3.2.0",
     .summary = "Says whether commands are answered", .args = "<ON | OFF | SKIP>"},
    {ROW("pause", client_pause, -3), .since = "2.9.50",
     .summary = "Holds all commands back for a time, or only writes",
     .args = "timeout [WRITE | ALL]"},
    {ROW("unpause", client_unpause, 2), .since = "6.2.0", .summary = "Ends CLIENT PAUSE"},
    {.name = "tracking",
     .fn = client_tracking,
     .arity = -3,
     .group = "connection",
     .flags = COMMAND_LOCAL | COMMAND_NOSCRIPT | COMMAND_NO_MULTI,
     .since = "6.0.0",
     .summary = "Says whether the connection is told of changes of the keys that it has read",
     .args = "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] "
             "[OPTOUT] [NOLOOP]"},
    {ROW("caching", client_caching, 3), .since = "6.0.0",
     .summary = "Says whether the next command's keys are tracked", .args = "<YES | NO>"},
    {ROW("getredir", client_getredir, 2), .since = "6.0.0",
     .summary = "Returns the id of the connection that gets the invalidations"},
    {ROW("trackinginfo", client_trackinginfo, 2), .since = "6.2.0",
     .summary = "Describes key tracking of the connection"},
    {ROW("unblock", client_unblock, -3), .since = "5.0.0",
     .summary = "Ends another client's blocking command; none blocks yet",
     .args = "client-id [TIMEOUT | ERROR]"},
    {ROW("help", subcommand_help, 2), .since = "5.0.0", .summary = "Prints this help"},
    {.name = NULL},
};

const struct command client_commands[] = {
    {.name = "client",
     .fn = subcommand_unknown,
     .arity = -2,
     .flags = COMMAND_LOCAL,
     .group = "connection",
     .since = "2.4.0",
     .summary = "A container for commands about connections",
     .subs = subs},
    {.name = NULL},
};
