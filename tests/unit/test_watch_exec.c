/* EXEC of a client that watches (src/command/watch.c): on the link that watches, behind its earlier
 * commands, and what it drops from L1. */
#include "watch_support.h"

START_TEST(test_exec)
{
    watch();
    queue("SET k 1");
    peer_ask(&peer, "ECHO local", "+QUEUED\r\n");
    peer_ask(&peer, "GET k", "+QUEUED\r\n");
    peer_say(&peer, "EXEC\r\nPING\r\n");
    pin_expect(0, "MULTI; SET k 1; GET k; EXEC");
    upstream_expect("");
    ck_assert_ptr_null(peer.client->watch); /* whatever comes of it */
    pin_say(0, "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    peer_expect(&peer, "");
    pin_say(0, "*2\r\n+OK\r\n$1\r\n1\r\n");
    peer_expect(&peer, "*3\r\n+OK\r\n$5\r\nlocal\r\n$1\r\n1\r\n+PONG\r\n");
    expect_given_back(true);
    queue("SET k 2");
    peer_say(&peer, "EXEC\r\n");
    upstream_expect("MULTI; SET k 2; EXEC"); /* no watch, no link */
}
END_TEST

START_TEST(test_exec_with_nothing)
{
    watch();
    peer_ask(&peer, "MULTI", "+OK\r\n");
    peer_say(&peer, "EXEC\r\n");
    pin_expect(0, "MULTI; EXEC"); /* tells whether it would have run */
    pin_say(0, "+OK\r\n_\r\n");
    peer_expect(&peer, "*-1\r\n");
    expect_given_back(true);
}
END_TEST

START_TEST(test_somebody_was_faster)
{
    watch();
    queue("SET k 1");
    peer_say(&peer, "EXEC\r\n");
    pin_expect(0, "MULTI; SET k 1; EXEC");
    pin_say(0, "+OK\r\n+QUEUED\r\n_\r\n");
    peer_expect(&peer, "*-1\r\n");
    expect_given_back(true);
}
END_TEST

START_TEST(test_exec_refused)
{
    watch();
    queue("SET k 1");
    peer_say(&peer, "EXEC\r\n");
    pin_expect(0, "MULTI; SET k 1; EXEC");
    pin_say(0, "+OK\r\n-OOM no room\r\n-EXECABORT Transaction discarded.\r\n");
    peer_expect_line(&peer, "-EXECABORT Transaction discarded");
    expect_given_back(true);
}
END_TEST

START_TEST(test_exec_behind_earlier_commands)
{
    watch();
    peer_say(&peer, "SET b 1\r\nMULTI\r\nSET k 1\r\nEXEC\r\n");
    upstream_expect("SET b 1");
    pin_expect(0, ""); /* two links keep no order between them */
    upstream_say("+OK\r\n");
    pin_expect(0, "MULTI; SET k 1; EXEC");
}
END_TEST

START_TEST(test_select_inside)
{
    watch();
    queue("SELECT 2");
    peer_say(&peer, "EXEC\r\n");
    pin_expect(0, "MULTI; SELECT 2; EXEC");
    pin_say(0, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    peer_expect(&peer, "*1\r\n+OK\r\n");
    ck_assert_uint_eq(peer.client->db, 2);
    peer_say(&other, "WATCH b\r\n");
    pin_expect(0, "SELECT 0; WATCH b"); /* the link's database is not what it was */
}
END_TEST

START_TEST(test_not_run)
{
    watch();
    peer_ask(&peer, "MULTI", "+OK\r\n");
    peer_ask(&peer, "DISCARD", "+OK\r\n");
    pin_expect(0, "UNWATCH");
    pin_say(0, "+OK\r\n");
    expect_given_back(true);
    watch();
    peer_ask(&peer, "MULTI", "+OK\r\n");
    peer_ask(&peer, "SET", "-ERR wrong number of arguments for 'set' command\r\n");
    peer_ask(&peer, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    pin_expect(0, "UNWATCH");
    pin_say(0, "+OK\r\n");
    expect_given_back(true);
    upstream_expect("");
}
END_TEST

START_TEST(test_exec_while_busy)
{
    watch();
    queue("SET k 1");
    link_set_busy(larder->link, BYTES("-BUSY Redis is busy\r\n"));
    peer_ask(&peer, "EXEC", "-EXECABORT Transaction discarded because of: BUSY Redis is busy\r\n");
    pin_expect(0, "UNWATCH");
    upstream_expect("");
}
END_TEST

START_TEST(test_lost_in_exec)
{
    watch();
    queue("SET k 1");
    peer_say(&peer, "EXEC\r\n");
    pin_expect(0, "MULTI; SET k 1; EXEC");
    keep("k");
    pin_hang_up(0);
    peer_expect_line(&peer, "-UPSTREAM "); /* it may have run */
    upstream_expect("");
    ck_assert(!is_kept("k"));
    expect_given_back(false);
}
END_TEST

START_TEST(test_no_reply_to_exec)
{
    watch();
    queue("SET k 1");
    peer_say(&peer, "EXEC\r\n");
    pin_expect(0, "MULTI; SET k 1; EXEC");
    pass_ms(100);
    pin_say(0, ">2\r\n$10\r\ninvalidate\r\n_\r\n"); /* it is not silent */
    turns(3);
    pass_ms(larder->config.upstream_timeout_ms - 99);
    peer_expect_line(&peer, "-UPSTREAM ");
    expect_given_back(false); /* the reply may still come */
}
END_TEST

/* The transaction runs, and what it may have written leaves L1. */
START_TEST(test_who_leaves_in_exec)
{
    watch();
    queue("SET k 1");
    peer_say(&peer, "EXEC\r\n");
    pin_expect(0, "MULTI; SET k 1; EXEC");
    client_close(peer.client, "test");
    turns(3);
    keep("k");
    pin_say(0, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    TURN_UNTIL(&larder->loop, pinned_figures().idle == 1);
    ck_assert(!is_kept("k"));
    ck_assert_uint_eq(larder->n_slots, 0);
}
END_TEST

START_TEST(test_exec_drops)
{
    keep("k");
    keep("z");
    watch();
    queue("SET k 1");
    ck_assert(is_kept("k"));
    peer_say(&peer, "EXEC\r\n");
    pin_expect(0, "MULTI; SET k 1; EXEC");
    ck_assert(!is_kept("k")); /* and keeps it: the fetch may have been faster than EXEC */
    ck_assert(is_kept("k"));
    pin_say(0, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    peer_expect(&peer, "*1\r\n+OK\r\n");
    ck_assert(!is_kept("k"));
    ck_assert(is_kept("z"));
}
END_TEST

START_TEST(test_exec_drops_a_database)
{
    keep("z");
    watch();
    queue("FLUSHDB");
    peer_say(&peer, "EXEC\r\n");
    pin_expect(0, "MULTI; FLUSHDB; EXEC");
    ck_assert(!is_kept("z"));
    pin_say(0, "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    peer_expect(&peer, "*1\r\n+OK\r\n");
    ck_assert(!is_kept("z"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch_exec");
    TCase *tcase = pinned_case(suite, "exec", pinned_set_up);
    tcase_add_test(tcase, test_exec);
    tcase_add_test(tcase, test_exec_with_nothing);
    tcase_add_test(tcase, test_somebody_was_faster);
    tcase_add_test(tcase, test_exec_refused);
    tcase_add_test(tcase, test_exec_behind_earlier_commands);
    tcase_add_test(tcase, test_select_inside);
    tcase_add_test(tcase, test_not_run);
    tcase_add_test(tcase, test_exec_while_busy);
    tcase_add_test(tcase, test_lost_in_exec);
    tcase_add_test(tcase, test_no_reply_to_exec);
    tcase_add_test(tcase, test_who_leaves_in_exec);
    tcase_add_test(tcase, test_exec_drops);
    tcase_add_test(tcase, test_exec_drops_a_database);
    return dispatch_run(suite);
}
