/* Eviction: Redis's sampled policies. A step looks at a few random entries, keeps the best
 * candidates of this and earlier steps in a pool of 16 (Redis's EVPOOL_SIZE), and evicts the best
 * that is still what it was.
 *
 * Entries that are dead or expired go first, wherever they are met. Under volatile-* only entries
 * with a deadline are looked at; where random buckets have none, a hand walks on through the table,
 * a bounded number of buckets with each step, so that a few volatile entries among millions are
 * found in the end.
 *
 * Invariant: pooled addresses may be of freed entries; they are never followed before the index has
 * confirmed them. */
#ifndef LARDER_STORE_EVICTION_H
#define LARDER_STORE_EVICTION_H

#include "store/entry.h"

#define EVICTION_POOL 16u
#define EVICTION_AHEAD 6u

struct eviction_candidate {
    const struct entry *entry; /* perhaps freed */
    size_t bucket_no;          /* where it was */
    uint64_t score;            /* the higher, the sooner it goes */
};

struct eviction {
    struct eviction_candidate pool[EVICTION_POOL]; /* by score, ascending */
    unsigned n;
    size_t ahead
        [EVICTION_AHEAD]; /* the next random buckets, on their way into the processor's cache */
    size_t hand;          /* next bucket of the walk */
    bool starved;         /* a step found no candidate although there may be some */
};

struct store;

/* What has to fit. */
struct eviction_goal {
    size_t bytes;
    size_t entries;
    const struct entry *keep; /* never evicted; borrowed; NULL: none */
};

/* Forgets candidates, after a change of policy. */
void eviction_reset(struct eviction *eviction);

/* Evicts until the goal fits into the budget, at most `limit` steps. Returns whether it fits. */
bool eviction_make_room(struct store *store, const struct eviction_goal *goal, unsigned limit,
                        int64_t now_ms);

/* One slice: evicts down to the budget, and looks for candidates when a step was starved. Ends
 * after end_ns (clock_read_ns). Returns true when there is work left. */
bool eviction_cycle(struct store *store, int64_t now_ms, int64_t end_ns);

#endif
