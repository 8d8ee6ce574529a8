/* Deadlines and the sweep (src/store/expiry.h), by the store's interface, in manual time. */
#include "store_support.h"

#include <stdlib.h>

static struct store *store;

static void start(void)
{
    store = support_create(STORE_ALLKEYS_LRU, 0);
}

static void stop(void)
{
    store_destroy(store);
}

/* Calls store_cycle as the server does, every 100 ms for `duration_ms`; returns the time then. */
static int64_t run_cycles(int64_t now_ms, int64_t duration_ms)
{
    int64_t end_ms = now_ms + duration_ms;
    while (now_ms < end_ms) {
        now_ms += 100;
        while (store_cycle(store, now_ms, 1000))
            ;
    }
    return now_ms;
}

/* --- deadlines --- */

START_TEST(found_until_the_deadline)
{
    support_put(store, 0, "k", "v", START_MS + 100, START_MS);
    support_is(store, 0, "k", "v", START_MS + 99);
    ck_assert_uint_eq(store_db_entries(store, 0), 1);
    ck_assert_ptr_null(support_find(store, 0, "k", START_MS + 100));
    ck_assert_uint_eq(store_db_entries(store, 0), 0);
    ck_assert_uint_eq(support_counters(store).expirations, 1);
    ck_assert_uint_eq(support_gauges(store).entry_bytes, 0);
}
END_TEST

START_TEST(a_past_deadline_removes)
{
    static const int64_t past[] = {START_MS, START_MS - 1, 1, -1, INT64_MIN};
    for (unsigned i = 0; i < 5; i++) {
        support_put(store, 0, "k", "v", 0, START_MS);
        support_put(store, 0, "k", "new", past[i], START_MS);
        ck_assert(!support_has(store, 0, "k", START_MS));
        ck_assert_uint_eq(support_gauges(store).entries, 0);
        support_put(store, 0, "other", "v", past[i], START_MS);
        ck_assert(!support_has(store, 0, "other", START_MS));
    }
}
END_TEST

START_TEST(deadlines_beyond_48_bits_are_for_ever)
{
    support_put(store, 0, "k", "v", INT64_MAX, START_MS);
    support_is(store, 0, "k", "v", (int64_t)1 << 47);
    ck_assert_uint_eq(store_db_volatile(store, 0), 1);
}
END_TEST

static bool set_deadline(const char *name, int64_t deadline_ms, int64_t now_ms)
{
    struct bytes key = bytes_of_str(name);
    return store_set_deadline(store, 0, key, store_hash(store, key), deadline_ms, now_ms);
}

START_TEST(set_deadline_moves_it)
{
    ck_assert(!set_deadline("k", START_MS + 10, START_MS));
    support_put(store, 0, "k", "v", 0, START_MS);
    ck_assert(set_deadline("k", START_MS + 10, START_MS));
    ck_assert_uint_eq(store_db_volatile(store, 0), 1);
    ck_assert(set_deadline("k", START_MS + 20, START_MS));
    ck_assert_uint_eq(store_db_volatile(store, 0), 1);
    support_is(store, 0, "k", "v", START_MS + 19);
    ck_assert(set_deadline("k", 0, START_MS + 19));
    ck_assert_uint_eq(store_db_volatile(store, 0), 0);
    support_is(store, 0, "k", "v", START_MS + 1000000);
    /* To a time that has come: the entry is gone at once. */
    ck_assert(set_deadline("k", START_MS + 50, START_MS + 50));
    ck_assert_uint_eq(support_gauges(store).entries, 0);
    /* An expired entry has no deadline to set. */
    support_put(store, 0, "k", "v", START_MS + 60, START_MS + 50);
    ck_assert(!set_deadline("k", 0, START_MS + 60));
    ck_assert(!support_has(store, 0, "k", START_MS + 60));
}
END_TEST

START_TEST(an_expired_entry_is_replaced_by_a_new_one)
{
    support_put(store, 0, "k", "old", START_MS + 10, START_MS);
    support_put(store, 0, "k", "new", 0, START_MS + 10); /* of the same length: in place */
    support_is(store, 0, "k", "new", START_MS + 10);
    support_put(store, 0, "k", "new", START_MS + 20, START_MS + 10);
    support_put(store, 0, "k", "some longer value, as it has to move for this test", 0,
                START_MS + 20);
    ck_assert_uint_eq(support_counters(store).expirations, 2);
    ck_assert_uint_eq(support_gauges(store).entries, 1);
    ck_assert_uint_eq(support_gauges(store).volatile_entries, 0);
}
END_TEST

/* --- the sweep --- */

START_TEST(all_expired_go_within_a_pass)
{
    support_fill(store, 0, 20000, START_MS + 1000, START_MS);
    for (unsigned i = 20000; i < 40000; i++)
        support_put(store, 0, support_key(i), "stays", 0, START_MS);
    int64_t now_ms = run_cycles(START_MS, 900);
    ck_assert_uint_eq(support_gauges(store).entries, 40000);
    now_ms = run_cycles(now_ms, 5000);
    /* Half the entries, all at once: found soon, since the sweep hurries. */
    ck_assert_uint_eq(support_gauges(store).entries, 20000);
    ck_assert_uint_eq(support_gauges(store).volatile_entries, 0);
    ck_assert_uint_eq(support_counters(store).expirations, 20000);
    ck_assert_uint_eq(support_count(store, 20000, 40000, now_ms), 20000);
}
END_TEST

START_TEST(a_few_expired_go_in_a_pass)
{
    support_fill(store, 0, 20000, START_MS + 100000000, START_MS);
    support_fill(store, 20000, 20100, START_MS + 1, START_MS);
    int64_t now_ms = run_cycles(START_MS, 100);
    now_ms = run_cycles(now_ms, 300); /* a table of this size is passed in a second */
    size_t left = support_gauges(store).entries;
    ck_assert_uint_gt(left, 20030); /* a third of the way, with a wide margin */
    ck_assert_uint_lt(left, 20090);
    run_cycles(now_ms, 1500);
    ck_assert_uint_eq(support_gauges(store).entries, 20000);
}
END_TEST

/* The sweep passes over entries without a deadline; those that get one later it must not. */
START_TEST(deadlines_given_later_are_swept)
{
    support_fill(store, 0, 1000, 0, START_MS);
    for (unsigned i = 0; i < 500; i++) {
        if (i % 2)
            ck_assert(set_deadline(support_key(i), START_MS + 100, START_MS));
        else
            support_put(store, 0, support_key(i), "other", START_MS + 100, START_MS);
    }
    for (unsigned i = 0; i < 100; i++)
        set_deadline(support_key(i), 0, START_MS);
    run_cycles(START_MS, 62000);
    ck_assert_uint_eq(support_gauges(store).entries, 600);
    ck_assert_uint_eq(support_gauges(store).volatile_entries, 0);
}
END_TEST

/* However often or seldom it is called. */
START_TEST(pace_depends_on_time_not_on_calls)
{
    support_fill(store, 0, 20000, START_MS + 100000000, START_MS);
    support_fill(store, 20000, 20100, START_MS + 1, START_MS);
    ck_assert(!store_cycle(store, START_MS + 1, 1000000));
    for (unsigned i = 0; i < 1000; i++)
        ck_assert(!store_cycle(store, START_MS + 1, 1000000));
    ck_assert_uint_eq(support_gauges(store).entries, 20100);
    while (store_cycle(store, START_MS + 61000, 1000000))
        ;
    ck_assert_uint_eq(support_gauges(store).entries, 20000);
}
END_TEST

START_TEST(slices_end_by_their_budget)
{
    support_fill(store, 0, 100000, 0, START_MS);
    store_flush(store, 0);
    ck_assert(store_cycle(store, START_MS, 0));
    size_t dead = support_gauges(store).dead_entries;
    ck_assert_uint_lt(dead, 100000);
    ck_assert_uint_gt(dead, 99800);
    unsigned n_slices = 0;
    while (store_cycle(store, START_MS, 100))
        n_slices++;
    ck_assert_uint_gt(n_slices, 10);
    ck_assert_uint_eq(support_gauges(store).dead_entries, 0);
}
END_TEST

START_TEST(nothing_to_do_is_done_at_once)
{
    ck_assert(!store_cycle(store, START_MS, 0));
    support_fill(store, 0, 10000, 0, START_MS);
    for (unsigned i = 0; i < 100; i++)
        ck_assert(!store_cycle(store, START_MS + i * 1000, 0));
    ck_assert_uint_eq(support_gauges(store).entries, 10000);
}
END_TEST

/* --- the scan --- */

struct visits {
    unsigned n;
    unsigned stop_after;
};

static bool count_visit(void *ctx, const struct entry *entry)
{
    struct visits *visits = ctx;
    support_assert(entry->deadline_ms == 0);
    return ++visits->n != visits->stop_after;
}

START_TEST(scan_skips_expired_and_dead)
{
    support_fill(store, 0, 1000, START_MS + 10, START_MS);
    support_fill(store, 1000, 1500, 0, START_MS);
    for (unsigned i = 0; i < 700; i++)
        support_put(store, 1, support_key(i), "v", 0, START_MS);
    store_flush(store, 1);
    struct visits visits = {0, UINT32_MAX};
    uint64_t cursor = 0;
    unsigned n_calls = 0;
    do {
        cursor = store_scan(store, cursor, 10, START_MS + 10, count_visit, &visits);
        n_calls++;
    } while (cursor != 0);
    ck_assert_uint_eq(visits.n, 500);
    size_t buckets = support_gauges(store).buckets;
    ck_assert_uint_eq(n_calls, (buckets + 9) / 10);
}
END_TEST

START_TEST(scan_stops_when_told)
{
    support_fill(store, 0, 1000, 0, START_MS);
    struct visits visits = {0, 100};
    uint64_t cursor = store_scan(store, 0, UINT32_MAX, START_MS, count_visit, &visits);
    ck_assert(cursor != 0);
    ck_assert_uint_lt(visits.n, 130);
    visits.stop_after = UINT32_MAX;
    ck_assert(store_scan(store, cursor, UINT32_MAX, START_MS, count_visit, &visits) == 0);
    ck_assert_uint_eq(visits.n, 1000);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        found_until_the_deadline,
        a_past_deadline_removes,
        deadlines_beyond_48_bits_are_for_ever,
        set_deadline_moves_it,
        an_expired_entry_is_replaced_by_a_new_one,
        all_expired_go_within_a_pass,
        a_few_expired_go_in_a_pass,
        deadlines_given_later_are_swept,
        pace_depends_on_time_not_on_calls,
        slices_end_by_their_budget,
        nothing_to_do_is_done_at_once,
        scan_skips_expired_and_dead,
        scan_stops_when_told,
    };
    return support_run("expiry", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
