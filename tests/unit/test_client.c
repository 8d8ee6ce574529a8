/* Clients (src/core/client.c, client_input.c): commands in one buffer, endings of all kinds,
 * limits. Those that are held back are in test_client_hold.c. */
#include "larder_support.h"

static struct peer peer;

static void set_up(void)
{
    larder_start(true, "");
    peer = peer_open();
}

static void set_up_alone(void)
{
    larder_start(false, "");
    peer = peer_open();
}

static void tear_down(void)
{
    peer_close(&peer);
    larder_end();
}

/* Order */

START_TEST(test_pipeline)
{
    peer_say(&peer, "PING 1\r\nGET a\r\nPING 3\r\nSET b x\r\n"
                    "PING 5\r\nGET a\r\nNONE\r\nPING 8\r\n");
    upstream_expect("GET a; PTTL a; SET b x; NONE");
    peer_expect(&peer, "$1\r\n1\r\n");
    upstream_say("$1\r\n2\r\n");
    peer_expect(&peer, "");
    upstream_say(":-1\r\n");
    peer_expect(&peer, "$1\r\n2\r\n$1\r\n3\r\n");
    upstream_say("+OK\r\n-ERR unknown\r\n");
    peer_expect(&peer, "+OK\r\n$1\r\n5\r\n$1\r\n2\r\n-ERR unknown\r\n$1\r\n8\r\n");
    ck_assert_uint_eq(peer.client->n_slots, 0);
    ck_assert_uint_eq(peer.client->slot_bytes, 0);
}
END_TEST

/* More commands than are parsed ahead, in one write and byte by byte. */
START_TEST(test_batches)
{
    struct buf expected;
    buf_init(&expected);
    for (int i = 0; i < 200; i++) {
        char line[32];
        int len = snprintf(line, sizeof(line), "PING %03d\r\n", i);
        if (_i == 0) {
            peer_write(&peer, line, (size_t)len);
        } else {
            for (int k = 0; k < len; k++) {
                peer_write(&peer, line + k, 1);
                turns(1);
            }
        }
        ck_assert(buf_printf(&expected, "$3\r\n%03d\r\n", i));
    }
    ck_assert(buf_append(&expected, "", 1));
    peer_expect(&peer, expected.data);
    buf_deinit(&expected);
}
END_TEST

/* What is not a strict RESP array reaches L2 as one. */
START_TEST(test_serialises)
{
    peer_say(&peer, "LPUSH \"a b\" \"\\x01\"\r\n*2\r\n$4\r\nLLENxx$1\r\nk\r\n");
    upstream_expect("LPUSH a b \x01; LLEN k");
    upstream_say(":1\r\n:2\r\n");
    peer_expect(&peer, ":1\r\n:2\r\n");
    ck_assert_uint_eq(larder->scratch.len, 0);
}
END_TEST

START_TEST(test_large_commands_leave_no_memory)
{
    static char big[300000];
    memset(big, 'x', sizeof(big));
    peer_say(&peer, "*3\r\n$3\r\nSETxx$1\r\nk\r\n$300000\r\n");
    peer_write(&peer, big, sizeof(big));
    peer_say(&peer, "\r\n");
    TURN_UNTIL(&larder->loop, upstream.said.len > 300000);
    upstream.said.len = 0;
    upstream_say("+OK\r\n");
    peer_expect(&peer, "+OK\r\n");
    ck_assert_uint_le(larder->scratch.cap, CONN_READ_BYTES);
    ck_assert_uint_eq(peer.client->conn.in.cap, 0);
}
END_TEST

/* Who watches the table learn again keeps what it had found in it. */
START_TEST(test_last_command_outlives_learning)
{
    static const char table[] = "*1\r\n*10\r\n$3\r\nabc\r\n:-2\r\n~0\r\n:0\r\n:0\r\n:0\r\n"
                                "~0\r\n~0\r\n~0\r\n"
                                "*1\r\n*6\r\n$5\r\nabc|x\r\n:2\r\n~0\r\n:0\r\n:0\r\n:0\r\n";
    struct peer other = peer_open();
    upstream.command_reply = table;
    for (int i = 0; i < 2; i++) {
        upstream_hang_up();
        TURN_UNTIL(&larder->loop, link_get_state(larder->link) != LINK_READY);
        clock_advance(&larder->loop.clock, 500); /* the back-off */
        TURN_UNTIL(&larder->loop, link_get_state(larder->link) == LINK_READY);
        if (i > 0)
            break;
        peer_say(&other, "ABC X\r\n");
        upstream_expect("ABC X");
        upstream_say("+OK\r\n");
        peer_expect(&other, "+OK\r\n");
    }
    peer_say(&peer, "CLIENT LIST ID 2\r\n");
    TURN_UNTIL(&larder->loop, peer_read_len(&peer) > 0);
    ck_assert_ptr_nonnull(strstr(peer.got.data, "cmd=abc|x"));
    peer_close(&other);
}
END_TEST

/* Endings */

START_TEST(test_quit_waits_for_what_is_due)
{
    peer_say(&peer, "GET a\r\nQUIT\r\nPING\r\n");
    upstream_expect("GET a; PTTL a");
    peer_expect(&peer, "");
    upstream_say("_\r\n:-2\r\n");
    peer_expect_end(&peer, "$-1\r\n+OK\r\n");
    ck_assert_uint_eq(larder->n_clients, 0);
}
END_TEST

START_TEST(test_protocol_error_waits_for_what_is_due)
{
    peer_say(&peer, "GET a\r\n*1\r\n*1\r\nPING\r\n");
    upstream_expect("GET a; PTTL a");
    upstream_say("_\r\n:-2\r\n");
    peer_expect_end(&peer, "$-1\r\n-ERR Protocol error: expected '$', got '*'\r\n");
    ck_assert_uint_eq(larder->stats.protocol_errors, 1);
}
END_TEST

START_TEST(test_half_closed)
{
    peer_say(&peer, "GET a\r\nPING\r\nGET b\r\n*1\r\n$4\r\nPI");
    shutdown(peer.fd, SHUT_WR);
    upstream_expect("GET a; PTTL a; GET b; PTTL b");
    peer_expect(&peer, "");
    ck_assert_uint_eq(larder->n_clients, 1);
    upstream_say("_\r\n:-2\r\n_\r\n:-2\r\n");
    peer_expect_end(&peer, "$-1\r\n+PONG\r\n$-1\r\n");
    ck_assert_uint_eq(larder->n_clients, 0);
}
END_TEST

START_TEST(test_half_closed_without_a_word)
{
    shutdown(peer.fd, SHUT_WR);
    peer_expect_end(&peer, "");
    ck_assert_uint_eq(larder->n_clients, 0);
}
END_TEST

START_TEST(test_half_closed_behind_half_a_command)
{
    peer_say(&peer, "*1\r\n$4\r\nPI");
    turns(2);
    shutdown(peer.fd, SHUT_WR);
    peer_expect_end(&peer, "");
}
END_TEST

/* All is gone but the slot, whose reply goes nowhere. */
START_TEST(test_left_before_the_reply)
{
    peer_say(&peer, "GET a\r\nSET a 1\r\n");
    upstream_expect("GET a; PTTL a; SET a 1");
    peer_close(&peer);
    TURN_UNTIL(&larder->loop, larder->n_clients == 0);
    turns(2);
    upstream_say("_\r\n:-2\r\n+OK\r\n");
    turns(5);
    struct tier_counters counters;
    tier_read_counters(larder->tier, &counters);
    ck_assert_uint_eq(counters.l2_absent, 1);
}
END_TEST

START_TEST(test_kills_itself)
{
    peer_ask(&peer, "GET a\r\nCLIENT KILL ID 1 SKIPME no\r\nPING", "");
    upstream_expect("GET a; PTTL a");
    upstream_say("_\r\n:-2\r\n");
    peer_expect_end(&peer, "$-1\r\n:1\r\n");
}
END_TEST

START_TEST(test_killed_with_commands_in_flight)
{
    struct peer other = peer_open();
    peer_say(&other, "GET a\r\nPING\r\n");
    upstream_expect("GET a; PTTL a");
    peer_ask(&peer, "CLIENT KILL ID 2", ":1\r\n");
    peer_expect_end(&other, "");
    upstream_say("_\r\n:-2\r\n");
    peer_ask(&peer, "PING", "+PONG\r\n");
    peer_close(&other);
}
END_TEST

START_TEST(test_shutdown_finishes_what_is_due)
{
    struct peer idle = peer_open();
    peer_say(&peer, "GET a\r\n");
    upstream_expect("GET a; PTTL a");
    server_shut_down(larder, "test");
    peer_say(&peer, "PING\r\n");
    peer_expect_end(&idle, "");
    peer_expect(&peer, "");
    upstream_say("_\r\n:-2\r\n");
    peer_expect_end(&peer, "$-1\r\n");
    pass_ms(10);
    ck_assert(larder->loop.stop);
    peer_close(&idle);
}
END_TEST

/* The same for all that is due from an L2 that will not answer any more. */
START_TEST(test_destroyed_with_commands_in_flight)
{
    peer_say(&peer, "GET a\r\nSET a 1\r\nEVAL x 0\r\nLPUSH k v\r\n");
    upstream_expect("GET a; PTTL a; SET a 1; EVAL x 0; LPUSH k v");
}
END_TEST

/* Limits */

START_TEST(test_maxclients)
{
    larder->config.maxclients = 2;
    struct peer second = peer_open();
    struct peer third = peer_open();
    peer_expect_end(&third, "-ERR max number of clients reached\r\n");
    ck_assert_uint_eq(larder->stats.connections_refused, 1);
    peer_close(&second);
    TURN_UNTIL(&larder->loop, larder->n_clients == 1);
    second = peer_open();
    peer_ask(&second, "PING", "+PONG\r\n");
    peer_close(&second);
    peer_close(&third);
}
END_TEST

START_TEST(test_query_buffer_limit)
{
    static char big[1 << 20];
    larder->config.client_query_buffer_limit_bytes = 1 << 20;
    peer_say(&peer, "*2\r\n$4\r\nECHO\r\n$3000000\r\n");
    for (int i = 0; i < 2 && larder->n_clients > 0; i++) {
        ssize_t sent = 0;
        while (larder->n_clients > 0 && sent < (ssize_t)sizeof(big)) {
            ssize_t n = send(peer.fd, big, sizeof(big) - (size_t)sent, MSG_NOSIGNAL);
            sent += n > 0 ? n : 0;
            turns(1);
        }
    }
    ck_assert_uint_eq(larder->n_clients, 0);
    ck_assert_uint_eq(larder->stats.clients_closed_query, 1);
}
END_TEST

START_TEST(test_idle)
{
    larder->config.timeout_s = 2;
    pass_ms(1900);
    peer_ask(&peer, "PING", "+PONG\r\n");
    pass_ms(1900);
    ck_assert_uint_eq(larder->n_clients, 1);
    pass_ms(200);
    peer_expect_end(&peer, "");
    ck_assert_uint_eq(larder->stats.clients_closed_idle, 1);
}
END_TEST

/* Time counts from the reply, however long that took. */
START_TEST(test_waiting_is_not_idle)
{
    larder->config.timeout_s = 2;
    peer_say(&peer, "GET a\r\n");
    upstream_expect("GET a; PTTL a");
    for (int i = 0; i < 4; i++)
        pass_ms(1000);
    upstream_say("_\r\n:-2\r\n");
    peer_expect(&peer, "$-1\r\n");
    pass_ms(1900);
    peer_ask(&peer, "PING", "+PONG\r\n");
    pass_ms(2100);
    peer_expect_end(&peer, "");
}
END_TEST

/* Who reads a large reply is not idle; who has stopped reading it is. */
START_TEST(test_slow_reader_is_not_idle)
{
    static char value[4 << 20];
    memset(value, 'v', sizeof(value));
    struct bytes key = BYTES("k");
    struct store_item item = {.value = bytes_of(value, sizeof(value)), .kind = ENTRY_STRING};
    ck_assert_int_eq(store_put(larder->store, 0, key, store_hash(larder->store, key), &item,
                               larder_now_ms(larder)),
                     STORE_OK);
    larder->config.timeout_s = 2;
    peer_say(&peer, "GET k\r\n");
    turns(3);
    for (int i = 0; i < 6; i++) {
        static char piece[200000];
        ck_assert_int_gt(recv(peer.fd, piece, sizeof(piece), 0), 0);
        turns(2);
        pass_ms(1000);
        ck_assert_uint_eq(larder->n_clients, 1);
    }
    pass_ms(1000);
    pass_ms(1100);
    ck_assert_uint_eq(larder->n_clients, 0);
}
END_TEST

START_TEST(test_soft_limit)
{
    struct config_output_limit *limit =
        &larder->config.client_output_buffer_limit[CONFIG_CLASS_NORMAL];
    limit->soft_bytes = 1000;
    limit->soft_s = 2;
    struct reply_slot *slot = client_defer(peer.client);
    static char big[2000];
    struct reply reply = client_begin_reply(peer.client);
    reply_bulk(&reply, bytes_of(big, sizeof(big)));
    client_end_reply(peer.client, &reply);
    pass_ms(100);
    pass_ms(1900);
    ck_assert_uint_eq(larder->n_clients, 1);
    pass_ms(200);
    ck_assert_uint_eq(larder->n_clients, 0);
    ck_assert_uint_eq(larder->stats.clients_closed_output, 1);
    slot_finish(slot, &reply);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client");
    TCase *tcase = tcase_create("client");
    TCase *alone = tcase_create("alone");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_checked_fixture(alone, set_up_alone, tear_down);
    tcase_add_test(tcase, test_pipeline);
    tcase_add_loop_test(tcase, test_batches, 0, 2);
    tcase_add_test(tcase, test_serialises);
    tcase_add_test(tcase, test_large_commands_leave_no_memory);
    tcase_add_test(tcase, test_last_command_outlives_learning);
    tcase_add_test(tcase, test_quit_waits_for_what_is_due);
    tcase_add_test(tcase, test_protocol_error_waits_for_what_is_due);
    tcase_add_test(tcase, test_half_closed);
    tcase_add_test(tcase, test_half_closed_without_a_word);
    tcase_add_test(tcase, test_half_closed_behind_half_a_command);
    tcase_add_test(tcase, test_left_before_the_reply);
    tcase_add_test(tcase, test_kills_itself);
    tcase_add_test(tcase, test_killed_with_commands_in_flight);
    tcase_add_test(tcase, test_shutdown_finishes_what_is_due);
    tcase_add_test(tcase, test_destroyed_with_commands_in_flight);
    tcase_add_test(tcase, test_waiting_is_not_idle);
    tcase_add_test(alone, test_maxclients);
    tcase_add_test(alone, test_query_buffer_limit);
    tcase_add_test(alone, test_idle);
    tcase_add_test(alone, test_slow_reader_is_not_idle);
    tcase_add_test(alone, test_soft_limit);
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, alone);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
