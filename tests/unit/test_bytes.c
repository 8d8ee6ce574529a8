/* Slices and number parsing (src/base/bytes.h). The numbers' rules are those of Redis 7.0's
 * string2ll and string2ld. Inputs lie at the end of their allocation. */
#include "base/bytes.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A copy that ends with its allocation; freed by the next call. */
static struct bytes tight(struct bytes text)
{
    static char *copy;
    free(copy);
    copy = malloc(text.len + 1);
    ck_assert(copy != NULL);
    memcpy(copy + 1, text.ptr, text.len);
    return bytes_of(copy + 1, text.len);
}

START_TEST(comparing)
{
    ck_assert(bytes_equal(BYTES("a\0b"), BYTES("a\0b")));
    ck_assert(!bytes_equal(BYTES("a\0b"), BYTES("a\0c")));
    ck_assert(!bytes_equal(BYTES("a"), BYTES("ab")));
    ck_assert(bytes_equal(bytes_of(NULL, 0), BYTES("")));
    ck_assert(bytes_equal_nocase(BYTES("GeT[\xc4"), BYTES("gEt[\xc4")));
    ck_assert(!bytes_equal_nocase(BYTES("["), BYTES("{")));
    ck_assert(!bytes_equal_nocase(BYTES("\xc4"), BYTES("\xe4")));
    ck_assert(!bytes_equal_nocase(BYTES("get"), BYTES("gets")));
    ck_assert(bytes_is(BYTES("NX"), "nx"));
    ck_assert(!bytes_is(BYTES("NX\0"), "nx"));
    ck_assert(!bytes_is(BYTES("n"), "nx"));
    ck_assert(bytes_starts_with(BYTES("prefix:1"), BYTES("prefix:")));
    ck_assert(bytes_starts_with(BYTES(""), bytes_of(NULL, 0)));
    ck_assert(!bytes_starts_with(BYTES("pre"), BYTES("prefix:")));
    ck_assert(!bytes_starts_with(BYTES("Prefix"), BYTES("prefix")));
}
END_TEST

START_TEST(lowering_is_ascii_only)
{
    for (int c = -128; c < 128; c++) {
        char lower = bytes_lower((char)c);
        ck_assert_int_eq(lower, c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
}
END_TEST

START_TEST(integers_are_read)
{
    static const struct {
        const char *text;
        int64_t value;
    } rows[] = {{"0", 0},
                {"1", 1},
                {"-1", -1},
                {"10", 10},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"-9223372036854775807", INT64_MIN + 1},
                {"1000000000000000000", 1000000000000000000}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = 42;
        ck_assert_msg(bytes_parse_i64(tight(bytes_of_str(rows[i].text)), &value), "%s",
                      rows[i].text);
        ck_assert_int_eq(value, rows[i].value);
        char text[BYTES_I64_MAX];
        size_t len = bytes_format_i64(value, text);
        ck_assert(bytes_equal(bytes_of(text, len), bytes_of_str(rows[i].text)));
    }
}
END_TEST

START_TEST(other_integers_are_refused)
{
    static const struct bytes rows[] = {
        BYTES(""),
        BYTES("-"),
        BYTES("+1"),
        BYTES("01"),
        BYTES("-0"),
        BYTES("00"),
        BYTES("-01"),
        BYTES(" 1"),
        BYTES("1 "),
        BYTES("1\0"),
        BYTES("1a"),
        BYTES("a"),
        BYTES("0x10"),
        BYTES("1.0"),
        BYTES("1e3"),
        BYTES("--1"),
        BYTES("1-"),
        BYTES("\xff"),
        BYTES("\n1"),
        BYTES("9223372036854775808"),
        BYTES("-9223372036854775809"),
        BYTES("18446744073709551616"),
        BYTES("99999999999999999999"),
        BYTES("100000000000000000000000000000000000000"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = 42;
        ck_assert_msg(!bytes_parse_i64(tight(rows[i]), &value), "row %zu: %s", i, rows[i].ptr);
        ck_assert_int_eq(value, 42);
    }
}
END_TEST

START_TEST(ranges)
{
    int64_t value = 42;
    ck_assert(!bytes_parse_range(BYTES("0"), 1, 3, &value));
    ck_assert(!bytes_parse_range(BYTES("4"), 1, 3, &value));
    ck_assert(!bytes_parse_range(BYTES("x"), 1, 3, &value));
    ck_assert_int_eq(value, 42);
    ck_assert(bytes_parse_range(BYTES("1"), 1, 3, &value) && value == 1);
    ck_assert(bytes_parse_range(BYTES("3"), 1, 3, &value) && value == 3);
    ck_assert(bytes_parse_range(BYTES("-9223372036854775808"), INT64_MIN, INT64_MAX, &value));
}
END_TEST

START_TEST(formatting_agrees_with_printf)
{
    int64_t value = 1;
    for (unsigned i = 0; i < 4000; i++) {
        char expected[32];
        char text[BYTES_I64_MAX];
        int len = snprintf(expected, sizeof(expected), "%lld", (long long)value);
        ck_assert_uint_eq(bytes_format_i64(value, text), (size_t)len);
        ck_assert(memcmp(text, expected, (size_t)len) == 0);
        value = (int64_t)((uint64_t)value * 0xd6e8feb86659fd93u + i) >> i % 64;
    }
}
END_TEST

START_TEST(long_doubles_are_read)
{
    static const struct {
        const char *text;
        long double value;
    } rows[] = {{"0", 0},        {"-0", 0},       {"3.5", 3.5L},      {"+1", 1},
                {"1e3", 1000},   {".5", 0.5L},    {"5.", 5},          {"0x10", 16},
                {"1E-2", 0.01L}, {"10.1", 10.1L}, {"1e4000", 1e4000L}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        long double value = 42;
        ck_assert_msg(bytes_parse_ld(tight(bytes_of_str(rows[i].text)), &value), "%s",
                      rows[i].text);
        ck_assert(value == rows[i].value);
    }
    long double value = 0;
    ck_assert(bytes_parse_ld(BYTES("inf"), &value) && isinf(value));
    ck_assert(bytes_parse_ld(BYTES("-Infinity"), &value) && isinf(value) && value < 0);
}
END_TEST

START_TEST(other_long_doubles_are_refused)
{
    static const struct bytes rows[] = {
        BYTES(""),    BYTES(" 1"), BYTES("1 "),     BYTES("\t1"),     BYTES("nan"),
        BYTES("NaN"), BYTES("1x"), BYTES("x"),      BYTES("1\0"),     BYTES("--1"),
        BYTES("1e"),  BYTES("."),  BYTES("1e5000"), BYTES("-1e5000"), BYTES("1e-5000"),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        long double value = 42;
        ck_assert_msg(!bytes_parse_ld(tight(rows[i]), &value), "row %zu: %s", i, rows[i].ptr);
        ck_assert(value == 42);
    }
    static char digits[5120];
    memset(digits, '1', sizeof(digits));
    long double value = 42;
    ck_assert(!bytes_parse_ld(bytes_of(digits, sizeof(digits)), &value));
    ck_assert(bytes_parse_ld(bytes_of(digits, 1000), &value));
}
END_TEST

START_TEST(passwords)
{
    ck_assert(bytes_equal_constant_time(BYTES("secret"), BYTES("secret")));
    ck_assert(!bytes_equal_constant_time(BYTES("secreT"), BYTES("secret")));
    ck_assert(!bytes_equal_constant_time(BYTES("Secret"), BYTES("secret")));
    ck_assert(!bytes_equal_constant_time(BYTES("secret"), BYTES("")));
    ck_assert(!bytes_equal_constant_time(BYTES(""), BYTES("secret")));
    ck_assert(bytes_equal_constant_time(BYTES(""), BYTES("")));
    /* A secret repeated, or a zero for each byte of none, is not the secret. */
    ck_assert(!bytes_equal_constant_time(BYTES("abab"), BYTES("ab")));
    ck_assert(!bytes_equal_constant_time(BYTES("\0\0"), BYTES("")));
    ck_assert(!bytes_equal_constant_time(BYTES("ab"), BYTES("abab")));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bytes");
    TCase *tcase = tcase_create("bytes");
    tcase_add_test(tcase, comparing);
    tcase_add_test(tcase, lowering_is_ascii_only);
    tcase_add_test(tcase, integers_are_read);
    tcase_add_test(tcase, other_integers_are_refused);
    tcase_add_test(tcase, ranges);
    tcase_add_test(tcase, formatting_agrees_with_printf);
    tcase_add_test(tcase, long_doubles_are_read);
    tcase_add_test(tcase, other_long_doubles_are_refused);
    tcase_add_test(tcase, passwords);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
