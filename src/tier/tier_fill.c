/* What of a fetch is kept, where, and how long: by L2's remaining time, the key's policy, and whether
 * L2 tells of changes. The rules are in tier.h and stale.h. */
#include "tier/reply_dbs.h"
#include "tier/rules.h"
#include "tier/stale.h"
#include "tier/tier_internal.h"

static int64_t now_ms(const struct tier *tier)
{
    return tier->loop->clock.mono_ms;
}

/* The time that larder gives a value, at most; 0: no limit. Negative: it may not be kept. */
static int64_t cap_of(const struct fetch *fetch, const struct policy *policy, int64_t pttl)
{
    struct tier *tier = fetch->tier;
    int64_t cap = policy->ttl_ms;
    if (pttl == -2 && policy->negative_ttl_ms >= 0) {
        cap = policy->negative_ttl_ms;
        if (cap == 0)
            return -1;
    }
    if (cap == 0 && !link_tracks(tier->link, bytes_of(fetch->key, fetch->key_len)))
        return -1; /* nothing would end it but its own deadline, whatever happens to the key */
    if (fetch->ttl_cap_ms > 0 && (cap == 0 || fetch->ttl_cap_ms < cap))
        cap = fetch->ttl_cap_ms;
    if (cap > 0 && policy->ttl_jitter > 0) {
        double share = (double)(tier_random(tier) >> 11) * 0x1p-53 * policy->ttl_jitter / 100;
        cap -= (int64_t)((double)cap * share);
        if (cap < 1)
            cap = 1;
    }
    return cap;
}

/* The key's deadline at L2, as far as it counts here: where L2 keeps values longer than they were
 * meant to live, the share of it that is fresh. 0: none. */
static int64_t own_deadline(const struct fetch *fetch, const struct policy *policy, int64_t pttl)
{
    int64_t deadline;
    if (pttl < 0)
        return 0;
    if (policy->l2_ttl_factor > 1)
        pttl = (int64_t)((double)pttl / policy->l2_ttl_factor);
    return __builtin_add_overflow(fetch->sent_ms, pttl, &deadline) ? INT64_MAX : deadline;
}

/* Makes the plan that of a soft entry: it stays for as long as it may be answered stale. */
static void soften(struct fill_plan *plan, const struct fetch *fetch, const struct shelf *shelf)
{
    const struct tier *tier = fetch->tier;
    const struct policy *policy = shelf->policy;
    int64_t window = policy->swr_ms > policy->sie_ms ? policy->swr_ms : policy->sie_ms;
    int64_t cost = now_ms(tier) - fetch->sent_ms;
    /* Where the key ends when its freshness does, an early refresh would bring the same end again. */
    bool is_capped = (plan->item.flags & ENTRY_CAPPED) != 0;
    if (cost < 1)
        cost = 1;
    if (plan->fresh_until_ms != 0 &&
        __builtin_add_overflow(plan->fresh_until_ms, window, &plan->item.deadline_ms))
        plan->item.deadline_ms = INT64_MAX;
    plan->item.flags |= ENTRY_CAPPED; /* the deadline is not L2's: TTL must not read it */
    plan->soft = (struct entry_soft){
        .fresh_until_ms = (uint64_t)plan->fresh_until_ms & ((UINT64_C(1) << 48) - 1),
        .policy = shelf->policy_id,
        .epoch = tier->epoch,
        .cost_ms = !is_capped          ? 0
                   : cost > UINT32_MAX ? UINT32_MAX
                                       : (uint32_t)cost,
    };
    plan->item.soft = &plan->soft;
    fetch->tier->has_soft = true;
    plan->is_soft = true;
}

bool fetch_plan(const struct fetch *fetch, int64_t pttl, size_t size, struct fill_plan *plan)
{
    struct tier *tier = fetch->tier;
    struct shelf shelf = stale_shelf(tier, bytes_of(fetch->key, fetch->key_len));
    const struct policy *policy = shelf.policy;
    *plan = (struct fill_plan){0};
    if (!tier->options.l1_enabled || pttl < -2 || policy->mode == POLICY_DENY)
        return false;
    if (fetch->doomed && rule_holds(RULE_DISCARD_DOOMED))
        return false;
    if (policy->max_item_bytes != 0 && size > policy->max_item_bytes) {
        tier->counters.fills_refused++;
        return false;
    }
    int64_t cap = cap_of(fetch, policy, pttl);
    if (cap < 0)
        return false;
    plan->item.flags = pttl == -1 ? ENTRY_PERSIST : 0;
    plan->item.deadline_ms = own_deadline(fetch, policy, pttl);
    if (pttl >= 0 && policy->l2_ttl_factor > 1)
        plan->item.flags |= ENTRY_CAPPED;
    int64_t capped = now_ms(tier) + cap;
    if (cap > 0 && (plan->item.deadline_ms == 0 || plan->item.deadline_ms > capped)) {
        plan->item.deadline_ms = capped;
        plan->item.flags |= ENTRY_CAPPED;
    }
    plan->fresh_until_ms = plan->item.deadline_ms;
    if (shelf.is_soft)
        soften(plan, fetch, &shelf);
    return true;
}

/* L2 has answered, so what a soft shelf still has of the key is outdated for certain. */
static void drop_stale(struct fetch *fetch)
{
    struct tier *tier = fetch->tier;
    if (!tier->is_special)
        return;
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    store_remove(tier->store, reply_dbs_strings(tier->n_dbs, fetch->db, true), key, fetch->hash,
                 now_ms(tier));
}

void fetch_fill(struct fetch *fetch, int64_t pttl)
{
    struct tier *tier = fetch->tier;
    struct fill_plan plan;
    bool is_absent = fetch->answer == TIER_ABSENT;
    bool is_kept = false;
    /* Where the two say different things, it expired or came between GET and PTTL. */
    if (fetch->answer != TIER_ERROR && is_absent == (pttl == -2) &&
        fetch_plan(fetch, pttl, fetch->value.len, &plan)) {
        unsigned db = reply_dbs_strings(tier->n_dbs, fetch->db, plan.is_soft);
        plan.item.kind = is_absent ? ENTRY_ABSENT : ENTRY_STRING;
        plan.item.value = is_absent ? bytes_of(NULL, 0) : buf_bytes(&fetch->value);
        is_kept = store_put(tier->store, db, bytes_of(fetch->key, fetch->key_len), fetch->hash,
                            &plan.item, now_ms(tier)) == STORE_OK;
        tier->counters.fills += is_kept;
        tier->counters.fills_refused += !is_kept;
    }
    bool says_nothing = fetch->answer == TIER_ERROR && stale_is_passing(buf_bytes(&fetch->value));
    if (!is_kept && !says_nothing)
        drop_stale(fetch); /* also of a doomed fetch: its waiters are told what L2 has */
    if (fetch->answer != TIER_ERROR && tier->is_special)
        stale_contradict(tier, reply_dbs_anchors(tier->n_dbs, fetch->db, true),
                         bytes_of(fetch->key, fetch->key_len), fetch->hash);
}
