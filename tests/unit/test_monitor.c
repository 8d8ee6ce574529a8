/* Who monitors, and what they are shown (src/core/monitor.h): lines, what is hidden, secrets. */
#include "pinned_support.h"

#include "core/monitor.h"

static struct peer shown; /* who monitors */

static void monitor_set_up(void)
{
    pinned_set_up();
    shown = peer_open();
    monitor_add(shown.client);
}

static void set_up_with_a_limit(void)
{
    pinned_set_up_with("client-output-buffer-limit normal 1000 0 0\n");
    shown = peer_open();
    monitor_add(shown.client);
}

static void monitor_tear_down(void)
{
    peer_close(&shown);
    pinned_tear_down();
}

/* Takes the head "+1700000000.123456 [0 unix:...] " of a line. Returns what follows. */
static const char *skip_head(const char *line, unsigned db, const char *address)
{
    char rest[200];
    ck_assert_msg(line[0] == '+' && strspn(line + 1, "0123456789") == 10 && line[11] == '.' &&
                      strspn(line + 12, "0123456789") == 6,
                  "%s", line);
    snprintf(rest, sizeof(rest), " [%u %s] ", db, address);
    ck_assert_msg(strncmp(line + 18, rest, strlen(rest)) == 0, "%s, not with %s", line, rest);
    return line + 18 + strlen(rest);
}

/* What the monitor has got, without heads and with "; " between lines, must be this. */
static void expect_shown(const char *expected)
{
    char all[4096] = "";
    char address[120];
    snprintf(address, sizeof(address), "unix:%s/l1", upstream.dir);
    turns(3);
    peer_read(&shown);
    ck_assert(buf_append(&shown.got, "", 1));
    for (char *line = shown.got.data; *line != '\0';) {
        char *end = strstr(line, "\r\n");
        ck_assert_ptr_nonnull(end);
        *end = '\0';
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", all[0] != '\0' ? "; " : "",
                 skip_head(line, 0, address));
        line = end + 2;
    }
    ck_assert_str_eq(all, expected);
    shown.got.len = 0;
}

/* One command: how it is shown, "" when it is hidden */

static const struct {
    const char *line;
    const char *shown;
} rows[] = {
    {"GET k", "\"GET\" \"k\""},
    {"gEt k", "\"gEt\" \"k\""},
    {"set k 'a b'", "\"set\" \"k\" \"a b\""},
    {"SET k ''", "\"SET\" \"k\" \"\""},
    {"LPUSH l a b", "\"LPUSH\" \"l\" \"a\" \"b\""},
    {"BLPOP q 0", "\"BLPOP\" \"q\" \"0\""},
    {"EVAL script 0", "\"EVAL\" \"script\" \"0\""},
    {"PING", "\"PING\""},
    {"COMMAND COUNT", "\"COMMAND\" \"COUNT\""},
    {"CLIENT ID", "\"CLIENT\" \"ID\""},
    {"CLIENT SETNAME me", "\"CLIENT\" \"SETNAME\" \"me\""},
    {"CONFIG HELP", "\"CONFIG\" \"HELP\""},
    {"LATENCY HELP", "\"LATENCY\" \"HELP\""},
    /* administrative */
    {"CONFIG GET timeout", ""},
    {"config resetstat", ""},
    {"SLOWLOG LEN", ""},
    {"LATENCY RESET", ""},
    {"CLIENT LIST", ""},
    {"client no-evict ON", ""},
    {"CLIENT KILL 1.2.3.4:5", ""},
    {"CLIENT PAUSE 0", ""},
    {"CLIENT UNPAUSE", ""},
    {"CLIENT UNBLOCK 999", ""},
    {"MONITOR", ""},
    /* refused before they run */
    {"GET", ""},
    {"GET a b", ""},
    {"NOSUCH a", ""},
    {"SHUTDOWN", ""},
    {"DEBUG SLEEP 0", ""},
    {"SYNC", ""},
    /* larder's own */
    {"CACHE STATS", ""},
    {"UPSTREAM LIST", ""},
    /* secrets */
    {"AUTH hush", "\"AUTH\" \"(redacted)\""},
    {"auth me hush", "\"auth\" \"(redacted)\" \"(redacted)\""},
    {"HELLO 2 AUTH me hush", "\"HELLO\" \"2\" \"AUTH\" \"(redacted)\" \"(redacted)\""},
    {"HELLO 2 SETNAME auth auth me hush",
     "\"HELLO\" \"2\" \"SETNAME\" \"auth\" \"(redacted)\" \"(redacted)\" \"hush\""},
    {"HELLO 2 setname x auth me hush",
     "\"HELLO\" \"2\" \"setname\" \"x\" \"auth\" \"(redacted)\" \"(redacted)\""},
    {"HELLO 2 AUTH me", "\"HELLO\" \"2\" \"AUTH\" \"(redacted)\""},
    {"HELLO 2", "\"HELLO\" \"2\""},
    {"MIGRATE h 1 '' 0 10 AUTH hush KEYS a",
     "\"MIGRATE\" \"h\" \"1\" \"\" \"0\" \"10\" \"AUTH\" \"(redacted)\" \"KEYS\" \"a\""},
    {"MIGRATE h 1 '' 0 10 copy auth2 me hush KEYS a",
     "\"MIGRATE\" \"h\" \"1\" \"\" \"0\" \"10\" \"copy\" \"auth2\" \"(redacted)\" \"(redacted)\" "
     "\"KEYS\" \"a\""},
    {"MIGRATE h 1 auth 0 10", "\"MIGRATE\" \"h\" \"1\" \"auth\" \"0\" \"10\""},
    {"ECHO auth", "\"ECHO\" \"auth\""},
    {"MSET a auth b c", "\"MSET\" \"a\" \"auth\" \"b\" \"c\""},
};

START_TEST(test_shown)
{
    peer_say(&peer, rows[_i].line);
    peer_say(&peer, "\r\n");
    turns(3);
    expect_shown(rows[_i].shown);
}
END_TEST

START_TEST(test_quoting)
{
    static const char set[] = "*3\r\n$3\r\nSET\r\n$10\r\n\\\"\n\r\t\a\b \x7f~\r\n$4\r\n"
                              "\0\x1f\x80\xff\r\n";
    peer_write(&peer, set, sizeof(set) - 1);
    expect_shown("\"SET\" \"\\\\\\\"\\n\\r\\t\\a\\b \\x7f~\" \"\\x00\\x1f\\x80\\xff\"");
}
END_TEST

/* Transactions */

START_TEST(test_transaction)
{
    peer_ask(&peer, "MULTI", "+OK\r\n");
    peer_ask(&peer, "SET k 1", "+QUEUED\r\n");
    peer_ask(&peer, "CONFIG GET port", "+QUEUED\r\n");
    peer_ask(&peer, "GET k", "+QUEUED\r\n");
    expect_shown("\"MULTI\"");
    peer_say(&peer, "EXEC\r\n");
    expect_shown("\"SET\" \"k\" \"1\"; \"GET\" \"k\"; \"EXEC\"");
}
END_TEST

START_TEST(test_transactions_that_do_not_run)
{
    peer_ask(&peer, "MULTI", "+OK\r\n");
    peer_ask(&peer, "SET k 1", "+QUEUED\r\n");
    peer_ask(&peer, "DISCARD", "+OK\r\n");
    expect_shown("\"MULTI\"; \"DISCARD\"");
    peer_ask(&peer, "MULTI", "+OK\r\n");
    peer_ask(&peer, "SET k 1", "+QUEUED\r\n");
    peer_ask(&peer, "GET", "-ERR wrong number of arguments for 'get' command\r\n");
    peer_ask(&peer, "EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    expect_shown("\"MULTI\"; \"EXEC\"");
    peer_ask(&peer, "EXEC", "-ERR EXEC without MULTI\r\n");
    expect_shown("\"EXEC\"");
}
END_TEST

/* The head */

START_TEST(test_database_and_address)
{
    peer_ask(&peer, "SELECT 3", "+OK\r\n");
    turns(3);
    peer_read(&shown);
    shown.got.len = 0;
    peer.client->is_unix = false;
    snprintf(peer.client->peer, sizeof(peer.client->peer), "10.1.2.3:456");
    peer_say(&peer, "PING\r\n");
    peer_expect(&peer, "+PONG\r\n");
    peer_read(&shown);
    ck_assert(buf_append(&shown.got, "", 1));
    ck_assert_str_eq(skip_head(shown.got.data, 3, "10.1.2.3:456"), "\"PING\"\r\n");
}
END_TEST

/* Who monitors */

START_TEST(test_who)
{
    ck_assert_uint_eq(larder->n_monitors, 1);
    monitor_add(shown.client);
    ck_assert_uint_eq(larder->n_monitors, 1);
    monitor_add(other.client);
    ck_assert_uint_eq(larder->n_monitors, 2);
    peer_ask(&peer, "PING", "+PONG\r\n");
    expect_shown("\"PING\"");
    ck_assert_uint_gt(peer_read_len(&other), 20);
    other.got.len = 0;
    monitor_remove(shown.client);
    monitor_remove(shown.client);
    monitor_remove(peer.client);
    ck_assert_uint_eq(larder->n_monitors, 1);
    peer_ask(&peer, "PING", "+PONG\r\n");
    expect_shown("");
    ck_assert_uint_gt(peer_read_len(&other), 20);
    peer_leave(&other);
    ck_assert_uint_eq(larder->n_monitors, 0);
    ck_assert(TAILQ_EMPTY(&larder->monitors));
    other = peer_open();
}
END_TEST

START_TEST(test_by_command)
{
    peer_ask(&peer, "MONITOR", "+OK\r\n");
    ck_assert_uint_eq(larder->n_monitors, 2);
    peer_ask(&peer, "MONITOR", "");
    ck_assert_uint_eq(larder->n_monitors, 2);
    peer_ask(&peer, "GET k", "-ERR Replica can't interact with the keyspace\r\n");
    expect_shown("");
    peer_ask(&peer, "RESET", "+RESET\r\n");
    ck_assert_uint_eq(larder->n_monitors, 1);
    peer_ask(&peer, "PING", "+PONG\r\n");
}
END_TEST

/* Lines that close those who get them, all of them. */
START_TEST(test_who_does_not_read)
{
    char line[1200] = "SET k ";
    monitor_add(other.client);
    memset(line + 6, 'x', 1100);
    memcpy(line + 1106, "\r\n", 3);
    peer_say(&peer, line);
    TURN_UNTIL(&larder->loop, larder->n_monitors == 0);
    turns(3);
    ck_assert_uint_eq(larder->n_clients, 1);
    peer_say(&peer, line);
    turns(3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("monitor");
    TCase *tcase = tcase_create("monitor");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, monitor_set_up, monitor_tear_down);
    tcase_add_loop_test(tcase, test_shown, 0, N(rows));
    tcase_add_test(tcase, test_quoting);
    tcase_add_test(tcase, test_transaction);
    tcase_add_test(tcase, test_transactions_that_do_not_run);
    tcase_add_test(tcase, test_database_and_address);
    tcase_add_test(tcase, test_who);
    tcase_add_test(tcase, test_by_command);
    suite_add_tcase(suite, tcase);
    TCase *limit = tcase_create("limit");
    tcase_set_timeout(limit, 30);
    tcase_add_checked_fixture(limit, set_up_with_a_limit, monitor_tear_down);
    tcase_add_test(limit, test_who_does_not_read);
    suite_add_tcase(suite, limit);
    return dispatch_run(suite);
}
