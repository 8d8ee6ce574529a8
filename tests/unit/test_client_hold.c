/* Clients that are held back (src/core/client_hold.c): for each reason to wait there is a way on,
 * in order, and nobody turns the loop meanwhile. */
#include "larder_support.h"

static struct peer peer;

static void set_up(void)
{
    larder_start(true, "upstream-timeout 3600000");
    peer = peer_open();
}

static void tear_down(void)
{
    peer_close(&peer);
    larder_end();
}

/* Nothing is to be done before something happens. */
static void assert_rests(void)
{
    turns(3);
    ck_assert(!larder->loop.again);
}

static void expect_fetches(unsigned from, unsigned to)
{
    char text[1024] = "";
    size_t len = 0;
    for (unsigned i = from; i <= to; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%sGET k%u; PTTL k%u",
                                len > 0 ? "; " : "", i, i);
    upstream_expect(text);
}

/* Answers fetches with the number of the key. */
static void answer_fetches(unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char text[64];
        snprintf(text, sizeof(text), "$1\r\n%u\r\n:-1\r\n", i);
        upstream_say(text);
    }
}

static void put(const char *name, const char *text)
{
    struct bytes key = bytes_of_str(name);
    struct store_item item = {.value = bytes_of_str(text), .kind = ENTRY_STRING};
    ck_assert_int_eq(store_put(larder->store, 0, key, store_hash(larder->store, key), &item,
                               larder_now_ms(larder)),
                     STORE_OK);
}

/* client-max-inflight */

START_TEST(test_inflight)
{
    larder->config.client_max_inflight = 3;
    peer_say(&peer, "GET k1\r\nGET k2\r\nGET k3\r\nGET k4\r\nGET k5\r\nPING\r\n");
    expect_fetches(1, 3);
    ck_assert(peer.client->held_back);
    assert_rests();
    answer_fetches(1, 1);
    expect_fetches(4, 4);
    peer_expect(&peer, "$1\r\n1\r\n");
    answer_fetches(2, 4);
    expect_fetches(5, 5);
    answer_fetches(5, 5);
    peer_expect(&peer, "$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n+PONG\r\n");
    ck_assert(!peer.client->held_back);
    peer_ask(&peer, "PING", "+PONG\r\n");
    assert_rests();
}
END_TEST

START_TEST(test_inflight_and_half_closed)
{
    larder->config.client_max_inflight = 1;
    peer_say(&peer, "GET k1\r\nGET k2\r\nGET k3\r\nPING\r\n");
    shutdown(peer.fd, SHUT_WR);
    for (unsigned i = 1; i <= 3; i++) {
        expect_fetches(i, i);
        answer_fetches(i, i);
    }
    peer_expect_end(&peer, "$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n+PONG\r\n");
}
END_TEST

/* Held back in the middle of a batch, behind which stands half a command. */
START_TEST(test_inflight_and_half_a_command)
{
    larder->config.client_max_inflight = 1;
    peer_say(&peer, "GET k1\r\nGET k2\r\n*2\r\n$4\r\nECHO\r\n$5\r\nhe");
    expect_fetches(1, 1);
    peer_say(&peer, "llo\r\n");
    answer_fetches(1, 1);
    expect_fetches(2, 2);
    answer_fetches(2, 2);
    peer_expect(&peer, "$1\r\n1\r\n$1\r\n2\r\n$5\r\nhello\r\n");
}
END_TEST

/* Unread output */

START_TEST(test_output)
{
    static char big[400000];
    memset(big, 'x', sizeof(big) - 1);
    put("big", big);
    for (int i = 0; i < 10; i++)
        peer_say(&peer, "GET big\r\n");
    peer_say(&peer, "PING\r\n");
    TURN_UNTIL(&larder->loop, peer.client->held_back);
    turns(5);
    ck_assert(peer.client->held_back);
    ck_assert_uint_lt(peer.client->conn.out.len, 2 << 20);
    assert_rests();
    size_t len = 10 * (strlen("$399999\r\n\r\n") + 399999) + strlen("+PONG\r\n");
    TURN_UNTIL(&larder->loop, peer_read_len(&peer) >= len);
    ck_assert_uint_eq(peer.got.len, len);
    ck_assert_mem_eq(peer.got.data + len - 7, "+PONG\r\n", 7);
    ck_assert(!peer.client->held_back);
}
END_TEST

/* Much output that waits behind one reply: it goes on when that is there. */
START_TEST(test_output_behind_a_slot)
{
    static char big[400000];
    memset(big, 'x', sizeof(big) - 1);
    put("big", big);
    peer_say(&peer, "GET k1\r\nGET big\r\nGET big\r\nGET big\r\nGET big\r\nPING\r\n");
    expect_fetches(1, 1);
    ck_assert(peer.client->held_back);
    assert_rests();
    answer_fetches(1, 1);
    size_t len = strlen("$1\r\n1\r\n+PONG\r\n") + 4 * (strlen("$399999\r\n\r\n") + 399999);
    TURN_UNTIL(&larder->loop, peer_read_len(&peer) >= len);
    ck_assert_mem_eq(peer.got.data + len - 7, "+PONG\r\n", 7);
}
END_TEST

/* The link */

static void fill_link(size_t max)
{
    struct link_options options = {.tracking = LINK_TRACKING_KEYS,
                                   .timeout_ms = 3600000,
                                   .ping_interval_ms = 3600000,
                                   .connect_timeout_ms = 1000,
                                   .backoff_min_ms = 10,
                                   .backoff_max_ms = 10,
                                   .max_inflight = max,
                                   .max_reply_bytes = 1 << 20};
    link_configure(larder->link, &options);
}

/* What L2 is not asked for goes on while there is no room. */
START_TEST(test_full_link_holds_only_what_needs_it)
{
    struct peer other = peer_open();
    fill_link(2);
    put("h1", "one");
    put("h2", "two");
    peer_say(&peer, "GET k1\r\nGET k2\r\nPING\r\n");
    expect_fetches(1, 1);
    ck_assert(peer.client->waits_for_link);
    peer_ask(&other, "PING\r\nGET h1\r\nEXISTS h1 h2\r\nSTRLEN h2\r\nSET\r\nCLIENT ID",
             "+PONG\r\n$3\r\none\r\n:2\r\n:3\r\n"
             "-ERR wrong number of arguments for 'set' command\r\n:2\r\n");
    peer_ask(&other, "MULTI\r\nGET k3\r\nDISCARD", "+OK\r\n+QUEUED\r\n+OK\r\n");
    assert_rests();
    static const char *const needy[] = {"MGET h1 k3\r\n", "SET a 1\r\n", "NONE\r\n", "LLEN k\r\n",
                                        "MULTI\r\nPING\r\nEXEC\r\n"};
    for (size_t i = 0; i < sizeof(needy) / sizeof(needy[0]); i++) {
        struct peer third = peer_open();
        peer_say(&third, needy[i]);
        turns(3);
        ck_assert_msg(third.client->waits_for_link, "%s", needy[i]);
        peer_close(&third);
        turns(3);
    }
    answer_fetches(1, 1);
    expect_fetches(2, 2);
    answer_fetches(2, 2);
    peer_expect(&peer, "$1\r\n1\r\n$1\r\n2\r\n+PONG\r\n");
    assert_rests();
    peer_close(&other);
}
END_TEST

/* Those who wait are served in their order: who comes when there is room goes behind them, and who
 * has much to say does not keep the others off. */
START_TEST(test_link_waiters_take_turns)
{
    struct peer others[3];
    fill_link(2);
    peer_say(&peer, "GET k1\r\nGET k4\r\nGET k5\r\n");
    expect_fetches(1, 1);
    for (unsigned i = 0; i < 2; i++) {
        char line[32];
        others[i] = peer_open();
        snprintf(line, sizeof(line), "GET k%u\r\n", i + 2);
        peer_say(&others[i], line);
        turns(2);
    }
    others[2] = peer_open();
    answer_fetches(1, 1); /* peer came first: it goes on, then the others, then its next */
    peer_say(&others[2], "GET k6\r\n");
    expect_fetches(4, 4);
    answer_fetches(4, 4);
    expect_fetches(2, 2);
    answer_fetches(2, 2);
    expect_fetches(3, 3);
    answer_fetches(3, 3);
    upstream_expect("GET k6; PTTL k6");
    answer_fetches(6, 6);
    expect_fetches(5, 5);
    answer_fetches(5, 5);
    peer_expect(&peer, "$1\r\n1\r\n$1\r\n4\r\n$1\r\n5\r\n");
    assert_rests();
    for (unsigned i = 0; i < 3; i++)
        peer_close(&others[i]);
}
END_TEST

START_TEST(test_link_waiters_when_the_link_is_lost)
{
    struct peer other = peer_open();
    fill_link(2);
    peer_say(&peer, "GET k1\r\n");
    expect_fetches(1, 1);
    peer_say(&other, "GET k2\r\n");
    turns(3);
    ck_assert(other.client->waits_for_link);
    upstream_stop_listening();
    upstream_hang_up();
    TURN_UNTIL(&larder->loop, peer_read_len(&peer) > 0 && peer_read_len(&other) > 0);
    ck_assert_mem_eq(peer.got.data, "-UPSTREAM ", 10);
    ck_assert_mem_eq(other.got.data, "-UPSTREAM ", 10);
    ck_assert(!other.client->waits_for_link);
    peer_close(&other);
}
END_TEST

START_TEST(test_link_waiter_leaves)
{
    struct peer other = peer_open();
    fill_link(2);
    peer_say(&peer, "GET k1\r\n");
    expect_fetches(1, 1);
    peer_say(&other, "GET k2\r\n");
    turns(3);
    ck_assert(other.client->waits_for_link);
    peer_close(&other);
    TURN_UNTIL(&larder->loop, larder->n_clients == 1);
    answer_fetches(1, 1);
    upstream_expect("");
    peer_expect(&peer, "$1\r\n1\r\n");
    ck_assert(TAILQ_EMPTY(&larder->link_waiters));
}
END_TEST

/* CLIENT PAUSE */

START_TEST(test_pause_ends_in_time)
{
    struct peer other = peer_open();
    peer_ask(&other, "CLIENT PAUSE 5000", "+OK\r\n");
    peer_ask(&peer, "PING", "");
    assert_rests();
    pass_ms(4999);
    peer_expect(&peer, "");
    pass_ms(1); /* at once, not at the next cron */
    peer_expect(&peer, "+PONG\r\n");
    assert_rests();
    peer_close(&other);
}
END_TEST

START_TEST(test_unpause)
{
    struct peer other = peer_open();
    peer_ask(&other, "CLIENT PAUSE 5000 WRITE", "+OK\r\n");
    peer_ask(&peer, "SET a 1\r\nPING", "");
    assert_rests();
    peer_ask(&other, "PING\r\nCLIENT UNPAUSE", "+PONG\r\n+OK\r\n");
    upstream_expect("SET a 1");
    upstream_say("+OK\r\n");
    peer_expect(&peer, "+OK\r\n+PONG\r\n");
    peer_close(&other);
}
END_TEST

/* A pause that follows another does not keep those whom only the first one stopped. */
START_TEST(test_pause_behind_a_pause)
{
    struct peer other = peer_open();
    peer_ask(&peer, "CLIENT PAUSE 1000 ALL\r\nPING", "+OK\r\n");
    clock_advance(&larder->loop.clock, 1000);
    peer_say(&other, "CLIENT PAUSE 100000 WRITE\r\n");
    peer_expect(&other, "+OK\r\n");
    peer_expect(&peer, "+PONG\r\n");
    peer_close(&other);
}
END_TEST

START_TEST(test_pause_that_is_made_longer)
{
    struct peer other = peer_open();
    peer_ask(&other, "CLIENT PAUSE 1000 WRITE", "+OK\r\n");
    peer_ask(&peer, "SET a 1", "");
    peer_ask(&other, "CLIENT PAUSE 3000 WRITE", "+OK\r\n");
    pass_ms(2000);
    upstream_expect("");
    assert_rests();
    pass_ms(1000);
    upstream_expect("SET a 1");
    peer_close(&other);
}
END_TEST

/* With commands in flight that outlast the pause, too. */
START_TEST(test_pause_behind_a_slot)
{
    struct peer other = peer_open();
    peer_say(&peer, "GET k1\r\n");
    expect_fetches(1, 1);
    peer_ask(&other, "CLIENT PAUSE 1000", "+OK\r\n");
    peer_say(&peer, "GET k2\r\n");
    turns(3);
    pass_ms(1000);
    expect_fetches(2, 2);
    answer_fetches(1, 2);
    peer_expect(&peer, "$1\r\n1\r\n$1\r\n2\r\n");
    peer_close(&other);
}
END_TEST

START_TEST(test_paused_is_not_idle)
{
    struct peer other = peer_open();
    larder->config.timeout_s = 2;
    peer_ask(&other, "CLIENT PAUSE 10000", "+OK\r\n");
    peer_ask(&peer, "PING", "");
    for (int i = 0; i < 10; i++)
        pass_ms(1000);
    peer_expect(&peer, "+PONG\r\n");
    peer_close(&other);
}
END_TEST

START_TEST(test_paused_and_half_closed)
{
    struct peer other = peer_open();
    peer_ask(&other, "CLIENT PAUSE 1000", "+OK\r\n");
    peer_say(&peer, "PING 1\r\nPING 2\r\n");
    shutdown(peer.fd, SHUT_WR);
    peer_expect(&peer, "");
    pass_ms(1000);
    peer_expect_end(&peer, "$1\r\n1\r\n$1\r\n2\r\n");
    peer_close(&other);
}
END_TEST

/* All at once */

/* Several go on in one turn, and the first of them closes the last. */
START_TEST(test_closed_by_another_that_goes_on)
{
    struct peer others[3];
    for (int i = 0; i < 3; i++)
        others[i] = peer_open();
    peer_ask(&others[0], "CLIENT PAUSE 1000", "+OK\r\n");
    peer_say(&peer, "CLIENT KILL ID 4\r\n");
    turns(2);
    for (int i = 0; i < 3; i++)
        peer_ask(&others[i], "PING", "");
    pass_ms(1000);
    peer_expect(&peer, ":1\r\n");
    peer_expect(&others[0], "+PONG\r\n");
    peer_expect(&others[1], "+PONG\r\n");
    peer_expect_end(&others[2], "");
    /* The list still serves. */
    peer_ask(&others[0], "CLIENT PAUSE 1000", "+OK\r\n");
    peer_ask(&peer, "PING", "");
    pass_ms(1000);
    peer_expect(&peer, "+PONG\r\n");
    for (int i = 0; i < 3; i++)
        peer_close(&others[i]);
}
END_TEST

START_TEST(test_ending_while_held_back)
{
    struct peer other = peer_open();
    peer_ask(&other, "CLIENT PAUSE 1000", "+OK\r\n");
    peer_ask(&peer, "PING", "");
    server_shut_down(larder, "test");
    peer_expect_end(&peer, "");
    peer_expect_end(&other, "");
    peer_close(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client_hold");
    TCase *tcase = tcase_create("hold");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_inflight);
    tcase_add_test(tcase, test_inflight_and_half_closed);
    tcase_add_test(tcase, test_inflight_and_half_a_command);
    tcase_add_test(tcase, test_output);
    tcase_add_test(tcase, test_output_behind_a_slot);
    tcase_add_test(tcase, test_full_link_holds_only_what_needs_it);
    tcase_add_test(tcase, test_link_waiters_take_turns);
    tcase_add_test(tcase, test_link_waiters_when_the_link_is_lost);
    tcase_add_test(tcase, test_link_waiter_leaves);
    tcase_add_test(tcase, test_pause_ends_in_time);
    tcase_add_test(tcase, test_unpause);
    tcase_add_test(tcase, test_pause_behind_a_pause);
    tcase_add_test(tcase, test_pause_that_is_made_longer);
    tcase_add_test(tcase, test_pause_behind_a_slot);
    tcase_add_test(tcase, test_paused_is_not_idle);
    tcase_add_test(tcase, test_paused_and_half_closed);
    tcase_add_test(tcase, test_closed_by_another_that_goes_on);
    tcase_add_test(tcase, test_ending_while_held_back);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
