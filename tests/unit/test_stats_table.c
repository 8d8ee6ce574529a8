/* The table of figures (src/core/stats_table.h): the rows themselves, and reading them. */
#include "core/stats_table.h"

#include <check.h>
#include <stdlib.h>

static const struct stats_row *row_of(enum stats_section section, const char *name)
{
    size_t n;
    const struct stats_row *rows = stats_table(&n);
    for (size_t i = 0; i < n; i++)
        if (rows[i].section == section && strcmp(rows[i].name, name) == 0)
            return &rows[i];
    ck_abort_msg("no row %s in %s", name, stats_section_name(section));
}

START_TEST(test_rows_are_whole)
{
    size_t n;
    const struct stats_row *rows = stats_table(&n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_ptr_nonnull(rows[i].name);
        ck_assert_ptr_nonnull(rows[i].unit);
        ck_assert_ptr_nonnull(rows[i].help);
        ck_assert_msg(rows[i].help[strlen(rows[i].help) - 1] == '.', "%s", rows[i].name);
        ck_assert_uint_lt(rows[i].offset, sizeof(struct stats_snapshot));
        ck_assert_int_lt(rows[i].section, STATS_SECTIONS);
        ck_assert((rows[i].kind == STATS_TEXT) ==
                  (rows[i].type == STATS_POINTER || rows[i].type == STATS_CHARS));
        ck_assert(strspn(rows[i].name, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
                  strlen(rows[i].name));
    }
}
END_TEST

START_TEST(test_sections_are_together_and_names_are_unique)
{
    size_t n;
    const struct stats_row *rows = stats_table(&n);
    for (size_t i = 0; i < n; i++) {
        ck_assert(i == 0 || rows[i].section >= rows[i - 1].section);
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(rows[i].section != rows[j].section ||
                              strcmp(rows[i].name, rows[j].name) != 0,
                          "%s twice", rows[i].name);
    }
}
END_TEST

/* What CACHE STATS promises for each tier. */
START_TEST(test_promised_rows)
{
    static const char *const l1[] = {"hits",        "misses", "hit_rate", "evictions",
                                     "expirations", "size",   "max_size", "bytes"};
    for (size_t i = 0; i < sizeof(l1) / sizeof(l1[0]); i++)
        row_of(STATS_L1, l1[i]);
    static const char *const l2[] = {"hits", "misses", "hit_rate", "state", "rtt_us", "errors"};
    for (size_t i = 0; i < sizeof(l2) / sizeof(l2[0]); i++)
        row_of(STATS_L2, l2[i]);
}
END_TEST

START_TEST(test_reads_every_type)
{
    struct stats_snapshot snapshot;
    memset(&snapshot, 0, sizeof(snapshot));
    snapshot.tier.hits = 7;
    snapshot.gauges.entries = 8;
    snapshot.link.rtt_us = -9;
    snapshot.link_up = true;
    snapshot.l1_hit_rate = 0.25;
    snapshot.link_state = "ready";
    strcpy(snapshot.link_name, "host:1");
    ck_assert_int_eq(stats_value(row_of(STATS_L1, "hits"), &snapshot).integer, 7);
    ck_assert_int_eq(stats_value(row_of(STATS_L1, "size"), &snapshot).integer, 8);
    ck_assert_int_eq(stats_value(row_of(STATS_L2, "rtt_us"), &snapshot).integer, -9);
    ck_assert_int_eq(stats_value(row_of(STATS_L2, "up"), &snapshot).integer, 1);
    struct stats_value rate = stats_value(row_of(STATS_L1, "hit_rate"), &snapshot);
    ck_assert_int_eq(rate.is, STATS_IS_DOUBLE);
    ck_assert_double_eq(rate.number, 0.25);
    ck_assert_str_eq(stats_value(row_of(STATS_L2, "state"), &snapshot).text, "ready");
    /* A text in the snapshot moves with it. */
    struct stats_snapshot copy = snapshot;
    struct stats_value name = stats_value(row_of(STATS_L2, "name"), &copy);
    ck_assert_int_eq(name.is, STATS_IS_TEXT);
    ck_assert_ptr_eq(name.text, copy.link_name);
}
END_TEST

START_TEST(test_too_large_is_cut)
{
    struct stats_snapshot snapshot;
    memset(&snapshot, 0, sizeof(snapshot));
    snapshot.tier.hits = UINT64_MAX;
    ck_assert(stats_value(row_of(STATS_L1, "hits"), &snapshot).integer == INT64_MAX);
}
END_TEST

START_TEST(test_rate)
{
    struct larder_rate rate = {.samples = {[0] = 160, [3] = 320}};
    ck_assert_double_eq(stats_rate_mean(&rate), 480.0 / LARDER_RATE_SAMPLES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stats_table");
    TCase *tcase = tcase_create("stats_table");
    tcase_add_test(tcase, test_rows_are_whole);
    tcase_add_test(tcase, test_sections_are_together_and_names_are_unique);
    tcase_add_test(tcase, test_promised_rows);
    tcase_add_test(tcase, test_reads_every_type);
    tcase_add_test(tcase, test_too_large_is_cut);
    tcase_add_test(tcase, test_rate);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
