/* What becomes of a command that is not refused (src/core/dispatch.c, client_hold.c): CLIENT PAUSE,
 * the barrier behind scripts, commands that L2 did not tell of, counting. */
#include "dispatch_support.h"

/* CLIENT PAUSE */

static const struct {
    const char *line;
    bool is_held; /* by PAUSE WRITE; by PAUSE ALL are all of these */
} paused[] = {
    {"GET a", false},
    {"SET a 1", true},
    {"DEL a", true},
    {"PING", false},
    {"EVAL x 0", true},
    {"EVAL \"#!lua flags=no-writes\\nx\" 0", false},
    {"EVAL \"#!lua flags=no-write,allow-oom\\nx\" 0", true},
    {"EVAL \"x\\n#!lua flags=no-writes\" 0", true},
    {"EVAL_RO x 0", false},
    {"FCALL x 0", true},
    {"PFCOUNT a", true},
    {"PUBLISH a b", true},
    {"SPUBLISH a b", true},
    {"SORT a", true},
    {"SORT_RO a", false},
    {"XREADGROUP GROUP a b STREAMS a 1", true},
    {"FLUSHALL", true},
    {"BITFIELD a", true},
    {"MULTI", false},
    {"CLIENT ID", false},
    {"LPUSH a b", true},
    {"NONE", true},
};

START_TEST(test_pause)
{
    struct peer other = peer_open();
    peer_ask(&other, "CLIENT PAUSE 100000 WRITE", "+OK\r\n");
    peer_say(&peer, paused[_i].line);
    peer_say(&peer, "\r\n");
    turns(3);
    ck_assert_int_eq(peer.client->held_back, paused[_i].is_held);
    if (strncmp(paused[_i].line, "FCALL ", 6) == 0)
        upstream_expect("FUNCTION LIST"); /* which of them write */
    else if (paused[_i].is_held)
        upstream_expect("");
    peer_close(&other);
}
END_TEST

START_TEST(test_pause_all)
{
    struct peer other = peer_open();
    peer_ask(&other, "CLIENT PAUSE 100000", "+OK\r\n");
    peer_say(&peer, paused[_i].line);
    peer_say(&peer, "\r\n");
    turns(3);
    ck_assert(peer.client->held_back);
    peer_expect(&peer, "");
    upstream_expect("");
    peer_close(&other);
}
END_TEST

/* What is refused is refused at once. */
START_TEST(test_pause_comes_last)
{
    struct peer other = peer_open();
    peer_ask(&other, "CLIENT PAUSE 100000", "+OK\r\n");
    peer_ask(&peer, "GET\r\nOBJECT\r\nCLIENT foo",
             "-ERR wrong number of arguments for 'get' command\r\n"
             "-ERR wrong number of arguments for 'object' command\r\n");
    ck_assert(peer.client->held_back);
    peer_close(&other);
}
END_TEST

/* EXEC writes when what was queued does. */
START_TEST(test_pause_and_exec)
{
    struct peer other = peer_open();
    struct peer reader = peer_open();
    peer_ask(&peer, "MULTI\r\nSET a 1", "+OK\r\n+QUEUED\r\n");
    peer_ask(&reader, "MULTI\r\nGET a", "+OK\r\n+QUEUED\r\n");
    peer_ask(&other, "CLIENT PAUSE 1000 WRITE", "+OK\r\n");
    peer_ask(&peer, "EXEC", "");
    upstream_expect("");
    peer_say(&reader, "EXEC\r\n");
    upstream_expect("MULTI; GET a; EXEC");
    pass_ms(1000);
    upstream_expect("MULTI; SET a 1; EXEC");
    peer_close(&other);
    peer_close(&reader);
}
END_TEST

/* Scripts */

static void fill(const char *key)
{
    char text[64];
    snprintf(text, sizeof(text), "GET %s", key);
    peer_say(&peer, text);
    peer_say(&peer, "\r\n");
    snprintf(text, sizeof(text), "GET %s; PTTL %s", key, key);
    upstream_expect(text);
    upstream_say("$3\r\nold\r\n:-1\r\n");
    peer_expect(&peer, "$3\r\nold\r\n");
}

/* A read that L1 could answer, and doesn't. */
static void read_from_l2(const char *key)
{
    char text[64];
    snprintf(text, sizeof(text), "GET %s", key);
    peer_say(&peer, text);
    peer_say(&peer, "\r\n");
    upstream_expect(text);
    upstream_say("$3\r\nnew\r\n");
    peer_expect(&peer, "$3\r\nnew\r\n");
}

/* While something may write unknown keys, the client's own reads go behind it; others' need not. */
START_TEST(test_barrier)
{
    static const char *const barriers[] = {"EVAL x 0", "EVALSHA x 1 k", "FCALL f 0", "NONE x"};
    struct peer other = peer_open();
    char text[128];
    fill("a");
    peer_say(&peer, barriers[_i]);
    peer_say(&peer, "\r\nGET a\r\nSTRLEN a\r\nEXISTS a\r\nTTL a\r\n");
    snprintf(text, sizeof(text), "%s; GET a; STRLEN a; EXISTS a; TTL a", barriers[_i]);
    upstream_expect(text);
    peer_ask(&other, "GET a", "$3\r\nold\r\n");
    upstream_say("-ERR no\r\n$3\r\nnew\r\n:3\r\n:1\r\n:-1\r\n");
    peer_expect(&peer, "-ERR no\r\n$3\r\nnew\r\n:3\r\n:1\r\n:-1\r\n");
    ck_assert(!client_has_unseen_scripts(peer.client));
    peer_ask(&peer, "GET a", "$3\r\nold\r\n"); /* L1 again */
    peer_close(&other);
}
END_TEST

/* What the script wrote is told behind its reply, and known for certain when the next reply is there, whoever's. */
START_TEST(test_barrier_lasts_until_the_next_reply)
{
    struct peer other = peer_open();
    fill("a");
    peer_say(&peer, "EVAL x 0\r\n");
    upstream_expect("EVAL x 0");
    upstream_say(":1\r\n");
    peer_expect(&peer, ":1\r\n");
    if (_i == 0) {
        read_from_l2("a");
    } else {
        peer_say(&other, "LPUSH k v\r\n");
        upstream_expect("LPUSH k v");
        upstream_say(":1\r\n");
        peer_expect(&other, ":1\r\n");
    }
    peer_ask(&peer, "GET a", "$3\r\nold\r\n");
    peer_close(&other);
}
END_TEST

START_TEST(test_no_barrier)
{
    fill("a");
    peer_say(&peer, "EVAL_RO x 0\r\nGET a\r\nLPUSH k v\r\nGET a\r\n");
    upstream_expect("EVAL_RO x 0; LPUSH k v");
    upstream_say(":1\r\n:1\r\n");
    peer_expect(&peer, ":1\r\n$3\r\nold\r\n:1\r\n$3\r\nold\r\n");
}
END_TEST

/* A script's keys are known, and dropped; those of what hides them are not. */
START_TEST(test_keys_of_writes)
{
    fill("a");
    fill("b");
    peer_say(&peer, "EVAL x 1 a\r\n");
    upstream_expect("EVAL x 1 a");
    upstream_say(":1\r\n");
    peer_expect(&peer, ":1\r\n");
    read_from_l2("b");
    peer_ask(&peer, "GET b", "$3\r\nold\r\n");
    fill("a");
    peer_say(&peer, "MIGRATE h 1 k 0 1\r\n");
    upstream_expect("MIGRATE h 1 k 0 1");
    upstream_say("+NOKEY\r\n");
    peer_expect(&peer, "+NOKEY\r\n");
    fill("a");
    fill("b");
}
END_TEST

/* Commands that L2 did not tell of */

START_TEST(test_unknown_to_both)
{
    fill("a");
    peer_say(&peer, "NONE x\r\n");
    upstream_expect("NONE x");
    upstream_say("-ERR unknown command 'NONE'\r\n");
    peer_expect(&peer, "-ERR unknown command 'NONE'\r\n");
    upstream_expect(""); /* COMMAND is not asked */
    read_from_l2("a");
    peer_ask(&peer, "GET a", "$3\r\nold\r\n");
}
END_TEST

/* L2 has learned something since: what it wrote is unknown, and larder learns, too. */
START_TEST(test_known_to_l2)
{
    const struct command *row = command_table_find(larder->commands, BYTES("brandnew"));
    ck_assert_ptr_null(row);
    fill("a");
    upstream.command_reply = "*1\r\n*7\r\n$8\r\nbrandnew\r\n:-1\r\n~1\r\n+write\r\n"
                             ":1\r\n:1\r\n:1\r\n~0\r\n";
    peer_say(&peer, "BRANDNEW x\r\n");
    upstream_expect("BRANDNEW x");
    upstream_say("+DONE\r\n");
    peer_expect(&peer, "+DONE\r\n");
    fill("a");
    row = command_table_find(larder->commands, BYTES("brandnew"));
    ck_assert_ptr_nonnull(row);
    ck_assert_uint_eq(row->flags, COMMAND_LEARNED | COMMAND_WRITE);
    peer_say(&peer, "BRANDNEW x\r\n");
    upstream_expect("BRANDNEW x");
    upstream_say("+DONE\r\n");
    peer_expect(&peer, "+DONE\r\n");
    peer_ask(&peer, "GET a", "$3\r\nold\r\n");
}
END_TEST

/* An L2 that tells nothing: whatever larder does not know drops the database before it is sent. */
START_TEST(test_l2_tells_nothing)
{
    dispatch_restart("-NOPERM no\r\n");
    ck_assert(!larder->learned);
    fill("a");
    peer_say(&peer, "LPUSH k v\r\nGET a\r\n");
    upstream_expect("LPUSH k v; GET a; PTTL a");
    upstream_say("-ERR no\r\n$3\r\nnew\r\n:-1\r\n");
    peer_expect(&peer, "-ERR no\r\n$3\r\nnew\r\n");
}
END_TEST

START_TEST(test_administration)
{
    peer_ask(&peer, "PFSELFTEST",
             "-ERR 'pfselftest' is an administrative command; set allow-admin to send it "
             "upstream\r\n");
    upstream_expect("");
    larder->config.allow_admin = true;
    peer_say(&peer, "PFSELFTEST\r\n");
    upstream_expect("PFSELFTEST");
}
END_TEST

/* Counting */

START_TEST(test_counters)
{
    const struct command *get = command_table_find(larder->commands, BYTES("get"));
    const struct command *lpush = command_table_find(larder->commands, BYTES("lpush"));
    larder->config.slowlog_log_slower_than_us = 0;
    fill("a");
    peer_ask(&peer, "GET a\r\nGET",
             "$3\r\nold\r\n-ERR wrong number of arguments for 'get' command\r\n");
    peer_say(&peer, "LPUSH k v\r\n");
    upstream_expect("LPUSH k v");
    upstream_say("-WRONGTYPE no\r\n");
    peer_expect(&peer, "-WRONGTYPE no\r\n");
    ck_assert_uint_eq(get->stats->calls, 2);
    ck_assert_uint_eq(get->stats->rejected, 1);
    ck_assert_uint_eq(get->stats->failed, 0);
    ck_assert_uint_gt(get->stats->nanoseconds, 0);
    ck_assert_uint_eq(lpush->stats->calls, 1);
    ck_assert_uint_eq(lpush->stats->failed, 1);
    ck_assert_uint_eq(larder->stats.commands, 4);
    ck_assert_uint_eq(larder->stats.error_replies, 2);
    ck_assert_uint_eq(peer.client->n_commands, 4);
    ck_assert_uint_eq(larder->slowlog.n, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dispatch_pass");
    TCase *tcase = dispatch_case(suite, "upstream", dispatch_set_up);
    tcase_add_loop_test(tcase, test_pause, 0, N(paused));
    tcase_add_loop_test(tcase, test_pause_all, 0, N(paused));
    tcase_add_test(tcase, test_pause_comes_last);
    tcase_add_test(tcase, test_pause_and_exec);
    tcase_add_loop_test(tcase, test_barrier, 0, 4);
    tcase_add_loop_test(tcase, test_barrier_lasts_until_the_next_reply, 0, 2);
    tcase_add_test(tcase, test_no_barrier);
    tcase_add_test(tcase, test_keys_of_writes);
    tcase_add_test(tcase, test_unknown_to_both);
    tcase_add_test(tcase, test_known_to_l2);
    tcase_add_test(tcase, test_l2_tells_nothing);
    tcase_add_test(tcase, test_administration);
    tcase_add_test(tcase, test_counters);
    return dispatch_run(suite);
}
