/* PUBLISH SPUBLISH PUBSUB: sent to L2, whose numbers of subscribers are then corrected, since all of
 * larder's are one to it; without an upstream answered here. */
#include "command/families.h"

#include "base/glob.h"
#include "base/mem.h"
#include "command/subcommand.h"
#include "core/larder.h"
#include "resp/walk.h"
#include "tier/pubsub.h"

/* Publishing */

struct publication {
    struct reply_slot *slot;
    enum pubsub_kind kind;
    size_t len;
    char channel[];
};

static void on_published(void *ctx, struct bytes raw)
{
    struct publication *publication = ctx;
    struct reply_slot *slot = publication->slot;
    struct bytes channel = bytes_of(publication->channel, publication->len);
    int64_t n;
    if (raw.ptr[0] == ':' && bytes_parse_i64(bytes_of(raw.ptr + 1, raw.len - 3), &n)) {
        struct reply reply = slot_begin(slot);
        reply_int(&reply,
                  pubsub_correct_receivers(slot->larder->pubsub, publication->kind, channel, n));
        slot_finish(slot, &reply);
    } else {
        slot_finish_resp3(slot, raw);
    }
    mem_free(publication);
}

static void publish_as(struct call *call, enum pubsub_kind kind)
{
    if (pubsub_is_empty(call->larder->pubsub)) {
        call_pass(call);
        return;
    }
    struct bytes channel = call->argv[1];
    struct publication *publication = mem_try(sizeof(*publication) + channel.len);
    if (publication == NULL) {
        reply_error(&call->reply, "ERR larder has no memory for this message");
        return;
    }
    publication->slot = call_defer(call);
    publication->kind = kind;
    publication->len = channel.len;
    if (channel.len > 0)
        memcpy(publication->channel, channel.ptr, channel.len);
    tier_pass(call->larder->tier, call->client->db, call->raw, on_published, publication);
}

static void publish(struct call *call)
{
    publish_as(call, PUBSUB_CHANNEL);
}

static void spublish(struct call *call)
{
    publish_as(call, PUBSUB_SHARD);
}

static void publish_alone_as(struct call *call, enum pubsub_kind kind)
{
    int64_t n = pubsub_publish(call->larder->pubsub, kind, call->argv[1], call->argv[2]);
    if (n < 0)
        reply_error(&call->reply, "ERR larder has no memory for this message");
    else
        reply_int(&call->reply, n);
}

static void publish_alone(struct call *call)
{
    publish_alone_as(call, PUBSUB_CHANNEL);
}

static void spublish_alone(struct call *call)
{
    publish_alone_as(call, PUBSUB_SHARD);
}

/* PUBSUB NUMSUB, SHARDNUMSUB */

struct numbers {
    struct reply_slot *slot;
    enum pubsub_kind kind;
};

/* Copies L2's [channel, number, ...] with corrected numbers. Returns false when it is anything
 * else. */
static bool correct_numbers(const struct numbers *numbers, struct bytes raw, struct reply *reply)
{
    struct walk walk = walk_over(raw.ptr, raw.len);
    struct walk_item item;
    struct walk_item number;
    if (walk_next(&walk, &item) != WALK_OK || item.type != WALK_ARRAY || item.n_items % 2 != 0)
        return false;
    size_t n_pairs = item.n_items / 2;
    reply_array(reply, 2 * n_pairs);
    for (size_t i = 0; i < n_pairs; i++) {
        int64_t n;
        if (walk_next(&walk, &item) != WALK_OK || item.type != WALK_BULK ||
            walk_next(&walk, &number) != WALK_OK || number.type != WALK_INTEGER ||
            !bytes_parse_i64(number.text, &n))
            return false;
        reply_bulk(reply, item.text);
        reply_int(reply, pubsub_correct_subscribers(numbers->slot->larder->pubsub, numbers->kind,
                                                    item.text, n));
    }
    return true;
}

static void on_numbers(void *ctx, struct bytes raw)
{
    struct numbers *numbers = ctx;
    struct reply_slot *slot = numbers->slot;
    struct buf text;
    buf_init(&text);
    struct reply corrected = {.out = &text, .proto = slot->proto};
    if (correct_numbers(numbers, raw, &corrected) && !corrected.failed) {
        struct reply reply = slot_begin(slot);
        reply_raw(&reply, buf_bytes(&text));
        slot_finish(slot, &reply);
    } else {
        slot_finish_resp3(slot, raw);
    }
    buf_deinit(&text);
    mem_free(numbers);
}

static void ask_numbers(struct call *call, enum pubsub_kind kind)
{
    if (pubsub_is_empty(call->larder->pubsub)) {
        call_pass(call);
        return;
    }
    struct numbers *numbers = mem_alloc(sizeof(*numbers));
    *numbers = (struct numbers){.slot = call_defer(call), .kind = kind};
    tier_pass(call->larder->tier, call->client->db, call->raw, on_numbers, numbers);
}

static void numsub(struct call *call)
{
    ask_numbers(call, PUBSUB_CHANNEL);
}

static void shardnumsub(struct call *call)
{
    ask_numbers(call, PUBSUB_SHARD);
}

static void numbers_alone(struct call *call, enum pubsub_kind kind)
{
    reply_array(&call->reply, 2 * (call->argc - 2));
    for (size_t i = 2; i < call->argc; i++) {
        reply_bulk(&call->reply, call->argv[i]);
        reply_int(&call->reply,
                  pubsub_correct_subscribers(call->larder->pubsub, kind, call->argv[i], 0));
    }
}

static void numsub_alone(struct call *call)
{
    numbers_alone(call, PUBSUB_CHANNEL);
}

static void shardnumsub_alone(struct call *call)
{
    numbers_alone(call, PUBSUB_SHARD);
}

/* PUBSUB CHANNELS, SHARDCHANNELS, NUMPAT without an upstream */

struct listing {
    struct reply *reply;
    struct bytes pattern;
    bool has_pattern;
    size_t n; /* listed so far */
};

static void list_topic(void *ctx, struct bytes name, size_t n_subscribers)
{
    (void)n_subscribers;
    struct listing *listing = ctx;
    if (listing->has_pattern && !glob_match(listing->pattern, name, false))
        return;
    listing->n++;
    if (listing->reply != NULL)
        reply_bulk(listing->reply, name);
}

static void list_alone(struct call *call, enum pubsub_kind kind)
{
    if (call->argc > 3) {
        subcommand_bad_arguments(call);
        return;
    }
    struct listing listing = {.has_pattern = call->argc == 3};
    if (listing.has_pattern)
        listing.pattern = call->argv[2];
    pubsub_each(call->larder->pubsub, kind, list_topic, &listing);
    reply_array(&call->reply, listing.n);
    listing.reply = &call->reply;
    pubsub_each(call->larder->pubsub, kind, list_topic, &listing);
}

static void channels_alone(struct call *call)
{
    list_alone(call, PUBSUB_CHANNEL);
}

static void shardchannels_alone(struct call *call)
{
    list_alone(call, PUBSUB_SHARD);
}

static void numpat_alone(struct call *call)
{
    reply_int(&call->reply, (int64_t)pubsub_topics(call->larder->pubsub, PUBSUB_PATTERN));
}

/* Rows */

static const struct command subs[] = {
    {.name = "channels",
     .fn = call_pass,
     .alone = channels_alone,
     .arity = -2,
     .flags = COMMAND_PUBSUB,
     .group = "pubsub",
     .since = "2.8.0",
     .summary = "Lists the channels that somebody listens to",
     .args = "[pattern]"},
    {.name = "numsub",
     .fn = numsub,
     .alone = numsub_alone,
     .arity = -2,
     .flags = COMMAND_PUBSUB,
     .group = "pubsub",
     .since = "2.8.0",
     .summary = "Counts the subscribers of channels",
     .args = "[channel [channel ...]]"},
    {.name = "numpat",
     .fn = call_pass,
     .alone = numpat_alone,
     .arity = 2,
     .flags = COMMAND_PUBSUB,
     .group = "pubsub",
     .since = "2.8.0",
     .summary = "Counts the patterns that somebody listens to"},
    {.name = "shardchannels",
     .fn = call_pass,
     .alone = shardchannels_alone,
     .arity = -2,
     .flags = COMMAND_PUBSUB,
     .group = "pubsub",
     .since = "7.0.0",
     .summary = "Lists the shard channels that somebody listens to",
     .args = "[pattern]"},
    {.name = "shardnumsub",
     .fn = shardnumsub,
     .alone = shardnumsub_alone,
     .arity = -2,
     .flags = COMMAND_PUBSUB,
     .group = "pubsub",
     .since = "7.0.0",
     .summary = "Counts the subscribers of shard channels",
     .args = "[shardchannel [shardchannel ...]]"},
    {.name = "help",
     .fn = call_pass,
     .alone = subcommand_help,
     .arity = 2,
     .group = "pubsub",
     .since = "6.2.0",
     .summary = "Prints this help"},
    {.name = NULL},
};

const struct command publish_commands[] = {
    {.name = "publish",
     .fn = publish,
     .alone = publish_alone,
     .arity = 3,
     .flags = COMMAND_PUBSUB | COMMAND_FAST,
     .group = "pubsub",
     .since = "2.0.0",
     .summary = "Sends a message to a channel",
     .args = "channel message"},
    {.name = "spublish",
     .fn = spublish,
     .alone = spublish_alone,
     .arity = 3,
     .flags = COMMAND_PUBSUB | COMMAND_FAST,
     .group = "pubsub",
     .since = "7.0.0",
     .summary = "Sends a message to a shard channel",
     .args = "shardchannel message"},
    {.name = "pubsub",
     .fn = call_pass,
     .alone = subcommand_unknown,
     .arity = -2,
     .group = "pubsub",
     .since = "2.8.0",
     .summary = "A container for commands about pub/sub",
     .subs = subs},
    {.name = NULL},
};
