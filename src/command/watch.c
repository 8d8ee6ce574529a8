/* WATCH, UNWATCH, and EXEC of a client that watches: on a link of its own, where L2 keeps what is watched.
 *
 *     WATCH ---> [link of its own] +OK ---> reads go to L2, not to L1 ---> MULTI ... EXEC on the same link ---> link given back
 *
 * Rules that keep the lock real:
 *  - the next command waits until L2 has confirmed WATCH, so that nothing is read before it is watched;
 *  - while a client watches, L1 is not asked for it: an entry whose invalidation is on its way would be older than the watch;
 *  - WATCH and EXEC wait for the client's earlier commands, which travel on the shared link;
 *  - a lost link has forgotten what it watched: EXEC answers as if a key had changed. */
#include "command/transaction.h"

#include "base/mem.h"
#include "core/blocked.h"

/* A client's first WATCH that fails leaves nothing watched: the link is given back. After a later one EXEC must still see to what was
 * watched before, on the same link, lost or not. */
static void on_watched(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct reply_slot *slot = ctx;
    struct client *client = slot->client;
    bool ok = outcome == LINK_REPLY && reply.ptr[0] != '-';
    if (client != NULL && ok) {
        client->is_watching = true;
    } else if (client != NULL && !client->is_watching) {
        pinned_release(client->watch, outcome == LINK_REPLY);
        client->watch = NULL;
    }
    slot_finish_resp3(slot, reply);
}

static void watch(struct call *call)
{
    struct client *client = call->client;
    if (client->multi != NULL) {
        reply_error(&call->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    if (client->watch != NULL && pinned_is_lost(client->watch)) {
        /* The keys watched before are forgotten: the transaction they are for can't be let through. */
        reply_error(
            &call->reply,
            "UPSTREAM the link that watched this client's keys was lost; UNWATCH and begin again");
        return;
    }
    if (client->watch == NULL) {
        client->watch = blocked_acquire(call);
        client->is_watching = false;
    }
    if (client->watch == NULL)
        return;
    struct reply_slot *slot = call_defer(call);
    client_block(slot);
    pinned_send(client->watch, client->db, call->raw, false, on_watched, slot);
}

static void on_forgotten(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    pinned_release(ctx, outcome == LINK_REPLY && reply.ptr[0] == '+');
}

void watch_forget(struct client *client)
{
    struct pinned *pinned = client->watch;
    if (pinned == NULL)
        return;
    client->watch = NULL;
    if (pinned_is_lost(pinned))
        pinned_release(pinned, false);
    else
        pinned_send(pinned, client->db, BYTES("*1\r\n$7\r\nUNWATCH\r\n"), false, on_forgotten,
                    pinned);
}

static void unwatch(struct call *call)
{
    watch_forget(call->client);
    reply_ok(&call->reply);
}

/* EXEC */

struct watched_exec {
    struct execution *execution; /* owned by transaction.c's transaction_finish */
    struct pinned *pinned;
    struct tier_guard *guard;
    bool has_select;
};

static void on_ignored(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    (void)ctx;
    (void)outcome;
    (void)reply;
}

static void on_exec(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct watched_exec exec = *(struct watched_exec *)ctx;
    mem_free(ctx);
    tier_guard_end(exec.guard);
    if (exec.has_select)
        pinned_forget_db(exec.pinned);
    pinned_release(exec.pinned, outcome == LINK_REPLY);
    transaction_finish(exec.execution, reply);
}

void watch_send_batch(struct client *client, struct execution *execution,
                      const struct transaction *transaction, enum tier_scope scope,
                      const struct bytes *keys)
{
    unsigned db = client->db;
    struct watched_exec *exec = mem_alloc(sizeof(*exec));
    exec->execution = execution;
    exec->pinned = client->watch;
    exec->guard = tier_guard_begin(client->larder->tier, db, scope, keys, transaction->n_keys);
    exec->has_select = transaction->has_select;
    client->watch = NULL;
    pinned_send(exec->pinned, db, BYTES("*1\r\n$5\r\nMULTI\r\n"), false, on_ignored, NULL);
    for (size_t i = 0; i < transaction->n; i++)
        if (!transaction->items[i].is_local)
            pinned_send(exec->pinned, db, transaction_raw(transaction, i), false, on_ignored, NULL);
    pinned_send(exec->pinned, db, BYTES("*1\r\n$4\r\nEXEC\r\n"), false, on_exec, exec);
}

#define ROW COMMAND_LOCAL | COMMAND_NOSCRIPT | COMMAND_FAST

const struct command watch_commands[] = {
    {.name = "watch",
     .fn = watch,
     .arity = -2,
     .flags =
         COMMAND_NOSCRIPT | COMMAND_FAST | COMMAND_NOT_QUEUED | COMMAND_WAITS | COMMAND_ALLOW_BUSY,
     .first = 1,
     .last = -1,
     .step = 1,
     .group = "transactions",
     .since = "2.2.0",
     .summary = "Makes the next transaction depend on keys not being changed",
     .args = "key [key ...]"},
    {.name = "unwatch",
     .fn = unwatch,
     .arity = 1,
     .flags = ROW,
     .group = "transactions",
     .since = "2.2.0",
     .summary = "Forgets watched keys"},
    {.name = NULL},
};
