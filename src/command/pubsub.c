/* SUBSCRIBE PSUBSCRIBE SSUBSCRIBE and their opposites; PUBLISH SPUBLISH PUBSUB are in publish.c.
 *
 * Rules that keep the order which Redis has on its one connection, with L2's subscriptions on a link
 * of their own:
 *  - a change of subscriptions waits for the client's earlier commands (COMMAND_WAITS), so that what
 *    it published before it is not counted or heard by the new state;
 *  - the client's next command waits until L2 has answered for the channels concerned, so that what
 *    it publishes afterwards is;
 *  - the confirmations of one command are one reply; messages come behind them (core/push.c). */
#include "command/families.h"

#include "base/mem.h"
#include "core/larder.h"
#include "tier/pubsub.h"

static const struct {
    const char *subscribe, *unsubscribe;
} words[PUBSUB_KINDS] = {
    [PUBSUB_CHANNEL] = {"subscribe", "unsubscribe"},
    [PUBSUB_PATTERN] = {"psubscribe", "punsubscribe"},
    [PUBSUB_SHARD] = {"ssubscribe", "sunsubscribe"},
};

/* The replies of a command, written down until L2 has answered. */
struct confirmation {
    struct reply_slot *slot;
    struct buf text;
    bool unsubscribes; /* it is as the client wanted, whatever L2 says */
};

static void on_settled(void *ctx, struct bytes error)
{
    struct confirmation *confirmation = ctx;
    struct reply_slot *slot = confirmation->slot;
    struct reply reply = slot_begin(slot);
    if (error.len == 0 || confirmation->unsubscribes) {
        reply_raw(&reply, buf_bytes(&confirmation->text));
    } else {
        larder_count_error(slot->larder, error);
        reply_raw(&reply, error);
    }
    buf_deinit(&confirmation->text);
    mem_free(confirmation);
    slot_finish(slot, &reply);
}

/* What the confirmations count: channels and patterns together, shard channels by themselves. */
static int64_t count(const struct client *client, enum pubsub_kind kind)
{
    if (client->pubsub == NULL)
        return 0;
    if (kind == PUBSUB_SHARD)
        return (int64_t)pubsub_count(client->pubsub, PUBSUB_SHARD);
    return (int64_t)(pubsub_count(client->pubsub, PUBSUB_CHANNEL) +
                     pubsub_count(client->pubsub, PUBSUB_PATTERN));
}

static void begin_confirmation(struct reply *text, const char *type)
{
    reply_push(text, 3);
    reply_bulk_str(text, type);
}

/* Answers with what is in the confirmation, now or when L2 has answered. */
static void settle(struct call *call, struct confirmation *confirmation, const struct reply *text)
{
    struct client *client = call->client;
    confirmation->slot = call_defer(call);
    confirmation->slot->muted = false; /* pushes are never silenced */
    if (text->failed && client->pubsub != NULL)
        pubsub_undo(call->larder->pubsub, client->pubsub);
    if (text->failed)
        on_settled(confirmation, BYTES("-ERR larder has no memory for this subscription\r\n"));
    else if (client->pubsub == NULL ||
             pubsub_settle(call->larder->pubsub, client->pubsub, on_settled, confirmation))
        on_settled(confirmation, bytes_of(NULL, 0));
    else
        client_block(confirmation->slot);
}

static struct confirmation *create_confirmation(const struct call *call, struct reply *text)
{
    struct confirmation *confirmation = mem_zalloc(sizeof(*confirmation));
    buf_init(&confirmation->text);
    *text = (struct reply){.out = &confirmation->text, .proto = call->client->proto};
    return confirmation;
}

static void subscribe_to(struct call *call, enum pubsub_kind kind)
{
    struct client *client = call->client;
    struct reply text;
    struct confirmation *confirmation = create_confirmation(call, &text);
    if (client->pubsub == NULL)
        client->pubsub = pubsub_join(client);
    for (size_t i = 1; i < call->argc && !text.failed; i++) {
        if (!pubsub_subscribe(call->larder->pubsub, client->pubsub, kind, call->argv[i]))
            text.failed = true;
        begin_confirmation(&text, words[kind].subscribe);
        reply_bulk(&text, call->argv[i]);
        reply_int(&text, count(client, kind));
    }
    settle(call, confirmation, &text);
}

static void unsubscribe_one(struct call *call, enum pubsub_kind kind, struct bytes name,
                            struct reply *text)
{
    begin_confirmation(text, words[kind].unsubscribe);
    reply_bulk(text, name);
    if (call->client->pubsub != NULL)
        pubsub_unsubscribe(call->larder->pubsub, call->client->pubsub, kind, name);
    reply_int(text, count(call->client, kind));
}

static void unsubscribe_from(struct call *call, enum pubsub_kind kind)
{
    struct client *client = call->client;
    struct reply text;
    struct confirmation *confirmation = create_confirmation(call, &text);
    confirmation->unsubscribes = true;
    for (size_t i = 1; i < call->argc; i++)
        unsubscribe_one(call, kind, call->argv[i], &text);
    if (call->argc == 1 && (client->pubsub == NULL || pubsub_count(client->pubsub, kind) == 0)) {
        begin_confirmation(&text, words[kind].unsubscribe);
        reply_null(&text);
        reply_int(&text, count(client, kind));
    }
    while (call->argc == 1 && client->pubsub != NULL && pubsub_count(client->pubsub, kind) > 0)
        unsubscribe_one(call, kind, pubsub_first(client->pubsub, kind), &text);
    settle(call, confirmation, &text);
}

static void subscribe(struct call *call)
{
    subscribe_to(call, PUBSUB_CHANNEL);
}

static void psubscribe(struct call *call)
{
    subscribe_to(call, PUBSUB_PATTERN);
}

static void ssubscribe(struct call *call)
{
    subscribe_to(call, PUBSUB_SHARD);
}

static void unsubscribe(struct call *call)
{
    unsubscribe_from(call, PUBSUB_CHANNEL);
}

static void punsubscribe(struct call *call)
{
    unsubscribe_from(call, PUBSUB_PATTERN);
}

static void sunsubscribe(struct call *call)
{
    unsubscribe_from(call, PUBSUB_SHARD);
}

#define ROW(function, n, version, text, usage)                                                     \
    {                                                                                              \
        .name = #function, .fn = (function), .arity = (n),                                         \
        .flags =                                                                                   \
            COMMAND_LOCAL | COMMAND_PUBSUB | COMMAND_NOSCRIPT | COMMAND_NO_MULTI | COMMAND_WAITS,  \
        .group = "pubsub", .since = (version), .summary = (text), .args = (usage)                  \
    }

const struct command pubsub_commands[] = {
    ROW(subscribe, -2, "2.0.0", "Listens to channels", "channel [channel ...]"),
    ROW(psubscribe, -2, "2.0.0", "Listens to channels by pattern", "pattern [pattern ...]"),
    ROW(ssubscribe, -2, "7.0.0", "Listens to shard channels", "shardchannel [shardchannel ...]"),
    ROW(unsubscribe, -1, "2.0.0", "Stops listening to channels, or to all of them",
        "[channel [channel ...]]"),
    ROW(punsubscribe, -1, "2.0.0", "Stops listening by pattern, or by all patterns",
        "[pattern [pattern ...]]"),
    ROW(sunsubscribe, -1, "7.0.0", "Stops listening to shard channels, or to all of them",
        "[shardchannel [shardchannel ...]]"),
    {.name = NULL},
};
