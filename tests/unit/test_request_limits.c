/* The request parser at its limits (src/resp/request.h): longest lines, most arguments, and no
 * memory. */
#include "resp/request.h"

#include "base/mem.h"
#include "request_owner.h"

#include <stdlib.h>

#define INPUT_MAX (9u << 20)

static const struct request_limits limits = {.max_bulk_bytes = 512u << 20};

static struct guard guard;

static void set_up(void)
{
    guard = guard_map(INPUT_MAX);
}

/* `prefix`, bytes of `fill` up to `len` in all, and `suffix`. */
static struct bytes long_line(char *out, const char *prefix, char fill, size_t len,
                              const char *suffix)
{
    size_t prefix_len = strlen(prefix);
    memcpy(out, prefix, prefix_len);
    memset(out + prefix_len, fill, len - prefix_len);
    memcpy(out + len, suffix, strlen(suffix));
    return bytes_of(out, len + strlen(suffix));
}

/* The end of a line (`end`, found at its first byte) may come after REQUEST_LINE_MAX bytes, however
 * they arrive. */
static void check_long_line(const char *prefix, size_t before, char fill, const char *end,
                            struct bytes fits, struct bytes too_big)
{
    static char line[REQUEST_LINE_MAX + 100];
    size_t longest = before + REQUEST_LINE_MAX;
    static const size_t steps[] = {1, 100, 16384, 65536, 1000000};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        size_t step = steps[i];
        size_t first = step == 1 ? longest - 3 : step < longest ? step : longest;
        struct bytes input = long_line(line, prefix, fill, longest, end);
        check_steps(&guard, &limits, input, first, step, fits);
        check_steps(&guard, &limits, bytes_of(line, longest), first, step, BYTES("~"));
        input = long_line(line, prefix, fill, longest + 1, end);
        check_steps(&guard, &limits, input, first, step, too_big);
        check_steps(&guard, &limits, bytes_of(line, longest + 1), first, step, too_big);
    }
}

START_TEST(test_longest_lines)
{
    check_long_line("*", 0, '1', "\r\n", BYTES("!invalid multibulk length"),
                    BYTES("!too big mbulk count string"));
    check_long_line("*1\r\n$", 4, '1', "\r\n", BYTES("!invalid bulk length"),
                    BYTES("!too big bulk count string"));
    check_long_line("", 0, ' ', "\n", BYTES("."), BYTES("!too big inline request"));
}
END_TEST

START_TEST(test_line_with_a_nul_is_too_big_in_the_end)
{
    static char line[REQUEST_LINE_MAX + 100];
    struct bytes input = long_line(line, "*1", '1', REQUEST_LINE_MAX - 10, "\r\n");
    line[1] = '\0';
    check_steps(&guard, &limits, input, 1000, 1000, BYTES("~"));
    input = long_line(line, "*1", '1', REQUEST_LINE_MAX, "\r\n");
    line[1] = '\0';
    check_steps(&guard, &limits, input, 1000, 1000, BYTES("!too big mbulk count string"));
}
END_TEST

/* A request of `n` arguments of one byte. */
static void put_many(struct buf *input, size_t n)
{
    ck_assert(buf_printf(input, "*%zu\r\n", n));
    for (size_t i = 0; i < n; i++)
        if (!buf_append(input, "$1\r\na\r\n", 7))
            ck_abort();
}

START_TEST(test_most_arguments)
{
    static const size_t steps[] = {100000, INPUT_MAX};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct owner owner;
        struct buf input;
        size_t rest = 0;
        buf_init(&input);
        owner_init(&owner, &guard, &limits);
        put_many(&input, REQUEST_ARGS_MAX);
        for (size_t end = 0; end < input.len;) {
            end = end + steps[i] < input.len ? end + steps[i] : input.len;
            rest = offer(&owner, input.data, rest, end);
        }
        ck_assert_uint_eq(rest, input.len);
        ck_assert_uint_eq(owner.written.len, 2 * REQUEST_ARGS_MAX + 1);
        input.len = 0;
        put_many(&input, REQUEST_ARGS_MAX + 1);
        check_steps(&guard, &limits, buf_bytes(&input), steps[i] < input.len ? steps[i] : input.len,
                    steps[i], BYTES("!invalid multibulk length"));
        owner_deinit(&owner);
        buf_deinit(&input);
    }
}
END_TEST

START_TEST(test_declared_sizes_cost_nothing)
{
    static const struct bytes inputs[] = {BYTES("*2147483647\r\n"),
                                          BYTES("*2147483647\r\n$536870912\r\n")};
    for (size_t i = 0; i < 2; i++) {
        struct owner owner;
        owner_init(&owner, &guard, &limits);
        offer(&owner, inputs[i].ptr, 0, inputs[i].len);
        ck_assert_uint_le(owner.parser.held.cap, 64);
        ck_assert_uint_eq(owner.scratch.cap, 0);
        ck_assert_uint_eq(owner.parser.line.cap, 0);
        owner_deinit(&owner);
    }
}
END_TEST

START_TEST(test_memory_of_a_huge_request_is_given_back)
{
    struct owner owner;
    struct buf input;
    buf_init(&input);
    owner_init(&owner, &guard, &limits);
    put_many(&input, 100000);
    size_t rest = offer(&owner, input.data, 0, input.len / 2);
    ck_assert_uint_eq(offer(&owner, input.data, rest, input.len), input.len);
    offer(&owner, "*1\r\n$4\r\nPING\r\n", 0, 14);
    ck_assert_uint_lt(owner.parser.held.cap, 5000);
    owner_deinit(&owner);
    buf_deinit(&input);
}
END_TEST

/* Lets each allocation fail in turn: the parser says so, leaks nothing and can be freed. */
START_TEST(test_no_memory)
{
    struct buf input;
    buf_init(&input);
    put_many(&input, 300);
    ck_assert(buf_append(&input, "ping a b c d e f g h i j k l m n o p q r s\r\n", 44));
    for (size_t cut = 0; cut <= input.len; cut += input.len / 3) {
        for (unsigned n = 1, n_failed = 1; n_failed > 0; n++) {
            struct owner owner;
            size_t pos = 0;
            n_failed = 0;
            owner_init(&owner, &guard, &limits);
            mem_fail_after(n);
            for (size_t end = cut;; end = input.len) {
                struct request request;
                size_t consumed = 0;
                enum request_status status =
                    request_parse(&owner.parser, &limits, input.data + pos, end - pos,
                                  &owner.scratch, &request, &consumed);
                ck_assert_int_ne(status, REQUEST_BAD);
                if (status == REQUEST_NO_MEMORY)
                    n_failed++;
                pos += consumed;
                if (status == REQUEST_NO_MEMORY || (end == input.len && status == REQUEST_MORE))
                    break;
            }
            mem_fail_after(0);
            ck_assert(n_failed == 1 || pos == input.len);
            owner_deinit(&owner);
        }
    }
    buf_deinit(&input);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("request_limits");
    TCase *tcase = tcase_create("request_limits");
    tcase_add_unchecked_fixture(tcase, set_up, NULL);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_longest_lines);
    tcase_add_test(tcase, test_line_with_a_nul_is_too_big_in_the_end);
    tcase_add_test(tcase, test_most_arguments);
    tcase_add_test(tcase, test_declared_sizes_cost_nothing);
    tcase_add_test(tcase, test_memory_of_a_huge_request_is_given_back);
    tcase_add_test(tcase, test_no_memory);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
