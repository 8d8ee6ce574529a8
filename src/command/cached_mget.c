/* MGET in front of an upstream: hits come from L1, the misses are fetched key by key (in one write, through single flight), and
 * the reply leaves when the last is there.
 *
 * As Redis, a key of another type is nil. An error of the way to L2 is the reply to the whole command. */
#include "command/cached.h"

#include "base/mem.h"
#include "core/larder.h"

struct part {
    struct gather *gather;
    struct buf reply; /* the key's reply, serialised */
};

struct gather {
    struct reply_slot *slot;
    size_t n;
    size_t waiting;
    struct buf error; /* the first error, as a line; empty: none */
    bool failed;      /* out of memory */
    struct part parts[];
};

static void finish(struct gather *gather)
{
    struct reply reply = slot_begin(gather->slot);
    if (gather->failed) {
        reply_error(&reply, "ERR larder has no memory for this reply");
    } else if (gather->error.len > 0) {
        larder_count_error(gather->slot->larder, buf_bytes(&gather->error));
        reply_raw(&reply, buf_bytes(&gather->error));
    } else {
        reply_array(&reply, gather->n);
        for (size_t i = 0; i < gather->n; i++)
            reply_raw(&reply, buf_bytes(&gather->parts[i].reply));
    }
    slot_finish(gather->slot, &reply);
    for (size_t i = 0; i < gather->n; i++)
        buf_deinit(&gather->parts[i].reply);
    buf_deinit(&gather->error);
    mem_free(gather);
}

static void set_part(struct part *part, const struct bytes *value)
{
    struct gather *gather = part->gather;
    struct reply reply = {.out = &part->reply, .proto = gather->slot->proto};
    struct larder_stats *stats = &gather->slot->larder->stats;
    if (value != NULL)
        reply_bulk(&reply, *value);
    else
        reply_null(&reply);
    stats->keyspace_hits += value != NULL;
    stats->keyspace_misses += value == NULL;
    gather->failed |= reply.failed;
}

static void on_part(void *ctx, enum tier_answer answer, struct bytes bytes)
{
    struct part *part = ctx;
    struct gather *gather = part->gather;
    bool wrong_type = answer == TIER_ERROR && bytes_starts_with(bytes, BYTES("-WRONGTYPE"));
    if (answer == TIER_STRING)
        set_part(part, &bytes);
    else if (answer == TIER_ABSENT || wrong_type)
        set_part(part, NULL);
    else if (gather->error.len == 0 && !buf_append(&gather->error, bytes.ptr, bytes.len))
        gather->failed = true;
    if (--gather->waiting == 0)
        finish(gather);
}

/* Answers when L1 has all keys. Returns false, with nothing written, when it hasn't. */
static bool answer_from_l1(struct call *call)
{
    struct larder *larder = call->larder;
    unsigned db = call->client->db;
    for (size_t i = 1; i < call->argc; i++)
        if (tier_peek(larder->tier, db, call->argv[i], call_hash(call, i)) == NULL)
            return false;
    reply_array(&call->reply, call->argc - 1);
    for (size_t i = 1; i < call->argc; i++) {
        const struct entry *entry = tier_find(larder->tier, db, call->argv[i], call_hash(call, i));
        bool hit = entry != NULL && entry->kind == ENTRY_STRING;
        if (hit)
            reply_bulk(&call->reply, entry_value(entry));
        else
            reply_null(&call->reply);
        larder->stats.keyspace_hits += hit;
        larder->stats.keyspace_misses += !hit;
    }
    return true;
}

void cached_mget(struct call *call)
{
    struct larder *larder = call->larder;
    unsigned db = call->client->db;
    if (!larder->config.l1_enabled) {
        call_pass(call);
        return;
    }
    if (answer_from_l1(call))
        return;
    size_t n = call->argc - 1;
    struct gather *gather = mem_try(sizeof(*gather) + n * sizeof(struct part));
    if (gather == NULL) {
        reply_error(&call->reply, "ERR larder has no memory for this reply");
        return;
    }
    memset(gather, 0, sizeof(*gather) + n * sizeof(struct part));
    gather->slot = call_defer(call);
    gather->n = n;
    gather->waiting = n;
    for (size_t i = 0; i < n; i++) {
        struct bytes key = call->argv[i + 1];
        uint64_t hash = call_hash(call, i + 1);
        struct part *part = &gather->parts[i];
        part->gather = gather;
        const struct entry *entry = tier_find(larder->tier, db, key, hash);
        if (entry == NULL) {
            tier_fetch(larder->tier, db, key, hash, on_part, part);
            continue;
        }
        struct bytes value = entry_value(entry);
        set_part(part, entry->kind == ENTRY_STRING ? &value : NULL);
        gather->waiting--;
    }
    /* Not all were hits, so at least one fetch is under way, and its callback comes later. */
}
