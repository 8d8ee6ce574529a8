/* Splitting of inline commands (src/resp/inline.h). The rows are what redis-server 7.0.15 makes of
 * the same lines. */
#include "resp/inline.h"

#include "base/mem.h"
#include "guard.h"
#include "resp/request.h"

#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX 65536

static struct guard guard;

static void set_up(void)
{
    guard = guard_map(INPUT_MAX);
}

#define ROW(line, ...)                                                                             \
    {                                                                                              \
        {(line), sizeof(line) - 1}, INLINE_OK,                                                     \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
#define BAD_ROW(line)                                                                              \
    {                                                                                              \
        {(line), sizeof(line) - 1}, INLINE_UNBALANCED,                                             \
        {                                                                                          \
            {                                                                                      \
                NULL, 0                                                                            \
            }                                                                                      \
        }                                                                                          \
    }

static const struct {
    struct bytes line;
    enum inline_status status;
    struct bytes args[8]; /* up to the first NULL */
} rows[] = {
    ROW("", {NULL, 0}),
    ROW(" \t\r\n\v\f", {NULL, 0}),
    ROW("ping", BYTES("ping")),
    ROW("  a  b\tc\r\nd ", BYTES("a"), BYTES("b"), BYTES("c"), BYTES("d")),
    /* blanks between words; but these two do not end a bare word */
    ROW("\va\vb\f c", BYTES("a\vb\f"), BYTES("c")),
    ROW("\"a\"\v'b'\fc", BYTES("a"), BYTES("b"), BYTES("c")),
    ROW("\"\" ''", BYTES(""), BYTES("")),
    ROW("\"a b\" 'c d'", BYTES("a b"), BYTES("c d")),
    ROW("a\"b c\" d'e'", BYTES("ab c"), BYTES("de")),
    ROW("\"\\x41\\x4g\\n\\q\\\"\\\\\"", BYTES("Ax4g\nq\"\\")),
    ROW("\"\\r\\t\\b\\a\\xFF\\xff\\x00\"", BYTES("\r\t\b\a\xff\xff\0")),
    ROW("\"\\x4\" \"\\x\" \"\\xg1\"", BYTES("x4"), BYTES("x"), BYTES("xg1")),
    ROW("'a\\'b\\n\\\\c'", BYTES("a'b\\n\\\\c")),
    ROW("'\\\\ '", BYTES("\\\\ ")),
    ROW("\\x41 a\\ b", BYTES("\\x41"), BYTES("a\\"), BYTES("b")),
    ROW("\"'\" '\"'", BYTES("'"), BYTES("\"")),
    ROW("\xe2\x82\xac\xa0\x85", BYTES("\xe2\x82\xac\xa0\x85")),
    ROW("a\0b c", BYTES("a")),
    BAD_ROW("\""),
    BAD_ROW("'"),
    BAD_ROW("set \"a b"),
    BAD_ROW("set 'a b"),
    BAD_ROW("\"a\"b"),
    BAD_ROW("'a'b"),
    BAD_ROW("a\"b\"c"),
    BAD_ROW("'it'\"s\""),
    BAD_ROW("\"abc\\"),
    BAD_ROW("\"abc\\\""),
    BAD_ROW("'abc\\'"),
    BAD_ROW("\"a\0\""),
};

START_TEST(test_rows)
{
    struct request_args args = {0};
    struct buf text;
    buf_init(&text);
    for (int again = 0; again < 2; again++) { /* with what the first call left behind, too */
        const char *line = guard_put(&guard, rows[_i].line.ptr, rows[_i].line.len);
        ck_assert_int_eq(inline_split(bytes_of(line, rows[_i].line.len), &text, &args),
                         rows[_i].status);
        if (rows[_i].status != INLINE_OK)
            continue;
        size_t n = 0;
        for (; rows[_i].args[n].ptr != NULL; n++)
            ck_assert_msg(n < args.n && bytes_equal(args.items[n], rows[_i].args[n]), "%s: %zu",
                          rows[_i].line.ptr, n);
        ck_assert_uint_eq(args.n, n);
    }
    request_args_deinit(&args);
    buf_deinit(&text);
}
END_TEST

START_TEST(test_as_many_words_as_a_line_holds)
{
    struct request_args args = {0};
    struct buf text;
    static char line[REQUEST_LINE_MAX];
    buf_init(&text);
    for (size_t i = 0; i < sizeof(line); i++)
        line[i] = i % 2 == 0 ? 'a' : ' ';
    ck_assert_int_eq(inline_split(bytes_of(line, sizeof(line)), &text, &args), INLINE_OK);
    ck_assert_uint_eq(args.n, sizeof(line) / 2);
    ck_assert(bytes_equal(args.items[args.n - 1], BYTES("a")));
    request_args_deinit(&args);
    buf_deinit(&text);
}
END_TEST

START_TEST(test_no_memory)
{
    struct bytes line = BYTES("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17");
    unsigned n_refused = 0;
    for (unsigned n = 1; n <= 4; n++) {
        struct request_args args = {0};
        struct buf text;
        buf_init(&text);
        mem_fail_after(n);
        enum inline_status status = inline_split(line, &text, &args);
        mem_fail_after(0);
        n_refused += status == INLINE_NO_MEMORY;
        ck_assert(status == INLINE_NO_MEMORY || (status == INLINE_OK && args.n == 17));
        request_args_deinit(&args);
        buf_deinit(&text);
    }
    ck_assert_uint_eq(n_refused, 2); /* both steps of the array; the text is asked for once more */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inline");
    TCase *tcase = tcase_create("inline");
    tcase_add_unchecked_fixture(tcase, set_up, NULL);
    tcase_add_loop_test(tcase, test_rows, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, test_as_many_words_as_a_line_holds);
    tcase_add_test(tcase, test_no_memory);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
