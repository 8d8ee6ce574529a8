/* Clients whose command waits at L2 on a link of its own (src/core/blocked.h): what they get, what
 * their command drops from L1, and what is left of those who leave. */
#include "pinned_support.h"

#include "core/blocked.h"

#define POPPED "*2\r\n$1\r\nq\r\n$1\r\nx\r\n"

static void set_up_for_one(void)
{
    pinned_set_up_with("upstream-pinned-max 1\n");
}

/* The first client blocks in BLPOP, on the first link. */
static void block(void)
{
    peer_say(&peer, "BLPOP q 0\r\n");
    pin_expect(0, "BLPOP q 0");
    upstream_expect("");
}

/* Commands and replies */

START_TEST(test_own_link)
{
    block();
    ck_assert_uint_eq(pinned_figures().in_use, 1);
    peer_expect(&peer, "");
    pin_say(0, POPPED);
    peer_expect(&peer, POPPED);
    ck_assert_uint_eq(pinned_figures().in_use, 0);
    ck_assert_uint_eq(pinned_figures().idle, 1);
    peer_say(&other, "BLPOP q 0\r\n");
    pin_expect(0, "BLPOP q 0"); /* the next client has the same */
    pins_expect(1);
}
END_TEST

START_TEST(test_nothing_comes)
{
    block();
    pin_say(0, "_\r\n");
    peer_expect(&peer, "*-1\r\n"); /* as Redis in RESP2 */
    peer_say(&peer, "HELLO 3\r\n");
    TURN_UNTIL(&larder->loop, peer_read_len(&peer) > 0);
    peer.got.len = 0;
    peer_say(&peer, "BLPOP q 1\r\n");
    pin_expect(0, "BLPOP q 1");
    pin_say(0, "_\r\n");
    peer_expect(&peer, "_\r\n");
}
END_TEST

START_TEST(test_order)
{
    peer_say(&peer, "SET a 1\r\nBLPOP q 0\r\nSET b 1\r\nPING\r\n");
    upstream_expect("SET a 1");
    pins_expect(0); /* two links keep no order between them: not before the first is answered */
    upstream_say("+OK\r\n");
    peer_expect(&peer, "+OK\r\n");
    pin_expect(0, "BLPOP q 0");
    upstream_expect("");
    peer_expect(&peer, "");
    pin_say(0, POPPED);
    upstream_expect("SET b 1");
    upstream_say("+OK\r\n");
    peer_expect(&peer, POPPED "+OK\r\n+PONG\r\n");
}
END_TEST

START_TEST(test_what_is_sent_before)
{
    peer_say(&peer, "WAIT 1 100\r\n");
    pin_expect(0, "PUBLISH __larder:wait ; WAIT 1 100");
    pin_say(0, ":0\r\n");
    peer_expect(&peer, "");
    pin_say(0, ":1\r\n");
    peer_expect(&peer, ":1\r\n");
    ck_assert_uint_eq(pinned_figures().idle, 1);
}
END_TEST

START_TEST(test_database)
{
    peer_ask(&peer, "SELECT 2", "+OK\r\n");
    peer_say(&peer, "BLPOP q 0\r\n");
    pin_expect(0, "SELECT 2; BLPOP q 0");
    pin_say(0, "+OK\r\n_\r\n");
    peer_expect(&peer, "*-1\r\n");
    peer_say(&other, "BLPOP q 0\r\n");
    pin_expect(0, "SELECT 0; BLPOP q 0");
}
END_TEST

START_TEST(test_no_deadline)
{
    block();
    for (int i = 0; i < 100; i++)
        pass_ms(60000);
    peer_expect(&peer, "");
    pin_say(0, POPPED);
    peer_expect(&peer, POPPED);
}
END_TEST

START_TEST(test_no_link_left)
{
    block();
    peer_say(&other, "BRPOP q 0\r\n");
    peer_expect_line(&other, "-ERR no more links to the upstream");
    peer_ask(&other, "PING", "+PONG\r\n"); /* it does not wait */
    pins_expect(1);
    ck_assert_uint_eq(pinned_figures().refused, 1);
    pin_say(0, POPPED);
    peer_expect(&peer, POPPED);
    peer_say(&other, "BRPOP q 0\r\n");
    pin_expect(0, "BRPOP q 0");
}
END_TEST

/* The end of links and clients */

START_TEST(test_lost_link)
{
    block();
    peer_say(&peer, "PING\r\n");
    pin_hang_up(0);
    TURN_UNTIL(&larder->loop, peer_read_len(&peer) > 0 && peer.got.data[0] == '-' &&
                                  strstr(peer.got.data, "+PONG\r\n") != NULL);
    ck_assert(strncmp(peer.got.data, "-UPSTREAM ", 10) == 0);
    peer.got.len = 0;
    ck_assert_uint_eq(pinned_figures().in_use, 0);
    ck_assert_uint_eq(pinned_figures().idle, 0);
    ck_assert(!blocked_is_waiting(peer.client));
}
END_TEST

START_TEST(test_who_leaves_ends_the_wait)
{
    block();
    ck_assert_uint_eq(larder->n_slots, 1);
    peer_leave(&peer);
    pin_expect_end(0);
    ck_assert_uint_eq(pinned_figures().in_use, 0);
    ck_assert_uint_eq(pinned_figures().idle, 0);
    ck_assert_uint_eq(larder->n_slots, 0);
}
END_TEST

/* Although nothing more is read from it. */
START_TEST(test_who_leaves_with_words_unread)
{
    char *text = malloc(300000);
    size_t len = 0;
    while (len < 299000)
        len += (size_t)snprintf(text + len, 20, "SET a b\r\n");
    block();
    send(peer.fd, text, len, MSG_NOSIGNAL);
    free(text);
    peer_leave(&peer);
    pin_expect_end(0);
    upstream_expect("");
}
END_TEST

/* Nobody else shall wait for the link, so who says nothing more counts as gone. */
START_TEST(test_half_closed)
{
    size_t before = larder->n_clients;
    block();
    ck_assert_int_eq(shutdown(peer.fd, SHUT_WR), 0);
    TURN_UNTIL(&larder->loop, larder->n_clients < before);
    pin_expect_end(0);
}
END_TEST

START_TEST(test_who_leaves_while_its_link_connects)
{
    pins.is_mute = true;
    peer_say(&peer, "BLPOP q 0\r\n");
    pins_expect(1);
    peer_leave(&peer);
    pin_expect_end(0);
    ck_assert_uint_eq(pinned_figures().in_use, 0);
    ck_assert_uint_eq(larder->n_slots, 0);
}
END_TEST

/* Who has blocked and does no more may close one side, as any client. */
START_TEST(test_half_closed_later)
{
    block();
    pin_say(0, POPPED);
    peer_expect(&peer, POPPED);
    peer_say(&peer, "SET a 1\r\n");
    ck_assert_int_eq(shutdown(peer.fd, SHUT_WR), 0);
    upstream_expect("SET a 1");
    upstream_say("+OK\r\n");
    peer_expect_end(&peer, "+OK\r\n");
}
END_TEST

START_TEST(test_end_of_larder)
{
    block();
    keep("k");
    /* The tear-down ends it while the client waits; its keys are guarded until then. */
}
END_TEST

/* CLIENT UNBLOCK */

static void ask_unblock(const char *how)
{
    char text[100];
    snprintf(text, sizeof(text), "CLIENT UNBLOCK %llu%s\r\n", (unsigned long long)peer.client->id,
             how);
    peer_say(&other, text);
}

START_TEST(test_unblock)
{
    static const char *const hows[] = {"", " TIMEOUT", " ERROR"};
    ask_unblock("");
    peer_expect(&other, ":0\r\n");
    for (size_t i = 0; i < 3; i++) {
        block();
        ask_unblock(hows[i]);
        upstream_expect(i < 2 ? "CLIENT UNBLOCK 1000 TIMEOUT" : "CLIENT UNBLOCK 1000 ERROR");
        peer_expect(&peer, "");
        pin_say(0, i < 2 ? "_\r\n" : "-UNBLOCKED client unblocked\r\n");
        peer_expect(&peer, i < 2 ? "*-1\r\n" : "-UNBLOCKED client unblocked\r\n");
        upstream_say(i == 0 ? ":1\r\n" : ":0\r\n"); /* what L2 says */
        peer_expect(&other, i == 0 ? ":1\r\n" : ":0\r\n");
    }
    ask_unblock("");
    peer_expect(&other, ":0\r\n");
    upstream_expect("");
}
END_TEST

START_TEST(test_waiting_is_being_at_l2)
{
    ck_assert(!blocked_is_waiting(peer.client));
    pins.is_mute = true;
    peer_say(&peer, "BLPOP q 0\r\n");
    pins_expect(1);
    ck_assert(!blocked_is_waiting(peer.client));
    ask_unblock("");
    peer_expect(&other, ":0\r\n"); /* nobody knows its number there yet */
    upstream_expect("");
    pin_greet(0);
    pin_expect(0, "BLPOP q 0");
    ck_assert(blocked_is_waiting(peer.client));
    pin_say(0, POPPED);
    peer_expect(&peer, POPPED);
    ck_assert(!blocked_is_waiting(peer.client));
}
END_TEST

/* What may be written leaves L1, before and after */

START_TEST(test_drops_before)
{
    keep("k");
    keep("z");
    ck_assert(is_kept("k"));
    peer_say(&peer, "BLMOVE q k LEFT RIGHT 0\r\n");
    pin_expect(0, "BLMOVE q k LEFT RIGHT 0");
    ck_assert(is_kept("z"));
    ck_assert(!is_kept("k"));
}
END_TEST

START_TEST(test_drops_after)
{
    peer_say(&peer, "BLMOVE q k LEFT RIGHT 0\r\n");
    pin_expect(0, "BLMOVE q k LEFT RIGHT 0");
    keep("k");
    keep("z");
    ck_assert(is_kept("k"));
    pin_say(0, "$1\r\nx\r\n");
    peer_expect(&peer, "$1\r\nx\r\n");
    ck_assert(is_kept("z"));
    ck_assert(!is_kept("k"));
}
END_TEST

START_TEST(test_drops_after_a_loss)
{
    peer_say(&peer, "BLMOVE q k LEFT RIGHT 0\r\n");
    pin_expect(0, "BLMOVE q k LEFT RIGHT 0");
    keep("k");
    pin_hang_up(0);
    peer_expect_line(&peer, "-UPSTREAM ");
    ck_assert(!is_kept("k")); /* it may have run */
}
END_TEST

START_TEST(test_drops_after_a_leave)
{
    peer_say(&peer, "BLMOVE q k LEFT RIGHT 0\r\n");
    pin_expect(0, "BLMOVE q k LEFT RIGHT 0");
    keep("k");
    peer_leave(&peer);
    pin_expect_end(0);
    ck_assert(!is_kept("k"));
}
END_TEST

/* A fetch that is under way may have read what was there before. */
START_TEST(test_dooms_fetches)
{
    peer_say(&other, "GET k\r\n");
    upstream_expect("GET k; PTTL k");
    peer_say(&peer, "BLMOVE q k LEFT RIGHT 0\r\n");
    pin_expect(0, "BLMOVE q k LEFT RIGHT 0");
    upstream_say("$1\r\nv\r\n:-1\r\n");
    peer_expect(&other, "$1\r\nv\r\n");
    ck_assert(!is_kept("k"));
    ck_assert(is_kept("k"));
    peer_say(&other, "GET l\r\nGET k\r\n");
    upstream_expect("GET l; PTTL l");
    peer_expect(&other, "");
    pin_say(0, "$1\r\nx\r\n");
    peer_expect(&peer, "$1\r\nx\r\n");
    upstream_say("$1\r\nv\r\n:-1\r\n");
    peer_expect(&other, "$1\r\nv\r\n$1\r\nv\r\n");
    ck_assert(is_kept("l"));
    ck_assert(!is_kept("k"));
}
END_TEST

START_TEST(test_unknown_keys_are_all_keys)
{
    keep("z");
    peer_ask(&other, "SELECT 1", "+OK\r\n");
    peer_say(&other, "GET z\r\n");
    upstream_expect("SELECT 1; GET z; PTTL z");
    upstream_say("+OK\r\n$1\r\nv\r\n:-1\r\n");
    peer_expect(&other, "$1\r\nv\r\n");
    peer_say(&peer, "BLMPOP 0 many k LEFT\r\n");
    pin_expect(0, "BLMPOP 0 many k LEFT");
    ck_assert(is_kept("z")); /* in the other database */
    peer_ask(&other, "SELECT 0", "+OK\r\n");
    peer_say(&other, "GET z\r\n");
    upstream_expect("SELECT 0; GET z; PTTL z");
}
END_TEST

START_TEST(test_reads_drop_nothing)
{
    struct tier_counters before;
    struct tier_counters now;
    keep("k");
    tier_read_counters(larder->tier, &before);
    peer_say(&peer, "XREAD BLOCK 0 STREAMS k $\r\n");
    pin_expect(0, "XREAD BLOCK 0 STREAMS k $");
    ck_assert(is_kept("k"));
    pin_say(0, "_\r\n");
    peer_expect(&peer, "*-1\r\n");
    ck_assert(is_kept("k"));
    tier_read_counters(larder->tier, &now);
    ck_assert_uint_eq(now.writes, before.writes);
}
END_TEST

/* Beside the shared link */

START_TEST(test_aside)
{
    peer_say(&peer, "EVAL loop 0\r\nSCRIPT KILL\r\n");
    upstream_expect("EVAL loop 0");
    pin_expect(0, "SCRIPT KILL"); /* no SELECT, which a busy L2 would refuse; and no waiting */
    pin_say(0, "+OK\r\n");
    peer_expect(&peer, "");
    upstream_say("-ERR Error running script\r\n");
    peer_expect(&peer, "-ERR Error running script\r\n+OK\r\n");
    ck_assert_uint_eq(pinned_figures().idle, 1);
    peer_say(&peer, "SCRIPT KILL\r\n");
    pin_expect(0, "SCRIPT KILL");
    pass_ms(100);
    pin_say(0, ">2\r\n$10\r\ninvalidate\r\n_\r\n"); /* it is not silent */
    turns(3);
    pass_ms(larder->config.upstream_timeout_ms - 99);
    peer_expect_line(&peer, "-UPSTREAM "); /* it has a deadline */
    pin_expect_end(0);                     /* the reply may still come */
    ck_assert_uint_eq(pinned_figures().in_use, 0);
}
END_TEST

START_TEST(test_aside_without_a_link)
{
    block();
    peer_say(&other, "SCRIPT KILL\r\n");
    peer_expect_line(&other, "-ERR no more links to the upstream");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("blocked");
    TCase *tcase = pinned_case(suite, "blocked", pinned_set_up);
    tcase_add_test(tcase, test_own_link);
    tcase_add_test(tcase, test_nothing_comes);
    tcase_add_test(tcase, test_order);
    tcase_add_test(tcase, test_what_is_sent_before);
    tcase_add_test(tcase, test_database);
    tcase_add_test(tcase, test_no_deadline);
    tcase_add_test(tcase, test_lost_link);
    tcase_add_test(tcase, test_who_leaves_ends_the_wait);
    tcase_add_test(tcase, test_who_leaves_with_words_unread);
    tcase_add_test(tcase, test_who_leaves_while_its_link_connects);
    tcase_add_test(tcase, test_half_closed);
    tcase_add_test(tcase, test_half_closed_later);
    tcase_add_test(tcase, test_end_of_larder);
    tcase_add_test(tcase, test_unblock);
    tcase_add_test(tcase, test_waiting_is_being_at_l2);
    tcase_add_test(tcase, test_drops_before);
    tcase_add_test(tcase, test_drops_after);
    tcase_add_test(tcase, test_drops_after_a_loss);
    tcase_add_test(tcase, test_drops_after_a_leave);
    tcase_add_test(tcase, test_dooms_fetches);
    tcase_add_test(tcase, test_unknown_keys_are_all_keys);
    tcase_add_test(tcase, test_reads_drop_nothing);
    tcase_add_test(tcase, test_aside);
    TCase *one = pinned_case(suite, "one link", set_up_for_one);
    tcase_add_test(one, test_no_link_left);
    tcase_add_test(one, test_aside_without_a_link);
    return dispatch_run(suite);
}
