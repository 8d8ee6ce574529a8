/* What L1 may do with keys of a prefix: how long it keeps them, what it may answer when they are no
 * longer fresh, and whether it keeps them at all.
 *
 * One policy applies to each key: that of the longest prefix in the table that the key starts with,
 * else the default one. Knows no entries and no link. */
#ifndef LARDER_TIER_POLICY_H
#define LARDER_TIER_POLICY_H

#include "base/buf.h"
#include "base/bytes.h"

#include <stdint.h>

enum policy_mode {
    POLICY_CACHE,   /* answered from L1 */
    POLICY_OBSERVE, /* kept and counted as if, but always answered by L2 */
    POLICY_DENY,    /* never kept */
};

/* Times are in milliseconds. */
struct policy {
    enum policy_mode mode;

    /* `ttl`: cap on the time that a value is fresh; 0: none. */
    int64_t ttl_ms;

    /* `ttl-jitter`: the cap is shortened at random by up to so many percent, 0 to 100. */
    unsigned ttl_jitter;

    /* `negative-ttl`: the same cap for keys that don't exist; 0: they are not kept; -1: as ttl. */
    int64_t negative_ttl_ms;

    /* `stale-while-revalidate`: so long after it was fresh a value may be answered while it is
     * fetched anew; 0: never. */
    int64_t swr_ms;

    /* `stale-if-error`: so long after it was fresh a value may be answered while L2 can't be asked;
     * 0: never. */
    int64_t sie_ms;

    double early_refresh;  /* `early-refresh`: XFetch's beta, 0 to 100; 0: off */
    size_t max_item_bytes; /* `max-item`: larger values are not kept; 0: no limit */
    bool write_allocate;   /* `write-allocate`: a SET's value is kept */

    /* `l2-ttl-factor`: a SET's TTL is multiplied by it on its way to L2, 1 to 1000. */
    double l2_ttl_factor;
};

/* Prefixes in a table, without the default; and bytes of one prefix. */
#define POLICY_MAX 1000
#define POLICY_PREFIX_MAX 512

struct policy_table;

/* A table with only the default policy, which caches without any limit. Returns owned. */
struct policy_table *policy_table_create(void) __attribute__((returns_nonnull));

/* NULL is allowed. */
void policy_table_destroy(struct policy_table *table);

/* The default policy: what prefixes don't override. Prefixes that leave a property out follow it at
 * once. */
void policy_table_set_default(struct policy_table *table, const struct policy *policy);

/* Borrowed until the table changes. */
const struct policy *policy_table_default(const struct policy_table *table);

/* The policy of a key, borrowed until the table changes; its id, which is never 0 and is given
 * again to no other policy or version of one (ids wrap after 65,535 changes, past those in use), goes
 * to `*id` when that is not NULL. A change that changes nothing keeps the id. */
const struct policy *policy_find(const struct policy_table *table, struct bytes key, uint16_t *id);

/* True when some policy's mode is not `cache`, or allows stale answers or early refreshes: when
 * lookups need more than an entry's deadline. */
bool policy_table_is_special(const struct policy_table *table);

/* True when some policy allocates on writes, or changes the TTL of what is written. */
bool policy_table_is_about_writes(const struct policy_table *table);

/* Sets properties of a prefix's policy from words "name=value" (times with a unit: 500ms 30s 5m 2h
 * 1d, no unit: seconds; sizes as in the configuration; `default` as a value takes a property back to
 * the default policy's). Creates it where there is none. On an error nothing has changed, and
 * `error` says what is wrong, without a code. */
bool policy_table_set(struct policy_table *table, struct bytes prefix, const struct bytes *words,
                      size_t n_words, char *error, size_t size);

/* Removes a prefix's policy; false: there is none. */
bool policy_table_remove(struct policy_table *table, struct bytes prefix);

/* Gives `table` the prefixes of `from`, which it keeps, in place of its own. The default stays. */
void policy_table_copy(struct policy_table *table, const struct policy_table *from);

/* The number of prefixes; and the i-th (0 to n - 1) in byte order, with its policy as in force and,
 * appended to `words` (NULL: not wanted), the words that give it, separated by blanks. */
size_t policy_table_count(const struct policy_table *table);
const struct policy *policy_table_at(const struct policy_table *table, size_t i,
                                     struct bytes *prefix, struct buf *words);

#endif
