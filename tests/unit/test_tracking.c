/* The table of tracked keys (src/core/tracking_table.h): who is told of a key, once. */
#include "core/tracking_table.h"

#include "base/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct tracking_table table;
static struct tracker *trackers[3];

static void set_up(void)
{
    tracking_table_init(&table);
    for (int i = 0; i < 3; i++)
        trackers[i] = tracker_create(NULL);
}

static void tear_down(void)
{
    tracking_table_deinit(&table);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(trackers[i]->n_refs, 1);
        tracker_unref(trackers[i]);
    }
}

static void add(const char *key, int tracker)
{
    ck_assert(tracking_table_add(&table, bytes_of_str(key), trackers[tracker]));
}

static bool has(const struct tracked_key *key, int tracker)
{
    for (size_t i = 0; i < key->n; i++)
        if (key->trackers[i] == trackers[tracker])
            return true;
    return false;
}

START_TEST(each_reader_once)
{
    add("k", 2);
    add("k", 0);
    add("k", 2);
    add("l", 1);
    ck_assert_uint_eq(table.n_keys, 2);
    ck_assert_uint_eq(table.n_items, 3);
    struct tracked_key *key = tracking_table_take(&table, BYTES("k"));
    ck_assert_ptr_nonnull(key);
    ck_assert_uint_eq(key->n, 2);
    ck_assert(has(key, 0) && !has(key, 1) && has(key, 2));
    tracked_key_free(key);
    ck_assert_uint_eq(table.n_items, 1);
}
END_TEST

START_TEST(taken_once)
{
    add("k", 0);
    tracked_key_free(tracking_table_take(&table, BYTES("k")));
    ck_assert_ptr_null(tracking_table_take(&table, BYTES("k")));
    ck_assert_ptr_null(tracking_table_take(&table, BYTES("")));
    ck_assert_ptr_null(tracking_table_take_any(&table));
    ck_assert_uint_eq(table.n_keys, 0);
}
END_TEST

START_TEST(any_bytes)
{
    struct bytes with_zero = BYTES("a\0b");
    ck_assert(tracking_table_add(&table, with_zero, trackers[0]));
    ck_assert(tracking_table_add(&table, BYTES(""), trackers[0]));
    ck_assert_ptr_null(tracking_table_take(&table, BYTES("a")));
    struct tracked_key *key = tracking_table_take(&table, with_zero);
    ck_assert(bytes_equal(bytes_of(key->key, key->len), with_zero));
    tracked_key_free(key);
    tracked_key_free(tracking_table_take(&table, BYTES("")));
    ck_assert_uint_eq(table.n_keys, 0);
}
END_TEST

/* Through many splits of buckets, none is lost. */
START_TEST(grows)
{
    char name[32];
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "key:%d", i);
        add(name, i % 3);
    }
    ck_assert_uint_eq(table.n_keys, 5000);
    ck_assert_uint_ge(table.n_buckets, 5000);
    for (int i = 0; i < 5000; i += 2) {
        snprintf(name, sizeof(name), "key:%d", i);
        struct tracked_key *key = tracking_table_take(&table, bytes_of_str(name));
        ck_assert_ptr_nonnull(key);
        ck_assert(key->n == 1 && has(key, i % 3));
        tracked_key_free(key);
    }
    for (size_t left = 2500; left > 0; left--) {
        ck_assert_uint_eq(table.n_keys, left);
        tracked_key_free(tracking_table_take_any(&table));
    }
    ck_assert_uint_eq(table.n_items, 0);
}
END_TEST

/* What has been tracked, and no longer is, leaves no buckets behind. */
START_TEST(shrinks)
{
    char name[32];
    for (int i = 0; i < 100000; i++) {
        snprintf(name, sizeof(name), "key:%d", i);
        add(name, 0);
        tracked_key_free(tracking_table_take(&table, bytes_of_str(name)));
    }
    ck_assert_uint_le(table.cap, 32);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "key:%d", i);
        add(name, i % 3);
    }
    ck_assert_uint_le(table.n_buckets, 3000);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "key:%d", (i + 1500) % 3000);
        struct tracked_key *key = tracking_table_take(&table, bytes_of_str(name));
        ck_assert_ptr_nonnull(key);
        ck_assert(has(key, (i + 1500) % 3000 % 3));
        tracked_key_free(key);
        ck_assert_uint_gt(table.n_buckets, table.cap / 2);
        ck_assert_uint_le(table.n_buckets, table.cap);
        ck_assert(table.n_buckets <= 16 || table.n_keys >= table.n_buckets / 4 - 1);
    }
    ck_assert_uint_le(table.cap, 32);
    add("k", 1);
    tracked_key_free(tracking_table_take_any(&table));
    ck_assert_uint_eq(table.n_keys, 0);
}
END_TEST

START_TEST(clears)
{
    add("k", 0);
    add("k", 1);
    add("l", 1);
    tracking_table_clear(&table);
    ck_assert_uint_eq(table.n_keys, 0);
    ck_assert_uint_eq(table.n_items, 0);
    ck_assert_uint_eq(trackers[1]->n_refs, 1);
    char name[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "key:%d", i);
        add(name, 2);
    }
    tracking_table_clear(&table);
    ck_assert_uint_le(table.cap, 16);
    add("k", 2);
    tracked_key_free(tracking_table_take(&table, BYTES("k")));
}
END_TEST

/* Without memory the key may stay without readers, but nothing leaks and nothing is lost. */
START_TEST(no_memory)
{
    for (unsigned n = 1; n <= 2; n++) {
        add("other", 0);
        mem_fail_after(n);
        ck_assert(!tracking_table_add(&table, BYTES("k"), trackers[0]));
        mem_fail_after(0);
        add("k", 0);
        struct tracked_key *key = tracking_table_take(&table, BYTES("k"));
        ck_assert_uint_eq(key->n, 1);
        tracked_key_free(key);
    }
    ck_assert_uint_eq(table.n_items, 1);
}
END_TEST

START_TEST(tracker_outlives_its_client)
{
    struct tracker *tracker = tracker_create(NULL);
    ck_assert(tracking_table_add(&table, BYTES("k"), tracker));
    tracker_unref(tracker);
    struct tracked_key *key = tracking_table_take(&table, BYTES("k"));
    ck_assert_ptr_null(key->trackers[0]->client);
    tracked_key_free(key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tracking");
    TCase *tcase = tcase_create("table");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, each_reader_once);
    tcase_add_test(tcase, taken_once);
    tcase_add_test(tcase, any_bytes);
    tcase_add_test(tcase, grows);
    tcase_add_test(tcase, shrinks);
    tcase_add_test(tcase, clears);
    tcase_add_test(tcase, no_memory);
    tcase_add_test(tcase, tracker_outlives_its_client);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
