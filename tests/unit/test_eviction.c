/* Which entries go (src/store/eviction.h), by the store's interface. What is statistical has a
 * fixed seed and wide margins. The budget itself is tested in test_budget.c. */
#include "store/access.h"
#include "store_support.h"

#include <stdlib.h>
#include <string.h>

static struct store *store;

static void start(void)
{
    store = NULL;
}

static void stop(void)
{
    store_destroy(store);
}

START_TEST(flushed_entries_go_first)
{
    store = support_create(STORE_ALLKEYS_LRU, 4 * SMALL_BUDGET);
    for (unsigned i = 0; i < 500; i++)
        support_put(store, 1, support_key(i), "stays", 0, START_MS);
    unsigned n = 0;
    while (support_used(store) < 4 * SMALL_BUDGET - 200)
        support_assert(support_put_cold(store, n++, 20, 0, START_MS + 60000) == STORE_OK);
    size_t n_flushed = store_flush(store, 0);
    for (unsigned i = 0; i < n_flushed / 2; i++)
        support_assert(support_put_cold(store, 100000 + i, 20, 0, START_MS + 60000) == STORE_OK);
    ck_assert_uint_eq(support_counters(store).evictions, 0);
    ck_assert_uint_eq(store_db_entries(store, 1), 500);
}
END_TEST

/* --- which entries go --- */

#define N_HOT 100

static void touch_hot(int64_t now_ms)
{
    for (unsigned i = 0; i < N_HOT; i++)
        support_find(store, 0, support_key(i), now_ms);
}

START_TEST(lru_keeps_hot_keys)
{
    store = support_create(STORE_ALLKEYS_LRU, SMALL_BUDGET);
    support_fill(store, 0, N_HOT, 0, START_MS);
    int64_t now_ms = START_MS;
    for (unsigned n = 0; n < 20000; n++) {
        now_ms += 20;
        support_assert(support_put_cold(store, n, 5, 0, now_ms) == STORE_OK);
        if (n % 50 == 0)
            touch_hot(now_ms);
    }
    ck_assert_uint_gt(support_counters(store).evictions, 15000);
    ck_assert_uint_ge(support_count(store, 0, N_HOT, now_ms), N_HOT * 95 / 100);
}
END_TEST

/* Without the accesses the same keys are gone. */
START_TEST(lru_drops_cold_keys)
{
    store = support_create(STORE_ALLKEYS_LRU, SMALL_BUDGET);
    support_fill(store, 0, N_HOT, 0, START_MS);
    for (unsigned n = 0; n < 3000; n++)
        support_assert(support_put_cold(store, n, 5, 0, START_MS + 100 + n * 20) == STORE_OK);
    ck_assert_uint_le(support_count(store, 0, N_HOT, START_MS + 100000), N_HOT / 10);
}
END_TEST

/* A long scan of keys used once passes by, during which the hot ones rest: LFU keeps them. */
START_TEST(lfu_survives_a_scan)
{
    store = support_create(STORE_ALLKEYS_LFU, SMALL_BUDGET);
    support_fill(store, 0, N_HOT, 0, START_MS);
    for (unsigned i = 0; i < 300; i++)
        touch_hot(START_MS + i);
    for (unsigned n = 0; n < 20000; n++)
        support_assert(support_put_cold(store, n, 5, 0, START_MS + 1000 + n) == STORE_OK);
    ck_assert_uint_ge(support_count(store, 0, N_HOT, START_MS + 21000), N_HOT * 95 / 100);
}
END_TEST

START_TEST(random_is_about_even)
{
    store = support_create(STORE_ALLKEYS_RANDOM, 0);
    support_fill(store, 0, 20000, 0, START_MS);
    support_reconfigure(store, STORE_ALLKEYS_RANDOM, 0);
    struct store_options options = *store_get_options(store);
    options.max_entries = 10000;
    store_configure(store, &options);
    while (store_cycle(store, START_MS, 1000))
        ;
    for (unsigned i = 0; i < 20000; i += 5000) {
        unsigned n = support_count(store, i, i + 5000, START_MS);
        ck_assert_uint_ge(n, 2200);
        ck_assert_uint_le(n, 2800);
    }
}
END_TEST

START_TEST(volatile_policies_spare_persistent_entries)
{
    static const enum store_policy policies[] = {STORE_VOLATILE_LRU, STORE_VOLATILE_LFU,
                                                 STORE_VOLATILE_RANDOM, STORE_VOLATILE_TTL};
    for (unsigned p = 0; p < 4; p++) {
        store = support_create(policies[p], SMALL_BUDGET);
        support_fill(store, 0, 300, 0, START_MS);
        for (unsigned n = 0; n < 5000; n++)
            support_assert(support_put_cold(store, n, 5, START_MS + 1000000 + n, START_MS + n) ==
                           STORE_OK);
        ck_assert_uint_eq(support_count(store, 0, 300, START_MS + 5000), 300);
        /* Persistent ones push out the last volatile one, then are refused. */
        unsigned n = 300;
        while (support_try(store, 0, support_key(n), "value", 0, START_MS + 5000) == STORE_OK)
            n++;
        ck_assert_uint_eq(support_gauges(store).volatile_entries, 0);
        ck_assert_uint_eq(support_gauges(store).entries, n);
        ck_assert_uint_eq(support_count(store, 0, n, START_MS + 5000), n);
        store_destroy(store);
    }
    store = NULL;
}
END_TEST

START_TEST(volatile_ttl_takes_the_nearest_deadline)
{
    store = support_create(STORE_VOLATILE_TTL, 0);
    for (unsigned n = 0; n < 2000; n++) /* 3: coprime to 2000, so puts are not in deadline order */
        support_put(store, 0, support_key(n * 3 % 2000), "v", START_MS + 100000 + n * 3 % 2000,
                    START_MS);
    struct store_options options = *store_get_options(store);
    options.max_entries = 1000;
    store_configure(store, &options);
    while (store_cycle(store, START_MS, 1000))
        ;
    ck_assert_uint_le(support_count(store, 0, 500, START_MS), 50);
    ck_assert_uint_ge(support_count(store, 1500, 2000, START_MS), 450);
}
END_TEST

/* One volatile entry among 40,000: found in bounded steps, some of which may be refused. */
START_TEST(few_volatile_entries_are_found_in_the_end)
{
    store = support_create(STORE_VOLATILE_LRU, 0);
    support_fill(store, 0, 40000, 0, START_MS);
    support_put(store, 0, "volatile", "value", START_MS + 1000000, START_MS);
    support_reconfigure(store, STORE_VOLATILE_LRU, support_used(store));
    unsigned n_refused = 0;
    while (support_try(store, 0, "new", "value", 0, START_MS) != STORE_OK)
        support_assert(++n_refused < 100);
    ck_assert(!support_has(store, 0, "volatile", START_MS));
    ck_assert_uint_eq(support_count(store, 0, 40000, START_MS), 40000);
    ck_assert_int_eq(support_try(store, 0, "more", "value", 0, START_MS), STORE_OVER_BUDGET);
}
END_TEST

/* As above, and the background work looks on behalf of the next put. */
START_TEST(background_work_finds_candidates)
{
    store = support_create(STORE_VOLATILE_LRU, 0);
    support_fill(store, 0, 40000, 0, START_MS);
    support_put(store, 0, "volatile", "value", START_MS + 1000000, START_MS);
    support_reconfigure(store, STORE_VOLATILE_LRU, support_used(store));
    if (support_try(store, 0, "new", "value", 0, START_MS) == STORE_OK)
        return; /* met by chance */
    while (store_cycle(store, START_MS, 100))
        ;
    ck_assert(support_has(store, 0, "volatile", START_MS));
    ck_assert_int_eq(support_try(store, 0, "new", "value", 0, START_MS), STORE_OK);
}
END_TEST

/* The entry that is being replaced is never the one that goes, be it the best candidate. */
START_TEST(the_replaced_entry_stays_until_it_is_replaced)
{
    store = support_create(STORE_VOLATILE_LRU, SMALL_BUDGET);
    support_put(store, 0, "only", "short", START_MS + 1000000, START_MS);
    unsigned n = 0;
    while (support_put_cold(store, n, 5, 0, START_MS + 1000) == STORE_OK &&
           support_has(store, 0, "only", START_MS))
        n++;
    if (!support_has(store, 0, "only", START_MS)) { /* it made room for the last one */
        support_remove(store, 0, "cold:0", START_MS);
        support_put(store, 0, "only", "short", START_MS + 1000000, START_MS);
    }
    char value[2000];
    memset(value, 'x', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    ck_assert_int_eq(support_try(store, 0, "only", value, START_MS + 1000000, START_MS + 2000),
                     STORE_OVER_BUDGET);
    support_is(store, 0, "only", "short", START_MS);
}
END_TEST

/* "b" is pooled when "a" goes, and is the only candidate while it is replaced itself. */
START_TEST(a_pooled_candidate_can_be_replaced)
{
    static char value[500];
    memset(value, 'x', sizeof(value) - 1);
    unsigned n_tried = 0;
    for (unsigned round = 1; round <= 100; round++) {
        struct store_options options;
        store_options_default(&options);
        options.policy = STORE_VOLATILE_LRU;
        options.seed = round;
        options.max_entries = 20;
        store = store_create(&options);
        support_fill(store, 0, 18, 0, START_MS);
        support_put(store, 0, "a", "value", START_MS + 10000, START_MS);
        support_put(store, 0, "b", "value", START_MS + 10000, START_MS + 1000);
        support_put(store, 0, "new", "value", 0, START_MS + 2000);
        if (support_has(store, 0, "b", START_MS + 2000)) {
            support_reconfigure(store, STORE_VOLATILE_LRU, support_used(store));
            support_assert(support_try(store, 0, "b", value, START_MS + 10000, START_MS + 3000) ==
                           STORE_OVER_BUDGET);
            support_is(store, 0, "b", "value", START_MS + 3000);
            n_tried++;
        }
        store_destroy(store);
    }
    ck_assert_uint_gt(n_tried, 20);
    store = NULL;
}
END_TEST

/* What is expired goes first where room is made, but not the one that is being replaced. Few
 * buckets and many hash keys, as it must be met in the same bucket. */
START_TEST(an_expired_entry_can_be_replaced)
{
    for (unsigned round = 1; round <= 100; round++) {
        struct store_options options;
        store_options_default(&options);
        options.seed = round;
        store = store_create(&options);
        for (unsigned n = 0; n < 60; n++)
            support_assert(support_put_cold(store, n, 5, START_MS + 100, START_MS) == STORE_OK);
        support_reconfigure(store, round % 2 ? STORE_ALLKEYS_LRU : STORE_NOEVICTION,
                            support_used(store));
        unsigned n_put = 0;
        for (unsigned n = 0; n < 60; n++)
            n_put += support_put_cold(store, n, 60, 0, START_MS + 100) == STORE_OK;
        support_assert(n_put >= 20);
        support_assert(support_counters(store).expirations == 60);
        store_destroy(store);
    }
    store = NULL;
}
END_TEST

/* Candidates wait in a pool; one that is used meanwhile is a candidate no longer. */
START_TEST(used_candidates_are_spared)
{
    store = support_create(STORE_ALLKEYS_LRU, 0);
    for (unsigned n = 0; n < 1000; n++)
        support_put(store, 0, support_key(n), "value", 0, START_MS + n * 20);
    support_reconfigure(store, STORE_ALLKEYS_LRU, support_used(store));
    int64_t now_ms = START_MS + 20000;
    for (unsigned n = 0; n < 10; n++)
        support_assert(support_put_cold(store, n, 5, 0, now_ms) == STORE_OK);
    for (unsigned n = 0; n < 500; n++)
        support_find(store, 0, support_key(n), now_ms + 20);
    unsigned before = support_count(store, 0, 500, now_ms + 20);
    for (unsigned n = 10; n < 25; n++)
        support_assert(support_put_cold(store, n, 5, 0, now_ms + 40) == STORE_OK);
    ck_assert_uint_ge(support_count(store, 0, 500, now_ms + 40) + 4, before);
}
END_TEST

START_TEST(candidates_that_became_persistent_are_spared)
{
    store = support_create(STORE_VOLATILE_TTL, SMALL_BUDGET);
    for (unsigned n = 0; n < 1000; n++)
        support_assert(support_put_cold(store, n, 5, START_MS + 100000 + n, START_MS) == STORE_OK);
    unsigned n_persistent = 0;
    for (unsigned n = 0; n < 1000; n++) {
        char name[32];
        struct bytes key = bytes_of(name, (size_t)snprintf(name, sizeof(name), "cold:%u", n));
        if (n % 10 != 0)
            n_persistent += store_set_deadline(store, 0, key, store_hash(store, key), 0, START_MS);
    }
    unsigned n_new = 0;
    while (support_try(store, 0, support_key(n_new), "value", 0, START_MS) == STORE_OK)
        n_new++;
    struct store_gauges gauges = support_gauges(store);
    ck_assert_uint_eq(gauges.entries - gauges.volatile_entries, n_persistent + n_new);
}
END_TEST

/* An entry that gets its deadline later is found by the volatile policies as any other. */
START_TEST(deadlines_given_later_count)
{
    store = support_create(STORE_VOLATILE_LRU, 0);
    support_fill(store, 0, 500, 0, START_MS);
    for (unsigned n = 0; n < 250; n++) {
        const char *key = support_key(n);
        struct bytes name = bytes_of_str(key);
        if (n % 2)
            support_put(store, 0, key, "other", START_MS + 10000, START_MS);
        else
            store_set_deadline(store, 0, name, store_hash(store, name), START_MS + 10000, START_MS);
    }
    support_reconfigure(store, STORE_VOLATILE_LRU, support_used(store));
    unsigned n_new = 0;
    /* Longer names with a shorter value: they are no larger. */
    while (support_try(store, 0, support_key(1000 + n_new), "v", 0, START_MS) == STORE_OK)
        n_new++;
    ck_assert_uint_ge(n_new, 240);
    ck_assert_uint_eq(support_gauges(store).volatile_entries, 0);
    ck_assert_uint_eq(support_count(store, 250, 500, START_MS), 250);
}
END_TEST

START_TEST(policy_changes_at_run_time)
{
    store = support_create(STORE_ALLKEYS_LRU, SMALL_BUDGET);
    int64_t now_ms = START_MS - 2000000;
    for (unsigned round = 0; round < 3; round++) {
        for (int policy = STORE_ALLKEYS_LRU; policy < STORE_POLICIES; policy++) {
            support_reconfigure(store, (enum store_policy)policy, SMALL_BUDGET);
            for (unsigned n = 0; n < 500; n++)
                support_assert(support_put_cold(store, n + 1000 * (unsigned)policy, n % 50,
                                                START_MS + 1000000, now_ms++) == STORE_OK);
            support_assert(support_used(store) <= SMALL_BUDGET + BUDGET_SLACK);
        }
    }
    /* What was hot under LRU isn't the first to go under LFU, and the figures are sane. */
    support_reconfigure(store, STORE_ALLKEYS_LRU, 0);
    support_put(store, 0, "k", "v", 0, START_MS);
    const struct entry *entry = support_find(store, 0, "k", START_MS);
    support_reconfigure(store, STORE_ALLKEYS_LFU, 0);
    ck_assert_uint_eq(store_frequency(store, entry, START_MS), ACCESS_LFU_INITIAL);
    ck_assert_int_eq(store_idle_ms(store, entry, START_MS), 0);
    ck_assert_ptr_eq(support_find(store, 0, "k", START_MS + 120000), entry);
    support_reconfigure(store, STORE_ALLKEYS_LRU, 0);
    ck_assert_uint_eq(store_frequency(store, entry, START_MS), 0);
    ck_assert_int_le(store_idle_ms(store, entry, START_MS + 240000), 180000);
    ck_assert_int_ge(store_idle_ms(store, entry, START_MS + 240000), 60000);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        flushed_entries_go_first,
        lru_keeps_hot_keys,
        lru_drops_cold_keys,
        lfu_survives_a_scan,
        random_is_about_even,
        volatile_policies_spare_persistent_entries,
        volatile_ttl_takes_the_nearest_deadline,
        few_volatile_entries_are_found_in_the_end,
        background_work_finds_candidates,
        the_replaced_entry_stays_until_it_is_replaced,
        a_pooled_candidate_can_be_replaced,
        an_expired_entry_can_be_replaced,
        used_candidates_are_spared,
        candidates_that_became_persistent_are_spared,
        deadlines_given_later_count,
        policy_changes_at_run_time,
    };
    return support_run("eviction", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
