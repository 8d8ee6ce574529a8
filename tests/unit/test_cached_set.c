/* SET, SETEX and PSETEX under policies about writes (src/command/cached_set.c): what L2 gets for what a
 * client says, and when the reply leaves. */
#include "dispatch_support.h"

static void set_up(void)
{
    dispatch_set_up_with("policy k l2-ttl-factor=3\npolicy h l2-ttl-factor=1.5\n"
                         "policy a: write-allocate=yes\npolicy a:deny mode=deny\n"
                         "policy a:both l2-ttl-factor=2\n");
}

/* What the client says and what L2 gets of it; NULL: the same. The wall clock says 1700000000000. */
static const struct {
    const char *said;
    const char *sent;
} sets[] = {
    {"SET k v EX 10", "SET k v EX 30"},
    {"set k v ex 10", "set k v ex 30"},
    {"SET k v PX 10", "SET k v PX 30"},
    {"SET k v NX GET EX 10", "SET k v NX GET EX 30"},
    {"SET k v PX 10 XX", "SET k v PX 30 XX"},
    {"SET k v EXAT 1700000010", "SET k v EXAT 1700000030"},
    {"SET k v PXAT 1700000000010", "SET k v PXAT 1700000000030"},
    {"SETEX k 10 v", "SETEX k 30 v"},
    {"PSETEX k 10 v", "PSETEX k 30 v"},
    {"setex k 10 v", "setex k 30 v"},
    {"SET h v EX 1", "SET h v EX 2"}, /* to the nearest */
    {"SET h v PX 101", "SET h v PX 152"},
    {"SET k ex EX 10", "SET k ex EX 30"},
    /* No time, or no other prefix's. */
    {"SET k v", NULL},
    {"SET k EX", NULL},
    {"SET k v KEEPTTL", NULL},
    {"SET other v EX 10", NULL},
    {"SETEX other 10 v", NULL},
    {"PSETEX other 10 v", NULL},
    {"SETNX k v", NULL},
    {"EXPIRE k 10", NULL},
    /* What Redis refuses, it shall refuse in its own words. */
    {"SET k v EX 0", NULL},
    {"SET k v EX -1", NULL},
    {"SET k v EX abc", NULL},
    {"SET k v EX 10 x", "SET k v EX 30 x"},
    {"SET k v EX", NULL},
    {"SETEX k 0 v", NULL},
    {"SETEX k x v", NULL},
    {"SET k v EXAT 1700000000", NULL}, /* over already */
    {"SET k v EXAT 1699999999", NULL},
    {"SET k v EX 9223372036854775807", NULL},
    {"SET k v PX 9223372036854775807", NULL},
    {"SET k v PX 3000000000000000000", NULL}, /* three times that is too much */
    {"SET k v EX 3000000000000000", NULL},
    {"SETEX k 3000000000000000 v", NULL},
    {"PSETEX k 3000000000000000 v", "PSETEX k 9000000000000000 v"},
    {"SET k v a b c d e f g h i j k l m n EX 10", NULL}, /* no SET is that long */
};

START_TEST(test_ttl_factor)
{
    peer_say(&peer, sets[_i].said);
    peer_say(&peer, "\r\n");
    upstream_expect(sets[_i].sent != NULL ? sets[_i].sent : sets[_i].said);
    upstream_say("+OK\r\n");
    peer_expect(&peer, "+OK\r\n");
}
END_TEST

/* Inside MULTI it goes as it is. */
START_TEST(test_multi)
{
    peer_ask(&peer, "MULTI", "+OK\r\n");
    peer_ask(&peer, "SET k v EX 10", "+QUEUED\r\n");
    peer_say(&peer, "EXEC\r\n");
    upstream_expect("MULTI; SET k v EX 10; EXEC");
    upstream_say("+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    peer_expect(&peer, "*1\r\n+OK\r\n");
}
END_TEST

/* The number of arguments is L2's to refuse, or larder's by its table; nothing is read behind them. */
START_TEST(test_arity)
{
    peer_say(&peer, "SET k\r\nSETEX k\r\nPSETEX k 10\r\n");
    peer_expect(&peer, "-ERR wrong number of arguments for 'set' command\r\n"
                       "-ERR wrong number of arguments for 'setex' command\r\n"
                       "-ERR wrong number of arguments for 'psetex' command\r\n");
    upstream_expect("");
}
END_TEST

/* write-allocate */

START_TEST(test_allocates)
{
    peer_say(&peer, "SET a:1 v\r\n");
    upstream_expect("SET a:1 v; GET a:1; PTTL a:1");
    upstream_say("+OK\r\n$1\r\nv\r\n");
    turns(5);
    peer_expect(&peer, "");
    upstream_say(":-1\r\n");
    peer_expect(&peer, "+OK\r\n");
    peer_ask(&peer, "GET a:1", "$1\r\nv\r\n"); /* of L1 */
    upstream_expect("");
}
END_TEST

START_TEST(test_allocates_with_time)
{
    peer_say(&peer, "SETEX a:1 10 v\r\n");
    upstream_expect("SETEX a:1 10 v; GET a:1; PTTL a:1");
    upstream_say("+OK\r\n$1\r\nv\r\n:10000\r\n");
    peer_expect(&peer, "+OK\r\n");
    peer_say(&peer, "PSETEX a:1 10 v\r\n");
    upstream_expect("PSETEX a:1 10 v; GET a:1; PTTL a:1");
    upstream_say("+OK\r\n$1\r\nv\r\n:10\r\n");
    peer_expect(&peer, "+OK\r\n");
}
END_TEST

/* Both at once: the longest prefix's policy is the only one. */
START_TEST(test_only_one_policy)
{
    peer_say(&peer, "SET a:both v EX 10\r\n");
    upstream_expect("SET a:both v EX 20");
    upstream_say("+OK\r\n");
    peer_expect(&peer, "+OK\r\n");
    peer_ask(&peer, "CACHE POLICY SET a:both write-allocate=yes", "+OK\r\n");
    peer_say(&peer, "SET a:both v EX 10\r\n");
    upstream_expect("SET a:both v EX 20; GET a:both; PTTL a:both");
    upstream_say("+OK\r\n$1\r\nv\r\n:20000\r\n");
    peer_expect(&peer, "+OK\r\n");
    pass_ms(9999);
    peer_ask(&peer, "GET a:both", "$1\r\nv\r\n");
    upstream_expect("");
    pass_ms(1);
    peer_say(&peer, "GET a:both\r\n");
    upstream_expect("GET a:both; PTTL a:both");
}
END_TEST

/* Not where nothing would be kept. */
START_TEST(test_does_not_allocate)
{
    peer_say(&peer, "SET a:deny v\r\n");
    upstream_expect("SET a:deny v");
    upstream_say("+OK\r\n");
    peer_expect(&peer, "+OK\r\n");
    peer_ask(&peer, "CACHE POLICY SET a:deny write-allocate=yes", "+OK\r\n");
    peer_say(&peer, "SET a:deny v\r\n");
    upstream_expect("SET a:deny v");
    upstream_say("+OK\r\n");
    peer_expect(&peer, "+OK\r\n");
    peer_ask(&peer, "CONFIG SET l1-enabled no", "+OK\r\n");
    peer_say(&peer, "SET a:1 v\r\n");
    upstream_expect("SET a:1 v");
    upstream_say("+OK\r\n");
    peer_expect(&peer, "+OK\r\n");
}
END_TEST

/* Pipelined: replies in order, each value read behind its own write. */
START_TEST(test_pipeline)
{
    peer_say(&peer, "SET a:1 v\r\nGET a:1\r\nSET other w\r\nSET a:1 x\r\n");
    upstream_expect("SET a:1 v; GET a:1; PTTL a:1; SET other w; SET a:1 x; GET a:1; PTTL a:1");
    upstream_say("+OK\r\n$1\r\nv\r\n:-1\r\n+OK\r\n+OK\r\n$1\r\nx\r\n:-1\r\n");
    peer_expect(&peer, "+OK\r\n$1\r\nv\r\n+OK\r\n+OK\r\n");
    peer_ask(&peer, "GET a:1", "$1\r\nx\r\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cached_set");
    TCase *tcase = dispatch_case(suite, "cached_set", set_up);
    tcase_add_loop_test(tcase, test_ttl_factor, 0, N(sets));
    tcase_add_test(tcase, test_multi);
    tcase_add_test(tcase, test_arity);
    tcase_add_test(tcase, test_allocates);
    tcase_add_test(tcase, test_allocates_with_time);
    tcase_add_test(tcase, test_only_one_policy);
    tcase_add_test(tcase, test_does_not_allocate);
    tcase_add_test(tcase, test_pipeline);
    return dispatch_run(suite);
}
