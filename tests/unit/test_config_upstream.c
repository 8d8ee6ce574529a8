/* CONFIG in front of an L2 (src/command/config_upstream.h): CONFIG GET of both, what is answered
 * without L2, CONFIG SET of both. */
#include "pinned_support.h"

/* What L2 says to CONFIG GET timeout save hz, and what the client gets. */
#define OF_L2 "$7\r\ntimeout\r\n$1\r\n7\r\n$4\r\nsave\r\n$6\r\n3600 1\r\n$2\r\nhz\r\n$2\r\n10\r\n"
#define OWN "$7\r\ntimeout\r\n$1\r\n0\r\n"
#define BOTH OWN "$4\r\nsave\r\n$6\r\n3600 1\r\n$2\r\nhz\r\n$2\r\n10\r\n"
#define ALONE OWN "$4\r\nsave\r\n$0\r\n\r\n"

static void ask(void)
{
    peer_say(&peer, "CONFIG GET timeout save hz\r\n");
    upstream_expect("CONFIG GET timeout save hz");
    peer_expect(&peer, "");
}

/* CONFIG GET */

START_TEST(test_get_of_both)
{
    ask();
    upstream_say("%3\r\n" OF_L2);
    peer_expect(&peer, "*6\r\n" BOTH);
    ask();
    upstream_say("*6\r\n" OF_L2); /* in RESP2 */
    peer_expect(&peer, "*6\r\n" BOTH);
    peer.client->proto = 3;
    ask();
    upstream_say("%3\r\n" OF_L2);
    peer_expect(&peer, "%3\r\n" BOTH);
    pass_ms(2000); /* nothing is waited for any more */
    peer_expect(&peer, "");
}
END_TEST

START_TEST(test_get_of_own)
{
    peer_ask(&peer, "CONFIG GET timeout", "*2\r\n" OWN);
    upstream_expect("");
}
END_TEST

START_TEST(test_get_of_others)
{
    peer_say(&peer, "CONFIG GET hz nosuch\r\nPING\r\n");
    upstream_expect("CONFIG GET hz nosuch");
    peer_expect(&peer, "");
    upstream_say("%1\r\n$2\r\nhz\r\n$2\r\n10\r\n");
    peer_expect(&peer, "*2\r\n$2\r\nhz\r\n$2\r\n10\r\n+PONG\r\n");
    peer_say(&peer, "CONFIG GET nosuch\r\n");
    upstream_expect("CONFIG GET nosuch");
    upstream_say("%0\r\n");
    peer_expect(&peer, "*0\r\n");
}
END_TEST

START_TEST(test_get_of_passwords)
{
    peer_say(&peer, "CONFIG GET master* tls-key*\r\n");
    upstream_expect("CONFIG GET master* tls-key*");
    upstream_say("%3\r\n$10\r\nmasterauth\r\n$4\r\nhush\r\n$17\r\ntls-key-file-pass\r\n$0\r\n\r\n"
                 "$10\r\nmasteruser\r\n$2\r\nme\r\n");
    peer_expect(&peer, "*6\r\n$10\r\nmasterauth\r\n$3\r\n***\r\n$17\r\ntls-key-file-pass\r\n"
                       "$0\r\n\r\n$10\r\nmasteruser\r\n$2\r\nme\r\n");
}
END_TEST

/* The head counts what follows, whatever L2 says. */
START_TEST(test_get_of_what_is_no_text)
{
    ask();
    upstream_say("%3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n:1\r\n$1\r\nd\r\n$1\r\ne\r\n");
    peer_expect(&peer, "*4\r\n" OWN "$1\r\na\r\n$1\r\nb\r\n");
    ask();
    upstream_say("*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    peer_expect(&peer, "*4\r\n" OWN "$1\r\na\r\n$1\r\nb\r\n");
}
END_TEST

/* Without L2 */

START_TEST(test_get_when_l2_refuses)
{
    static const char *const replies[] = {"-NOPERM no\r\n", "+OK\r\n", "$2\r\nhz\r\n", "_\r\n"};
    for (size_t i = 0; i < N(replies); i++) {
        ask();
        upstream_say(replies[i]);
        peer_expect(&peer, "*4\r\n" ALONE);
    }
}
END_TEST

START_TEST(test_get_when_l2_is_late)
{
    ask();
    pass_ms(999);
    peer_expect(&peer, "");
    pass_ms(1);
    peer_expect(&peer, "*4\r\n" ALONE);
    ask();
    upstream_say("%3\r\n" OF_L2); /* to the first one, which nobody waits for */
    turns(3);
    peer_expect(&peer, "");
    upstream_say("%3\r\n" OF_L2);
    peer_expect(&peer, "*6\r\n" BOTH);
}
END_TEST

START_TEST(test_get_when_l2_is_away)
{
    ask();
    upstream_hang_up();
    upstream_stop_listening();
    peer_expect(&peer, "*4\r\n" ALONE);
    turns(10);
    peer_ask(&peer, "CONFIG GET timeout save hz", "*4\r\n" ALONE);
}
END_TEST

START_TEST(test_get_and_leave)
{
    ask();
    client_close(peer.client, "test");
    turns(3);
    upstream_say("%3\r\n" OF_L2);
    turns(3);
    ck_assert_uint_eq(larder->n_slots, 0);
    peer_say(&other, "CONFIG GET hz\r\n");
    upstream_expect("CONFIG GET hz");
    client_close(other.client, "test");
    pass_ms(1000); /* its time is over */
    ck_assert_uint_eq(larder->n_slots, 0);
    upstream_say("%0\r\n");
    turns(3);
}
END_TEST

START_TEST(test_get_at_the_end)
{
    ask(); /* the tear-down ends larder meanwhile */
}
END_TEST

/* CONFIG SET of both */

static void expect_timeout(int64_t seconds)
{
    char text[60];
    snprintf(text, sizeof(text), "*2\r\n$7\r\ntimeout\r\n$1\r\n%lld\r\n", (long long)seconds);
    peer_ask(&other, "CONFIG GET timeout", text);
}

START_TEST(test_set_of_both)
{
    peer_say(&peer, "CONFIG SET timeout 5 hz 20 maxclients 77 nosuch x\r\nCONFIG GET timeout\r\n");
    upstream_expect("CONFIG SET hz 20 nosuch x");
    peer_expect(&peer, "");
    expect_timeout(0); /* L2 may refuse yet */
    upstream_say("+OK\r\n");
    peer_expect(&peer, "+OK\r\n*2\r\n$7\r\ntimeout\r\n$1\r\n5\r\n");
    ck_assert_int_eq(larder->config.maxclients, 77);
    upstream_expect("");
}
END_TEST

START_TEST(test_set_when_larder_refuses)
{
    peer_say(&peer, "CONFIG SET hz 20 timeout never\r\n");
    peer_expect_line(&peer, "-ERR CONFIG SET failed (possibly related to argument 'timeout') - ");
    upstream_expect("");
    peer_say(&peer, "CONFIG SET hz 20 timeout\r\n");
    peer_expect_line(&peer, "-ERR ");
    upstream_expect("");
    expect_timeout(0);
}
END_TEST

START_TEST(test_set_when_l2_refuses)
{
    peer_say(&peer, "CONFIG SET timeout 5 hz x\r\n");
    upstream_expect("CONFIG SET hz x");
    upstream_say("-ERR CONFIG SET failed\r\n");
    peer_expect(&peer, "-ERR CONFIG SET failed\r\n");
    expect_timeout(0);
}
END_TEST

START_TEST(test_set_when_l2_is_away)
{
    peer_say(&peer, "CONFIG SET timeout 5 hz 20\r\n");
    upstream_expect("CONFIG SET hz 20");
    upstream_hang_up();
    upstream_stop_listening();
    peer_expect_line(&peer, "-UPSTREAM ");
    peer_say(&peer, "CONFIG SET timeout 5 hz 20\r\n");
    peer_expect_line(&peer, "-UPSTREAM ");
    expect_timeout(0);
    peer_ask(&peer, "CONFIG SET timeout 5", "+OK\r\n"); /* L2 isn't needed */
    expect_timeout(5);
}
END_TEST

/* L2 has set its part, so larder sets its own, too. */
START_TEST(test_set_and_leave)
{
    peer_say(&peer, "CONFIG SET timeout 5 hz 20\r\n");
    upstream_expect("CONFIG SET hz 20");
    client_close(peer.client, "test");
    turns(3);
    upstream_say("+OK\r\n");
    turns(3);
    expect_timeout(5);
    ck_assert_uint_eq(larder->n_slots, 0);
}
END_TEST

START_TEST(test_set_of_others)
{
    peer_say(&peer, "CONFIG SET hz 20 nosuch 1\r\n");
    upstream_expect("CONFIG SET hz 20 nosuch 1");
    upstream_say("-ERR Unknown option\r\n");
    peer_expect(&peer, "-ERR Unknown option\r\n");
}
END_TEST

START_TEST(test_set_at_the_end)
{
    peer_say(&peer, "CONFIG SET timeout 5 hz 20\r\n");
    upstream_expect("CONFIG SET hz 20"); /* the tear-down ends larder meanwhile */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_upstream");
    TCase *tcase = pinned_case(suite, "config_upstream", pinned_set_up);
    tcase_add_test(tcase, test_get_of_both);
    tcase_add_test(tcase, test_get_of_own);
    tcase_add_test(tcase, test_get_of_others);
    tcase_add_test(tcase, test_get_of_passwords);
    tcase_add_test(tcase, test_get_of_what_is_no_text);
    tcase_add_test(tcase, test_get_when_l2_refuses);
    tcase_add_test(tcase, test_get_when_l2_is_late);
    tcase_add_test(tcase, test_get_when_l2_is_away);
    tcase_add_test(tcase, test_get_and_leave);
    tcase_add_test(tcase, test_get_at_the_end);
    tcase_add_test(tcase, test_set_of_both);
    tcase_add_test(tcase, test_set_when_larder_refuses);
    tcase_add_test(tcase, test_set_when_l2_refuses);
    tcase_add_test(tcase, test_set_when_l2_is_away);
    tcase_add_test(tcase, test_set_and_leave);
    tcase_add_test(tcase, test_set_of_others);
    tcase_add_test(tcase, test_set_at_the_end);
    return dispatch_run(suite);
}
