/* What is refused before a handler sees it (src/core/dispatch.c), with which words and in which
 * order: as redis-server 7.0.15, whose replies were recorded. */
#include "dispatch_support.h"

static void set_up_with_password(void)
{
    dispatch_set_up_with("requirepass pw");
}

static void set_up_alone(void)
{
    learned = NULL;
    larder_start(false, "");
    peer = peer_open();
}

/* Unknown commands */

#define ARGS_MAX 64

/* Lengths of a name and of its arguments, and how much of them redis-server shows. */
static const struct {
    int name;
    int n_args;
    int args[4]; /* the last one counts for all from there on */
    int shown_name;
    int n_shown;
    int shown[4];
} cuts[] = {
    {7, 0, {0}, 7, 0, {0}},
    {127, 0, {0}, 127, 0, {0}},
    {128, 0, {0}, 128, 0, {0}},
    {129, 0, {0}, 128, 0, {0}},
    {200, 0, {0}, 128, 0, {0}},
    {70000, 0, {0}, 128, 0, {0}},
    {0, 0, {0}, 0, 0, {0}},
    {0, 3, {0, 0, 1}, 0, 3, {0, 0, 1}},
    {7, 1, {127}, 7, 1, {127}},
    {7, 1, {128}, 7, 1, {128}},
    {7, 1, {129}, 7, 1, {128}},
    {7, 2, {200, 5}, 7, 1, {128}},
    {7, 3, {0}, 7, 3, {0}},
    {7, 3, {60}, 7, 3, {60, 60, 2}},
    {7, 2, {120}, 7, 2, {120, 5}},
    {7, 2, {124, 10}, 7, 2, {124, 1}},
    {7, 3, {123, 10}, 7, 2, {123, 2}},
    {7, 2, {125, 10}, 7, 1, {125}},
    {7, 2, {127, 1}, 7, 1, {127}},
    {7, 2, {1, 200}, 7, 2, {1, 124}},
    {7, 60, {2}, 7, 26, {2}},
    {7, 60, {1}, 7, 32, {1}},
    {7, 60, {0}, 7, 43, {0}},
    {200, 1, {200}, 128, 1, {128}},
};

static int nth(const int *lengths, int i)
{
    int k = 0;
    while (k < i && k < 3 && lengths[k + 1] != 0)
        k++;
    return k < i && lengths[k] == 0 ? 0 : lengths[k];
}

static void append_run(struct buf *buf, char c, int n)
{
    ck_assert(buf_reserve(buf, (size_t)n));
    memset(buf->data + buf->len, c, (size_t)n);
    buf->len += (size_t)n;
}

START_TEST(test_cuts)
{
    struct buf request;
    struct buf expected;
    buf_init(&request);
    buf_init(&expected);
    ck_assert(buf_printf(&request, "*%d\r\n$%d\r\n", 1 + cuts[_i].n_args, cuts[_i].name));
    append_run(&request, 'n', cuts[_i].name);
    for (int i = 0; i < cuts[_i].n_args; i++) {
        ck_assert(buf_printf(&request, "\r\n$%d\r\n", nth(cuts[_i].args, i)));
        append_run(&request, 'a', nth(cuts[_i].args, i));
    }
    ck_assert(buf_append(&request, "\r\n", 2));
    ck_assert(buf_printf(&expected, "-ERR unknown command '"));
    append_run(&expected, 'n', cuts[_i].shown_name);
    ck_assert(buf_printf(&expected, "', with args beginning with: "));
    for (int i = 0; i < cuts[_i].n_shown; i++) {
        ck_assert(buf_append(&expected, "'", 1));
        append_run(&expected, 'a', nth(cuts[_i].shown, i));
        ck_assert(buf_append(&expected, "' ", 2));
    }
    ck_assert(buf_append(&expected, "\r\n", 3)); /* with the NUL */
    peer_write(&peer, request.data, request.len);
    peer_expect(&peer, expected.data);
    buf_deinit(&request);
    buf_deinit(&expected);
}
END_TEST

/* Nothing breaks out of the line. */
static const struct {
    const char *request;
    size_t len;
    const char *reply;
} odd_bytes[] = {
#define ODD(request, reply)                                                                        \
    {                                                                                              \
        request, sizeof(request) - 1, reply                                                        \
    }
    ODD("*1\r\n$7\r\nfo\r\n+OK\r\n",
        "-ERR unknown command 'fo  +OK', with args beginning with: \r\n"),
    ODD("*3\r\n$3\r\nfoo\r\n$4\r\na\r\nb\r\n$1\r\nc\r\n",
        "-ERR unknown command 'foo', with args beginning with: 'a  b' 'c' \r\n"),
    ODD("*2\r\n$3\r\nfoo\r\n$3\r\na\0b\r\n",
        "-ERR unknown command 'foo', with args beginning with: 'a' \r\n"),
    ODD("*2\r\n$4\r\nf\0oo\r\n$1\r\nx\r\n",
        "-ERR unknown command 'f', with args beginning with: 'x' \r\n"),
    ODD("*2\r\n$3\r\nfoo\r\n$2\r\n\xff\x01\r\n",
        "-ERR unknown command 'foo', with args beginning with: '\xff\x01' \r\n"),
    ODD("*2\r\n$3\r\nfoo\r\n$5\r\n%s%n'\r\n",
        "-ERR unknown command 'foo', with args beginning with: '%s%n'' \r\n"),
};

START_TEST(test_odd_bytes)
{
    peer_write(&peer, odd_bytes[_i].request, odd_bytes[_i].len);
    peer_expect(&peer, odd_bytes[_i].reply);
}
END_TEST

/* Arity and subcommands */

static const struct {
    const char *line;
    const char *reply;
} arity[] = {
    {"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
    {"get a b", "-ERR wrong number of arguments for 'get' command\r\n"},
    {"SET a", "-ERR wrong number of arguments for 'set' command\r\n"},
    {"MGET", "-ERR wrong number of arguments for 'mget' command\r\n"},
    {"object", "-ERR wrong number of arguments for 'object' command\r\n"},
    {"object encoding", "-ERR wrong number of arguments for 'object|encoding' command\r\n"},
    {"config get", "-ERR wrong number of arguments for 'config|get' command\r\n"},
    {"CLIENT", "-ERR wrong number of arguments for 'client' command\r\n"},
    {"client foo", "-ERR unknown subcommand 'foo'. Try CLIENT HELP.\r\n"},
    {"PING a b c", "-ERR wrong number of arguments for 'ping' command\r\n"},
    {"acl whoami x", "-ERR wrong number of arguments for 'acl|whoami' command\r\n"},
};

START_TEST(test_arity)
{
    peer_ask(&peer, arity[_i].line, arity[_i].reply);
    upstream_expect("");
    ck_assert_uint_eq(larder->stats.error_replies, 1);
}
END_TEST

/* Before AUTH */

#define NOAUTH "-NOAUTH Authentication required.\r\n"

static const struct {
    const char *line;
    const char *reply;
} before_auth[] = {
    {"PING", NOAUTH},
    {"GET a", NOAUTH},
    {"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
    {"NONE a", "-ERR unknown command 'NONE', with args beginning with: 'a' \r\n"},
    {"AUTH", "-ERR wrong number of arguments for 'auth' command\r\n"},
    {"AUTH x", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
    {"HELLO 4", "-NOPROTO unsupported protocol version\r\n"},
    {"RESET", "+RESET\r\n"},
    {"RESET x", "-ERR wrong number of arguments for 'reset' command\r\n"},
    {"LPUSH", "-ERR wrong number of arguments for 'lpush' command\r\n"},
    {"LPUSH a b", NOAUTH},
    {"OBJECT", "-ERR wrong number of arguments for 'object' command\r\n"},
    {"MULTI", NOAUTH},
    {"CLIENT", "-ERR wrong number of arguments for 'client' command\r\n"},
    {"CLIENT ID", NOAUTH},
    {"COMMAND", NOAUTH},
    {"SUBSCRIBE a", NOAUTH},
    {"XREAD", "-ERR wrong number of arguments for 'xread' command\r\n"},
    {"config get", "-ERR wrong number of arguments for 'config|get' command\r\n"},
    {"ACL WHOAMI", NOAUTH},
    {"SHUTDOWN", NOAUTH},
    {"EVAL x 0", NOAUTH},
    {"CACHE STATS", NOAUTH},
    {"AUTH pw\r\nPING", "+OK\r\n+PONG\r\n"},
};

START_TEST(test_before_auth)
{
    peer_ask(&peer, before_auth[_i].line, before_auth[_i].reply);
    upstream_expect("");
}
END_TEST

/* The limits before AUTH end with it, in the middle of what was sent. */
START_TEST(test_limits_end_with_auth)
{
    peer_ask(&peer, "AUTH pw\r\nECHO 1\r\nDEL 1 2 3 4 5 6 7 8 9 10 11", "+OK\r\n$1\r\n1\r\n");
    upstream_expect("DEL 1 2 3 4 5 6 7 8 9 10 11");
    upstream_say(":0\r\n");
    peer_say(&peer, "*12\r\n$3\r\nDEL");
    for (int i = 0; i < 11; i++)
        peer_say(&peer, "\r\n$1\r\nx");
    peer_say(&peer, "\r\n");
    upstream_expect("DEL x x x x x x x x x x x");
}
END_TEST

/* HTTP */

static const char *const http[] = {
    "POST / HTTP/1.1\r\nHost: a\r\n\r\nSET a 1\r\n",
    "Host: a\r\nSET a 1\r\n",
    "post\r\nSET a 1\r\n",
    "*1\r\n$4\r\npOST\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n",
    "*2\r\n$5\r\nHOST:\r\n$1\r\na\r\n",
    "MULTI\r\nPOST / HTTP/1.1\r\n",
};

static void check_http(int i)
{
    peer_say(&peer, http[i]);
    peer_expect_end(&peer, ""); /* replies that had not left are lost with it, as in redis-server */
    upstream_expect("");
    ck_assert_int_eq(link_get_state(larder->link), LINK_READY);
    ck_assert_uint_eq(larder->n_clients, 0);
}

START_TEST(test_http)
{
    check_http(_i);
}
END_TEST

/* Redis 6 lists both words as commands. */
START_TEST(test_http_when_l2_lists_it)
{
    dispatch_restart("*2\r\n*6\r\n$4\r\npost\r\n:-1\r\n~0\r\n:0\r\n:0\r\n:0\r\n"
                     "*6\r\n$5\r\nhost:\r\n:-1\r\n~0\r\n:0\r\n:0\r\n:0\r\n");
    check_http(_i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dispatch");
    TCase *alone = dispatch_case(suite, "alone", set_up_alone);
    TCase *locked = dispatch_case(suite, "locked", set_up_with_password);
    TCase *tcase = dispatch_case(suite, "upstream", dispatch_set_up);
    tcase_add_loop_test(alone, test_cuts, 0, N(cuts));
    tcase_add_loop_test(alone, test_odd_bytes, 0, N(odd_bytes));
    tcase_add_loop_test(tcase, test_arity, 0, N(arity));
    tcase_add_loop_test(locked, test_before_auth, 0, N(before_auth));
    tcase_add_test(locked, test_limits_end_with_auth);
    tcase_add_loop_test(tcase, test_http, 0, N(http));
    tcase_add_loop_test(locked, test_http, 0, N(http) - 1);
    tcase_add_loop_test(tcase, test_http_when_l2_lists_it, 0, N(http));
    return dispatch_run(suite);
}
