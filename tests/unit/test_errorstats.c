/* Errors by code (src/core/errorstats.h). */
#include "core/errorstats.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct errorstats stats;

static void set_up(void)
{
    errorstats_reset(&stats);
}

static uint64_t count_of(const char *code)
{
    for (size_t i = 0; i < stats.n; i++)
        if (strcmp(stats.items[i].code, code) == 0)
            return stats.items[i].count;
    return 0;
}

/* As redis-server 7.0: the code ends at a blank within the first 32 bytes, else it is ERR. */
static const struct {
    const char *line;
    const char *code;
} lines[] = {
    {"-ERR unknown command\r\n", "ERR"},
    {"-WRONGTYPE Operation against a key\r\n", "WRONGTYPE"},
    {"-NOAUTH Authentication required.", "NOAUTH"},
    {"-NOBLANK\r\n", "ERR"},
    {"-ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKL no", "ERR"},
    {"- leading", "ERR"},
    {"-", "ERR"},
    {"", "ERR"},
    {"+OK\r\n", "ERR"},
    {"-A:B=C,D text", "A_B_C_D"},
    {"-\x01\xff text", "__"},
};

START_TEST(test_code)
{
    errorstats_count(&stats, bytes_of_str(lines[_i].line));
    ck_assert_uint_eq(stats.n, 1);
    ck_assert_str_eq(stats.items[0].code, lines[_i].code);
    ck_assert_uint_eq(stats.items[0].count, 1);
    ck_assert_uint_eq(stats.total, 1);
}
END_TEST

START_TEST(test_counts_by_code)
{
    errorstats_count(&stats, BYTES("-ERR a\r\n"));
    errorstats_count(&stats, BYTES("-OOM b\r\n"));
    errorstats_count(&stats, BYTES("-ERR c\r\n"));
    ck_assert_uint_eq(count_of("ERR"), 2);
    ck_assert_uint_eq(count_of("OOM"), 1);
    ck_assert_uint_eq(stats.total, 3);
    errorstats_reset(&stats);
    ck_assert_uint_eq(stats.n + stats.total, 0);
}
END_TEST

START_TEST(test_made_up_codes_are_bounded)
{
    char line[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof(line), "-CODE%d text\r\n", i);
        errorstats_count(&stats, bytes_of_str(line));
    }
    ck_assert_uint_eq(stats.n, ERRORSTATS_MAX + 1);
    ck_assert_uint_eq(stats.total, 1000);
    ck_assert_uint_eq(count_of(ERRORSTATS_OVERFLOW), 1000 - ERRORSTATS_MAX);
    errorstats_count(&stats, BYTES("-CODE5 text\r\n"));
    ck_assert_uint_eq(count_of("CODE5"), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("errorstats");
    TCase *tcase = tcase_create("errorstats");
    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_loop_test(tcase, test_code, 0, sizeof(lines) / sizeof(lines[0]));
    tcase_add_test(tcase, test_counts_by_code);
    tcase_add_test(tcase, test_made_up_codes_are_bounded);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
