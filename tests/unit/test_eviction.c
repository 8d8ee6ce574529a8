/* Eviction and the budget (src/store/eviction.h), by the store's interface, and the access word
 * (src/store/access.h). What is statistical has a fixed seed and wide margins. */
#include "base/mem.h"
#include "store/access.h"
#include "store_support.h"

#include <stdlib.h>
#include <string.h>

/* Room for about 1000 entries of support_fill (16 + 8 + 5 bytes and the header), and the index. */
#define BUDGET ((size_t)64 << 10)
/* What the index may take at once beside an item: a segment, or the doubling of its first one. */
#define SLACK ((size_t)64 << 10)

static struct store *store;

static void start(void)
{
    store = NULL;
}

static void stop(void)
{
    mem_fail_after(0);
    store_destroy(store);
}

static void reconfigure(enum store_policy policy, size_t max_bytes)
{
    struct store_options options = *store_get_options(store);
    options.policy = policy;
    options.max_bytes = max_bytes;
    store_configure(store, &options);
}

/* Puts "cold:<n>" with `len` bytes; returns what store_put says. */
static enum store_result put_cold(unsigned n, size_t len, int64_t deadline_ms, int64_t now_ms)
{
    static char value[1 << 20];
    char key[32];
    snprintf(key, sizeof(key), "cold:%u", n);
    struct store_item item = {.value = bytes_of(value, len), .deadline_ms = deadline_ms};
    return support_put_item(store, 0, key, &item, now_ms);
}

/* --- the budget --- */

static bool add_footprint(void *ctx, const struct entry *entry)
{
    *(size_t *)ctx += entry_footprint(entry);
    return true;
}

START_TEST(budget_holds_under_every_policy)
{
    static const size_t lens[] = {0, 3, 20, 64, 100, 700, 5, 2500, 40, 9000};
    for (int policy = STORE_ALLKEYS_LRU; policy < STORE_POLICIES; policy++) {
        store = support_create((enum store_policy)policy, 8 * BUDGET);
        for (unsigned n = 0; n < 20000; n++) {
            int64_t now_ms = START_MS + n;
            support_assert(put_cold(n, lens[n % 10], now_ms + 1000000, now_ms) == STORE_OK);
            support_assert(support_used(store) <= 8 * BUDGET + SLACK);
        }
        size_t bytes = 0;
        ck_assert_uint_eq(store_scan(store, 0, UINT32_MAX, START_MS, add_footprint, &bytes), 0);
        ck_assert_uint_eq(bytes, support_gauges(store).entry_bytes);
        ck_assert_uint_ge(support_used(store), 7 * BUDGET);
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
        support_assert(put_cold(n, n % 200, 0, START_MS) == STORE_OK);
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
    store = support_create(STORE_NOEVICTION, BUDGET);
    unsigned n = 0;
    while (put_cold(n, 20, 0, START_MS) == STORE_OK)
        n++;
    ck_assert_uint_gt(n, 500);
    ck_assert_int_eq(put_cold(n, 20, 0, START_MS), STORE_OVER_BUDGET);
    ck_assert_int_eq(support_gauges(store).entries, n);
    ck_assert_uint_eq(support_counters(store).evictions, 0);
    ck_assert_uint_eq(support_counters(store).refused, 2);
    /* An entry may be replaced by one that is no larger, and not by a larger one. */
    ck_assert_int_eq(put_cold(0, 20, 0, START_MS), STORE_OK);
    ck_assert_int_eq(put_cold(0, 10, 0, START_MS), STORE_OK);
    ck_assert_int_eq(put_cold(0, 9000, 0, START_MS), STORE_OVER_BUDGET);
    const struct entry *entry = support_find(store, 0, "cold:0", START_MS);
    ck_assert_uint_eq(entry->value_len, 10);
}
END_TEST

/* Expired entries make room also where nothing may be evicted. */
START_TEST(noeviction_reclaims_what_is_expired)
{
    store = support_create(STORE_NOEVICTION, BUDGET);
    unsigned n = 0;
    while (put_cold(n, 20, START_MS + 100, START_MS) == STORE_OK)
        n++;
    unsigned n_new = 0;
    for (unsigned i = 0; i < n; i++)
        n_new += put_cold(n + i, 20, 0, START_MS + 100) == STORE_OK;
    ck_assert_uint_ge(n_new, n * 9 / 10);
    ck_assert_uint_eq(support_counters(store).evictions, 0);
}
END_TEST

START_TEST(flushed_entries_go_first)
{
    store = support_create(STORE_ALLKEYS_LRU, 4 * BUDGET);
    for (unsigned i = 0; i < 500; i++)
        support_put(store, 1, support_key(i), "stays", 0, START_MS);
    unsigned n = 0;
    while (support_used(store) < 4 * BUDGET - 200)
        support_assert(put_cold(n++, 20, 0, START_MS + 60000) == STORE_OK);
    size_t n_flushed = store_flush(store, 0);
    for (unsigned i = 0; i < n_flushed / 2; i++)
        support_assert(put_cold(100000 + i, 20, 0, START_MS + 60000) == STORE_OK);
    ck_assert_uint_eq(support_counters(store).evictions, 0);
    ck_assert_uint_eq(store_db_entries(store, 1), 500);
}
END_TEST

START_TEST(one_large_item_makes_its_room)
{
    store = support_create(STORE_ALLKEYS_LRU, 16 * BUDGET);
    for (unsigned n = 0; n < 20000; n++)
        support_assert(put_cold(n, 20, 0, START_MS + n) == STORE_OK);
    ck_assert_int_eq(put_cold(20000, 500000, 0, START_MS + 20000), STORE_OK);
    ck_assert_uint_le(support_used(store), 16 * BUDGET + SLACK);
    ck_assert_uint_eq(support_counters(store).refused, 0);
    /* Something that can't fit beside the index costs nobody his place. */
    size_t entries = support_gauges(store).entries;
    ck_assert_int_eq(put_cold(20001, 16 * BUDGET - 100, 0, START_MS), STORE_TOO_BIG);
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
        support_assert(put_cold(n, 10, 0, START_MS + n) == STORE_OK);
        support_assert(support_gauges(store).entries <= 100);
    }
    ck_assert_uint_eq(support_gauges(store).entries, 100);
    /* Replacing takes no place. */
    uint64_t evictions = support_counters(store).evictions;
    ck_assert_int_eq(put_cold(999, 500, 0, START_MS + 1000), STORE_OK);
    ck_assert_uint_eq(support_counters(store).evictions, evictions);
}
END_TEST

START_TEST(a_smaller_budget_is_reached_in_slices)
{
    store = support_create(STORE_ALLKEYS_LRU, 0);
    support_fill(store, 0, 100000, 0, START_MS);
    reconfigure(STORE_ALLKEYS_LRU, 8 * BUDGET);
    ck_assert(store_cycle(store, START_MS, 0));
    ck_assert_uint_gt(support_used(store), 64 * BUDGET);
    unsigned n_slices = 0;
    while (store_cycle(store, START_MS, 200))
        n_slices++;
    ck_assert_uint_gt(n_slices, 3);
    /* The index shrinks too, which leaves room that entries were evicted for. */
    ck_assert_uint_le(support_used(store), 8 * BUDGET);
    ck_assert_uint_gt(support_gauges(store).entries, 1000);
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
    store = support_create(STORE_ALLKEYS_LRU, BUDGET);
    support_fill(store, 0, N_HOT, 0, START_MS);
    int64_t now_ms = START_MS;
    for (unsigned n = 0; n < 20000; n++) {
        now_ms += 20;
        support_assert(put_cold(n, 5, 0, now_ms) == STORE_OK);
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
    store = support_create(STORE_ALLKEYS_LRU, BUDGET);
    support_fill(store, 0, N_HOT, 0, START_MS);
    for (unsigned n = 0; n < 3000; n++)
        support_assert(put_cold(n, 5, 0, START_MS + 100 + n * 20) == STORE_OK);
    ck_assert_uint_le(support_count(store, 0, N_HOT, START_MS + 100000), N_HOT / 10);
}
END_TEST

/* A long scan of keys used once passes by, during which the hot ones rest: LFU keeps them. */
START_TEST(lfu_survives_a_scan)
{
    store = support_create(STORE_ALLKEYS_LFU, BUDGET);
    support_fill(store, 0, N_HOT, 0, START_MS);
    for (unsigned i = 0; i < 300; i++)
        touch_hot(START_MS + i);
    for (unsigned n = 0; n < 20000; n++)
        support_assert(put_cold(n, 5, 0, START_MS + 1000 + n) == STORE_OK);
    ck_assert_uint_ge(support_count(store, 0, N_HOT, START_MS + 21000), N_HOT * 95 / 100);
}
END_TEST

START_TEST(random_is_about_even)
{
    store = support_create(STORE_ALLKEYS_RANDOM, 0);
    support_fill(store, 0, 20000, 0, START_MS);
    reconfigure(STORE_ALLKEYS_RANDOM, 0);
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
        store = support_create(policies[p], BUDGET);
        support_fill(store, 0, 300, 0, START_MS);
        for (unsigned n = 0; n < 5000; n++)
            support_assert(put_cold(n, 5, START_MS + 1000000 + n, START_MS + n) == STORE_OK);
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
    reconfigure(STORE_VOLATILE_LRU, support_used(store));
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
    reconfigure(STORE_VOLATILE_LRU, support_used(store));
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
    store = support_create(STORE_VOLATILE_LRU, BUDGET);
    support_put(store, 0, "only", "short", START_MS + 1000000, START_MS);
    unsigned n = 0;
    while (put_cold(n, 5, 0, START_MS + 1000) == STORE_OK &&
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

START_TEST(policy_changes_at_run_time)
{
    store = support_create(STORE_ALLKEYS_LRU, BUDGET);
    int64_t now_ms = START_MS - 2000000;
    for (unsigned round = 0; round < 3; round++) {
        for (int policy = STORE_ALLKEYS_LRU; policy < STORE_POLICIES; policy++) {
            reconfigure((enum store_policy)policy, BUDGET);
            for (unsigned n = 0; n < 500; n++)
                support_assert(put_cold(n + 1000 * (unsigned)policy, n % 50, START_MS + 1000000,
                                        now_ms++) == STORE_OK);
            support_assert(support_used(store) <= BUDGET + SLACK);
        }
    }
    /* What was hot under LRU isn't the first to go under LFU, and the figures are sane. */
    reconfigure(STORE_ALLKEYS_LRU, 0);
    support_put(store, 0, "k", "v", 0, START_MS);
    const struct entry *entry = support_find(store, 0, "k", START_MS);
    reconfigure(STORE_ALLKEYS_LFU, 0);
    ck_assert_uint_eq(store_frequency(store, entry, START_MS), ACCESS_LFU_INITIAL);
    ck_assert_int_eq(store_idle_ms(store, entry, START_MS), 0);
    ck_assert_ptr_eq(support_find(store, 0, "k", START_MS + 120000), entry);
    reconfigure(STORE_ALLKEYS_LRU, 0);
    ck_assert_uint_eq(store_frequency(store, entry, START_MS), 0);
    ck_assert_int_le(store_idle_ms(store, entry, START_MS + 240000), 180000);
    ck_assert_int_ge(store_idle_ms(store, entry, START_MS + 240000), 60000);
}
END_TEST

/* --- the access word --- */

START_TEST(idle_time)
{
    store = support_create(STORE_ALLKEYS_LRU, 0);
    support_put(store, 0, "k", "v", 0, START_MS);
    const struct entry *entry = support_find(store, 0, "k", START_MS);
    ck_assert_int_eq(store_idle_ms(store, entry, START_MS), 0);
    int64_t idle = store_idle_ms(store, entry, START_MS + 10000);
    ck_assert_int_ge(idle, 10000 - 16);
    ck_assert_int_le(idle, 10000 + 16);
    struct bytes key = BYTES("k");
    store_peek(store, 0, key, store_hash(store, key), START_MS + 10000);
    ck_assert_int_eq(store_idle_ms(store, entry, START_MS + 10000), idle);
    support_find(store, 0, "k", START_MS + 10000);
    ck_assert_int_eq(store_idle_ms(store, entry, START_MS + 10000), 0);
}
END_TEST

START_TEST(lru_word_wraps)
{
    int64_t wrap_ms = (int64_t)1 << 35; /* 31 bits of 16 ms */
    uint32_t word = access_lru_word(wrap_ms - 16);
    ck_assert_int_eq(access_idle_ms(word, wrap_ms + 16), 32);
    ck_assert_uint_eq(word & ACCESS_LFU, 0);
    ck_assert_int_eq(access_idle_ms(access_lru_word(wrap_ms), wrap_ms + 160000), 160000);
}
END_TEST

/* The table in redis.conf 7.0 on lfu-log-factor: counter after so many hits. */
START_TEST(lfu_counter_grows_as_redis)
{
    static const struct {
        unsigned factor;
        unsigned hits;
        unsigned counter;
    } rows[] = {{0, 100, 104},    {0, 1000, 255},  {1, 100, 18},     {1, 1000, 49},
                {1, 100000, 255}, {10, 100, 10},   {10, 1000, 18},   {10, 100000, 142},
                {100, 100, 8},    {100, 1000, 11}, {100, 100000, 49}};
    uint64_t x = 88172645463325252u;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct access_rules rules = {rows[i].factor, 1};
        unsigned sum = 0;
        for (unsigned run = 0; run < 20; run++) {
            uint32_t word = access_lfu_word(START_MS);
            for (unsigned hit = 0; hit < rows[i].hits; hit++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                word = access_lfu_touch(word, &rules, START_MS, (uint32_t)(x >> 32));
            }
            sum += access_frequency(word, &rules, START_MS);
        }
        double mean = sum / 20.0;
        double expected = rows[i].counter;
        ck_assert_msg(mean > expected * 0.85 - 2 && mean < expected * 1.15 + 2,
                      "factor %u, %u hits: %.1f, not about %u", rows[i].factor, rows[i].hits, mean,
                      rows[i].counter);
    }
}
END_TEST

START_TEST(lfu_counter_decays_by_minutes)
{
    struct access_rules every = {10, 1};
    struct access_rules fifth = {10, 5};
    struct access_rules never = {10, 0};
    uint32_t word = access_lfu_word(0) + 95; /* 100 */
    ck_assert_uint_eq(access_frequency(word, &every, 59999), 100);
    ck_assert_uint_eq(access_frequency(word, &every, 60000), 99);
    ck_assert_uint_eq(access_frequency(word, &every, 100 * 60000), 0);
    ck_assert_uint_eq(access_frequency(word, &every, 200 * 60000), 0);
    ck_assert_uint_eq(access_frequency(word, &fifth, 24 * 60000), 96);
    ck_assert_uint_eq(access_frequency(word, &never, 5000 * 60000), 100);
    /* Minutes have 16 bits. */
    uint32_t late = access_lfu_word((int64_t)65535 * 60000);
    ck_assert_uint_eq(access_frequency(late, &every, (int64_t)65538 * 60000), 2);
}
END_TEST

START_TEST(lfu_factor_of_any_size)
{
    struct access_rules rules = {UINT32_MAX, 1};
    uint32_t word = access_lfu_word(START_MS) + 250; /* 255 */
    ck_assert_uint_eq(access_lfu_touch(word, &rules, START_MS, 0), word);
    word = access_lfu_word(START_MS) + 249;
    ck_assert_uint_eq(access_lfu_touch(word, &rules, START_MS, UINT32_MAX), word);
}
END_TEST

START_TEST(replacing_keeps_the_frequency)
{
    store = support_create(STORE_ALLKEYS_LFU, 0);
    support_put(store, 0, "k", "v", 0, START_MS);
    for (unsigned i = 0; i < 500; i++)
        support_find(store, 0, "k", START_MS);
    unsigned before = store_frequency(store, support_find(store, 0, "k", START_MS), START_MS);
    ck_assert_uint_ge(before, 8);
    support_put(store, 0, "k", "a value of another size altogether, 1234567890", 0, START_MS);
    struct bytes key = BYTES("k");
    const struct entry *entry = store_peek(store, 0, key, store_hash(store, key), START_MS);
    ck_assert_uint_ge(store_frequency(store, entry, START_MS), before);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        budget_holds_under_every_policy,
        gauges_agree_with_the_allocator,
        noeviction_refuses,
        noeviction_reclaims_what_is_expired,
        flushed_entries_go_first,
        one_large_item_makes_its_room,
        max_entries_holds,
        a_smaller_budget_is_reached_in_slices,
        lru_keeps_hot_keys,
        lru_drops_cold_keys,
        lfu_survives_a_scan,
        random_is_about_even,
        volatile_policies_spare_persistent_entries,
        volatile_ttl_takes_the_nearest_deadline,
        few_volatile_entries_are_found_in_the_end,
        background_work_finds_candidates,
        the_replaced_entry_stays_until_it_is_replaced,
        policy_changes_at_run_time,
        idle_time,
        lru_word_wraps,
        lfu_counter_grows_as_redis,
        lfu_counter_decays_by_minutes,
        lfu_factor_of_any_size,
        replacing_keeps_the_frequency,
    };
    return support_run("eviction", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
