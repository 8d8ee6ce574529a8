/* Sizes, times and decimal numbers as text (src/base/units.h), whole and against a guard page. */
#include "base/units.h"

#include "guard.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

struct row {
    const char *text;
    int result;
    int64_t value;
};

static const struct row sizes[] = {
    {"0", 0, 0},
    {"1", 0, 1},
    {"007", 0, 7},
    {"5b", 0, 5},
    {"1k", 0, 1000},
    {"1K", 0, 1000},
    {"1kb", 0, 1024},
    {"3Mb", 0, 3 << 20},
    {"2m", 0, 2000000},
    {"1g", 0, 1000000000},
    {"1gb", 0, 1 << 30},
    {"9223372036854775807", 0, INT64_MAX},
    {"9223372036854775808", -ERANGE, 0},
    {"99999999999999999999999", -ERANGE, 0},
    {"9007199254740992kb", -ERANGE, 0},
    {"", -EINVAL, 0},
    {"kb", -EINVAL, 0},
    {"-1", -EINVAL, 0},
    {"+1", -EINVAL, 0},
    {" 1", -EINVAL, 0},
    {"1 ", -EINVAL, 0},
    {"1tb", -EINVAL, 0},
    {"1.5kb", -EINVAL, 0},
    {"1s", -EINVAL, 0},
};

static const struct row times[] = {
    {"0", 0, 0},
    {"5", 0, 5000},
    {"500ms", 0, 500},
    {"30s", 0, 30000},
    {"5m", 0, 300000},
    {"2H", 0, 7200000},
    {"1d", 0, 86400000},
    {"0d", 0, 0},
    {"9223372036854775807ms", 0, INT64_MAX},
    {"9223372036854775807", -ERANGE, 0},
    {"106751991168d", -ERANGE, 0},
    {"", -EINVAL, 0},
    {"ms", -EINVAL, 0},
    {"-1", -EINVAL, 0},
    {"1w", -EINVAL, 0},
    {"1 s", -EINVAL, 0},
    {"1.5s", -EINVAL, 0},
    {"5min", -EINVAL, 0},
    {"1mb", -EINVAL, 0},
};

static void check_row(const struct row *row, int (*parse)(struct bytes, int64_t *))
{
    int64_t value = -7;
    size_t len = strlen(row->text);
    struct guard guard = guard_map(len);
    ck_assert_msg(parse(bytes_of(guard_put(&guard, row->text, len), len), &value) == row->result,
                  "%s", row->text);
    ck_assert_msg(value == (row->result == 0 ? row->value : -7), "%s", row->text);
    guard_unmap(&guard);
}

START_TEST(sizes_and_times)
{
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        check_row(&sizes[i], units_parse_size);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        check_row(&times[i], units_parse_time);
}
END_TEST

struct decimal {
    const char *text;
    int result;
    double value;
    const char *printed;
};

static const struct decimal decimals[] = {
    {"0", 0, 0, "0"},
    {"1", 0, 1, "1"},
    {"1.0", 0, 1, "1"},
    {"1.5", 0, 1.5, "1.5"},
    {"0.1", 0, 0.1, "0.1"},
    {"0.00000000000001", 0, 1e-14, "0.00000000000001"},
    {"00.50", 0, 0.5, "0.5"},
    {"100", 0, 100, "100"},
    {"999.999999999999", 0, 999.999999999999, "999.999999999999"},
    {"999999999999999", 0, 999999999999999, "999999999999999"},
    {"1000000000000000", -ERANGE, 0, NULL},
    {"0.000000000000001", -ERANGE, 0, NULL},
    {"", -EINVAL, 0, NULL},
    {".", -EINVAL, 0, NULL},
    {".5", -EINVAL, 0, NULL},
    {"5.", -EINVAL, 0, NULL},
    {"1.2.3", -EINVAL, 0, NULL},
    {"-1", -EINVAL, 0, NULL},
    {"+1", -EINVAL, 0, NULL},
    {"1e1", -EINVAL, 0, NULL},
    {"0x1", -EINVAL, 0, NULL},
    {"inf", -EINVAL, 0, NULL},
    {"nan", -EINVAL, 0, NULL},
    {"1,5", -EINVAL, 0, NULL},
    {" 1", -EINVAL, 0, NULL},
};

START_TEST(decimals_in_and_out)
{
    for (size_t i = 0; i < sizeof(decimals) / sizeof(decimals[0]); i++) {
        const struct decimal *row = &decimals[i];
        double value = -7;
        char text[UNITS_TEXT_MAX];
        size_t len = strlen(row->text);
        struct guard guard = guard_map(len);
        ck_assert_msg(units_parse_decimal(bytes_of(guard_put(&guard, row->text, len), len),
                                          &value) == row->result,
                      "%s", row->text);
        guard_unmap(&guard);
        ck_assert_msg(value == (row->result == 0 ? row->value : -7), "%s", row->text);
        if (row->printed == NULL)
            continue;
        ck_assert_uint_eq(units_format_decimal(value, text), strlen(row->printed));
        ck_assert_str_eq(text, row->printed);
    }
}
END_TEST

START_TEST(printed_with_the_largest_unit)
{
    char text[UNITS_TEXT_MAX];
    static const struct row size_rows[] = {
        {"0", 0, 0},
        {"1000", 0, 1000},
        {"1kb", 0, 1024},
        {"1025", 0, 1025},
        {"64mb", 0, 64 << 20},
        {"2048gb", 0, (int64_t)2048 << 30},
        {"9223372036854775807", 0, INT64_MAX},
    };
    static const struct row time_rows[] = {
        {"0", 0, 0},
        {"1ms", 0, 1},
        {"1500ms", 0, 1500},
        {"1s", 0, 1000},
        {"90s", 0, 90000},
        {"1m", 0, 60000},
        {"90m", 0, 5400000},
        {"36h", 0, 129600000},
        {"3650d", 0, 315360000000},
        {"9223372036854775807ms", 0, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(size_rows) / sizeof(size_rows[0]); i++) {
        ck_assert_uint_eq(units_format_size(size_rows[i].value, text), strlen(size_rows[i].text));
        ck_assert_str_eq(text, size_rows[i].text);
    }
    for (size_t i = 0; i < sizeof(time_rows) / sizeof(time_rows[0]); i++) {
        ck_assert_uint_eq(units_format_time(time_rows[i].value, text), strlen(time_rows[i].text));
        ck_assert_str_eq(text, time_rows[i].text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("units");
    TCase *tcase = tcase_create("units");
    tcase_add_test(tcase, sizes_and_times);
    tcase_add_test(tcase, decimals_in_and_out);
    tcase_add_test(tcase, printed_with_the_largest_unit);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
