/* TOUCH for L2: which keys L1 was hit for, told to an L2 that evicts by LRU or LFU, and that would
 * take those for idle that L1 hides from it.
 *
 *     interval over --L2 can use it--> walk over L1 --entries with the bit "hit"--> batch
 *                                        ^   |                                        |
 *                                        |   end: the round is complete               | 64 keys, or older than 100 ms
 *                                        +---------------reply------------------- TOUCH k1 ... on the main link
 *
 * A round asks once for each entry whether it was hit since the last one, and is spread evenly over
 * the interval. It takes longer where that would need more than one batch in flight, or more than a
 * small part of the time; it pauses while the link is full, and ends early when L2 refuses, the link
 * is lost or L2's policy is another one by now. Memory is one batch, whatever L1 holds.
 *
 * A key is named once a round, however often L1 was hit for it. That is all that LRU needs. For LFU
 * more would be worth little: a counter c rises with probability 1 / (10 (c - 5) + 1) and falls by
 * one a minute (Redis's defaults), so n accesses a minute hold it at 5 + (n - 1) / 10, and three
 * instead of one are a fifth of a step. What counts is that it is named within each minute, since
 * what is new starts with 5.
 *
 * TOUCH is a read, so L2 tracks what it names: right for keys that are in L1. One that has left
 * meanwhile costs one invalidation more, and no harm.
 *
 * Knows the loop, tier, store and link; knows no clients. */
#ifndef LARDER_TIER_TOUCH_H
#define LARDER_TIER_TOUCH_H

#include "net/loop.h"
#include "tier/tier.h"

/* Most keys, and bytes of keys, of one batch. A longer key is never named. */
#define TOUCH_KEYS_MAX 64
#define TOUCH_BYTES_MAX ((size_t)64 << 10)

struct touch_options {
    int64_t interval_ms; /* of a round, to 2^27; 0: nothing is ever named */
    unsigned n_dbs;      /* databases of clients, as struct tier_options has it */
};

struct touch;

/* Creates the job, which begins its first round when an interval is over, and none where the tier
 * has no link. Loop and tier are borrowed until touch_destroy. Its figures are counters of the
 * tier. Returns owned. */
struct touch *touch_create(struct loop *loop, struct tier *tier,
                           const struct touch_options *options) __attribute__((returns_nonnull));

/* Ends it; NULL is allowed. May come before or after tier_destroy: replies that are still to come
 * reach nobody. */
void touch_destroy(struct touch *touch);

/* Takes another interval, from now on; n_dbs must be as at creation. */
void touch_configure(struct touch *touch, const struct touch_options *options);

#endif
