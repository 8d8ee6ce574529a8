/* Where L1 and L2 meet; see tier.h. */
#include "tier/reply_dbs.h"
#include "tier/rules.h"
#include "tier/stale.h"
#include "tier/tier_internal.h"

#include "base/log.h"
#include "base/mem.h"

#include "base/clock.h"

#include <stdlib.h>

/* What becomes of the caller's tier_reply_fn when L2's reply is there. */
struct pass_op {
    tier_reply_fn *fn;
    void *ctx;
};

/* Invalidations */

static void on_invalidate(void *ctx, struct bytes key)
{
    struct tier *tier = ctx;
    uint64_t hash = store_hash(tier->store, key);
    /* In every database of the store: anchors of replies are named as their keys. */
    tier->counters.invalidated += tier_drop_key_everywhere(tier, key, hash);
    if (tier->n_fetches > 0)
        fetch_doom_key_everywhere(tier, key, hash, DOOM_BY_PUSH);
    if (tier->on_changed != NULL)
        tier->on_changed(tier->on_changed_ctx, key);
}

static void on_invalidate_all(void *ctx)
{
    struct tier *tier = ctx;
    tier_flush_all(tier, DROP_FLUSH);
    fetch_doom_all(tier, -1, DOOM_BY_PUSH);
    tier->counters.flushes_push++;
    if (tier->on_all_changed != NULL)
        tier->on_all_changed(tier->on_changed_ctx);
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
    size_t n = 0;
    if (rule_holds(RULE_EPOCH_ON_RECONNECT)) {
        n = tier_flush_hard(tier);
        stale_on_link_down(tier);
    }
    fetch_doom_all(tier, -1, DOOM_BY_LOSS);
    tier->counters.flushes_link++;
    LOG(LOG_NOTICE, "Dropped %zu entries of L1: their invalidations can't arrive any more", n);
    if (tier->on_all_changed != NULL)
        tier->on_all_changed(tier->on_changed_ctx);
}

/* What L1 holds was read before: it may be that nobody tells of its changes. */
static void on_link_tracking(void *ctx)
{
    struct tier *tier = ctx;
    size_t n = tier_flush_hard(tier);
    stale_on_link_down(tier);
    fetch_doom_all(tier, -1, DOOM_BY_MODE);
    tier->counters.flushes_mode++;
    LOG(LOG_VERBOSE, "Dropped %zu entries of L1: coherence is %s now", n,
        link_tracking_name(link_get_tracking(tier->link)));
    if (tier->on_all_changed != NULL)
        tier->on_all_changed(tier->on_changed_ctx);
}

static const struct link_handlers handlers = {
    .on_invalidate = on_invalidate,
    .on_invalidate_all = on_invalidate_all,
    .on_up = on_link_up,
    .on_down = on_link_down,
    .on_tracking = on_link_tracking,
};

/* Life cycle */

const struct policy *tier_write_policy(const struct tier *tier, struct bytes key)
{
    return tier->is_about_writes ? policy_find(tier->policies, key, NULL) : NULL;
}

void tier_policies_changed(struct tier *tier)
{
    tier->is_about_writes = tier->link != NULL && policy_table_is_about_writes(tier->policies);
    tier->is_special =
        tier->n_dbs > 0 && tier->link != NULL && policy_table_is_special(tier->policies);
}

static void set_options(struct tier *tier, const struct tier_options *options)
{
    tier->options = *options;
    policy_table_set_default(tier->policies, &options->policy);
    tier_policies_changed(tier);
}

struct tier *tier_create(struct loop *loop, struct store *store, struct link_options *link_options,
                         const struct tier_options *options)
{
    struct tier *tier = mem_zalloc(sizeof(*tier));
    tier->loop = loop;
    tier->store = store;
    tier->policies = policy_table_create();
    tier->random = (uint64_t)clock_read_ns();
    tier->retry_budget = RETRIES_MAX * 100;
    if (store_get_options(store)->n_dbs >= reply_dbs_total(options->n_dbs))
        tier->n_dbs = options->n_dbs;
    tier->fetches = mem_zalloc(FETCH_BUCKETS * sizeof(*tier->fetches));
    if (link_options != NULL) {
        tier->link = link_create(loop, link_options, &handlers, tier);
        loop_add_hook(loop, link_flush, tier->link);
    }
    set_options(tier, options);
    return tier;
}

void tier_destroy(struct tier *tier)
{
    if (tier->link != NULL)
        link_destroy(tier->link);
    store_destroy(tier->store);
    policy_table_destroy(tier->policies);
    mem_free(tier->fetches);
    buf_deinit(&tier->scratch);
    buf_deinit(&tier->reply_name);
    buf_deinit(&tier->reply_value);
    buf_deinit(&tier->reply_anchor);
    mem_free(tier);
}

void tier_configure(struct tier *tier, const struct tier_options *options)
{
    if (tier->options.l1_enabled && !options->l1_enabled)
        tier_drop_all(tier);
    set_options(tier, options);
}

struct policy_table *tier_policies(struct tier *tier)
{
    return tier->policies;
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

void tier_on_invalidate(struct tier *tier, void (*fn)(void *ctx, struct bytes key),
                        void (*fn_all)(void *ctx), void *ctx)
{
    tier->on_changed = fn;
    tier->on_all_changed = fn_all;
    tier->on_changed_ctx = ctx;
}

/* Reads */

const struct entry *tier_find(struct tier *tier, unsigned db, struct bytes key, uint64_t hash)
{
    if (__builtin_expect(!tier->options.l1_enabled, 0))
        return NULL;
    if (__builtin_expect(tier->is_special, 0))
        return stale_find(tier, db, key, hash, STALE_FIND);
    return tier_count(tier, store_find(tier->store, db, key, hash, tier->loop->clock.mono_ms));
}

const struct entry *tier_find_untouched(struct tier *tier, unsigned db, struct bytes key,
                                        uint64_t hash)
{
    if (!tier->options.l1_enabled)
        return NULL;
    if (tier->is_special)
        return stale_find(tier, db, key, hash, STALE_FIND_UNTOUCHED);
    return tier_count(tier, store_peek(tier->store, db, key, hash, tier->loop->clock.mono_ms));
}

const struct entry *tier_peek(struct tier *tier, unsigned db, struct bytes key, uint64_t hash)
{
    if (!tier->options.l1_enabled)
        return NULL;
    if (tier->is_special)
        return stale_find(tier, db, key, hash, STALE_PEEK);
    return store_peek(tier->store, db, key, hash, tier->loop->clock.mono_ms);
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

/* L1 only */

bool tier_drop(struct tier *tier, unsigned db, struct bytes key)
{
    uint64_t hash = store_hash(tier->store, key);
    fetch_doom_key(tier, db, key, hash, DOOM_BY_WRITE);
    return tier_drop_key(tier, db, key, hash, DROP_COMMAND) > 0;
}

void tier_drop_everywhere(struct tier *tier, struct bytes key)
{
    uint64_t hash = store_hash(tier->store, key);
    tier->counters.invalidated += tier_drop_key_everywhere(tier, key, hash);
    if (tier->n_fetches > 0)
        fetch_doom_key_everywhere(tier, key, hash, DOOM_BY_WRITE);
}

void tier_doom_fetches(struct tier *tier)
{
    fetch_doom_all(tier, -1, DOOM_BY_WRITE);
}

size_t tier_drop_all(struct tier *tier)
{
    fetch_doom_all(tier, -1, DOOM_BY_WRITE);
    return tier_flush_all(tier, DROP_FLUSH);
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
