/* Stale answers and other special policies; see stale.h. */
#include "tier/stale.h"

#include "tier/reply_dbs.h"

#include <math.h>

static int64_t now_ms(const struct tier *tier)
{
    return tier->loop->clock.mono_ms;
}

static bool is_soft(const struct policy *policy)
{
    return policy->mode == POLICY_OBSERVE || policy->swr_ms > 0 || policy->sie_ms > 0 ||
           policy->early_refresh > 0;
}

struct shelf stale_shelf(const struct tier *tier, struct bytes key)
{
    struct shelf shelf;
    shelf.policy = policy_find(tier->policies, key, &shelf.policy_id);
    shelf.is_soft = tier->is_special && is_soft(shelf.policy);
    return shelf;
}

/* Judging */

/* When an epoch ended; long ago where that is not known any more. */
static int64_t lost_ms(const struct tier *tier, uint32_t epoch)
{
    uint32_t ago = tier->epoch - epoch;
    return ago <= TIER_EPOCHS ? tier->lost_ms[epoch % TIER_EPOCHS] : INT64_MIN / 2;
}

/* XFetch (Vattani, Chierichetti, Lowenstein: "Optimal Probabilistic Cache Stampede Prevention",
 * VLDB 2015): the later, and the dearer the fetch, the likelier. */
static bool draws_refresh(struct tier *tier, const struct entry_soft *soft, double beta)
{
    if (beta <= 0 || soft->fresh_until_ms == 0 || soft->cost_ms == 0)
        return false;
    double left_ms = (double)((int64_t)soft->fresh_until_ms - now_ms(tier));
    double scale = beta * soft->cost_ms;
    if (left_ms > scale * 45) /* more than -ln of the smallest number below */
        return false;
    double lot = ((double)(tier_random(tier) >> 11) + 1) * 0x1p-53;
    return -log(lot) * scale >= left_ms;
}

enum verdict stale_judge(struct tier *tier, const struct entry_soft *soft,
                         const struct shelf *shelf, bool can_ask)
{
    const struct policy *policy = shelf->policy;
    int64_t now = now_ms(tier);
    int64_t ended = soft->fresh_until_ms != 0 ? (int64_t)soft->fresh_until_ms : INT64_MAX;
    if (soft->policy != shelf->policy_id)
        return VERDICT_USELESS; /* put under rules that don't hold any more */
    if (soft->epoch != tier->epoch && lost_ms(tier, soft->epoch) < ended)
        ended = lost_ms(tier, soft->epoch);
    if (now < ended)
        return can_ask && draws_refresh(tier, soft, policy->early_refresh) ? VERDICT_REFRESH
                                                                           : VERDICT_FRESH;
    if (can_ask)
        return now - ended < policy->swr_ms ? VERDICT_REFRESH : VERDICT_USELESS;
    return now - ended < policy->sie_ms ? VERDICT_ERROR : VERDICT_USELESS;
}

static bool is_fresh(const struct tier *tier, const struct entry_soft *soft)
{
    return soft->epoch == tier->epoch &&
           (soft->fresh_until_ms == 0 || (int64_t)soft->fresh_until_ms > now_ms(tier));
}

void stale_count(struct tier *tier, const struct entry_soft *soft, enum verdict verdict, unsigned n)
{
    struct tier_counters *counters = &tier->counters;
    if (verdict == VERDICT_ERROR)
        counters->stale_if_error += n;
    else if (verdict == VERDICT_REFRESH && is_fresh(tier, soft))
        counters->early_refreshes += n;
    else if (verdict == VERDICT_REFRESH)
        counters->stale_while_revalidate += n;
}

/* Strings */

void stale_on_refreshed(void *ctx, enum tier_answer answer, struct bytes bytes)
{
    (void)ctx;
    (void)answer;
    (void)bytes;
}

/* The entry of a soft shelf, if it is good for something. */
static const struct entry *find_soft(struct tier *tier, unsigned db, struct bytes key,
                                     uint64_t hash, const struct shelf *shelf, enum stale_use use)
{
    unsigned soft_db = reply_dbs_strings(tier->n_dbs, db, true);
    const struct entry *entry = use == STALE_FIND
                                    ? store_find(tier->store, soft_db, key, hash, now_ms(tier))
                                    : store_peek(tier->store, soft_db, key, hash, now_ms(tier));
    if (entry == NULL)
        return NULL;
    struct entry_soft soft = entry_soft_of(entry);
    enum verdict verdict = stale_judge(tier, &soft, shelf, link_is_available(tier->link));
    if (verdict == VERDICT_USELESS)
        return NULL;
    if (shelf->policy->mode == POLICY_OBSERVE) {
        tier->counters.observed_hits += use != STALE_PEEK && verdict == VERDICT_FRESH;
        return NULL;
    }
    if (use == STALE_PEEK)
        return entry;
    stale_count(tier, &soft, verdict, 1);
    if (verdict == VERDICT_REFRESH && fetch_find(tier, db, key, hash, bytes_of(NULL, 0)) == NULL)
        tier_fetch(tier, db, key, hash, stale_on_refreshed, NULL); /* moves no entry */
    return entry;
}

const struct entry *stale_find(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                               enum stale_use use)
{
    struct shelf shelf = stale_shelf(tier, key);
    const struct entry *entry;
    if (shelf.policy->mode == POLICY_DENY) {
        tier->counters.denied += use != STALE_PEEK;
        return NULL;
    }
    if (shelf.is_soft)
        entry = find_soft(tier, db, key, hash, &shelf, use);
    else
        entry = use == STALE_FIND ? store_find(tier->store, db, key, hash, now_ms(tier))
                                  : store_peek(tier->store, db, key, hash, now_ms(tier));
    return use == STALE_PEEK ? entry : tier_count(tier, entry);
}

unsigned stale_readers(const struct fetch *fetch)
{
    return (unsigned)fetch->n_waiters + (fetch->first.fn != stale_on_refreshed);
}

const struct entry *stale_rescue(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                                 unsigned n)
{
    if (!tier->is_special || !tier->options.l1_enabled)
        return NULL;
    struct shelf shelf = stale_shelf(tier, key);
    if (!shelf.is_soft || shelf.policy->mode != POLICY_CACHE)
        return NULL;
    unsigned soft_db = reply_dbs_strings(tier->n_dbs, db, true);
    const struct entry *entry = store_find(tier->store, soft_db, key, hash, now_ms(tier));
    if (entry == NULL)
        return NULL;
    struct entry_soft soft = entry_soft_of(entry);
    enum verdict verdict = stale_judge(tier, &soft, &shelf, false);
    stale_count(tier, &soft, verdict, n);
    return verdict == VERDICT_USELESS ? NULL : entry;
}

void stale_contradict(struct tier *tier, unsigned store_db, struct bytes key, uint64_t hash)
{
    const struct entry *entry = store_peek(tier->store, store_db, key, hash, now_ms(tier));
    if (entry == NULL)
        return;
    struct entry_soft soft = entry_soft_of(entry);
    bool is_told = soft.epoch == tier->epoch && link_tracks(tier->link, key);
    if (!is_told && !is_fresh(tier, &soft))
        store_remove(tier->store, store_db, key, hash, now_ms(tier));
}

bool stale_is_passing(struct bytes error)
{
    static const char *const codes[] = {"-UPSTREAM ", "-LOADING ",     "-MASTERDOWN ",
                                        "-BUSY ",     "-CLUSTERDOWN ", "-TRYAGAIN "};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (bytes_starts_with(error, bytes_of_str(codes[i])))
            return true;
    return false;
}

void stale_on_link_down(struct tier *tier)
{
    tier->lost_ms[tier->epoch % TIER_EPOCHS] = now_ms(tier);
    tier->epoch++;
}
