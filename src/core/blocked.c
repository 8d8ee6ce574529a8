/* Clients with a link of their own; see blocked.h. */
#include "core/blocked.h"

#include "base/mem.h"

#include <stdio.h>

struct blocked {
    struct reply_slot *slot;
    struct pinned *pinned;    /* NULL: the client has left, and the link is going to be closed */
    struct tier_guard *guard; /* NULL: the command writes nothing */
};

static void on_ignored(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    (void)ctx;
    (void)outcome;
    (void)reply;
}

static void on_reply(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct blocked *blocked = ctx;
    struct client *client = blocked->slot->client;
    if (blocked->guard != NULL)
        tier_guard_end(blocked->guard);
    if (blocked->pinned != NULL)
        pinned_release(blocked->pinned, outcome == LINK_REPLY);
    if (client != NULL) {
        client->blocked = NULL;
        conn_watch_hangup(&client->conn, false);
    }
    slot_finish_resp3(blocked->slot, reply);
    mem_free(blocked);
}

struct pinned *blocked_acquire(struct call *call)
{
    struct pinned *pinned = pinned_acquire(call->larder->pinned);
    if (pinned == NULL)
        reply_error(&call->reply, "ERR no more links to the upstream for clients that block or "
                                  "watch (upstream-pinned-max)");
    return pinned;
}

/* The guard of what a call may write; NULL: nothing. */
static struct tier_guard *guard_of(struct call *call)
{
    struct command_keys keys;
    if (!command_may_write(call->command))
        return NULL;
    bool ok = command_keys_collect(call->command, call->argv, call->argc, true, &keys);
    enum tier_scope scope = ok && keys.complete ? TIER_KEYS : TIER_DATABASE;
    struct tier_guard *guard = tier_guard_begin(call->larder->tier, call->client->db, scope,
                                                ok ? keys.items : NULL, ok ? keys.n : 0);
    if (ok)
        command_keys_deinit(&keys);
    return guard;
}

void call_block(struct call *call, struct bytes before)
{
    struct client *client = call->client;
    struct pinned *pinned = blocked_acquire(call);
    if (pinned == NULL)
        return;
    struct blocked *blocked = mem_alloc(sizeof(*blocked));
    blocked->slot = call_defer(call);
    blocked->slot->rule = translate_rule_for(call->argv, call->argc);
    blocked->pinned = pinned;
    blocked->guard = guard_of(call);
    client->blocked = blocked;
    client_block(blocked->slot);
    conn_watch_hangup(&client->conn, true);
    if (before.len > 0)
        pinned_send(pinned, client->db, before, false, on_ignored, NULL);
    pinned_send(pinned, client->db, call->raw, true, on_reply, blocked);
}

/* A command under way beside the shared link. */
struct aside {
    struct reply_slot *slot;
    struct pinned *pinned;
};

static void on_aside(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct aside aside = *(struct aside *)ctx;
    mem_free(ctx);
    pinned_release(aside.pinned, outcome == LINK_REPLY);
    slot_finish_resp3(aside.slot, reply);
}

void call_aside(struct call *call)
{
    struct pinned *pinned = blocked_acquire(call);
    if (pinned == NULL)
        return;
    struct aside *aside = mem_alloc(sizeof(*aside));
    aside->slot = call_defer(call);
    aside->slot->rule = translate_rule_for(call->argv, call->argc);
    aside->pinned = pinned;
    pinned_send_anywhere(pinned, call->raw, on_aside, aside);
}

static void on_unblocked(void *ctx, struct bytes reply)
{
    slot_finish_resp3(ctx, reply);
}

void call_unblock(struct call *call, struct client *client, bool with_error)
{
    char id[BYTES_I64_MAX];
    struct buf raw;
    int64_t l2_id = client->blocked != NULL ? pinned_client_id(client->blocked->pinned) : 0;
    if (l2_id == 0) {
        reply_int(&call->reply, 0);
        return;
    }
    struct bytes argv[] = {BYTES("CLIENT"), BYTES("UNBLOCK"),
                           bytes_of(id, bytes_format_i64(l2_id, id)),
                           with_error ? BYTES("ERROR") : BYTES("TIMEOUT")};
    buf_init(&raw);
    if (request_encode(argv, 4, &raw))
        tier_pass(call->larder->tier, call->client->db, buf_bytes(&raw), on_unblocked,
                  call_defer(call));
    else
        reply_error(&call->reply, "ERR larder has no memory for this command");
    buf_deinit(&raw);
}

bool blocked_is_waiting(const struct client *client)
{
    return client->blocked != NULL && pinned_client_id(client->blocked->pinned) != 0;
}

void blocked_leave(struct client *client)
{
    if (client->blocked != NULL) {
        struct pinned *pinned = client->blocked->pinned;
        client->blocked->pinned = NULL;
        client->blocked = NULL;
        pinned_release(pinned, false);
    }
    if (client->watch != NULL) {
        pinned_release(client->watch, false);
        client->watch = NULL;
    }
}
