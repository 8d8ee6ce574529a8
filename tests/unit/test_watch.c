/* WATCH and UNWATCH (src/command/watch.c): the link of its own, and the lock that is real or fails. */
#include "watch_support.h"

static void set_up_for_one(void)
{
    pinned_set_up_with("upstream-pinned-max 1\n");
}

/* WATCH */

START_TEST(test_own_link)
{
    peer_say(&peer, "WATCH a b\r\nGET a\r\n");
    pin_expect(0, "WATCH a b");
    upstream_expect(""); /* nothing is read before it is watched */
    peer_expect(&peer, "");
    pin_say(0, "+OK\r\n");
    upstream_expect("GET a");
    upstream_say("$1\r\nv\r\n");
    peer_expect(&peer, "+OK\r\n$1\r\nv\r\n");
    peer_say(&peer, "WATCH c\r\n");
    pin_expect(0, "WATCH c");
    pin_say(0, "+OK\r\n");
    peer_expect(&peer, "+OK\r\n");
    ck_assert_uint_eq(pinned_figures().in_use, 1);
    peer_say(&other, "WATCH a\r\n");
    pin_expect(1, "WATCH a"); /* each client has its own */
}
END_TEST

START_TEST(test_behind_earlier_commands)
{
    peer_say(&peer, "SET a 1\r\nWATCH a\r\n");
    upstream_expect("SET a 1");
    pins_expect(0);
    upstream_say("+OK\r\n");
    pin_expect(0, "WATCH a");
    pin_say(0, "+OK\r\n");
    peer_expect(&peer, "+OK\r\n+OK\r\n");
}
END_TEST

START_TEST(test_reads_are_l2s)
{
    keep("a");
    watch();
    peer_say(&peer, "GET a\r\n");
    upstream_expect("GET a");
    upstream_say("$1\r\nw\r\n");
    peer_expect(&peer, "$1\r\nw\r\n");
    ck_assert(is_kept("a")); /* for others */
}
END_TEST

START_TEST(test_database)
{
    peer_ask(&peer, "SELECT 3", "+OK\r\n");
    peer_say(&peer, "WATCH a\r\n");
    pin_expect(0, "SELECT 3; WATCH a");
}
END_TEST

START_TEST(test_inside_multi)
{
    peer_ask(&peer, "MULTI", "+OK\r\n");
    peer_ask(&peer, "WATCH a", "-ERR WATCH inside MULTI is not allowed\r\n");
    peer_say(&peer, "EXEC\r\n");
    upstream_expect("MULTI; EXEC"); /* which goes on as it was */
    pins_expect(0);
}
END_TEST

START_TEST(test_no_link_left)
{
    watch();
    peer_say(&other, "WATCH a\r\n");
    peer_expect_line(&other, "-ERR no more links to the upstream");
    ck_assert_ptr_null(other.client->watch);
    peer_ask(&other, "PING", "+PONG\r\n");
    peer_say(&peer, "WATCH b\r\n"); /* has its link */
    pin_expect(0, "WATCH b");
}
END_TEST

/* What L2 refuses */

START_TEST(test_refused)
{
    peer_say(&peer, "WATCH a\r\n");
    pin_expect(0, "WATCH a");
    pin_say(0, "-NOPERM no\r\n");
    peer_expect(&peer, "-NOPERM no\r\n");
    expect_given_back(true); /* nothing is watched */
    watch();
    peer_say(&peer, "WATCH b\r\n");
    pin_expect(0, "WATCH b");
    pin_say(0, "-NOPERM no\r\n");
    peer_expect(&peer, "-NOPERM no\r\n");
    queue("SET k 1");
    peer_say(&peer, "EXEC\r\n");
    pin_expect(0, "MULTI; SET k 1; EXEC"); /* `a` is still */
}
END_TEST

START_TEST(test_refused_the_second_time)
{
    watch();
    peer_ask(&peer, "UNWATCH", "+OK\r\n");
    pin_expect(0, "UNWATCH");
    pin_say(0, "+OK\r\n");
    expect_given_back(true);
    peer_say(&peer, "WATCH a\r\n");
    pin_expect(0, "WATCH a");
    pin_say(0, "-NOPERM no\r\n");
    peer_expect(&peer, "-NOPERM no\r\n");
    expect_given_back(true);
}
END_TEST

START_TEST(test_no_connection)
{
    pins.is_mute = true;
    peer_say(&peer, "WATCH a\r\nPING\r\n");
    pins_expect(1);
    pin_hang_up(0);
    TURN_UNTIL(&larder->loop,
               peer_read_len(&peer) > 0 && strstr(peer.got.data, "+PONG\r\n") != NULL);
    ck_assert(strncmp(peer.got.data, "-UPSTREAM ", 10) == 0);
    peer.got.len = 0;
    expect_given_back(false);
    pins.is_mute = false;
    peer_say(&peer, "WATCH a\r\n"); /* from the beginning */
    pin_expect(1, "WATCH a");
}
END_TEST

/* UNWATCH */

START_TEST(test_unwatch)
{
    peer_ask(&peer, "UNWATCH", "+OK\r\n");
    pins_expect(0);
    watch();
    peer_ask(&peer, "UNWATCH", "+OK\r\n"); /* nobody waits for L2 */
    pin_expect(0, "UNWATCH");
    ck_assert_ptr_null(peer.client->watch);
    ck_assert_uint_eq(pinned_figures().in_use, 1); /* until L2 has forgotten */
    pin_say(0, "+OK\r\n");
    expect_given_back(true);
    upstream_expect("");
}
END_TEST

START_TEST(test_unwatch_fails)
{
    watch();
    peer_ask(&peer, "UNWATCH", "+OK\r\n");
    pin_expect(0, "UNWATCH");
    pin_say(0, "-ERR never\r\n");
    expect_given_back(false); /* it would watch for the next client */
}
END_TEST

START_TEST(test_unwatch_lost)
{
    watch();
    pin_hang_up(0);
    turns(3);
    peer_ask(&peer, "UNWATCH", "+OK\r\n");
    expect_given_back(false);
}
END_TEST

/* Loss: what was watched is forgotten, and nothing may pass as if it had been kept */

START_TEST(test_lost_before_exec)
{
    watch();
    pin_hang_up(0);
    turns(3);
    queue("SET k 1");
    peer_ask(&peer, "EXEC", "*-1\r\n");
    upstream_expect("");
    expect_given_back(false);
    queue("SET k 2");
    peer_say(&peer, "EXEC\r\n");
    upstream_expect("MULTI; SET k 2; EXEC"); /* another transaction */
}
END_TEST

START_TEST(test_lost_before_the_next_watch)
{
    watch();
    pin_hang_up(0);
    turns(3);
    peer_say(&peer, "WATCH b\r\n");
    peer_expect_line(&peer, "-UPSTREAM the link that watched this client's keys was lost");
    pins_expect(1);
    queue("SET k 1");
    peer_ask(&peer, "EXEC", "*-1\r\n");
    peer_say(&peer, "WATCH b\r\n");
    pin_expect(1, "WATCH b");
}
END_TEST

START_TEST(test_lost_in_the_next_watch)
{
    watch();
    peer_say(&peer, "WATCH b\r\n");
    pin_expect(0, "WATCH b");
    pin_hang_up(0);
    peer_expect_line(&peer, "-UPSTREAM ");
    queue("SET k 1"); /* whoever does not mind the error */
    peer_ask(&peer, "EXEC", "*-1\r\n");
    upstream_expect("");
    expect_given_back(false);
}
END_TEST

/* Clients that leave */

START_TEST(test_who_leaves_forgets)
{
    watch();
    peer_leave(&peer);
    pin_expect_end(0);
    ck_assert_uint_eq(pinned_figures().in_use, 0);
}
END_TEST

START_TEST(test_who_resets_forgets)
{
    watch();
    peer_ask(&peer, "RESET", "+RESET\r\n");
    turns(3);
    ck_assert_ptr_null(peer.client->watch);
    upstream_expect("");
    queue("SET k 1");
    peer_say(&peer, "EXEC\r\n");
    upstream_expect("MULTI; SET k 1; EXEC");
}
END_TEST

START_TEST(test_who_leaves_in_watch)
{
    peer_say(&peer, "WATCH a\r\n");
    pin_expect(0, "WATCH a");
    client_close(peer.client, "test");
    turns(3);
    pin_expect_end(0);
    ck_assert_uint_eq(larder->n_slots, 0);
    ck_assert_uint_eq(pinned_figures().in_use, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *tcase = pinned_case(suite, "watch", pinned_set_up);
    tcase_add_test(tcase, test_own_link);
    tcase_add_test(tcase, test_behind_earlier_commands);
    tcase_add_test(tcase, test_reads_are_l2s);
    tcase_add_test(tcase, test_database);
    tcase_add_test(tcase, test_inside_multi);
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_refused_the_second_time);
    tcase_add_test(tcase, test_no_connection);
    tcase_add_test(tcase, test_unwatch);
    tcase_add_test(tcase, test_unwatch_fails);
    tcase_add_test(tcase, test_unwatch_lost);
    tcase_add_test(tcase, test_lost_before_exec);
    tcase_add_test(tcase, test_lost_before_the_next_watch);
    tcase_add_test(tcase, test_lost_in_the_next_watch);
    tcase_add_test(tcase, test_who_leaves_forgets);
    tcase_add_test(tcase, test_who_resets_forgets);
    tcase_add_test(tcase, test_who_leaves_in_watch);
    TCase *one = pinned_case(suite, "one link", set_up_for_one);
    tcase_add_test(one, test_no_link_left);
    return dispatch_run(suite);
}
