/* Where a call's keys are (src/core/command_keys.c), against what COMMAND GETKEYSANDFLAGS of
 * redis-server 7.0.15 says. */
#include "recorded.h"

#include "base/mem.h"

#define WORDS_MAX 64

static struct command_table *table;

static void set_up(void)
{
    table = command_table_create();
    ck_assert_uint_eq(recorded_learn(table, RECORDED_ALL), 240);
}

static void tear_down(void)
{
    command_table_destroy(table);
}

/* Splits a line at single blanks; '' is an empty word. */
static size_t split(const char *line, struct bytes *argv)
{
    size_t argc = 0;
    while (line != NULL && line[0] != '\0') {
        size_t len = strcspn(line, " ");
        ck_assert_uint_lt(argc, WORDS_MAX);
        argv[argc] = bytes_of(line, len);
        if (bytes_equal(argv[argc], BYTES("''")))
            argv[argc].len = 0;
        argc++;
        line = line[len] == '\0' ? NULL : line + len + 1;
    }
    return argc;
}

/* The keys of a line between blanks, '' for an empty one; behind them " ..." when there may be
 * more. */
static const char *keys_of_row(const struct command *row, const char *line, bool only_written)
{
    static char text[1024];
    struct bytes argv[WORDS_MAX];
    struct command_keys keys;
    size_t argc = split(line, argv);
    size_t len = 0;
    text[0] = '\0';
    ck_assert(command_keys_collect(row, argv, argc, only_written, &keys));
    for (size_t i = 0; i < keys.n; i++) {
        struct bytes key = keys.items[i].len == 0 ? BYTES("''") : keys.items[i];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", len > 0 ? " " : "",
                                (int)key.len, key.ptr);
    }
    if (!keys.complete)
        snprintf(text + len, sizeof(text) - len, "%s", len > 0 ? " ..." : "...");
    command_keys_deinit(&keys);
    return text;
}

static const char *keys_of(const char *line, bool only_written)
{
    struct bytes argv[WORDS_MAX];
    size_t argc = split(line, argv);
    const struct command *row = command_table_find(table, argv[0]);
    ck_assert_msg(row != NULL, "unknown: %s", line);
    return keys_of_row(command_resolve(row, argv, argc), line, only_written);
}

/* What redis-server says: all keys, and those of them that are flagged RW, OW or RM. */
static const struct {
    const char *line;
    const char *keys;
    const char *written;
} as_redis[] = {
    {"get k", "k", ""},
    {"set k v", "k", "k"},
    {"SET k v", "k", "k"},
    {"mget a b c", "a b c", ""},
    {"mset a 1 b 2 c 3", "a b c", "a b c"},
    {"mset a 1 b", "a b", "a b"},
    {"msetnx a 1 b 2", "a b", "a b"},
    {"del a b c d e f g h", "a b c d e f g h", "a b c d e f g h"},
    {"del a b c d e f g h i", "a b c d e f g h i", "a b c d e f g h i"},
    {"del 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
     "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"},
    {"set '' v", "''", "''"},
    {"eval return 2 a b x y", "a b", "a b"},
    {"eval return 0 x y", "", ""},
    {"eval_ro return 1 a b", "a", ""},
    {"evalsha abc 1 a x", "a", "a"},
    {"fcall f 2 a b c", "a b", "a b"},
    {"fcall_ro f 1 a b", "a", ""},
    {"xread streams a b 0 0", "a b", ""},
    {"xread COUNT 2 STREAMS a b c 0 0 0", "a b c", ""},
    {"xread COUNT 2 BLOCK 0 STREAMS a 0", "a", ""},
    {"xread COUNT 2 STREAMS a b 0", "a", ""},
    {"xreadgroup GROUP g c COUNT 1 STREAMS a b > >", "a b", ""},
    {"xreadgroup GROUP streams c STREAMS a >", "a", ""},
    {"xgroup create k g $", "k", "k"},
    {"XGROUP SETID k g $", "k", "k"},
    {"xgroup help", "", ""},
    {"object encoding k", "k", ""},
    {"object help", "", ""},
    {"memory usage k", "k", ""},
    {"memory doctor", "", ""},
    {"geosearchstore dst src FROMMEMBER m BYRADIUS 1 m", "dst src", "dst"},
    {"zunionstore dst 2 a b WEIGHTS 1 2", "dst a b", "dst"},
    {"zunion 2 a b", "a b", ""},
    {"zinter 1 a WITHSCORES", "a", ""},
    {"sintercard 2 a b LIMIT 1", "a b", ""},
    {"lmpop 2 a b LEFT", "a b", "a b"},
    {"blmpop 0 2 a b LEFT", "a b", "a b"},
    {"bzmpop 0 1 a MIN", "a", "a"},
    {"blpop a b 0", "a b", "a b"},
    {"pfcount a b c", "a b c", "a b c"},
    {"pfmerge dst a b", "dst a b", "dst"},
    {"bitop AND dst a b", "dst a b", "dst"},
    {"bitop NOT dst a", "dst a", "dst"},
    {"rename a b", "a b", "a b"},
    {"copy a b DB 3", "a b", "b"},
    {"lmove a b LEFT LEFT", "a b", "a b"},
    {"smove a b m", "a b", "a b"},
    {"sunionstore d a b", "d a b", "d"},
    {"zrangestore d s 0 -1", "d s", "d"},
    {"lcs a b", "a b", ""},
    {"getex k PERSIST", "k", "k"},
    {"publish ch m", "", ""},
    {"flushall", "", ""},
};

START_TEST(test_as_redis)
{
    ck_assert_str_eq(keys_of(as_redis[_i].line, false), as_redis[_i].keys);
    ck_assert_str_eq(keys_of(as_redis[_i].line, true), as_redis[_i].written);
}
END_TEST

/* Where larder knows less, or suspects more, than redis-server: never fewer of the written ones.
 * Redis's own words are in the third column. */
static const struct {
    const char *line;
    const char *written;
    const char *redis;
} differing[] = {
    /* A key specification can't say where STORE is; larder looks for the word. */
    {"sort k", "", ""},
    {"sort k store dst", "dst", "dst"},
    {"sort k BY w_* LIMIT 0 5 GET # STORE dst", "dst", "dst"},
    {"sort k GET store STORE dst", "STORE dst", "dst"},
    {"sort k store", "", ""},
    {"sort k STORE a STORE b", "a b", "b"},
    {"georadius k 1 2 3 m", "", ""},
    /* ... and finds it once for each of the two specifications. */
    {"georadius k 1 2 3 m STORE dst", "dst dst", "dst"},
    {"georadius k 1 2 3 m STOREDIST dst", "dst dst", "dst"},
    {"georadius k 1 2 3 m WITHCOORD COUNT 3 STORE a STOREDIST b", "a b a b", "a b"},
    {"georadius k 1 2 3 m STORE", "", ""},
    {"georadiusbymember k m 3 km STORE dst", "dst dst", "dst"},
    /* Flagged as incomplete, for all that larder knows. */
    {"migrate host 6379 k 0 1000", "k ...", "k"},
    {"migrate host 6379 '' 0 1000 KEYS a b c", "'' a b c ...", "a b c"},
    {"migrate host 6379 '' 0 1000 COPY AUTH KEYS KEYS a b", "'' a b ...", "a b"},
    /* Refused by redis-server; what can't be read is suspected of everything. */
    {"eval return 3 a b", "a b ...", ""},
    {"eval return -1 a", "...", ""},
    {"eval return abc a", "...", ""},
    {"eval return 99999999999999999999 a", "...", ""},
    {"eval return 2147483648 a", "...", ""},
    {"eval return", "...", ""},
    {"eval return 01 a", "...", ""},
    {"mset a", "a", ""},
    {"mset", "", ""},
    {"blpop a", "", ""},
    {"bitop AND", "", ""},
    {"xread COUNT 2", "", ""},
    {"zunionstore dst 0 a", "dst", ""},
    {"zunionstore dst x a", "dst", ""},
    {"xgroup create", "", ""},
};

static bool has_word(const struct bytes *words, size_t n, struct bytes word)
{
    for (size_t i = 0; i < n; i++)
        if (bytes_equal(words[i], word))
            return true;
    return false;
}

START_TEST(test_differing)
{
    struct bytes ours[WORDS_MAX];
    struct bytes redis[WORDS_MAX];
    const char *line = differing[_i].line;
    ck_assert_str_eq(keys_of(line, true), differing[_i].written);
    size_t n_ours = split(differing[_i].written, ours);
    size_t n_redis = split(differing[_i].redis, redis);
    for (size_t i = 0; i < n_redis; i++)
        ck_assert_msg(has_word(ours, n_ours, redis[i]) || has_word(ours, n_ours, BYTES("...")),
                      "%s: %.*s is missed", line, (int)redis[i].len, redis[i].ptr);
}
END_TEST

/* Incomplete reads matter to COMMAND GETKEYS only. */
START_TEST(test_reads_of_sort)
{
    ck_assert_str_eq(keys_of("sort k BY w_*", false), "k ...");
    ck_assert_str_eq(keys_of("sort k STORE dst", false), "k dst ...");
    ck_assert_str_eq(keys_of("zunion 9 a b", false), "...");
    ck_assert_str_eq(keys_of("zunion 3 a b", false), "a b ...");
}
END_TEST

/* Rows without specifications, as own rows or those of Redis 6 */

static const struct {
    struct command row;
    const char *line;
    const char *keys;
} by_positions[] = {
    {{.first = 1, .last = 1, .step = 1}, "get k x", "k"},
    {{.first = 1, .last = -1, .step = 1}, "del a b c", "a b c"},
    {{.first = 1, .last = -1, .step = 2}, "mset a 1 b 2", "a b"},
    {{.first = 1, .last = -2, .step = 1}, "blpop a b 0", "a b"},
    {{.first = 2, .last = 3, .step = 1}, "x 1 a b 2", "a b"},
    {{.first = 1, .last = 5, .step = 1}, "x a b", "a b ..."},
    {{.first = 5, .last = 5, .step = 1}, "x a b", ""},
    {{.first = 1, .last = 1, .step = 0}, "x a", "..."},
    {{.first = 1, .last = 1, .step = -1}, "x a", "..."},
    {{.first = -1, .last = 1, .step = 1}, "x a", "..."},
    {{.first = 1, .last = -9, .step = 1}, "x a", ""},
    {{.first = 1, .last = INT32_MAX, .step = INT32_MAX}, "x a b", "a ..."},
    {{.first = 0, .flags = COMMAND_MOVABLE}, "x a", "..."},
    {{.first = 1, .last = 1, .step = 1, .flags = COMMAND_MOVABLE}, "x a b", "a ..."},
    {{.first = 0}, "ping", ""},
};

START_TEST(test_positions)
{
    ck_assert_str_eq(keys_of_row(&by_positions[_i].row, by_positions[_i].line, true),
                     by_positions[_i].keys);
}
END_TEST

/* Specifications as only a module or a hostile L2 has them */

#define RANGE(at, l, s, m)                                                                         \
    .find = KEY_FIND_RANGE, .begin_index = (at), .last = (l), .step = (s), .limit = (m),           \
    .writes = true
#define KEYNUM(at, num, key, s)                                                                    \
    .find = KEY_FIND_KEYNUM, .begin_index = (at), .keynum_index = (num), .first_key = (key),       \
    .keystep = (s), .writes = true

static const struct {
    struct key_spec spec;
    const char *line;
    const char *keys;
} odd_specs[] = {
    {{RANGE(1, -1, 1, 0)}, "x a b", "a b"},
    {{RANGE(1, -2, 1, 0)}, "x a b", "a"},
    {{RANGE(2, 1, 1, 0)}, "x 1 a b 2", "a b"},
    {{RANGE(1, -1, 2, 0)}, "x a 1 b 2", "a b"},
    {{RANGE(1, -1, 1, 2)}, "x a b 1 2", "a b"},
    {{RANGE(1, -1, 1, 3)}, "x a b 1 2 3 4", "a b"},
    {{RANGE(1, -1, 1, 1)}, "x a b", "a b"},
    {{RANGE(1, INT32_MAX, INT32_MAX, INT32_MAX)}, "x a b", "a ..."},
    {{RANGE(INT32_MAX, INT32_MAX, 1, 0)}, "x a b", ""},
    {{RANGE(INT32_MIN, 0, 1, 0)}, "x a b", "..."},
    {{RANGE(1, INT32_MIN, 1, 0)}, "x a b", ""},
    {{KEYNUM(1, 0, 1, 1)}, "x 2 a b c", "a b"},
    {{KEYNUM(1, 0, 1, 2)}, "x 2 a 1 b 2", "a b"},
    {{KEYNUM(1, 0, 1, 0)}, "x 2 a b", "..."},
    {{KEYNUM(1, 0, 1, -1)}, "x 2 a b", "..."},
    {{KEYNUM(1, 0, 1, INT32_MAX)}, "x 2 a b", "a ..."},
    {{KEYNUM(1, INT32_MAX, 1, 1)}, "x 2 a b", "..."},
    {{KEYNUM(1, 0, INT32_MAX, 1)}, "x 2 a b", ""},
    {{KEYNUM(1, 0, INT32_MIN, 1)}, "x 2 a b", "..."},
    {{.begin = KEY_BEGIN_UNKNOWN, RANGE(1, 0, 1, 0)}, "x a", "..."},
    {{.find = KEY_FIND_UNKNOWN, .begin_index = 1, .writes = true}, "x a", "..."},
    {{.incomplete = true, RANGE(1, 0, 1, 0)}, "x a", "a ..."},
    {{.begin = KEY_BEGIN_KEYWORD, .keyword = "KEYS", RANGE(1, -1, 1, 0)}, "x b keys a", "a"},
    {{.begin = KEY_BEGIN_KEYWORD, .keyword = "KEYS", RANGE(1, -1, 1, 0)},
     "x KEYS KEYS a",
     "KEYS a"},
    {{.begin = KEY_BEGIN_KEYWORD, .keyword = "KEYS", RANGE(-2, -1, 1, 0)}, "x KEYS a KEYS b", "b"},
    {{.begin = KEY_BEGIN_KEYWORD, .keyword = "KEYS", RANGE(-3, -1, 1, 0)}, "x KEYS a b c", "a b c"},
    {{.begin = KEY_BEGIN_KEYWORD, .keyword = "KEYS", RANGE(-1, -1, 1, 0)}, "x a KEYS", ""},
    {{.begin = KEY_BEGIN_KEYWORD, .keyword = "KEYS", RANGE(1, -1, 1, 0)}, "x a", ""},
    {{.begin = KEY_BEGIN_KEYWORD, .keyword = "x", RANGE(-9, -1, 1, 0)}, "x a", ""},
    {{.begin = KEY_BEGIN_KEYWORD, .keyword = "x", RANGE(0, -1, 1, 0)}, "x a", ""},
    {{.begin = KEY_BEGIN_KEYWORD, .keyword = "KEYS", RANGE(INT32_MAX, -1, 1, 0)}, "x KEYS a", ""},
    {{.begin = KEY_BEGIN_KEYWORD, .keyword = "KEYS", RANGE(INT32_MIN, -1, 1, 0)}, "x KEYS a", ""},
};

START_TEST(test_odd_specs)
{
    struct command row = {.name = "x", .n_specs = 1};
    row.specs[0] = odd_specs[_i].spec;
    ck_assert_str_eq(keys_of_row(&row, odd_specs[_i].line, true), odd_specs[_i].keys);
}
END_TEST

/* Memory */

/* 100 keys need 16, 32, 64 and 128 places: four allocations, of which each may fail. */
START_TEST(test_no_memory)
{
    struct bytes argv[101];
    struct command_keys keys;
    const struct command *row = command_table_find(table, BYTES("del"));
    for (size_t i = 0; i < 101; i++)
        argv[i] = BYTES("del");
    mem_fail_after((unsigned)_i);
    bool ok = command_keys_collect(row, argv, 101, true, &keys);
    mem_fail_after(0);
    ck_assert_int_eq(ok, _i > 4);
    if (ok) {
        ck_assert_uint_eq(keys.n, 100);
        ck_assert(keys.complete);
        command_keys_deinit(&keys);
    }
    ck_assert_uint_eq(keys.n, 0);
    ck_assert_ptr_eq(keys.items, keys.small);
}
END_TEST

START_TEST(test_eight_keys_need_no_memory)
{
    mem_fail_after(1);
    ck_assert_str_eq(keys_of("del 1 2 3 4 5 6 7 8", true), "1 2 3 4 5 6 7 8");
    mem_fail_after(0);
}
END_TEST

START_TEST(test_may_write)
{
    static const char *const writers[] = {"set", "del", "eval", "pfcount", "sort", "migrate"};
    static const char *const readers[] = {"get", "mget", "eval_ro", "sort_ro", "xread", "ping"};
    for (size_t i = 0; i < 6; i++) {
        ck_assert(command_may_write(command_table_find(table, bytes_of_str(writers[i]))));
        ck_assert(!command_may_write(command_table_find(table, bytes_of_str(readers[i]))));
    }
}
END_TEST

#define N(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
    Suite *suite = suite_create("command_keys");
    TCase *tcase = tcase_create("keys");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, test_as_redis, 0, N(as_redis));
    tcase_add_loop_test(tcase, test_differing, 0, N(differing));
    tcase_add_test(tcase, test_reads_of_sort);
    tcase_add_loop_test(tcase, test_positions, 0, N(by_positions));
    tcase_add_loop_test(tcase, test_odd_specs, 0, N(odd_specs));
    tcase_add_loop_test(tcase, test_no_memory, 1, 7);
    tcase_add_test(tcase, test_eight_keys_need_no_memory);
    tcase_add_test(tcase, test_may_write);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
