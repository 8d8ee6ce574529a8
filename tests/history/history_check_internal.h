/* What the checks share; nobody else includes this. */
#ifndef LARDER_TESTS_HISTORY_CHECK_INTERNAL_H
#define LARDER_TESTS_HISTORY_CHECK_INTERNAL_H

#include "history_check.h"

/* No operation. */
#define NO_OP SIZE_MAX

/* Before everything. */
#define ALWAYS INT64_MIN

/* Something that may have happened at any moment from begin to bound. Sorted by begin; `most` is the highest
 * bound of this one and those before it, `least` the lowest of this one and those behind it. */
struct span {
    int64_t begin_ns, bound_ns;
    int64_t most_ns, least_ns;
};

struct spans {
    struct span *items; /* owned */
    size_t n, cap;
};

/* What is seen: at a moment, something that began at begin_ns. Sorted by moment; `best` is the one with the latest
 * begin so far. */
struct sight {
    int64_t at_ns;
    int64_t begin_ns;
    size_t op; /* that shows it */
    int64_t best_ns;
    size_t best_op;
};

struct sights {
    struct sight *items; /* owned */
    size_t n, cap;
};

/* A key under check. */
struct check {
    const struct history *history;
    const struct check_options *options;
    struct check_sums *sums;
    unsigned key;
    size_t *ops; /* owned; those on the key, in the record's order, which is that of their begins */
    size_t n_ops, ops_cap;
    int64_t *bounds;       /* owned; by operation of the record: of writes */
    struct spans absences; /* causes: deletions, ends of deadlines, and the start */
    struct spans expiries; /* of these: ends of deadlines */
    struct spans values;   /* writes of values */
    struct spans sure_absences, sure_values; /* those that were certainly executed */
    size_t *deadlines; /* owned; operations that set or take away a deadline without a new value */
    size_t n_deadlines, deadlines_cap;
    /* Of one view */
    unsigned view;
    struct sights seen_values, seen_absences;
    size_t *own_value, *own_absence; /* owned; by connection: its last write, NO_OP: none */
};

#define CHECK_CONNS_MAX 4096

static inline const struct op *op_at(const struct check *check, size_t op)
{
    return &check->history->ops[op];
}

static inline int64_t later_by(int64_t at_ns, int64_t by_ns)
{
    return at_ns == OP_NEVER ? OP_NEVER : at_ns + by_ns;
}

/* True when the operation is a promise of the view's larder to its clients. For view 0, all that was executed is. */
static inline bool is_promised(const struct check *check, const struct op *op)
{
    return check->view == 0 || (op->view == check->view && !op->is_loose);
}

void spans_add(struct spans *spans, int64_t begin_ns, int64_t bound_ns);
void spans_sort(struct spans *spans);
/* The highest bound of those that begin no later than at_ns; ALWAYS: there are none. */
int64_t spans_most(const struct spans *spans, int64_t at_ns);
/* The lowest bound of those that begin later than at_ns; OP_NEVER: there are none. */
int64_t spans_least(const struct spans *spans, int64_t at_ns);

void sights_add(struct sights *sights, int64_t at_ns, int64_t begin_ns, size_t op);
void sights_sort(struct sights *sights);
/* The one with the latest begin of those before at_ns; NULL: there are none. */
const struct sight *sights_before(const struct sights *sights, int64_t at_ns);

/* The checks of a key, each for the view that is set. */
void check_order(struct check *check);
void check_zones(struct check *check);
void check_deadlines(struct check *check);
void check_counters(struct check *check);

/* The check of all keys together. `key_ops` has the places of each key's operations, `n_key_ops` their number. */
void check_halves(struct check *check, size_t **key_ops, const size_t *n_key_ops);

/* Counts a violation, and prints it with what happened around it. `what` is printed first; `other` may be NO_OP. */
void check_report(const struct check *check, const char *what, size_t op, size_t other);

#endif
