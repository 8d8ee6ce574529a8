/* The request parser (src/resp/request.h): every input whole, split at every byte and byte by byte,
 * always with an unreadable page behind it. What redis-server 7.0.15 answers to the same bytes is
 * where the expectations come from.
 */
#include "resp/request.h"

#include "base/mem.h"
#include "request_owner.h"

#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX 65536

static const struct request_limits limits = {.max_bulk_bytes = 512u << 20};
static const struct request_limits unauthenticated = {512u << 20, true};

static struct guard guard;

static void set_up(void)
{
    guard = guard_map(INPUT_MAX);
}

#define REQUEST(input, expected)                                                                   \
    {                                                                                              \
        {(input), sizeof(input) - 1},                                                              \
        {                                                                                          \
            (expected), sizeof(expected) - 1                                                       \
        }                                                                                          \
    }

static const struct {
    struct bytes input;
    struct bytes expected;
} table[] = {
    REQUEST("*1\r\n$4\r\nPING\r\n", "[PING]"),
    REQUEST("*2\r\n$3\r\nGET\r\n$16\r\nkey:000000012345\r\n", "[GET|key:000000012345]"),
    REQUEST("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n$1\r\n", "[SET||\r\n$1]"),
    REQUEST("*1\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n$1\r\nc\r\n*1\r\n$1\r\nd\r\n", "[a][b|c][d]"),
    REQUEST("*1\r\n$1\r\na\r\nping\r\n*1\r\n$1\r\nb\r\n", "[a](ping)[b]"),
    REQUEST("*11\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n$1\r\n6\r\n$1\r\n7\r\n$"
            "1\r\n8\r\n$1\r\n9\r\n"
            "$2\r\n10\r\n$2\r\n11\r\n",
            "[1|2|3|4|5|6|7|8|9|10|11]"),
    REQUEST("", ""),
    /* empty requests have no reply */
    REQUEST("*0\r\n", "."),
    REQUEST("*-1\r\n", "."),
    REQUEST("*-10\r\nping\r\n", ".(ping)"),
    REQUEST("*-9223372036854775808\r\n*1\r\n$1\r\na\r\n", ".[a]"),
    REQUEST("\r\n\n \t\r\nping\r\n", "...(ping)"),
    /* counts */
    REQUEST("*2147483647\r\n", "~"),
    REQUEST("*2147483648\r\n", "!invalid multibulk length"),
    REQUEST("*18446744073709551616\r\n", "!invalid multibulk length"),
    REQUEST("*-9223372036854775809\r\n", "!invalid multibulk length"),
    REQUEST("*abc\r\n", "!invalid multibulk length"),
    REQUEST("*\r\n", "!invalid multibulk length"),
    REQUEST("*+1\r\n", "!invalid multibulk length"),
    REQUEST("*-0\r\n", "!invalid multibulk length"),
    REQUEST("*-\r\n", "!invalid multibulk length"),
    REQUEST("*01\r\n", "!invalid multibulk length"),
    REQUEST("*00\r\n", "!invalid multibulk length"),
    REQUEST("* 1\r\n", "!invalid multibulk length"),
    REQUEST("*1 \r\n", "!invalid multibulk length"),
    REQUEST("*1\n\r\n", "!invalid multibulk length"),
    REQUEST("*1x23456789\r\n", "!invalid multibulk length"),
    /* what is not a "$" */
    REQUEST("*1\r\n*1\r\n", "!expected '$', got '*'"),
    REQUEST("*1\r\nPING\r\n", "!expected '$', got 'P'"),
    REQUEST("*1\r\n\r\n", "!expected '$', got ' '"),
    REQUEST("*1\r\n\n\r\n", "!expected '$', got ' '"),
    REQUEST("*2\r\n$4\r\nPING\r\n:1\r\n", "!expected '$', got ':'"),
    REQUEST("*1\r\n*1\r", "~"),
    /* lengths */
    REQUEST("*1\r\n$536870912\r\n", "~"),
    REQUEST("*1\r\n$536870913\r\n", "!invalid bulk length"),
    REQUEST("*1\r\n$18446744073709551616\r\n", "!invalid bulk length"),
    REQUEST("*1\r\n$9223372036854775807\r\n", "!invalid bulk length"),
    REQUEST("*1\r\n$-10\r\n", "!invalid bulk length"),
    REQUEST("*1\r\n$-1\r\n", "!invalid bulk length"),
    REQUEST("*1\r\n$-0\r\n", "!invalid bulk length"),
    REQUEST("*1\r\n$blabla\r\n", "!invalid bulk length"),
    REQUEST("*1\r\n$\r\n", "!invalid bulk length"),
    REQUEST("*1\r\n$04\r\n", "!invalid bulk length"),
    REQUEST("*1\r\n$+4\r\n", "!invalid bulk length"),
    REQUEST("*1\r\n$4 \r\n", "!invalid bulk length"),
    /* ends that Redis does not look at: taken, but not sent on as they are */
    REQUEST("*1\r\n$4\r\nPINGxx", "(PING)"),
    REQUEST("*1\r\n$4\r\nPINGxxPING\r\n", "(PING)(PING)"),
    REQUEST("*1\rx$4\r\nPING\r\n", "(PING)"),
    REQUEST("*1\r\n$4\rxPING\r\n", "(PING)"),
    REQUEST("*-1\rxping\n*1\r\n$1\r\na\r\n", ".(ping)[a]"),
    /* Redis looks for a line's end with strchr, which a NUL ends for good */
    REQUEST("*1\0\r\n$4\r\nping\r\n", "~"),
    REQUEST("*1\r\n$4\0\r\nping\r\n", "~"),
    REQUEST("ping\0\r\nping\r\n", "~"),
    REQUEST("*1\r\n$4\r\nPI\0G\r\n", "[PI\0G]"),
    /* inline */
    REQUEST("ping\r\n", "(ping)"),
    REQUEST("ping\n", "(ping)"),
    REQUEST("  set  k \"a b\"\t'c'\r\n", "(set|k|a b|c)"),
    REQUEST("set \"a b\r\n", "!unbalanced quotes in request"),
    REQUEST("ping\r", "~"),
    REQUEST("echo a\rb\r\n", "(echo|a|b)"),
    REQUEST("POST / HTTP/1.1\r\n", "(POST|/|HTTP/1.1)"),
    REQUEST("\xff\xfe\n", "(\xff\xfe)"),
    /* half of something */
    REQUEST("*", "~"),
    REQUEST("*1\r", "~"),
    REQUEST("*2\r\n$3\r\nGET\r\n$3\r\nke", "~"),
    REQUEST("*1\r\n$1\r\na\r\n*1\r\n$3\r\nke", "[a]~"),
};

START_TEST(test_every_input_all_ways)
{
    check_all_ways(&guard, &limits, table[_i].input, table[_i].expected);
}
END_TEST

START_TEST(test_limits_before_auth)
{
    check_all_ways(&guard, &unauthenticated, BYTES("*10\r\n$16384\r\n"), BYTES("~"));
    check_all_ways(&guard, &unauthenticated, BYTES("*11\r\n"),
                   BYTES("!unauthenticated multibulk length"));
    check_all_ways(&guard, &unauthenticated, BYTES("*2147483648\r\n"),
                   BYTES("!invalid multibulk length"));
    check_all_ways(&guard, &unauthenticated, BYTES("*1\r\n$16385\r\n"),
                   BYTES("!unauthenticated bulk length"));
    check_all_ways(&guard, &unauthenticated, BYTES("*1\r\n$536870913\r\n"),
                   BYTES("!invalid bulk length"));
    check_all_ways(&guard, &unauthenticated, BYTES("1 2 3 4 5 6 7 8 9 10 11\r\n"),
                   BYTES("(1|2|3|4|5|6|7|8|9|10|11)"));
}
END_TEST

START_TEST(test_bulk_limit_follows_the_configuration)
{
    struct request_limits small = {.max_bulk_bytes = 3};
    check_all_ways(&guard, &small, BYTES("*1\r\n$3\r\nabc\r\n"), BYTES("[abc]"));
    check_all_ways(&guard, &small, BYTES("*1\r\n$4\r\nabcd\r\n"), BYTES("!invalid bulk length"));
}
END_TEST

/* A pipeline in one buffer, with the arguments of all its requests in one array. */
START_TEST(test_batch_shares_one_array)
{
    enum { N = 500 };
    struct owner owner;
    struct request requests[N];
    struct buf input;
    size_t pos = 0;
    char key[32];
    buf_init(&input);
    owner_init(&owner, &guard, &limits);
    for (int i = 0; i < N; i++) {
        struct bytes argv[] = {BYTES("GET"),
                               bytes_of(key, (size_t)snprintf(key, sizeof(key), "key:%d", i))};
        ck_assert(request_encode(argv, 2, &input));
    }
    for (int i = 0; i < N; i++) {
        size_t consumed;
        ck_assert_int_eq(request_parse(&owner.parser, &limits, input.data + pos, input.len - pos,
                                       &owner.scratch, &requests[i], &consumed),
                         REQUEST_OK);
        ck_assert(!requests[i].alone);
        pos += consumed;
    }
    ck_assert_uint_eq(pos, input.len);
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof(key), "key:%d", i);
        ck_assert_uint_eq(requests[i].argc, 2);
        ck_assert(bytes_equal(request_argv(&requests[i])[0], BYTES("GET")));
        ck_assert(bytes_equal(request_argv(&requests[i])[1], bytes_of_str(key)));
    }
    owner_deinit(&owner);
    buf_deinit(&input);
}
END_TEST

START_TEST(test_resumed_and_inline_requests_are_alone)
{
    struct owner owner;
    struct request request;
    size_t consumed;
    struct bytes input = BYTES("*2\r\n$3\r\nGET\r\n$3\r\nkey\r\nping\r\n");
    owner_init(&owner, &guard, &limits);
    ck_assert_int_eq(
        request_parse(&owner.parser, &limits, input.ptr, 15, &owner.scratch, &request, &consumed),
        REQUEST_MORE);
    ck_assert_uint_eq(owner.scratch.n, 0); /* nothing is left in the batch's array */
    ck_assert(request_parser_is_busy(&owner.parser));
    ck_assert_int_eq(request_parse(&owner.parser, &limits, input.ptr, input.len, &owner.scratch,
                                   &request, &consumed),
                     REQUEST_OK);
    ck_assert(request.alone);
    ck_assert(request.canonical);
    ck_assert_uint_eq(request.argc, 2);
    ck_assert_ptr_eq(request_argv(&request)[1].ptr, input.ptr + 17);
    ck_assert_uint_eq(owner.scratch.n, 0);
    ck_assert_int_eq(request_parse(&owner.parser, &limits, input.ptr + consumed,
                                   input.len - consumed, &owner.scratch, &request, &consumed),
                     REQUEST_OK);
    ck_assert(request.alone);
    ck_assert(bytes_equal(request_argv(&request)[0], BYTES("ping")));
    owner_deinit(&owner);
}
END_TEST

START_TEST(test_rewind_at_every_byte)
{
    static const struct bytes inputs[] = {BYTES("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"),
                                          BYTES("set key value\r\n"), BYTES("*123456789012\r\n")};
    static const struct bytes expected[] = {BYTES("[SET|key|value]"), BYTES("(set|key|value)"),
                                            BYTES("!invalid multibulk length")};
    for (size_t i = 0; i < 3; i++) {
        for (size_t cut = 0; cut < inputs[i].len; cut++) {
            struct owner owner;
            owner_init(&owner, &guard, &limits);
            size_t rest = offer(&owner, inputs[i].ptr, 0, cut);
            request_parser_rewind(&owner.parser);
            ck_assert(!request_parser_is_busy(&owner.parser));
            if (!owner.ended)
                offer(&owner, inputs[i].ptr, rest, inputs[i].len);
            ck_assert(bytes_equal(finish(&owner, 0), expected[i]));
            owner_deinit(&owner);
        }
    }
}
END_TEST

START_TEST(test_encode)
{
    struct buf out;
    struct bytes argv[] = {BYTES("SET"), BYTES(""), BYTES("a\r\n\0b")};
    struct bytes expected = BYTES("x*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\na\r\n\0b\r\n*0\r\n");
    buf_init(&out);
    ck_assert(buf_append(&out, "x", 1));
    ck_assert(request_encode(argv, 3, &out));
    ck_assert(request_encode(NULL, 0, &out));
    ck_assert(bytes_equal(buf_bytes(&out), expected));
    for (unsigned n = 1;; n++) {
        struct buf fresh;
        buf_init(&fresh);
        mem_fail_after(n);
        bool ok = request_encode(argv, 3, &fresh);
        mem_fail_after(0);
        ck_assert(ok || fresh.len == 0);
        buf_deinit(&fresh);
        if (ok)
            break;
    }
    buf_deinit(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("request");
    TCase *tcase = tcase_create("request");
    tcase_add_unchecked_fixture(tcase, set_up, NULL);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_every_input_all_ways, 0, sizeof(table) / sizeof(table[0]));
    tcase_add_test(tcase, test_limits_before_auth);
    tcase_add_test(tcase, test_bulk_limit_follows_the_configuration);
    tcase_add_test(tcase, test_batch_shares_one_array);
    tcase_add_test(tcase, test_resumed_and_inline_requests_are_alone);
    tcase_add_test(tcase, test_rewind_at_every_byte);
    tcase_add_test(tcase, test_encode);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
