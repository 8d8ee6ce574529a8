/* MULTI, EXEC, DISCARD. Commands are queued here and sent at EXEC, as one contiguous batch on the shared link:
 *
 *     MULTI  c1 ... cn  EXEC  -->  +OK  +QUEUED ... +QUEUED  [r1 ... rn]
 *
 * so nothing comes between them, and no connection of its own is needed (but for a client that watches keys: watch.c). What larder answers itself (PING, CLIENT, CONFIG ...) is
 * not sent; it runs when EXEC's reply is there, and its replies are put into their places.
 *
 * Alone, all of them run one after another at EXEC: nothing else runs meanwhile. */
#include "command/families.h"

#include "base/mem.h"
#include "command/transaction.h"
#include "core/blocked.h"
#include "resp/walk.h"

static void multi(struct call *call)
{
    if (call->client->multi != NULL) {
        reply_error(&call->reply, "ERR MULTI calls can not be nested");
        return;
    }
    call->client->multi = transaction_create();
    reply_ok(&call->reply);
}

static void discard(struct call *call)
{
    if (call->client->multi == NULL) {
        reply_error(&call->reply, "ERR DISCARD without MULTI");
        return;
    }
    transaction_destroy(call->client->multi);
    call->client->multi = NULL;
    watch_forget(call->client);
    reply_ok(&call->reply);
}

/* EXEC with an upstream */

struct execution {
    struct reply_slot *slot;
    struct transaction *transaction; /* owned */
    struct buf
        refusal; /* L2's error to what it did not queue (NOREPLICAS, OOM); empty: it queued all */
};

static void ignore_reply(void *ctx, struct bytes reply)
{
    (void)ctx;
    (void)reply;
}

/* Keeps the first error to a command that L2 was to queue: Redis would have found it at EXEC, and says so. */
static void on_queued(void *ctx, struct bytes reply)
{
    struct execution *execution = ctx;
    if (reply.ptr[0] == '-' && execution->refusal.len == 0 &&
        !buf_append(&execution->refusal, reply.ptr + 1, reply.len - 1))
        execution->refusal.len = 0; /* then EXEC's own words must do */
}

/* Writes one reply of L2's, whole in `raw`, in the client's protocol. */
static void write_remote(struct reply *reply, struct bytes raw, enum translate_rule rule)
{
    if (rule == TRANSLATE_NULL_ARRAY_BLOCKING)
        rule = TRANSLATE_GENERIC; /* nothing blocks inside MULTI */
    if (reply->proto == 3)
        reply_raw(reply, raw);
    else if (!translate_to_resp2(raw.ptr, raw.len, rule, reply->out))
        reply_error(reply, "ERR larder can't translate this reply to RESP2");
}

/* L2 has changed the database inside the transaction: so does the client. */
static void follow_select(struct client *client, const struct command *command, struct bytes raw)
{
    struct buf nowhere;
    buf_init(&nowhere);
    struct reply reply = {.out = &nowhere, .proto = client->proto};
    larder_execute_queued(client->larder, client, command, raw, &reply);
    buf_deinit(&nowhere);
}

/* Puts L2's replies and larder's own together. Returns false when L2's reply has not as many as were sent. */
static bool merge(const struct execution *execution, struct bytes raw, struct reply *reply)
{
    const struct transaction *transaction = execution->transaction;
    struct client *client = execution->slot->client;
    struct walk walk = walk_over(raw.ptr, raw.len);
    struct walk_item item;
    if (walk_next(&walk, &item) != WALK_OK || item.type != WALK_ARRAY)
        return false;
    reply_array(reply, transaction->n);
    for (size_t i = 0; i < transaction->n; i++) {
        const struct queued_command *queued = &transaction->items[i];
        if (queued->is_local && client != NULL) {
            larder_execute_queued(client->larder, client, queued->command,
                                  transaction_raw(transaction, i), reply);
            continue;
        }
        if (queued->is_local)
            continue; /* nobody listens */
        const char *start = walk.pos;
        if (walk_skip(&walk, 1, WALK_DEPTH_MAX) != WALK_OK)
            return false;
        if (queued->is_select && *start == '+' && client != NULL)
            follow_select(client, queued->command, transaction_raw(transaction, i));
        write_remote(reply, bytes_of(start, (size_t)(walk.pos - start)), queued->rule);
    }
    return walk.pos == walk.end;
}

void transaction_finish(struct execution *execution, struct bytes raw)
{
    struct reply reply = slot_begin(execution->slot);
    size_t start = reply.out->len;
    if (raw.ptr[0] == '-') {
        larder_count_error(execution->slot->larder, raw);
        if (execution->refusal.len > 0 && bytes_starts_with(raw, BYTES("-EXECABORT "))) {
            reply_raw(&reply, BYTES("-EXECABORT Transaction discarded because of: "));
            raw = buf_bytes(&execution->refusal);
        }
        reply_raw(&reply, raw);
    } else if (raw.ptr[0] == '_') {
        reply_null_array(&reply);
    } else if (!merge(execution, raw, &reply)) {
        reply.out->len = start;
        reply_error(&reply, "UPSTREAM the reply to EXEC does not suit what was sent");
    }
    slot_finish(execution->slot, &reply);
    transaction_destroy(execution->transaction);
    buf_deinit(&execution->refusal);
    mem_free(execution);
}

static void on_exec(void *ctx, struct bytes raw)
{
    transaction_finish(ctx, raw);
}

/* The batch on the shared link. */
static void send_shared(struct client *client, struct execution *execution, enum tier_scope scope,
                        const struct bytes *keys)
{
    struct larder *larder = client->larder;
    const struct transaction *transaction = execution->transaction;
    unsigned db = client->db;
    tier_pass(larder->tier, db, BYTES("*1\r\n$5\r\nMULTI\r\n"), ignore_reply, NULL);
    for (size_t i = 0; i < transaction->n; i++)
        if (!transaction->items[i].is_local)
            tier_pass(larder->tier, db, transaction_raw(transaction, i), on_queued, execution);
    tier_write(larder->tier, db, BYTES("*1\r\n$4\r\nEXEC\r\n"), scope, keys, transaction->n_keys,
               on_exec, execution);
    if (transaction->has_script)
        link_note_script(larder->link);
    if (transaction->has_select)
        link_forget_db(larder->link);
}

static void send_batch(struct call *call, struct transaction *transaction)
{
    struct bytes *keys = mem_try(transaction->n_keys * sizeof(*keys) + 1);
    if (keys == NULL) {
        reply_error(&call->reply, "ERR larder has no memory for the keys of this transaction");
        transaction_destroy(transaction);
        return;
    }
    transaction_keys(transaction, keys);
    struct execution *execution = mem_alloc(sizeof(*execution));
    execution->slot = call_defer(call);
    execution->transaction = transaction;
    buf_init(&execution->refusal);
    if (transaction->has_script)
        client_note_script(execution->slot);
    if (transaction->has_local || transaction->has_select || call->client->watch != NULL)
        client_block(execution->slot); /* what these change is changed when EXEC's reply is there */
    /* Behind a SELECT, keys belong to another database than the client's. */
    bool all = transaction->writes_all ||
               (transaction->has_select && (transaction->n_keys > 0 || transaction->writes_db));
    enum tier_scope scope = all ? TIER_ALL : transaction->writes_db ? TIER_DATABASE : TIER_KEYS;
    if (call->client->watch != NULL)
        watch_send_batch(call->client, execution, transaction, scope, keys);
    else
        send_shared(call->client, execution, scope, keys);
    mem_free(keys);
}

/* EXEC alone */

static void run_alone(struct call *call, struct transaction *transaction)
{
    reply_array(&call->reply, transaction->n);
    for (size_t i = 0; i < transaction->n; i++)
        larder_execute_queued(call->larder, call->client, transaction->items[i].command,
                              transaction_raw(transaction, i), &call->reply);
    transaction_destroy(transaction);
}

static void exec(struct call *call)
{
    struct transaction *transaction = call->client->multi;
    if (transaction == NULL) {
        reply_error(&call->reply, "ERR EXEC without MULTI");
        return;
    }
    call->client->multi = NULL;
    if (call->larder->link != NULL && link_is_busy(call->larder->link)) {
        struct bytes words = link_get_busy(call->larder->link);
        reply_error(&call->reply, "EXECABORT Transaction discarded because of: %.*s",
                    (int)words.len - 3, words.ptr + 1);
        watch_forget(call->client);
        transaction_destroy(transaction);
    } else if (transaction->is_dirty) {
        reply_error(&call->reply, "EXECABORT Transaction discarded because of previous errors.");
        watch_forget(call->client);
        transaction_destroy(transaction);
    } else if (call->client->watch != NULL && pinned_is_lost(call->client->watch)) {
        reply_null_array(&call->reply); /* what was watched may have changed */
        watch_forget(call->client);
        transaction_destroy(transaction);
    } else if (call->larder->link == NULL) {
        run_alone(call, transaction);
    } else {
        send_batch(call, transaction);
    }
}

#define ROW COMMAND_LOCAL | COMMAND_NOSCRIPT | COMMAND_FAST | COMMAND_NOT_QUEUED

const struct command transaction_commands[] = {
    {.name = "multi",
     .fn = multi,
     .arity = 1,
     .flags = ROW,
     .group = "transactions",
     .since = "1.2.0",
     .summary = "Begins a transaction: commands are queued until EXEC"},
    {.name = "exec",
     .fn = exec,
     .arity = 1,
     .flags = ROW,
     .group = "transactions",
     .since = "1.2.0",
     .summary = "Runs what was queued since MULTI, as one"},
    {.name = "discard",
     .fn = discard,
     .arity = 1,
     .flags = ROW,
     .group = "transactions",
     .since = "2.0.0",
     .summary = "Drops what was queued since MULTI"},
    {.name = NULL},
};
