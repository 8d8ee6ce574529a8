/* REPLCONF, SYNC, PSYNC: they make their connection a replica's, which is relayed to L2 (core/replica.h). */
#include "command/families.h"

#include "command/transaction.h"
#include "core/replica.h"
#include "core/tracking.h"

static void replicate(struct call *call)
{
    struct client *client = call->client;
    struct link_figures figures;
    link_read_figures(call->larder->link, &figures);
    if (client_is_subscriber(client) || client->is_monitor || (tracking_flags(client) & TRACKER_ON))
        reply_error(&call->reply, "ERR a connection that subscribes, monitors or tracks can't "
                                  "replicate through larder");
    else if (replica_is_failover(call->argv, call->argc) && !call->larder->config.allow_admin)
        reply_error(&call->reply, "ERR PSYNC FAILOVER is an administrative command; set "
                                  "allow-admin to send it upstream");
    else if (figures.state == LINK_DOWN)
        reply_error(&call->reply, "UPSTREAM %s is down: %s", link_get_name(call->larder->link),
                    figures.last_error);
    else {
        watch_forget(client);
        replica_begin(call);
    }
}

static void replicate_alone(struct call *call)
{
    reply_error(&call->reply, "ERR there is no upstream to replicate from, larder serves L1 alone");
}

#define ROW(word, n, more, version, text, usage)                                                   \
    {                                                                                              \
        .name = (word), .fn = replicate, .alone = replicate_alone, .arity = (n),                   \
        .flags =                                                                                   \
            COMMAND_NOSCRIPT | COMMAND_NO_MULTI | COMMAND_WAITS | COMMAND_ALLOW_BUSY | (more),     \
        .group = "server", .since = (version), .summary = (text), .args = (usage)                  \
    }

const struct command replication_commands[] = {
    ROW("sync", 1, COMMAND_NEVER_QUEUED, "1.0.0", "Starts replication from the upstream", NULL),
    ROW("psync", -3, COMMAND_NEVER_QUEUED, "2.8.0",
        "Starts replication from the upstream, or goes on with it", "replicationid offset"),
    ROW("replconf", -1, 0, "3.0.0", "Configures replication from the upstream", NULL),
    {.name = NULL},
};
