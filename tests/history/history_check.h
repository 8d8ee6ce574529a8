/* Checks a round's record against what larder promises (doc/design.md, "Coherence").
 *
 * L2 executes all writes in one order, each between its begin and its end. L2 *has executed* a value's write
 * at the latest when somebody has read it: that, or its end, is the write's *bound*. So of two writes the first was
 * certainly executed first if its bound lies before the second's begin. From this, and nothing else, follows what
 * is checked; whatever may have been right is not reported.
 *
 * A larder's clients see what L2 executed in L2's order, and never go back: what one of them has read, and what was
 * written through this larder and answered, is the least that a read which begins later may see ("seen"). What was
 * written elsewhere is seen at the latest a given time after its bound. So:
 *
 *   order      no read returns a value whose write was certainly executed before that of what was seen
 *   absence    no read finds nothing when each deletion, or end of a deadline, that could be the cause was certainly
 *              executed before a write that was seen
 *   presence   no read finds a key when each write of it was certainly executed before a deletion that was seen
 *   zones      a value that was replaced doesn't come back: its operations, from the first end to the last begin,
 *              have no other value's first to last, no deletion and no absence within (P. Gibbons and E. Korach,
 *              "Testing shared memories", 1997: complete, were there no writes from elsewhere and no absence)
 *   deadline   no value is read after its deadline
 *   halves     what one command wrote through a larder is seen whole or not at all by one command through it
 *   counters   never smaller than what was seen, never larger than all increments that have begun
 *   origin     a value is read from its own key, after its write began, and not if that was refused
 *
 * All of this holds with CLIENT TRACKING's default mode. In mode broadcast, a read that L2 answered may be ahead of L1 by what L2
 * did in one turn of its loop, so "order" could complain of a read of L1 behind it.
 *
 * View 0, L2 itself, is held to the same with no time at all for what was written elsewhere: if that fails, it is
 * the checker, or L2, that is wrong. */
#ifndef LARDER_TESTS_HISTORY_CHECK_H
#define LARDER_TESTS_HISTORY_CHECK_H

#include "history.h"

#include <stdbool.h>

struct check_options {
    int64_t bound_ns; /* longest staleness of what was written elsewhere */
    int64_t slack_ns; /* a value's life beyond its deadline */
    unsigned n_shown; /* violations that are printed at length, of a run */
};

/* Numbers, counted in buckets that are 1/16 wide. */
#define SPREAD_BUCKETS 1024

struct spread {
    uint64_t n;
    int64_t max_ns;
    uint64_t counts[SPREAD_BUCKETS];
};

void spread_add(struct spread *spread, int64_t ns);
/* The smallest number that `share` (0 to 1) of all are not above, within 1/16. */
int64_t spread_at(const struct spread *spread, double share);

/* What all rounds of a run came to. */
struct check_sums {
    uint64_t n_ops;
    uint64_t n_unknown;              /* writes without a known outcome */
    uint64_t n_reads[HISTORY_VIEWS]; /* that had a result */
    uint64_t n_violations;
    struct spread stale[HISTORY_VIEWS]; /* of the reads that were stale at all */
    struct spread late;                 /* of the reads of a value behind its deadline */
};

/* Checks a record whose commands are all answered or given up; prints violations on standard output. */
void check_history(const struct history *history, const struct check_options *options,
                   struct check_sums *sums);

#endif
