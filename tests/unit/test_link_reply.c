/* Replies of the upstream as the link hands them on (src/upstream/link_reply.c): the bytes of
 * RESP3, and the bounds. */
#include "link_fake.h"

#include "resp/walk.h"
#include "upstream/link_internal.h"

/* What L2 says, and what comes out when it is not the same. */
static const struct {
    struct bytes said;
    struct bytes handed_on; /* empty: the same */
} replies[] = {
    {BYTES("+OK\r\n"), {NULL, 0}},
    {BYTES("+\r\n"), {NULL, 0}},
    {BYTES("-ERR no\r\n"), {NULL, 0}},
    {BYTES(":0\r\n"), {NULL, 0}},
    {BYTES(":-9223372036854775808\r\n"), {NULL, 0}},
    {BYTES(":9223372036854775807\r\n"), {NULL, 0}},
    {BYTES("$0\r\n\r\n"), {NULL, 0}},
    {BYTES("$6\r\na\r\n\0bc\r\n"), {NULL, 0}},
    {BYTES("_\r\n"), {NULL, 0}},
    {BYTES("$-1\r\n"), BYTES("_\r\n")},
    {BYTES("*-1\r\n"), BYTES("_\r\n")},
    {BYTES("#t\r\n"), {NULL, 0}},
    {BYTES("#f\r\n"), {NULL, 0}},
    {BYTES(",3.25\r\n"), {NULL, 0}},
    {BYTES(",inf\r\n"), {NULL, 0}},
    {BYTES(",-inf\r\n"), {NULL, 0}},
    {BYTES(",1.0000000000000001e+300\r\n"), {NULL, 0}},
    {BYTES("(1234567890123456789012345678901234567890\r\n"), {NULL, 0}},
    {BYTES("=7\r\ntxt:abc\r\n"), {NULL, 0}},
    {BYTES("=4\r\nmkd:\r\n"), {NULL, 0}},
    {BYTES("*0\r\n"), {NULL, 0}},
    {BYTES("%0\r\n"), {NULL, 0}},
    {BYTES("~0\r\n"), {NULL, 0}},
    {BYTES("*2\r\n*1\r\n:1\r\n$-1\r\n"), BYTES("*2\r\n*1\r\n:1\r\n_\r\n")},
    {BYTES("%2\r\n+a\r\n~2\r\n:1\r\n:2\r\n+b\r\n%1\r\n+c\r\n#t\r\n"), {NULL, 0}},
    {BYTES("*2\r\n-ERR inside\r\n=5\r\ntxt:x\r\n"), {NULL, 0}},
};

START_TEST(test_bytes_of_every_type)
{
    struct op *op = new_ops(1);
    struct bytes expected =
        replies[_i].handed_on.len > 0 ? replies[_i].handed_on : replies[_i].said;
    link_start_and_wait();
    for (size_t cut = 0; cut <= replies[_i].said.len; cut++) { /* whole, and split at every byte */
        memset(op, 0, sizeof(*op));
        send_op(0, "G", op);
        TURN_UNTIL(&loop, strlen(fake.said) == 2 * cut + 1);
        fake_say_bytes(replies[_i].said.ptr, cut);
        turn_times(&loop, 2);
        fake_say_bytes(replies[_i].said.ptr + cut, replies[_i].said.len - cut);
        TURN_UNTIL(&loop, op->n_calls > 0);
        ck_assert_int_eq(op->outcomes[0], LINK_REPLY);
        ck_assert_uint_eq(op->reply_len, expected.len);
        ck_assert_mem_eq(op->reply, expected.ptr, expected.len - 2);
    }
}
END_TEST

/* `depth` arrays in each other. */
static void say_nested(unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        fake_say("*1\r\n");
    fake_say(":1\r\n");
}

START_TEST(test_depth_is_limited)
{
    struct op *ops = new_ops(3);
    link_start_and_wait();
    send_op(0, "GET a", &ops[0]);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a") == 0);
    say_nested(LINK_DEPTH_MAX);
    ck_assert_op(&ops[0], LINK_REPLY, "*1\r\n*1");
    send_op(0, "GET b", &ops[1]);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a GET.b") == 0);
    say_nested(LINK_DEPTH_MAX + 1);
    ck_assert_op(&ops[1], LINK_REPLY, "-ERR the reply is nested deeper than larder takes");
    send_op(0, "GET c", &ops[2]);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a GET.b GET.c") == 0);
    say_nested(2 * LINK_DEPTH_MAX + 1);
    ck_assert_op(&ops[2], LINK_FAILED, "nested too deep");
}
END_TEST

static struct op *ask_with_limit(size_t max_reply_bytes)
{
    struct op *op = new_ops(1);
    struct link_options options = link_options_for("");
    options.max_reply_bytes = max_reply_bytes;
    if (link_ != NULL)
        link_destroy(link_);
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
    send_op(0, "GET a", op);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a") == 0);
    return op;
}

START_TEST(test_size_is_limited)
{
    enum { LIMIT = 100000 };
    static char value[LIMIT + 1];
    char header[32];
    memset(value, 'v', sizeof(value));
    struct op *op = ask_with_limit(LIMIT);
    snprintf(header, sizeof(header), "$%d\r\n", LIMIT);
    fake_say(header);
    fake_say_bytes(value, LIMIT);
    fake_say("\r\n");
    ck_assert_op(op, LINK_REPLY, "$100000");
    op = ask_with_limit(LIMIT);
    snprintf(header, sizeof(header), "$%d\r\n", LIMIT + 1);
    fake_say(header);
    fake_say_bytes(value, LIMIT + 1);
    fake_say("\r\n");
    ck_assert_op(op, LINK_FAILED, "a reply above the limit");
}
END_TEST

/* Many small elements are as large as one large one. */
START_TEST(test_size_of_an_aggregate_is_limited)
{
    static const char *const elements[] = {"+abc\r\n", ":1\r\n",      "_\r\n",
                                           "#t\r\n",   "$1\r\na\r\n", "*0\r\n"};
    for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
        struct op *op = ask_with_limit(1000);
        fake_say("*1000\r\n");
        for (int j = 0; j < 999; j++)
            fake_say(elements[i]);
        ck_assert_op(op, LINK_FAILED, "a reply above the limit");
    }
}
END_TEST

/* A declared length that is never reached costs no more than what arrives. */
START_TEST(test_endless_reply)
{
    static char piece[65536];
    struct op *op = ask_with_limit(100000);
    memset(piece, 'x', sizeof(piece));
    fake_say("$536870912\r\n");
    for (int i = 0; i < 100 && op->n_calls == 0; i++) {
        fake_say_bytes(piece, sizeof(piece));
        turn_times(&loop, 2);
    }
    ck_assert_op(op, LINK_FAILED, "a reply above the limit of 100000 bytes");
    ck_assert_uint_lt(figures().bytes_in, 1000000);
}
END_TEST

/* hiredis's reader skips the two bytes behind a string without a look. */
START_TEST(test_string_without_its_end)
{
    static const char *const said[] = {"$3\r\nabcXX", "=7\r\ntxt:abc\r+", "*1\r\n$1\r\na+\n"};
    struct op *op = ask_with_limit(1000);
    fake_say(said[_i]);
    ck_assert_op(op, LINK_FAILED, "a string without its end");
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, test_bytes_of_every_type, 0, sizeof(replies) / sizeof(replies[0]));
    tcase_add_test(tcase, test_depth_is_limited);
    tcase_add_test(tcase, test_size_is_limited);
    tcase_add_test(tcase, test_size_of_an_aggregate_is_limited);
    tcase_add_test(tcase, test_endless_reply);
    tcase_add_loop_test(tcase, test_string_without_its_end, 0, 3);
}

int main(void)
{
    return run_suite("link_reply", add_tests);
}
