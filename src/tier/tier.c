/* Where L1 and L2 meet; see tier.h. */
#include "tier/tier_internal.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>

/* What becomes of the caller's tier_reply_fn when L2's reply is there. */
struct pass_op {
    tier_reply_fn *fn;
    void *ctx;
};

struct write_op {
    struct tier *tier;
    tier_reply_fn *fn;
    void *ctx;
    unsigned db;
    enum tier_scope scope;
    size_t n_keys;
    struct bytes *keys; /* into the bytes behind the array, in this allocation */
};

/* Invalidations */

static void on_invalidate(void *ctx, struct bytes key)
{
    struct tier *tier = ctx;
    uint64_t hash = store_hash(tier->store, key);
    tier->counters.invalidated += store_remove_everywhere(tier->store, key, hash, tier->loop->clock.mono_ms);
    if (tier->n_fetches > 0)
        fetch_doom_key_everywhere(tier, key, hash, DOOM_BY_PUSH);
}

static void on_invalidate_all(void *ctx)
{
    struct tier *tier = ctx;
    store_flush_all(tier->store);
    fetch_doom_all(tier, -1, DOOM_BY_PUSH);
    tier->counters.flushes_push++;
}

static void on_link_up(void *ctx)
{
    struct tier *tier = ctx;
    if (tier->on_up != NULL)
        tier->on_up(tier->on_up_ctx);
}

static void on_link_down(void *ctx)
{
    struct tier *tier = ctx;
    size_t n = store_flush_all(tier->store);
    fetch_doom_all(tier, -1, DOOM_BY_LOSS);
    tier->counters.flushes_link++;
    LOG(LOG_NOTICE, "Dropped %zu entries of L1: their invalidations can't arrive any more", n);
}

static const struct link_handlers handlers = {on_invalidate, on_invalidate_all, on_link_up, on_link_down, NULL};

/* Life cycle */

struct tier *tier_create(struct loop *loop, struct store *store, struct link_options *link_options,
                         const struct tier_options *options)
{
    struct tier *tier = mem_zalloc(sizeof(*tier));
    tier->loop = loop;
    tier->store = store;
    tier->options = *options;
    tier->fetches = mem_zalloc(FETCH_BUCKETS * sizeof(*tier->fetches));
    if (link_options != NULL) {
        tier->link = link_create(loop, link_options, &handlers, tier);
        loop_add_hook(loop, link_flush, tier->link);
    }
    return tier;
}

void tier_destroy(struct tier *tier)
{
    if (tier->link != NULL)
        link_destroy(tier->link);
    store_destroy(tier->store);
    mem_free(tier->fetches);
    buf_deinit(&tier->scratch);
    mem_free(tier);
}

void tier_configure(struct tier *tier, const struct tier_options *options)
{
    if (tier->options.l1_enabled && !options->l1_enabled)
        tier_drop_all(tier);
    tier->options = *options;
}

struct store *tier_store(struct tier *tier)
{
    return tier->store;
}

struct link *tier_link(struct tier *tier)
{
    return tier->link;
}

void tier_on_up(struct tier *tier, void (*fn)(void *ctx), void *ctx)
{
    tier->on_up = fn;
    tier->on_up_ctx = ctx;
}

/* Reads */

static inline const struct entry *count(struct tier *tier, const struct entry *entry)
{
    if (entry == NULL) {
        tier->counters.misses++;
        return NULL;
    }
    tier->counters.hits++;
    tier->counters.negative_hits += entry->kind == ENTRY_ABSENT;
    return entry;
}

const struct entry *tier_find(struct tier *tier, unsigned db, struct bytes key, uint64_t hash)
{
    if (__builtin_expect(!tier->options.l1_enabled, 0))
        return NULL;
    return count(tier, store_find(tier->store, db, key, hash, tier->loop->clock.mono_ms));
}

const struct entry *tier_find_untouched(struct tier *tier, unsigned db, struct bytes key, uint64_t hash)
{
    if (!tier->options.l1_enabled)
        return NULL;
    return count(tier, store_peek(tier->store, db, key, hash, tier->loop->clock.mono_ms));
}

const struct entry *tier_peek(struct tier *tier, unsigned db, struct bytes key, uint64_t hash)
{
    return tier->options.l1_enabled ? store_peek(tier->store, db, key, hash, tier->loop->clock.mono_ms) : NULL;
}

static void on_pass_reply(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    (void)outcome;
    struct pass_op op = *(struct pass_op *)ctx;
    mem_free(ctx);
    op.fn(op.ctx, reply);
}

void tier_pass(struct tier *tier, unsigned db, struct bytes raw, tier_reply_fn *fn, void *ctx)
{
    struct pass_op *op = mem_alloc(sizeof(*op));
    *op = (struct pass_op){fn, ctx};
    tier->counters.passes++;
    link_send(tier->link, db, raw, on_pass_reply, op);
}

/* Writes */

/* Drops what a write touches from L1. Before it is sent, fetches that were sent earlier are doomed too. */
static void drop_written(struct tier *tier, const struct write_op *op, bool before)
{
    int64_t now_ms = tier->loop->clock.mono_ms;
    if (op->scope != TIER_KEYS) {
        if (op->scope == TIER_DATABASE)
            store_flush(tier->store, op->db);
        else
            store_flush_all(tier->store);
        if (before) {
            fetch_doom_all(tier, op->scope == TIER_DATABASE ? (int)op->db : -1, DOOM_BY_WRITE);
            tier->counters.flushes_write++;
        }
        return;
    }
    for (size_t i = 0; i < op->n_keys; i++) {
        uint64_t hash = store_hash(tier->store, op->keys[i]);
        tier->counters.dropped_by_write += store_remove(tier->store, op->db, op->keys[i], hash, now_ms);
        if (before && tier->n_fetches > 0)
            fetch_doom_key(tier, op->db, op->keys[i], hash, DOOM_BY_WRITE);
    }
}

/* REPLY or REFUSED: the end. FAILED: the client hears it now, LATE follows when the write can't take effect any more. */
static void on_write_reply(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct write_op *op = ctx;
    if (outcome != LINK_REFUSED)
        drop_written(op->tier, op, false);
    tier_reply_fn *fn = op->fn;
    void *fn_ctx = op->ctx;
    if (outcome != LINK_FAILED)
        mem_free(op);
    if (outcome != LINK_LATE)
        fn(fn_ctx, reply);
}

static struct write_op *create_write(const struct bytes *keys, size_t n_keys)
{
    size_t size = sizeof(struct write_op);
    size_t array;
    if (__builtin_mul_overflow(n_keys, sizeof(struct bytes), &array) || __builtin_add_overflow(size, array, &size))
        abort();
    for (size_t i = 0; i < n_keys; i++)
        size += keys[i].len; /* all lie in one query buffer, so the sum is bounded by its limit */
    struct write_op *op = mem_alloc(size);
    op->keys = (struct bytes *)(op + 1);
    op->n_keys = n_keys;
    char *data = (char *)(op->keys + n_keys);
    for (size_t i = 0; i < n_keys; i++) {
        if (keys[i].len > 0)
            memcpy(data, keys[i].ptr, keys[i].len);
        op->keys[i] = bytes_of(data, keys[i].len);
        data += keys[i].len;
    }
    return op;
}

void tier_write(struct tier *tier, unsigned db, struct bytes raw, enum tier_scope scope, const struct bytes *keys,
                size_t n_keys, tier_reply_fn *fn, void *ctx)
{
    struct write_op *op = create_write(keys, scope == TIER_KEYS ? n_keys : 0);
    op->tier = tier;
    op->fn = fn;
    op->ctx = ctx;
    op->db = db;
    op->scope = scope;
    tier->counters.writes++;
    drop_written(tier, op, true);
    link_send_write(tier->link, db, raw, on_write_reply, op);
}

/* L1 only */

bool tier_drop(struct tier *tier, unsigned db, struct bytes key)
{
    uint64_t hash = store_hash(tier->store, key);
    fetch_doom_key(tier, db, key, hash, DOOM_BY_WRITE);
    return store_remove(tier->store, db, key, hash, tier->loop->clock.mono_ms);
}

void tier_doom_fetches(struct tier *tier)
{
    fetch_doom_all(tier, -1, DOOM_BY_WRITE);
}

size_t tier_drop_all(struct tier *tier)
{
    fetch_doom_all(tier, -1, DOOM_BY_WRITE);
    return store_flush_all(tier->store);
}

void tier_read_counters(const struct tier *tier, struct tier_counters *counters)
{
    *counters = tier->counters;
}

void tier_reset_counters(struct tier *tier)
{
    memset(&tier->counters, 0, sizeof(tier->counters));
    store_reset_counters(tier->store);
    if (tier->link != NULL)
        link_reset_counters(tier->link);
}
