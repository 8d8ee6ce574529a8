/* EXISTS in front of an upstream. Of one key it is a read like others. Several keys are taken apart:
 * those that L1 knows are counted at once, the others are asked for one by one, in one write and
 * through single flight, and the reply leaves when the last answer is there. */
#include "command/cached.h"

#include "base/mem.h"
#include "core/larder.h"
#include "resp/request.h"

struct count {
    struct reply_slot *slot;
    size_t waiting;
    int64_t n;
    size_t n_keys;
    struct buf error; /* the first error, as a line; empty: none */
    bool failed;      /* out of memory for it */
};

static void finish(struct count *count)
{
    struct larder *larder = count->slot->larder;
    struct reply reply = slot_begin(count->slot);
    if (count->failed) {
        reply_error(&reply, "ERR larder has no memory for this reply");
    } else if (count->error.len > 0) {
        larder_count_error(larder, buf_bytes(&count->error));
        reply_raw(&reply, buf_bytes(&count->error));
    } else {
        larder->stats.keyspace_hits += (uint64_t)count->n;
        larder->stats.keyspace_misses += count->n_keys - (uint64_t)count->n;
        reply_int(&reply, count->n);
    }
    slot_finish(count->slot, &reply);
    buf_deinit(&count->error);
    mem_free(count);
}

static void on_answer(void *ctx, enum tier_answer answer, struct bytes bytes)
{
    struct count *count = ctx;
    if (answer == TIER_REPLY)
        count->n += bytes_equal(bytes, BYTES(":1\r\n"));
    else if (answer == TIER_ERROR && count->error.len == 0)
        count->failed = !buf_append(&count->error, bytes.ptr, bytes.len);
    if (--count->waiting == 0)
        finish(count);
}

static struct tier_read read_of(const struct call *call, size_t i)
{
    return (struct tier_read){
        .db = call->client->db,
        .key = call->argv[i],
        .hash = call_hash(call, i),
        .name = BYTES("exists"),
        .missing = call->larder->config.upstream_fail_mode == CONFIG_FAIL_MISS ? ":0\r\n" : NULL,
        .derive = cached_derive(BYTES("exists")),
    };
}

/* What L1 knows of a key: 1 or 0 whether it exists, -1 nothing. Counts a hit or a miss. */
static int look_up(const struct call *call, const struct tier_read *read)
{
    struct tier *tier = call->larder->tier;
    struct tier_reply reply;
    if (tier_peek(tier, read->db, read->key, read->hash) != NULL) {
        const struct entry *entry = tier_find(tier, read->db, read->key, read->hash);
        return entry->kind != ENTRY_ABSENT;
    }
    return tier_reply_find(tier, read, &reply) ? !reply.is_absent : -1;
}

/* Asks for one key, as if its client had named no other. */
static bool ask(struct call *call, struct tier_read *read, struct count *count)
{
    struct buf *raw = &call->larder->scratch;
    struct bytes words[] = {BYTES("EXISTS"), read->key};
    raw->len = 0;
    if (!request_encode(words, 2, raw))
        return false;
    read->raw = buf_bytes(raw);
    count->waiting++;
    tier_reply_fetch(call->larder->tier, read, on_answer, count);
    return true;
}

void cached_exists_several(struct call *call)
{
    struct count *count = mem_zalloc(sizeof(*count));
    count->waiting = 1; /* so that it does not end before all are asked for */
    count->n_keys = call->argc - 1;
    for (size_t i = 1; i < call->argc; i++) {
        struct tier_read read = read_of(call, i);
        int known = look_up(call, &read);
        count->n += known > 0;
        if (known >= 0)
            continue;
        if (count->slot == NULL)
            count->slot = call_defer(call);
        count->failed |= !ask(call, &read, count);
    }
    if (count->slot != NULL) {
        if (--count->waiting == 0)
            finish(count); /* no memory to ask for any */
        return;
    }
    call->larder->stats.keyspace_hits += (uint64_t)count->n;
    call->larder->stats.keyspace_misses += count->n_keys - (uint64_t)count->n;
    reply_int(&call->reply, count->n);
    mem_free(count);
}
