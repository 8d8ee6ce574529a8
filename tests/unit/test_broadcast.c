/* A larder whose L2 broadcasts changes (coherence broadcast), where that makes a difference beyond the
 * tier: the barrier behind scripts (src/core/slot.c), and CLIENT TRACKING (src/core/tracking.h). */
#include "dispatch_support.h"

#define PUSH(len, key) ">2\r\n$10\r\ninvalidate\r\n*1\r\n$" len "\r\n" key "\r\n"

static void set_up(void)
{
    dispatch_set_up_with("coherence broadcast\nbroadcast-prefix a: b:\n");
}

static void fill(const char *key)
{
    char text[64];
    snprintf(text, sizeof(text), "GET %s\r\n", key);
    peer_say(&peer, text);
    snprintf(text, sizeof(text), "GET %s; PTTL %s", key, key);
    upstream_expect(text);
    upstream_say("$3\r\nold\r\n:-1\r\n");
    peer_expect(&peer, "$3\r\nold\r\n");
}

/* Scripts */

/* L2 tells what a script wrote at the end of its loop's turn. That may be read later than the reply,
 * but before the reply to anything that was sent behind that. */
START_TEST(test_script_whose_push_is_late)
{
    struct peer other = peer_open();
    fill("a:1");
    peer_say(&peer, "EVAL x 0\r\n");
    upstream_expect("EVAL x 0");
    upstream_say(":1\r\n");
    peer_expect(&peer, ":1\r\n");
    peer_ask(&other, "GET a:1", "$3\r\nold\r\n"); /* it has not been told */
    peer_say(&peer, "GET a:1\r\nSTRLEN a:1\r\n");
    upstream_expect("GET a:1; STRLEN a:1");
    upstream_say(PUSH("3", "a:1") "$3\r\nnew\r\n:3\r\n");
    peer_expect(&peer, "$3\r\nnew\r\n:3\r\n");
    ck_assert_uint_eq(peer.client->n_scripts, 1);
    fill("a:2"); /* the end of it: filled at once */
    peer_ask(&peer, "GET a:2", "$3\r\nold\r\n");
    ck_assert_uint_eq(peer.client->n_scripts, 0);
    peer_close(&other);
}
END_TEST

/* What others send behind the script's reply is as good. */
START_TEST(test_others_end_the_wait)
{
    struct peer other = peer_open();
    fill("a:1");
    peer_say(&peer, "EVAL x 0\r\nEVAL y 0\r\n");
    upstream_expect("EVAL x 0; EVAL y 0");
    upstream_say(":1\r\n:2\r\n");
    peer_expect(&peer, ":1\r\n:2\r\n");
    ck_assert_uint_eq(peer.client->n_scripts, 1);
    peer_say(&other, "LPUSH l v\r\n");
    upstream_expect("LPUSH l v");
    upstream_say(":1\r\n");
    peer_expect(&other, ":1\r\n");
    peer_ask(&peer, "GET a:1", "$3\r\nold\r\n");
    peer_say(&peer, "EVAL z 0\r\n");
    upstream_expect("EVAL z 0");
    upstream_say(":1\r\n");
    peer_expect(&peer, ":1\r\n");
    upstream_hang_up(); /* and L1 with it */
    TURN_UNTIL(&larder->loop,
               link_get_state(larder->link) == LINK_READY && upstream.n_connected == 2);
    fill("a:1");
    peer_ask(&peer, "GET a:1", "$3\r\nold\r\n");
    peer_close(&other);
}
END_TEST

/* CLIENT TRACKING */

START_TEST(test_clients_that_track)
{
    peer_say(&peer, "HELLO 3\r\nCLIENT TRACKING ON\r\n");
    TURN_UNTIL(&larder->loop, peer_read_len(&peer) > 100);
    turns(5);
    peer_read(&peer);
    peer.got.len = 0;
    fill("a:1"); /* L2 tells of it */
    peer_ask(&peer, "GET a:1", "$3\r\nold\r\n");
    peer_say(&peer, "GET x\r\n"); /* not of this one, so larder does at once */
    upstream_expect("GET x; PTTL x");
    upstream_say("$3\r\nold\r\n:-1\r\n");
    peer_expect(&peer, "$3\r\nold\r\n" PUSH("1", "x"));
    peer_ask(&peer, "GET x", "$3\r\nold\r\n" PUSH("1", "x"));
    upstream_say(PUSH("3", "a:1") PUSH("3", "b:1"));
    peer_expect(&peer, PUSH("3", "a:1"));
    peer_say(&peer, "MGET a:1 x b:1\r\n");
    upstream_expect("GET a:1; PTTL a:1; GET b:1; PTTL b:1");
    upstream_say("$3\r\nold\r\n:-1\r\n$3\r\nold\r\n:-1\r\n");
    peer_expect(&peer, "*3\r\n$3\r\nold\r\n$3\r\nold\r\n$3\r\nold\r\n" PUSH("1", "x"));
    upstream_say(PUSH("3", "b:1"));
    peer_expect(&peer, PUSH("3", "b:1"));
}
END_TEST

/* EXPLAIN */

static bool says_tracked(const char *key)
{
    char line[64];
    static const char yes[] = "$7\r\ntracked\r\n:1\r\n";
    snprintf(line, sizeof(line), "CACHE EXPLAIN %s\r\n", key);
    peer_say(&peer, line);
    TURN_UNTIL(&larder->loop, peer_read_len(&peer) > 0);
    turns(3);
    peer_read(&peer);
    bool found = memmem(peer.got.data, peer.got.len, yes, sizeof(yes) - 1) != NULL;
    peer.got.len = 0;
    return found;
}

START_TEST(test_explain)
{
    fill("a:1");
    fill("x");
    ck_assert(says_tracked("a:1"));
    ck_assert(!says_tracked("x"));
    ck_assert(!says_tracked("a:2"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("broadcast");
    TCase *tcase = dispatch_case(suite, "upstream", set_up);
    tcase_add_test(tcase, test_script_whose_push_is_late);
    tcase_add_test(tcase, test_others_end_the_wait);
    tcase_add_test(tcase, test_clients_that_track);
    tcase_add_test(tcase, test_explain);
    return dispatch_run(suite);
}
