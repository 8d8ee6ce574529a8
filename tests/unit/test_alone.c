/* L1 alone (src/command/alone.h and the handlers on it): deadlines, encodings, counters, walks, and
 * what happens without memory or room. Replies as such are compared with redis-server's end to end.
 */
#include "alone_support.h"

#include "base/mem.h"

#include <stdlib.h>

static void start(void)
{
    alone_begin(NULL);
}

/* --- deadlines --- */

START_TEST(test_time_to_live_counts_down)
{
    IS("SET k v PX 2499", OK);
    IS("PTTL k", ":2499\r\n");
    IS("TTL k", ":2\r\n"); /* rounded, as Redis */
    advance(1000);
    IS("TTL k", ":1\r\n");
    IS("PTTL k", ":1499\r\n");
    advance(1000);
    IS("TTL k", ZERO);
    advance(498);
    IS("GET k", "$1\r\nv\r\n");
    advance(1);
    IS("GET k", NIL);
    IS("TTL k", ":-2\r\n");
    IS("DBSIZE", ZERO);
}
END_TEST

START_TEST(test_moments_are_kept_to_the_millisecond)
{
    IS("SET k v PXAT 1700000012345", OK);
    IS("PEXPIRETIME k", ":1700000012345\r\n");
    IS("EXPIRETIME k", ":1700000012\r\n");
    IS("PTTL k", ":12345\r\n");
    IS("EXPIREAT k 1700000100", ONE);
    IS("PTTL k", ":100000\r\n");
    advance(40000);
    IS("PEXPIRETIME k", ":1700000100000\r\n");
    IS("PERSIST k", ONE);
    IS("PERSIST k", ZERO);
    IS("PEXPIRETIME k", ":-1\r\n");
}
END_TEST

START_TEST(test_step_of_the_wall_clock_moves_no_deadline)
{
    IS("SET k v EX 100", OK);
    alone.larder.loop.clock.wall_offset_ms += 3600000;
    IS("PTTL k", ":100000\r\n");
    IS("PEXPIRETIME k", ":1700003700000\r\n");
}
END_TEST

START_TEST(test_deadline_in_the_past_deletes)
{
    static const char *const lines[] = {"EXPIRE k -1",      "PEXPIRE k 0",
                                        "EXPIREAT k 1",     "PEXPIREAT k 1700000000000",
                                        "EXPIREAT k -5000", "PEXPIREAT k -9223372036854775808"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        IS("SET k v", OK);
        IS(lines[i], ONE);
        IS("EXISTS k", ZERO);
    }
    IS("SET k v", OK);
    IS("GETEX k EXAT 1", "$1\r\nv\r\n");
    IS("EXISTS k", ZERO);
    IS("SET k v EXAT 1", OK);
    IS("EXISTS k", ZERO);
}
END_TEST

START_TEST(test_times_out_of_range)
{
#define BAD(name) "-ERR invalid expire time in '" name "' command\r\n"
    IS("SET k v EX 0", BAD("set"));
    IS("SET k v PX -1", BAD("set"));
    IS("SET k v EX 9223372036854776", BAD("set"));
    IS("SET k v PX 9223372036854775807", BAD("set"));
    IS("SETEX k 0 v", BAD("setex"));
    IS("PSETEX k 9223372036854775807 v", BAD("psetex"));
    IS("GETEX k EX 0", NIL);
    IS("SET k v", OK);
    IS("GETEX k EX 0", BAD("getex"));
    IS("EXPIRE k 9223372036854776", BAD("expire"));
    IS("PEXPIRE k 9223372036854775807", BAD("pexpire"));
    IS("EXPIRE k 9223372036854", ONE); /* more than the store can count: cut, not refused */
    ck_assert_int_gt(strtoll(run("TTL k") + 1, NULL, 10), (int64_t)8000 * 365 * 86400);
#undef BAD
}
END_TEST

START_TEST(test_conditions_of_expire)
{
    IS("SET k v", OK);
    IS("EXPIRE k 100 XX", ZERO);
    IS("EXPIRE k 100 GT", ZERO);
    IS("EXPIRE k 100 LT", ONE);
    IS("EXPIRE k 200 NX", ZERO);
    IS("EXPIRE k 100 GT", ZERO);
    IS("EXPIRE k 200 GT XX", ONE);
    IS("EXPIRE k 200 LT", ZERO);
    IS("PTTL k", ":200000\r\n");
    IS("EXPIRE k 1 NX XX",
       "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n");
    IS("EXPIRE k 1 GT LT",
       "-ERR GT and LT options at the same time are not compatible\r\n");
    IS("EXPIRE k 1 AB", "-ERR Unsupported option AB\r\n");
}
END_TEST

/* Changes of a value keep its deadline; a new value does not. */
START_TEST(test_who_keeps_the_deadline)
{
    static const char *const keep[] = {
        "APPEND k 1",     "INCR k",       "DECRBY k 3",      "INCRBYFLOAT k 1",
        "SETRANGE k 0 7", "SETBIT k 9 1", "SET k 5 KEEPTTL", "BITFIELD k SET u8 0 49",
        "GETEX k",
    };
    static const char *const lose[] = {
        "SET k 1",         "GETSET k 1",    "MSET k 1",
        "GETEX k PERSIST", "BITOP NOT k k", "SET k 1 GET",
    };
    for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
        IS("SET k 1 EX 100", OK);
        run(keep[i]);
        IS("PTTL k", ":100000\r\n");
    }
    for (size_t i = 0; i < sizeof(lose) / sizeof(lose[0]); i++) {
        IS("SET k 1 EX 100", OK);
        run(lose[i]);
        IS("PTTL k", ":-1\r\n");
    }
    IS("SET k 1 EX 100", OK);
    IS("RENAME k l", OK);
    IS("COPY l m", ONE);
    IS("MOVE l 1", ONE);
    IS("PTTL m", ":100000\r\n");
    alone.client.db = 1;
    IS("PTTL l", ":100000\r\n");
}
END_TEST

/* --- what OBJECT says --- */

START_TEST(test_encodings)
{
    static const struct {
        const char *lines[3];
        const char *encoding;
    } rows[] = {
        {{"SET k 123"}, "int"},
        {{"SET k -9223372036854775808"}, "int"},
        {{"SET k 9223372036854775808"}, "embstr"},
        {{"SET k 01"}, "embstr"},
        {{"SET k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, "embstr"}, /* 44 bytes */
        {{"SET k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, "raw"},
        {{"APPEND k 12"}, "int"},
        {{"SET k 12", "APPEND k 3"}, "raw"},
        {{"SET k 12", "SETRANGE k 0 3"}, "raw"},
        {{"SET k 12", "SETBIT k 0 0"}, "raw"},
        {{"SET k 12", "APPEND k 3", "INCR k"}, "int"},
        {{"SET k 12", "INCRBYFLOAT k 3"}, "embstr"},
        {{"SET k 12", "SETRANGE k 0 3", "COPY k l"}, "raw"},
        {{"SET k 12", "SETRANGE k 0 3", "SET k 12"}, "int"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char expected[32];
        run("FLUSHALL");
        for (size_t j = 0; j < 3 && rows[i].lines[j] != NULL; j++)
            run(rows[i].lines[j]);
        snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n", strlen(rows[i].encoding),
                 rows[i].encoding);
        IS("OBJECT ENCODING k", expected);
        if (strcmp(run("EXISTS l"), ONE) == 0)
            IS("OBJECT ENCODING l", expected);
    }
}
END_TEST

static bool begins(const char *reply, const char *with)
{
    return bytes_starts_with(bytes_of_str(reply), bytes_of_str(with));
}

START_TEST(test_access_figures_follow_the_policy)
{
    struct store_options options = *store_get_options(alone.larder.store);
    IS("SET k 7", OK);
    advance(5100);
    IS("OBJECT IDLETIME k", ":5\r\n");
    IS("TTL k", ":-1\r\n"); /* is no access */
    IS("OBJECT IDLETIME k", ":5\r\n");
    IS("OBJECT REFCOUNT k", ":2147483647\r\n");
    run("GET k");
    IS("OBJECT IDLETIME k", ZERO);
    ck_assert(begins(run("OBJECT FREQ k"), "-ERR An LFU maxmemory policy is not selected"));
    IS("OBJECT FREQ missing", NIL);
    options.policy = STORE_ALLKEYS_LFU;
    options.max_bytes = 1 << 20;
    store_configure(alone.larder.store, &options);
    IS("SET l 7", OK);
    IS("OBJECT FREQ l", ":5\r\n");
    IS("OBJECT REFCOUNT l", ONE);
    ck_assert(begins(run("OBJECT IDLETIME l"), "-ERR An LFU maxmemory policy is selected"));
}
END_TEST

START_TEST(test_hits_and_misses)
{
    const struct larder_stats *stats = &alone.larder.stats;
    IS("SET k v", OK);
    run("GET k");
    run("MGET k missing k");
    run("EXISTS k missing");
    run("TTL k");
    ck_assert_uint_eq(stats->keyspace_hits, 5);
    ck_assert_uint_eq(stats->keyspace_misses, 2);
    run("APPEND k 1"); /* what writes counts nothing */
    run("INCR missing");
    run("EXPIRE k 100");
    run("DEL k");
    ck_assert_uint_eq(stats->keyspace_hits, 5);
    ck_assert_uint_eq(stats->keyspace_misses, 2);
}
END_TEST

/* --- walks --- */

static void fill(unsigned db, const char *prefix, int n)
{
    alone.client.db = db;
    for (int i = 0; i < n; i++) {
        char line[64];
        snprintf(line, sizeof(line), "SET %s%d v", prefix, i);
        IS(line, OK);
    }
}

/* Walks with SCAN to the end and marks the numbers of the keys found. Returns how many came. */
static int scan_all(const char *options, const char *prefix, bool *found)
{
    char cursor[32] = "0";
    int n = 0;
    do {
        char line[96];
        snprintf(line, sizeof(line), "SCAN %s%s", cursor, options);
        const char *reply = run(line);
        ck_assert_int_eq(sscanf(reply, "*2\r\n$%*d\r\n%31[0-9]", cursor), 1);
        size_t prefix_len = strlen(prefix);
        for (const char *at = strstr(reply, prefix); at != NULL; at = strstr(at + 1, prefix)) {
            found[atoi(at + prefix_len)] = true;
            n++;
        }
        ck_assert_ptr_null(strstr(reply, "other"));
    } while (strcmp(cursor, "0") != 0);
    return n;
}

START_TEST(test_scan_finds_every_key_of_the_database)
{
    static bool found[700];
    fill(1, "other", 300);
    fill(0, "key:", 700);
    memset(found, 0, sizeof(found));
    ck_assert_int_ge(scan_all("", "key:", found), 700);
    for (int i = 0; i < 700; i++)
        ck_assert(found[i]);
    memset(found, 0, sizeof(found));
    ck_assert_int_eq(scan_all(" MATCH key:1? COUNT 100", "key:", found), 10);
    ck_assert(found[10] && found[19] && !found[1] && !found[100]);
    ck_assert_int_eq(scan_all(" TYPE list", "key:", found), 0);
    IS("SCAN 0 COUNT 0", "-ERR syntax error\r\n");
    IS("SCAN 12x", "-ERR invalid cursor\r\n");
    IS("SCAN 18446744073709551616", "-ERR invalid cursor\r\n");
}
END_TEST

START_TEST(test_keys_and_randomkey_see_one_database)
{
    IS("RANDOMKEY", NIL);
    fill(1, "other", 5000);
    fill(0, "key:", 1);
    for (int i = 0; i < 20; i++)
        IS("RANDOMKEY", "$5\r\nkey:0\r\n");
    IS("KEYS *", "*1\r\n$5\r\nkey:0\r\n");
    IS("KEYS o*", "*0\r\n");
    IS("KEYS ''", "*0\r\n");
    IS("SWAPDB 0 1", OK);
    IS("DBSIZE", ":5000\r\n");
    IS("KEYS key:*", "*0\r\n");
    IS("FLUSHDB", OK);
    IS("RANDOMKEY", NIL);
    alone.client.db = 1;
    IS("RANDOMKEY", "$5\r\nkey:0\r\n");
}
END_TEST

/* --- no room, no memory --- */

static void start_full(void)
{
    struct store_options options;
    store_options_default(&options);
    options.policy = STORE_NOEVICTION;
    options.max_bytes = 16384;
    alone_begin(&options);
}

START_TEST(test_without_room_the_old_value_stays)
{
    static char line[8192];
    IS("SET k old EX 100", OK);
    int n = 0;
    for (; n < 1000; n++) {
        snprintf(line, sizeof(line), "SET fill:%d aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", n);
        if (strcmp(run(line), OOM) == 0)
            break;
    }
    ck_assert_int_lt(n, 1000);
    static const char *const heads[] = {
        "SET k %s",     "SET k %s GET", "GETSET k %s", "APPEND k %s",      "SETEX k 5 %s",
        "MSET k %s",    "SETNX m %s",   "MSETNX m %s", "SETRANGE k 1 %s",
    };
    char value[4000];
    memset(value, 'b', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(line, sizeof(line), heads[i], value);
#pragma GCC diagnostic pop
        IS(line, OOM);
        IS("GET k", "$3\r\nold\r\n");
        IS("PTTL k", ":100000\r\n");
    }
    IS("SETBIT k 32000 1", OOM);
    IS("BITFIELD k SET u8 32000 1 GET u8 0", OOM);
    IS("SETBIT m 32000 1", OOM);
    IS("GET k", "$3\r\nold\r\n");
    IS("EXISTS m", ZERO);
    IS("DEL k", ONE); /* what frees is served */
}
END_TEST

START_TEST(test_too_large_for_l1)
{
    struct store_options options = *store_get_options(alone.larder.store);
    options.max_item_bytes = 100;
    store_configure(alone.larder.store, &options);
    alone.larder.config.proto_max_bulk_len_bytes = 1000;
    IS("SET k v", OK);
    IS("SETRANGE k 200 x",
       "-ERR key and value are larger than L1 takes (l1-max-item, maxmemory)\r\n");
    IS("SETRANGE k 1000 x",
       "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    IS("SETRANGE k 9223372036854775807 x",
       "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
    IS("SETBIT k 8000 1", "-ERR bit offset is not an integer or out of range\r\n");
    IS("GET k", "$1\r\nv\r\n");
}
END_TEST

/* The value is longer than a buffer's smallest size, below which its owner asks twice. */
START_TEST(test_without_memory_nothing_changes)
{
    static const char *const lines[] = {
        "APPEND k w",    "SETRANGE k 1 w",        "SETBIT k 20 1",
        "BITOP NOT l k", "BITFIELD k SET u8 8 1", "LCS k k",
    };
    char set[512];
    char value[512];
    snprintf(set, sizeof(set), "SET k %0400d", 7);
    snprintf(value, sizeof(value), "$400\r\n%0400d\r\n", 7);
    IS(set, OK);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        mem_fail_after(1);
        const char *reply = run(lines[i]);
        mem_fail_after(0);
        ck_assert_msg(strcmp(reply, OOM) == 0 || strstr(reply, "Insufficient memory") != NULL,
                      "%s: %s", lines[i], reply);
        IS("GET k", value);
        IS("DBSIZE", ONE);
    }
}
END_TEST

/* --- two databases --- */

START_TEST(test_copy_and_move_between_databases)
{
    IS("SET k v", OK);
    IS("COPY k k", "-ERR source and destination objects are the same\r\n");
    IS("COPY k k DB 1", ONE);
    IS("COPY k k DB 1", ZERO);
    IS("SET k w", OK);
    IS("COPY k k DB 1 REPLACE", ONE);
    IS("MOVE k 1", ZERO);
    IS("MOVE k 2", ONE);
    IS("MOVE k 0", "-ERR source and destination objects are the same\r\n");
    IS("MOVE k 16", "-ERR DB index is out of range\r\n");
    IS("EXISTS k", ZERO);
    alone.client.db = 1;
    IS("GET k", "$1\r\nw\r\n");
    alone.client.db = 2;
    IS("GET k", "$1\r\nw\r\n");
    IS("SWAPDB 1 -1", "-ERR DB index is out of range\r\n");
    IS("SWAPDB x 1", "-ERR invalid first DB index\r\n");
    IS("SWAPDB 1 x", "-ERR invalid second DB index\r\n");
}
END_TEST

START_TEST(test_maps_in_resp3)
{
    IS("MSET a abc b bcd", OK);
    IS("LCS a b IDX", "*4\r\n$7\r\nmatches\r\n*1\r\n*2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:0\r\n:1\r\n"
                      "$3\r\nlen\r\n:2\r\n");
    alone.client.proto = 3;
    IS("LCS a b IDX WITHMATCHLEN",
       "%2\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:1\r\n:2\r\n*2\r\n:0\r\n:1\r\n:2\r\n"
       "$3\r\nlen\r\n:2\r\n");
    IS("GET missing", "_\r\n");
    IS("BITFIELD a OVERFLOW FAIL SET u2 0 4", "*1\r\n_\r\n");
}
END_TEST

static void add(Suite *suite, const char *name, void (*begin)(void), const TTest *const *tests,
                size_t n)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, begin, alone_end);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
}

int main(void)
{
    const TTest *const standard[] = {
        test_time_to_live_counts_down,
        test_moments_are_kept_to_the_millisecond,
        test_step_of_the_wall_clock_moves_no_deadline,
        test_deadline_in_the_past_deletes,
        test_times_out_of_range,
        test_conditions_of_expire,
        test_who_keeps_the_deadline,
        test_encodings,
        test_access_figures_follow_the_policy,
        test_hits_and_misses,
        test_scan_finds_every_key_of_the_database,
        test_keys_and_randomkey_see_one_database,
        test_too_large_for_l1,
        test_without_memory_nothing_changes,
        test_copy_and_move_between_databases,
        test_maps_in_resp3,
    };
    const TTest *const full[] = {test_without_room_the_old_value_stays};
    Suite *suite = suite_create("alone");
    add(suite, "standard", start, standard, sizeof(standard) / sizeof(standard[0]));
    add(suite, "full", start_full, full, 1);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
