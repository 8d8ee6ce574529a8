/* Eviction; see eviction.h. */
#include "store/eviction.h"

#include "base/clock.h"
#include "store/state.h"

/* Random buckets tried in a step before the hand walks. */
#define RANDOM_TRIES 8u
/* Buckets that the hand passes in a step: some 5 us, as only the buckets' lines are read. */
#define HAND_BUCKETS 1024u
/* Buckets swept for dead entries before a live one is evicted. */
#define SWEEP_BUCKETS 8u
/* Entries of one bucket's chain that are looked at. */
#define CHAIN_MAX 64u
/* Below this load of the index it shrinks before more entries are evicted; see
 * INDEX_LOAD_PERCENT. */
#define SHRINK_PERCENT 60u
/* Evictions between two looks at the time. */
#define CYCLE_STEPS 16u

struct step {
    struct store *store;
    const struct entry *keep;
    int64_t now_ms;
    unsigned n_freed;
};

void eviction_reset(struct eviction *eviction)
{
    eviction->n = 0;
    eviction->starved = false;
}

static bool is_random(enum store_policy policy)
{
    return policy == STORE_ALLKEYS_RANDOM || policy == STORE_VOLATILE_RANDOM;
}

static uint64_t score_of(const struct store *store, const struct entry *entry, int64_t now_ms)
{
    switch (store->options.policy) {
    case STORE_ALLKEYS_LFU:
    case STORE_VOLATILE_LFU:
        return 255 - access_frequency(entry->access, &store->access_rules, now_ms);
    case STORE_VOLATILE_TTL: return UINT64_MAX - entry->deadline_ms;
    default: return (uint64_t)access_idle_ms(entry->access, now_ms);
    }
}

/* The pool */

static void pool_remove(struct eviction *eviction, unsigned i)
{
    eviction->n--;
    memmove(&eviction->pool[i], &eviction->pool[i + 1],
            (eviction->n - i) * sizeof(eviction->pool[0]));
}

static void pool_add(struct eviction *eviction, const struct eviction_candidate *candidate)
{
    for (unsigned i = 0; i < eviction->n; i++) {
        if (eviction->pool[i].entry == candidate->entry) {
            pool_remove(eviction, i);
            break;
        }
    }
    if (eviction->n == EVICTION_POOL) {
        if (candidate->score <= eviction->pool[0].score)
            return;
        pool_remove(eviction, 0);
    }
    unsigned i = eviction->n;
    for (; i > 0 && eviction->pool[i - 1].score > candidate->score; i--)
        eviction->pool[i] = eviction->pool[i - 1];
    eviction->pool[i] = *candidate;
    eviction->n++;
}

/* Takes the best candidate that the index still has and that wasn't used since. */
static bool pool_take(struct step *step, struct index_at *at)
{
    struct eviction *eviction = &step->store->eviction;
    while (eviction->n > 0) {
        struct eviction_candidate *best = &eviction->pool[--eviction->n];
        if (best->entry == step->keep ||
            !index_locate_entry(&step->store->index, best->bucket_no, best->entry, at))
            continue;
        if (step->store->volatile_only && !index_is_volatile_at(at))
            continue;
        if (score_of(step->store, best->entry, step->now_ms) >= best->score)
            return true;
    }
    return false;
}

/* Sampling */

/* Looks at up to `wanted` entries of a bucket, from a random one on: frees those that are gone,
 * pools the others. Returns how many were pooled or freed. */
static unsigned sample_bucket(struct step *step, size_t bucket_no, unsigned wanted)
{
    struct store *store = step->store;
    struct entry *entries[CHAIN_MAX];
    unsigned n = index_collect(&store->index, bucket_no, store->volatile_only, entries, CHAIN_MAX);
    if (n == 0)
        return 0;
    unsigned first = n <= wanted ? 0 : (unsigned)state_random_below(store, n);
    if (wanted > n)
        wanted = n;
    unsigned n_seen = 0;
    for (unsigned i = 0; i < wanted; i++) {
        struct entry *entry = entries[first + i < n ? first + i : first + i - n];
        if (entry == step->keep)
            continue;
        n_seen++;
        struct index_at at;
        if (!state_is_gone(store, entry, step->now_ms)) {
            struct eviction_candidate candidate = {entry, bucket_no,
                                                   score_of(store, entry, step->now_ms)};
            pool_add(&store->eviction, &candidate);
        } else if (index_locate_entry(&store->index, bucket_no, entry, &at)) {
            state_drop_gone(store, &at);
            step->n_freed++;
        }
    }
    return n_seen;
}

/* A random bucket. Some more are chosen ahead, so that first the bucket's line and then its entries
 * have come from memory when it is looked at: an eviction is mostly waiting for memory. A step
 * takes one or two buckets. */
static size_t next_random_bucket(struct store *store)
{
    struct eviction *eviction = &store->eviction;
    size_t n_buckets = store->index.n_buckets;
    size_t *ahead = eviction->ahead;
    size_t bucket_no = ahead[0];
    memmove(&ahead[0], &ahead[1], (EVICTION_AHEAD - 1) * sizeof(ahead[0]));
    ahead[EVICTION_AHEAD - 1] = state_random_below(store, n_buckets);
    __builtin_prefetch(index_bucket(&store->index, ahead[EVICTION_AHEAD - 1]));
    if (ahead[EVICTION_AHEAD / 2] < n_buckets)
        index_prefetch_entries(index_bucket(&store->index, ahead[EVICTION_AHEAD / 2]));
    return bucket_no < n_buckets ? bucket_no : state_random_below(store, n_buckets);
}

/* Pools about options.samples entries, or the one that a random policy has chosen thereby. */
static void sample(struct step *step)
{
    struct store *store = step->store;
    unsigned n_samples = is_random(store->options.policy) ? 1 : store->options.samples;
    unsigned wanted = n_samples;
    for (unsigned i = 0; i < RANDOM_TRIES && wanted > 0; i++) {
        unsigned n = sample_bucket(step, next_random_bucket(store), wanted);
        wanted -= n < wanted ? n : wanted;
    }
    for (unsigned i = 0; i < HAND_BUCKETS && wanted == n_samples; i++) {
        if (store->eviction.hand >= store->index.n_buckets)
            store->eviction.hand = 0;
        if (sample_bucket(step, store->eviction.hand++, wanted) > 0)
            break;
    }
}

/* Frees entries that are gone from a few buckets of the sweep. */
static void sweep(struct step *step, unsigned n_buckets)
{
    struct expiry_tally tally = {0};
    for (unsigned i = 0; i < n_buckets; i++)
        expiry_sweep_bucket(step->store, step->keep, step->now_ms, &tally);
    step->n_freed += tally.n_dropped;
}

/* True when the policy lets some live entry go. */
static bool may_evict(const struct store *store)
{
    if (store->options.policy == STORE_NOEVICTION)
        return false;
    return store->volatile_only ? store->sum.n_volatile > 0 : store->sum.n_live > 0;
}

/* Frees or evicts at least one entry; false when none was found. */
static bool evict_step(struct store *store, const struct entry *keep, int64_t now_ms)
{
    struct step step = {store, keep, now_ms, 0};
    if (store->sum.n_dead > 0 ||
        (store->options.policy == STORE_NOEVICTION && store->sum.n_volatile > 0))
        sweep(&step, SWEEP_BUCKETS);
    if (step.n_freed > 0)
        return true;
    if (!may_evict(store))
        return false;
    struct index_at at;
    sample(&step);
    bool found = pool_take(&step, &at);
    if (!found && step.n_freed == 0) {
        sample(&step); /* the pool was full of entries that were used since; now it is empty */
        found = pool_take(&step, &at);
    }
    store->eviction.starved = !found && step.n_freed == 0;
    if (!found)
        return step.n_freed > 0;
    if (state_is_gone(store, index_entry_at(&at), now_ms)) {
        state_drop_gone(store, &at);
        return true;
    }
    store->counters.evictions++;
    state_drop(store, &at);
    return true;
}

bool eviction_make_room(struct store *store, const struct eviction_goal *goal, unsigned limit,
                        int64_t now_ms)
{
    while (!state_fits(store, goal->bytes, goal->entries))
        if (limit-- == 0 || !evict_step(store, goal->keep, now_ms))
            return false;
    return true;
}

/* Evicts some, or when nothing has to go looks for what the next put can evict. False when there is
 * nothing to do. */
static bool cycle_step(struct store *store, int64_t now_ms)
{
    if (!state_fits(store, 0, 0)) {
        bool any = false;
        for (unsigned i = 0; i < CYCLE_STEPS && !state_fits(store, 0, 0); i++) {
            /* The index gives way with the entries, or they would all have to go for it. */
            while (index_load_is_below(&store->index, SHRINK_PERCENT) &&
                   index_shrink(&store->index))
                any = true;
            any |= evict_step(store, NULL, now_ms);
        }
        return any || may_evict(store);
    }
    if (!store->eviction.starved || !may_evict(store))
        return false;
    struct step step = {store, NULL, now_ms, 0};
    sample(&step);
    store->eviction.starved = store->eviction.n == 0 && step.n_freed == 0;
    return store->eviction.starved;
}

bool eviction_cycle(struct store *store, int64_t now_ms, int64_t end_ns)
{
    while (cycle_step(store, now_ms))
        if (clock_read_ns() >= end_ns)
            return !state_fits(store, 0, 0) || store->eviction.starved;
    store->eviction.starved = false;
    return false;
}
