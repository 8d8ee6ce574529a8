/* Fetches of cached replies that are sent once more after the link was lost (src/tier/tier_reply_fetch.c):
 * the command is rebuilt from the fetch's name, byte for byte. The rules are those of GET's fetches,
 * which test_tier_retry.c has. */
/* First: its functions have parameters that are named as variables of tier_reply_support.h. */
#include "tier/tier_internal.h"

#include "resp/request.h"
#include "tier_reply_support.h"

static void set_up_retries(void)
{
    struct tier_options options = usual_options();
    options.retry_percent = 100;
    set_up_loop();
    start(options, usual_store());
}

/* The link is lost, and the next one is up with what was sent again. */
static void lose_and_return(void)
{
    uint64_t before = counters().flushes_link;
    turn_times(&loop, 3);
    upstream.said.len = 0;
    upstream_hang_up();
    TURN_UNTIL(&loop, counters().flushes_link > before);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    clock_advance(&loop.clock, 10);
}

START_TEST(sent_again)
{
    send_read("hget h f");
    lose_and_return();
    upstream_expect("PTTL h; hget h f");
    ck_assert_uint_eq(heard.n, 0);
    upstream_say(":-1\r\n$1\r\nv\r\n");
    ck_heard(TIER_REPLY, "$1\r\nv\r\n");
    ck_finds(0, "hget h f", "$1\r\nv\r\n");
    ck_assert_uint_eq(counters().retries, 1);
}
END_TEST

/* Nothing was kept or told of it, so it is a read like any other. */
START_TEST(sent_again_when_only_the_time_was_there)
{
    send_read("hlen h");
    upstream_say(":-2\r\n");
    turn_times(&loop, 3);
    lose_and_return();
    upstream_expect("PTTL h; hlen h");
    push("h"); /* before both replies: they have seen it */
    upstream_say(":5000\r\n:1\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    ck_finds(0, "hlen h", ":1\r\n");
    clock_advance(&loop.clock, 5000);
    ck_finds_nothing(0, "hlen h");
}
END_TEST

/* Byte for byte */

static struct bytes binary_args[] = {
    {"", 0}, {"\0", 1}, {"a\0b", 3}, {"\r\n", 2}, {"$5\r\n*2\r\n", 8}, {"\xff\xfe", 2}, {" ", 1},
};

/* What L2 got of a read with n of these arguments, without "PTTL k" before it. */
static void get_said(struct bytes key, size_t n, struct buf *said)
{
    struct buf pttl;
    struct bytes words[] = {BYTES("PTTL"), key};
    buf_init(&pttl);
    ck_assert(request_encode(words, 2, &pttl));
    size_t len = pttl.len;
    for (size_t i = 0; i < n; i++)
        len += binary_args[i].len + 1;
    TURN_UNTIL(&loop, upstream.said.len >= strlen("PTTL ; hmget ") + 2 * key.len + len - pttl.len);
    turn_times(&loop, 3);
    said->len = 0;
    ck_assert(buf_append(said, upstream.said.data, upstream.said.len));
    buf_deinit(&pttl);
}

static void check_bytes(struct bytes key, size_t n)
{
    struct bytes argv[10] = {BYTES("hmget"), key};
    struct buf raw;
    struct buf first;
    struct buf again;
    buf_init(&raw);
    buf_init(&first);
    buf_init(&again);
    memcpy(argv + 2, binary_args, n * sizeof(argv[0]));
    ck_assert(request_encode(argv, 2 + n, &raw));
    struct tier_read read = {.key = key,
                             .hash = store_hash(tier_store(tier), key),
                             .name = argv[0],
                             .args = argv + 2,
                             .n_args = n,
                             .raw = buf_bytes(&raw)};
    memset(&heard, 0, sizeof(heard));
    upstream.said.len = 0;
    tier_reply_fetch(tier, &read, hear, &heard);
    get_said(key, n, &first);
    lose_and_return();
    get_said(key, n, &again);
    ck_assert_uint_eq(first.len, again.len);
    ck_assert_mem_eq(first.data, again.data, first.len);
    upstream_say(":-1\r\n*1\r\n_\r\n");
    ck_heard(TIER_REPLY, "*1\r\n_\r\n");
    struct tier_reply reply;
    ck_assert(tier_reply_find(tier, &read, &reply));
    buf_deinit(&raw);
    buf_deinit(&first);
    buf_deinit(&again);
}

START_TEST(rebuilt_byte_for_byte)
{
    check_bytes(BYTES("h"), (size_t)_i);
    check_bytes(BYTES(""), (size_t)_i);
    check_bytes(bytes_of("k\0\r\n", 4), (size_t)_i);
}
END_TEST

/* In order, among GETs */

START_TEST(in_order)
{
    struct heard got[3] = {{0}};
    uint64_t hash = store_hash(tier_store(tier), BYTES("s"));
    fetch_for(0, "hlen a", &got[0]);
    tier_fetch(tier, 0, BYTES("s"), hash, hear, &got[1]);
    fetch_for(1, "hlen b", &got[2]);
    lose_and_return();
    upstream_expect("PTTL a; hlen a; GET s; PTTL s; SELECT 1; PTTL b; hlen b");
    upstream_say(":-1\r\n:1\r\n$1\r\nv\r\n:-1\r\n+OK\r\n:-1\r\n:2\r\n");
    TURN_UNTIL(&loop, got[2].n > 0);
    ck_assert_str_eq(got[0].text, ":1\r\n");
    ck_assert_str_eq(got[1].text, "v");
    ck_assert_str_eq(got[2].text, ":2\r\n");
    ck_finds(1, "hlen b", ":2\r\n");
}
END_TEST

START_TEST(joiners_are_served)
{
    struct heard joined[2] = {{0}};
    send_read("hlen h");
    fetch_for(0, "hlen h", &joined[0]);
    lose_and_return();
    fetch_for(0, "hlen h", &joined[1]);
    upstream_expect("PTTL h; hlen h");
    upstream_say(":-1\r\n:1\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    for (unsigned i = 0; i < 2; i++)
        ck_assert_str_eq(joined[i].text, ":1\r\n");
}
END_TEST

/* Not again */

START_TEST(not_after_a_second_loss)
{
    send_read("hlen h");
    lose_and_return();
    lose_and_return();
    TURN_UNTIL(&loop, heard.n > 0);
    ck_assert_int_eq(heard.answer, TIER_ERROR);
    ck_assert_uint_eq(heard.n, 1);
    ck_assert_uint_eq(counters().retries, 1);
}
END_TEST

START_TEST(not_when_a_write_was_behind)
{
    send_read("hlen h");
    write_key(0, TIER_KEYS, "h");
    lose_and_return();
    TURN_UNTIL(&loop, heard.n > 0);
    ck_assert_int_eq(heard.answer, TIER_ERROR);
    upstream_expect("");
}
END_TEST

/* Deadlines count from the first sending, also behind a SELECT. */
START_TEST(deadline)
{
    memset(&heard, 0, sizeof(heard));
    fetch_for(2, "hlen h", &heard);
    turn_times(&loop, 3);
    clock_advance(&loop.clock, 700);
    lose_and_return(); /* 10 ms */
    upstream_expect("SELECT 2; PTTL h; hlen h");
    clock_advance(&loop.clock, 289);
    turn_times(&loop, 3);
    ck_assert_uint_eq(heard.n, 0);
    clock_advance(&loop.clock, 2);
    turn_times(&loop, 3);
    ck_assert_uint_eq(heard.n, 1);
    ck_assert_int_eq(heard.answer, TIER_ERROR);
}
END_TEST

/* A write between the two sendings and the reply dooms it. */
START_TEST(doomed_on_the_next_link)
{
    send_read("hlen h");
    lose_and_return();
    upstream_expect("PTTL h; hlen h");
    write_key(0, TIER_KEYS, "h");
    upstream_say(":-1\r\n:1\r\n+OK\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    ck_finds_nothing(0, "hlen h");
}
END_TEST

/* Whichever allocation fails while it is sent again: one answer. */
START_TEST(no_memory)
{
    struct heard other = {0};
    send_read("hmget h f g");
    loop_unwatch(&loop, &upstream.accept_watch);
    upstream_hang_up();
    buf_deinit(&tier->scratch);
    mem_fail_after((unsigned)_i);
    TURN_UNTIL(&loop, counters().flushes_link > 0);
    mem_fail_after(0);
    fetch_for(0, "hlen k", &other);
    upstream_attach(&loop);
    clock_advance(&loop.clock, 10);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    turn_times(&loop, 5);
    char expected[64];
    snprintf(expected, sizeof(expected), "%s%s", heard.n == 0 ? "PTTL h; hmget h f g; " : "",
             other.n == 0 ? "PTTL k; hlen k" : "");
    upstream_expect(expected);
    if (heard.n == 0)
        upstream_say(":-1\r\n*2\r\n_\r\n_\r\n");
    if (other.n == 0)
        upstream_say(":-1\r\n:7\r\n");
    TURN_UNTIL(&loop, heard.n > 0 && other.n > 0);
    turn_times(&loop, 3);
    ck_assert_uint_eq(heard.n, 1);
    ck_assert_uint_eq(other.n, 1);
    ck_assert(heard.answer == TIER_ERROR || strcmp(heard.text, "*2\r\n_\r\n_\r\n") == 0);
    ck_assert(other.answer == TIER_ERROR || strcmp(other.text, ":7\r\n") == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tier_retry_reply");
    TCase *tcase = tcase_create("tier_retry_reply");
    tcase_add_checked_fixture(tcase, set_up_retries, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, sent_again);
    tcase_add_test(tcase, sent_again_when_only_the_time_was_there);
    tcase_add_test(tcase, in_order);
    tcase_add_test(tcase, joiners_are_served);
    tcase_add_test(tcase, not_after_a_second_loss);
    tcase_add_test(tcase, not_when_a_write_was_behind);
    tcase_add_test(tcase, deadline);
    tcase_add_test(tcase, doomed_on_the_next_link);
    tcase_add_loop_test(tcase, rebuilt_byte_for_byte, 0, 8);
    tcase_add_loop_test(tcase, no_memory, 1, 10);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
