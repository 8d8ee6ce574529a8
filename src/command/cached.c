/* Reads that L1 answers; see cached.h. MGET is in cached_mget.c, EXISTS of several keys in
 * cached_exists.c. */
#include "command/cached.h"

#include "command/cached_reply.h"
#include "command/string_handlers.h"
#include "core/larder.h"

static void count_keyspace(struct larder *larder, bool hit)
{
    larder->stats.keyspace_hits += hit;
    larder->stats.keyspace_misses += !hit;
}

/* GET */

static void on_get(void *ctx, enum tier_answer answer, struct bytes bytes)
{
    struct reply_slot *slot = ctx;
    struct reply reply = slot_begin(slot);
    if (answer == TIER_STRING) {
        reply_bulk(&reply, bytes);
    } else if (answer == TIER_ABSENT) {
        reply_null(&reply);
    } else {
        larder_count_error(slot->larder, bytes);
        reply_raw(&reply, bytes);
    }
    if (answer != TIER_ERROR)
        count_keyspace(slot->larder, answer == TIER_STRING);
    slot_finish(slot, &reply);
}

void cached_get(struct call *call)
{
    struct larder *larder = call->larder;
    struct bytes key = call->argv[1];
    uint64_t hash = call_hash(call, 1);
    const struct entry *entry = tier_find(larder->tier, call->client->db, key, hash);
    if (__builtin_expect(entry != NULL && entry->kind == ENTRY_STRING, 1)) {
        larder->stats.keyspace_hits++;
        reply_bulk(&call->reply, entry_value(entry));
    } else if (entry != NULL) {
        larder->stats.keyspace_misses++;
        reply_null(&call->reply);
    } else if (!larder->config.l1_enabled) {
        call_pass(call);
    } else {
        tier_fetch(larder->tier, call->client->db, key, hash, on_get, call_defer(call));
    }
}

/* Reads that are answered from the key's entry, else from a cached reply */

static void derive_strlen(struct reply *reply, const struct entry *entry, const struct bytes *args)
{
    (void)args;
    reply_int(reply, entry->value_len);
}

static void derive_exists(struct reply *reply, const struct entry *entry, const struct bytes *args)
{
    (void)args;
    reply_int(reply, entry->kind != ENTRY_ABSENT);
}

static void derive_type(struct reply *reply, const struct entry *entry, const struct bytes *args)
{
    (void)args;
    reply_status(reply, entry->kind == ENTRY_ABSENT ? "none" : "string");
}

static void derive_range(struct reply *reply, const struct entry *entry, const struct bytes *args)
{
    int64_t start = 0;
    int64_t end = 0;
    bool is_valid = bytes_parse_i64(args[0], &start) && bytes_parse_i64(args[1], &end);
    if (is_valid)
        reply_bulk(reply, string_range_cut(entry_value(entry), start, end));
    else
        reply_error(reply, "ERR value is not an integer or out of range");
}

tier_derive_fn *cached_derive(struct bytes name)
{
    if (bytes_equal(name, BYTES("exists")))
        return derive_exists;
    if (bytes_equal(name, BYTES("strlen")))
        return derive_strlen;
    if (bytes_equal(name, BYTES("type")))
        return derive_type;
    if (bytes_equal(name, BYTES("getrange")) || bytes_equal(name, BYTES("substr")))
        return derive_range;
    return NULL;
}

/* Answers from the key's entry, or passes the command on to cached_reply. */
static void answer(struct call *call, tier_derive_fn *derive)
{
    struct tier *tier = call->larder->tier;
    struct bytes key = call->argv[1];
    uint64_t hash = call_hash(call, 1);
    if (tier_peek(tier, call->client->db, key, hash) == NULL) {
        cached_reply(call);
        return;
    }
    const struct entry *entry;
    if (derive == derive_type) { /* as in Redis, no access */
        entry = tier_find_untouched(tier, call->client->db, key, hash);
    } else {
        entry = tier_find(tier, call->client->db, key, hash);
        count_keyspace(call->larder, entry->kind != ENTRY_ABSENT);
    }
    derive(&call->reply, entry, call->argv + 2);
}

void cached_strlen(struct call *call)
{
    answer(call, derive_strlen);
}

void cached_exists(struct call *call)
{
    const struct config *config = &call->larder->config;
    if (call->argc == 2)
        answer(call, derive_exists);
    else if (config->l1_enabled && config->l1_max_variants > 0)
        cached_exists_several(call);
    else
        call_pass(call);
}

void cached_getrange(struct call *call)
{
    int64_t number;
    if (bytes_parse_i64(call->argv[2], &number) && bytes_parse_i64(call->argv[3], &number))
        answer(call, derive_range);
    else
        reply_error(&call->reply, "ERR value is not an integer or out of range");
}

void cached_type(struct call *call)
{
    answer(call, derive_type);
}

/* Remaining time */

/* Answers a key's remaining time in `unit_ms`, as far as the entry knows it: absent and persistent keys always; a deadline only when
 * it is L2's own and a remaining time is asked for (an absolute one would be off by the way from L2 to here). */
static void answer_time(struct call *call, int64_t unit_ms, bool absolute)
{
    const struct entry *entry = tier_find_untouched(call->larder->tier, call->client->db,
                                                    call->argv[1], call_hash(call, 1));
    if (entry != NULL && entry->kind == ENTRY_ABSENT) {
        reply_int(&call->reply, -2);
    } else if (entry != NULL && (entry->flags & ENTRY_PERSIST)) {
        reply_int(&call->reply, -1);
    } else if (entry != NULL && !(entry->flags & ENTRY_CAPPED) && !absolute) {
        int64_t left_ms = (int64_t)entry->deadline_ms - larder_now_ms(call->larder);
        reply_int(&call->reply, unit_ms == 1 ? left_ms : (left_ms + 500) / unit_ms);
    } else {
        call_pass(call);
    }
}

void cached_ttl(struct call *call)
{
    answer_time(call, 1000, false);
}

void cached_pttl(struct call *call)
{
    answer_time(call, 1, false);
}

void cached_expiretime(struct call *call)
{
    answer_time(call, 1000, true);
}

void cached_pexpiretime(struct call *call)
{
    answer_time(call, 1, true);
}
