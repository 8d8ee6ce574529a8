/* Clients that replicate through a tunnel; see replica.h. */
#include "core/replica.h"

#include "upstream/pinned.h"

#include "base/log.h"

/* Unread output at which nothing more is read from L2. */
#define OUTPUT_MAX_BYTES ((size_t)1 << 20)

/* All output of a turn is written at its end. What is left then waits in a `blocked` connection, which says when it is drained. */
static bool may_read(void *ctx)
{
    const struct client *client = ctx;
    return !(client->conn.blocked && conn_pending_output(&client->conn) >= OUTPUT_MAX_BYTES);
}

static void on_data(void *ctx, struct bytes data)
{
    struct client *client = ctx;
    if (client->conn.closed || client->conn.closing)
        return;
    client->active_ms = larder_now_ms(client->larder);
    if (buf_append(&client->conn.out, data.ptr, data.len))
        conn_mark_dirty(&client->conn);
    else
        client_close(client, "out of memory for output");
}

static void on_room(void *ctx)
{
    struct client *client = ctx;
    if (client->held_back)
        client_resume_later(client);
}

static void on_end(void *ctx, const char *why, bool was_open)
{
    struct client *client = ctx;
    LOG(LOG_VERBOSE, "The replica %s lost its link to %s: %s", client->peer,
        tunnel_get_name(client->tunnel), why);
    if (!was_open) {
        struct reply reply = client_begin_reply(client);
        size_t start = reply.out->len;
        reply_error(&reply, "UPSTREAM %s is down: %s", tunnel_get_name(client->tunnel), why);
        larder_count_error(client->larder,
                           bytes_of(reply.out->data + start, reply.out->len - start));
        client_end_reply(client, &reply);
    }
    replica_leave(client);
    client_end(client);
}

static const struct tunnel_handlers handlers = {may_read, on_data, on_room, on_end};

void replica_begin(struct call *call)
{
    struct larder *larder = call->larder;
    struct link_options options;
    if (!pinned_pool_reserve(larder->pinned)) {
        reply_error(&call->reply, "ERR no more links to the upstream for clients that block or "
                                  "watch (upstream-pinned-max)");
        return;
    }
    pinned_pool_copy_options(larder->pinned, &options);
    call->client->tunnel = tunnel_create(&larder->loop, &options, &handlers, call->client);
    tunnel_give(call->client->tunnel, call->raw);
}

bool replica_is_failover(const struct bytes *argv, size_t argc)
{
    return argc > 3 && bytes_is(argv[0], "psync");
}

/* True for what a replica says. */
static bool is_allowed(const struct client *client, const struct request *request)
{
    if (request->argc == 0)
        return true;
    const struct bytes *argv = request_argv(request);
    if (replica_is_failover(argv, request->argc))
        return client->larder->config.allow_admin;
    return bytes_is(argv[0], "replconf") || bytes_is(argv[0], "psync") ||
           bytes_is(argv[0], "sync") || bytes_is(argv[0], "ping");
}

void replica_take(struct client *client, const struct parsed *parsed)
{
    if (!is_allowed(client, &parsed->request)) {
        LOG(LOG_VERBOSE, "Closing %s: replicas may say REPLCONF, PSYNC, SYNC and PING only",
            client->peer);
        client_close(client, "no command of a replica");
        return;
    }
    if (parsed->command != NULL) {
        client->last_command = parsed->command;
        parsed->command->stats->calls++;
    }
    client->n_commands++;
    client->larder->stats.commands++;
    tunnel_give(client->tunnel, parsed->request.raw);
}

bool replica_must_wait(const struct client *client)
{
    return tunnel_is_full(client->tunnel);
}

void replica_on_drained(struct client *client)
{
    if (client->tunnel != NULL)
        tunnel_resume(client->tunnel);
}

void replica_leave(struct client *client)
{
    if (client->tunnel == NULL)
        return;
    tunnel_destroy(client->tunnel);
    client->tunnel = NULL;
    pinned_pool_unreserve(client->larder->pinned);
}
