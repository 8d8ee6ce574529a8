/* The budget of L1 (max_bytes, max_entries) by the store's interface: what is counted, what is
 * refused, how fast a smaller one is reached. Which entries go is tested in test_eviction.c. */
#include "base/mem.h"
#include "store_support.h"

static struct store *store;

static void start(void)
{
    store = NULL;
}

static void stop(void)
{
    store_destroy(store);
}

static bool add_footprint(void *ctx, const struct entry *entry)
{
    *(size_t *)ctx += entry_footprint(entry);
    return true;
}

START_TEST(budget_holds_under_every_policy)
{
    static const size_t lens[] = {0, 3, 20, 64, 100, 700, 5, 2500, 40, 9000};
    for (int policy = STORE_ALLKEYS_LRU; policy < STORE_POLICIES; policy++) {
        store = support_create((enum store_policy)policy, 8 * SMALL_BUDGET);
        for (unsigned n = 0; n < 20000; n++) {
            int64_t now_ms = START_MS + n;
            support_assert(support_put_cold(store, n, lens[n % 10], now_ms + 1000000, now_ms) ==
                           STORE_OK);
            support_assert(support_used(store) <= 8 * SMALL_BUDGET + BUDGET_SLACK);
        }
        size_t bytes = 0;
        ck_assert_uint_eq(store_scan(store, 0, UINT32_MAX, START_MS, add_footprint, &bytes), 0);
        ck_assert_uint_eq(bytes, support_gauges(store).entry_bytes);
        ck_assert_uint_ge(support_used(store), 7 * SMALL_BUDGET);
        struct store_counters counters = support_counters(store);
        ck_assert_uint_eq(counters.evictions + support_gauges(store).entries, 20000);
        ck_assert_uint_eq(counters.refused, 0);
        store_destroy(store);
    }
    store = NULL;
}
END_TEST

/* The gauges are what jemalloc says, where it is there. */
START_TEST(gauges_agree_with_the_allocator)
{
    struct mem_figures before;
    struct mem_figures after;
    mem_read_figures(&before);
    store = support_create(STORE_ALLKEYS_LRU, 0);
    for (unsigned n = 0; n < 100000; n++)
        support_assert(support_put_cold(store, n, n % 200, 0, START_MS) == STORE_OK);
    mem_read_figures(&after);
    if (after.allocated == 0)
        return;
    double taken = (double)(after.allocated - before.allocated);
    double counted = (double)support_used(store);
    ck_assert_double_ge(counted, taken * 0.97);
    ck_assert_double_le(counted, taken * 1.03);
}
END_TEST

START_TEST(noeviction_refuses)
{
    store = support_create(STORE_NOEVICTION, SMALL_BUDGET);
    unsigned n = 0;
    while (support_put_cold(store, n, 20, 0, START_MS) == STORE_OK)
        n++;
    ck_assert_uint_gt(n, 500);
    ck_assert_int_eq(support_put_cold(store, n, 20, 0, START_MS), STORE_OVER_BUDGET);
    ck_assert_int_eq(support_gauges(store).entries, n);
    ck_assert_uint_eq(support_counters(store).evictions, 0);
    ck_assert_uint_eq(support_counters(store).refused, 2);
    /* An entry may be replaced by one that is no larger, and not by a larger one. */
    ck_assert_int_eq(support_put_cold(store, 0, 20, 0, START_MS), STORE_OK);
    ck_assert_int_eq(support_put_cold(store, 0, 10, 0, START_MS), STORE_OK);
    ck_assert_int_eq(support_put_cold(store, 0, 9000, 0, START_MS), STORE_OVER_BUDGET);
    const struct entry *entry = support_find(store, 0, "cold:0", START_MS);
    ck_assert_uint_eq(entry->value_len, 10);
}
END_TEST

/* Expired entries make room also where nothing may be evicted. */
START_TEST(noeviction_reclaims_what_is_expired)
{
    store = support_create(STORE_NOEVICTION, SMALL_BUDGET);
    unsigned n = 0;
    /* Names of the same length, and so entries of the same size. */
    while (support_put_cold(store, 100000 + n, 20, START_MS + 100, START_MS) == STORE_OK)
        n++;
    unsigned n_new = 0;
    for (unsigned i = 0; i < n; i++)
        n_new += support_put_cold(store, 200000 + i, 20, 0, START_MS + 100) == STORE_OK;
    ck_assert_uint_ge(n_new, n * 9 / 10);
    ck_assert_uint_eq(support_counters(store).evictions, 0);
}
END_TEST

START_TEST(one_large_item_makes_its_room)
{
    store = support_create(STORE_ALLKEYS_LRU, 16 * SMALL_BUDGET);
    for (unsigned n = 0; n < 20000; n++)
        support_assert(support_put_cold(store, n, 20, 0, START_MS + n) == STORE_OK);
    ck_assert_int_eq(support_put_cold(store, 20000, 500000, 0, START_MS + 20000), STORE_OK);
    ck_assert_uint_le(support_used(store), 16 * SMALL_BUDGET + BUDGET_SLACK);
    ck_assert_uint_eq(support_counters(store).refused, 0);
    /* Something that can't fit beside the index costs nobody his place. */
    size_t entries = support_gauges(store).entries;
    ck_assert_int_eq(support_put_cold(store, 20001, 16 * SMALL_BUDGET - 100, 0, START_MS),
                     STORE_TOO_BIG);
    ck_assert_uint_eq(support_gauges(store).entries, entries);
}
END_TEST

START_TEST(max_entries_holds)
{
    struct store_options options;
    store_options_default(&options);
    options.max_entries = 100;
    options.seed = 3;
    store = store_create(&options);
    for (unsigned n = 0; n < 1000; n++) {
        support_assert(support_put_cold(store, n, 10, 0, START_MS + n) == STORE_OK);
        support_assert(support_gauges(store).entries <= 100);
    }
    ck_assert_uint_eq(support_gauges(store).entries, 100);
    /* Replacing takes no place. */
    uint64_t evictions = support_counters(store).evictions;
    ck_assert_int_eq(support_put_cold(store, 999, 500, 0, START_MS + 1000), STORE_OK);
    ck_assert_uint_eq(support_counters(store).evictions, evictions);
}
END_TEST

START_TEST(a_smaller_budget_is_reached_in_slices)
{
    store = support_create(STORE_ALLKEYS_LRU, 0);
    support_fill(store, 0, 100000, 0, START_MS);
    support_reconfigure(store, STORE_ALLKEYS_LRU, 8 * SMALL_BUDGET);
    ck_assert(store_cycle(store, START_MS, 0));
    ck_assert_uint_gt(support_used(store), 64 * SMALL_BUDGET);
    unsigned n_slices = 0;
    while (store_cycle(store, START_MS, 200))
        n_slices++;
    ck_assert_uint_gt(n_slices, 3);
    /* The index shrinks too, which leaves room that entries were evicted for. */
    ck_assert_uint_le(support_used(store), 8 * SMALL_BUDGET);
    ck_assert_uint_gt(support_gauges(store).entries, 1000);
}
END_TEST

START_TEST(smaller_values_are_taken_over_the_budget)
{
    store = support_create(STORE_NOEVICTION, 0);
    for (unsigned n = 0; n < 100; n++)
        support_assert(support_put_cold(store, n, 500, 0, START_MS) == STORE_OK);
    support_reconfigure(store, STORE_NOEVICTION, support_used(store) / 2);
    ck_assert_int_eq(support_put_cold(store, 0, 100, 0, START_MS), STORE_OK);
    ck_assert_int_eq(support_put_cold(store, 0, 500, 0, START_MS), STORE_OVER_BUDGET);
    ck_assert_int_eq(support_put_cold(store, 100, 5, 0, START_MS), STORE_OVER_BUDGET);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        budget_holds_under_every_policy,
        gauges_agree_with_the_allocator,
        noeviction_refuses,
        noeviction_reclaims_what_is_expired,
        one_large_item_makes_its_room,
        max_entries_holds,
        a_smaller_budget_is_reached_in_slices,
        smaller_values_are_taken_over_the_budget,
    };
    return support_run("budget", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
