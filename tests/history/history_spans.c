/* Sorted intervals, moments and numbers that the checks look things up in; see history_check_internal.h. */
#include "history_check_internal.h"

#include <stdlib.h>

/* Spans */

void spans_add(struct spans *spans, int64_t begin_ns, int64_t bound_ns)
{
    spans->items = history_grow(spans->items, spans->n, &spans->cap, sizeof(*spans->items));
    spans->items[spans->n++] = (struct span){begin_ns, bound_ns, 0, 0};
}

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_spans(const void *a, const void *b)
{
    return compare(((const struct span *)a)->begin_ns, ((const struct span *)b)->begin_ns);
}

void spans_sort(struct spans *spans)
{
    int64_t most = ALWAYS;
    int64_t least = OP_NEVER;
    if (spans->n > 0)
        qsort(spans->items, spans->n, sizeof(*spans->items), compare_spans);
    for (size_t i = 0; i < spans->n; i++) {
        if (spans->items[i].bound_ns > most)
            most = spans->items[i].bound_ns;
        spans->items[i].most_ns = most;
    }
    for (size_t i = spans->n; i-- > 0;) {
        if (spans->items[i].bound_ns < least)
            least = spans->items[i].bound_ns;
        spans->items[i].least_ns = least;
    }
}

/* How many begin no later than at_ns. */
static size_t count_begun(const struct spans *spans, int64_t at_ns)
{
    size_t low = 0;
    size_t high = spans->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spans->items[middle].begin_ns <= at_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t spans_most(const struct spans *spans, int64_t at_ns)
{
    size_t n = count_begun(spans, at_ns);
    return n > 0 ? spans->items[n - 1].most_ns : ALWAYS;
}

int64_t spans_least(const struct spans *spans, int64_t at_ns)
{
    size_t n = count_begun(spans, at_ns);
    return n < spans->n ? spans->items[n].least_ns : OP_NEVER;
}

/* Sights */

void sights_add(struct sights *sights, int64_t at_ns, int64_t begin_ns, size_t op)
{
    sights->items = history_grow(sights->items, sights->n, &sights->cap, sizeof(*sights->items));
    sights->items[sights->n++] = (struct sight){.at_ns = at_ns, .begin_ns = begin_ns, .op = op};
}

static int compare_sights(const void *a, const void *b)
{
    return compare(((const struct sight *)a)->at_ns, ((const struct sight *)b)->at_ns);
}

void sights_sort(struct sights *sights)
{
    int64_t best = ALWAYS;
    size_t best_op = NO_OP;
    if (sights->n > 0)
        qsort(sights->items, sights->n, sizeof(*sights->items), compare_sights);
    for (size_t i = 0; i < sights->n; i++) {
        struct sight *sight = &sights->items[i];
        if (sight->begin_ns > best || best_op == NO_OP) {
            best = sight->begin_ns;
            best_op = sight->op;
        }
        sight->best_ns = best;
        sight->best_op = best_op;
    }
}

const struct sight *sights_before(const struct sights *sights, int64_t at_ns)
{
    size_t low = 0;
    size_t high = sights->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sights->items[middle].at_ns < at_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? &sights->items[low - 1] : NULL;
}

/* Spreads: 16 buckets for each power of two, so one is 1/16 wide at most. */

static unsigned bucket_of(int64_t ns)
{
    uint64_t number = ns < 0 ? 0 : (uint64_t)ns;
    if (number < 16)
        return (unsigned)number;
    unsigned power = 63 - (unsigned)__builtin_clzll(number);
    return (power - 3) * 16 + (unsigned)(number >> (power - 4) & 15);
}

static int64_t bucket_end(unsigned bucket)
{
    if (bucket < 16)
        return bucket;
    unsigned power = bucket / 16 + 3;
    return (int64_t)(((uint64_t)(bucket % 16) + 17) << (power - 4)) - 1;
}

void spread_add(struct spread *spread, int64_t ns)
{
    spread->n++;
    spread->counts[bucket_of(ns)]++;
    if (ns > spread->max_ns)
        spread->max_ns = ns;
}

int64_t spread_at(const struct spread *spread, double share)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < SPREAD_BUCKETS; i++) {
        n += spread->counts[i];
        if (n > 0 && (double)n >= share * (double)spread->n)
            return bucket_end(i) < spread->max_ns ? bucket_end(i) : spread->max_ns;
    }
    return spread->max_ns;
}
