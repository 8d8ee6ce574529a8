/* The access word (src/store/access.h): idle time, Redis's LFU counter, and what the store does
 * with them. */
#include "store/access.h"
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
        idle_time,
        lru_word_wraps,
        lfu_counter_grows_as_redis,
        lfu_counter_decays_by_minutes,
        lfu_factor_of_any_size,
        replacing_keeps_the_frequency,
    };
    return support_run("access", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
