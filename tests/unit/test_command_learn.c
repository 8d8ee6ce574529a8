/* Replies to COMMAND that no Redis sends (src/core/command_learn.c): cut off, bent, hostile. They
 * teach what can be understood of them, and neither crash nor leak. */
#include "recorded.h"

#include "base/mem.h"
#include "guard.h"

static struct command_table *table;

static void set_up(void)
{
    table = command_table_create();
}

static void tear_down(void)
{
    command_table_destroy(table);
}

static size_t learn_bytes(struct bytes reply)
{
    return command_table_learn(table, reply, recorded_read_fn, recorded_write_fn);
}

static size_t learn(const char *reply)
{
    return learn_bytes(bytes_of_str(reply));
}

static const struct command *find(const char *name)
{
    return command_table_find(table, bytes_of_str(name));
}

/* Every row that can be reached can be counted in. */
static void touch(void *ctx, const struct command *command, const struct command *parent)
{
    (void)ctx;
    (void)parent;
    ck_assert_uint_gt(strlen(command->name) + 1, 0);
    command->stats->calls++;
}

/* Cut off after every byte, at the end of readable memory: first into an empty table, then into one
 * that knows it all. */
START_TEST(test_cut_off)
{
    struct buf reply = recorded_read(RECORDED_SOME);
    struct guard guard = guard_map(reply.len);
    size_t most = 0;
    if (_i == 1)
        learn_bytes(buf_bytes(&reply));
    for (size_t len = 0; len < reply.len; len++) {
        size_t n = learn_bytes(bytes_of(guard_put(&guard, reply.data, len), len));
        ck_assert_uint_le(most, n);
        ck_assert_uint_lt(n, 14);
        most = n;
        command_table_each(table, touch, NULL);
    }
    ck_assert_uint_eq(most, 13);
    ck_assert_uint_eq(learn_bytes(buf_bytes(&reply)), 14);
    command_table_each(table, touch, NULL);
    guard_unmap(&guard);
    buf_deinit(&reply);
}
END_TEST

/* One byte replaced by each of a few that mean something. */
START_TEST(test_bent)
{
    static const char by[] = "*~%$+:-_#,|>0129\r\n\x80";
    struct buf reply = recorded_read(RECORDED_SOME);
    for (size_t at = 0; at < reply.len; at++) {
        char was = reply.data[at];
        reply.data[at] = by[(at + (size_t)_i) % (sizeof(by) - 1)];
        learn_bytes(buf_bytes(&reply));
        reply.data[at] = was;
    }
    command_table_each(table, touch, NULL);
    buf_deinit(&reply);
}
END_TEST

#define EVIL(n) "*" n "\r\n$4\r\nevil\r\n:2\r\n"
#define RESTS "~0\r\n:1\r\n:1\r\n:1\r\n"
#define NONE "~0\r\n~0\r\n"
#define GOOD "*6\r\n$4\r\ngood\r\n:2\r\n~0\r\n:1\r\n:1\r\n:1\r\n"

/* What is no reply to COMMAND at all, or no entry: those before it are learned. */
static const struct {
    const char *reply;
    size_t n;
} refused[] = {
    {"", 0},
    {"+OK\r\n", 0},
    {"-ERR no\r\n", 0},
    {"_\r\n", 0},
    {"*-1\r\n", 0},
    {"$4\r\nabcd\r\n", 0},
    {"%1\r\n" GOOD GOOD, 0},
    {"*0\r\n", 0},
    {"*4294967295\r\n" GOOD, 1},
    {"*9223372036854775807\r\n" GOOD, 0},
    {"*2\r\n" GOOD EVIL("5") "~0\r\n:1\r\n:1\r\n", 1},
    {"*2\r\n" GOOD ":6\r\n", 1},
    {"*2\r\n" GOOD "*6\r\n*1\r\n$4\r\nevil\r\n:2\r\n" RESTS, 1},
    {"*2\r\n" GOOD "*6\r\n$4\r\nevil\r\n+2\r\n" RESTS, 1},
    {"*2\r\n" GOOD "*6\r\n$4\r\nevil\r\n:99999999999\r\n" RESTS, 1},
    {"*2\r\n" GOOD EVIL("6") "~1\r\n*0\r\n:1\r\n:1\r\n:1\r\n", 2},
    {"*2\r\n" GOOD EVIL("6") "~1\r\n*1\r\n+x\r\n:1\r\n:1\r\n:1\r\n", 1},
    {"*2\r\n" GOOD EVIL("6") "~9999\r\n:1\r\n:1\r\n:1\r\n", 1},
    {"*2\r\n" GOOD EVIL("10") RESTS NONE "*1\r\n:1\r\n*0\r\n", 2},
    {"*2\r\n" GOOD EVIL("10") RESTS NONE "*0\r\n*257\r\n", 1},
    {"*2\r\n" GOOD EVIL("10") RESTS NONE "*0\r\n*1\r\n*2\r\n", 1},
    /* More elements than are known */
    {"*2\r\n" EVIL("12") RESTS NONE "*0\r\n*0\r\n:1\r\n:2\r\n" GOOD, 2},
    /* Attributes belong to what follows them */
    {"*1\r\n|1\r\n+a\r\n*1\r\n+b\r\n" GOOD, 1},
};

START_TEST(test_refused)
{
    ck_assert_uint_eq(learn(refused[_i].reply), refused[_i].n);
    if (refused[_i].n > 0)
        ck_assert_int_eq(find("good")->arity, 2);
    command_table_each(table, touch, NULL);
}
END_TEST

/* Names */

#define NAMED(len, name) "*1\r\n*6\r\n$" len "\r\n" name "\r\n:2\r\n~0\r\n:1\r\n:1\r\n:1\r\n"

START_TEST(test_odd_names)
{
    char reply[256];
    char name[COMMAND_NAME_MAX + 1];
    memset(name, 'N', sizeof(name));
    for (size_t len = COMMAND_NAME_MAX - 1; len <= COMMAND_NAME_MAX + 1; len++) {
        snprintf(reply, sizeof(reply), NAMED("%zu", "%.*s"), len, (int)len, name);
        bool fits = len < COMMAND_NAME_MAX;
        ck_assert_uint_eq(learn(reply), fits);
        ck_assert_int_eq(command_table_find(table, bytes_of(name, len)) != NULL, fits);
    }
    ck_assert_uint_eq(learn(NAMED("0", "")), 0);
    /* A NUL would make rows that are never found again, and one more each time. */
    for (int i = 0; i < 3; i++) {
        static const char nul[] = NAMED("3", "a\0b");
        ck_assert_uint_eq(learn_bytes(bytes_of(nul, sizeof(nul) - 1)), 0);
    }
    ck_assert_uint_eq(command_table_count(table), 1);
}
END_TEST

#define SUBS(n, subs)                                                                              \
    "*1\r\n*10\r\n$3\r\nabc\r\n:-2\r\n~0\r\n:0\r\n:0\r\n:0\r\n~0\r\n~0\r\n~0\r\n*" n "\r\n" subs
#define SUB(len, name) "*6\r\n$" len "\r\n" name "\r\n:2\r\n~0\r\n:0\r\n:0\r\n:0\r\n"

static size_t count_subs(const char *name)
{
    size_t n = 0;
    const struct command *sub = command_sub_at(find(name)->learned_subs);
    for (; sub != NULL; sub = command_sub_at(sub + 1))
        n++;
    return n;
}

START_TEST(test_odd_subcommand_names)
{
    ck_assert_uint_eq(learn(SUBS("5", SUB("3", "bar") SUB("0", "") SUB("1", "|") SUB("4", "abc|")
                                          SUB("5", "abc|D"))),
                      1);
    ck_assert_uint_eq(count_subs("abc"), 1);
    ck_assert_str_eq(find("abc")->learned_subs->name, "d");
    /* A name that only L2's patience bounds */
    struct buf reply;
    buf_init(&reply);
    size_t len = (size_t)1 << 20;
    ck_assert(buf_printf(&reply, SUBS("1", "*6\r\n$%zu\r\nabc|"), len));
    ck_assert(buf_reserve(&reply, len));
    memset(reply.data + reply.len, 'x', len - 4);
    reply.len += len - 4;
    ck_assert(buf_printf(&reply, "\r\n:2\r\n~0\r\n:0\r\n:0\r\n:0\r\n"));
    ck_assert_uint_eq(learn_bytes(buf_bytes(&reply)), 1);
    ck_assert_uint_eq(count_subs("abc"), 1);
    buf_deinit(&reply);
}
END_TEST

/* A second learning that fails among the subcommands leaves the first one's, counters and all. */
START_TEST(test_fails_among_subcommands)
{
    learn(SUBS("2", SUB("5", "abc|x") SUB("5", "abc|y")));
    ck_assert_uint_eq(learn(SUBS("2", SUB("5", "abc|x") "*2\r\n")), 0);
    ck_assert_uint_eq(count_subs("abc"), 2);
    command_table_each(table, touch, NULL);
    ck_assert_uint_eq(find("abc")->learned_subs[0].stats->calls, 1);
}
END_TEST

/* ... or subcommands of one command, a few more with each reply. */
START_TEST(test_subcommands_are_bounded)
{
    struct buf reply;
    buf_init(&reply);
    for (size_t i = 0; i < 2 * COMMAND_SUBS_MAX; i += 3) {
        reply.len = 0;
        ck_assert(buf_printf(&reply, SUBS("3", "")));
        for (size_t k = 0; k < 3; k++)
            ck_assert(buf_printf(&reply, SUB("10", "abc|%06zu"), i + k));
        ck_assert_uint_eq(learn_bytes(buf_bytes(&reply)), 1);
    }
    ck_assert_uint_eq(count_subs("abc"), COMMAND_SUBS_MAX);
    command_table_each(table, touch, NULL);
    buf_deinit(&reply);
}
END_TEST

START_TEST(test_twice_in_a_reply)
{
    ck_assert_uint_eq(learn("*3\r\n" GOOD GOOD GOOD), 3);
    ck_assert_uint_eq(command_table_count(table), 1);
    learn(SUBS("3", SUB("5", "abc|x") SUB("5", "abc|x") SUB("5", "abc|X")));
    command_table_each(table, touch, NULL);
}
END_TEST

/* An L2 that makes up names for ever fills the table once. */
START_TEST(test_rows_are_bounded)
{
    struct buf reply;
    buf_init(&reply);
    size_t n = 3 * (size_t)COMMAND_ROWS_MAX;
    ck_assert(buf_printf(&reply, "*%zu\r\n", n));
    for (size_t i = 0; i < n; i++)
        ck_assert(buf_printf(&reply, "*6\r\n$6\r\n%06zu\r\n:2\r\n~0\r\n:1\r\n:1\r\n:1\r\n", i));
    ck_assert_uint_eq(learn_bytes(buf_bytes(&reply)), COMMAND_ROWS_MAX);
    ck_assert_uint_eq(learn_bytes(buf_bytes(&reply)), COMMAND_ROWS_MAX);
    ck_assert_uint_eq(command_table_count(table), COMMAND_ROWS_MAX);
    buf_deinit(&reply);
}
END_TEST

/* Key specifications */

#define SPECS(n, specs)                                                                            \
    "*1\r\n*9\r\n$1\r\nx\r\n:2\r\n~1\r\n+write\r\n:1\r\n:1\r\n:1\r\n~0\r\n~0\r\n*" n "\r\n" specs
#define INDEX_OF(i)                                                                                \
    "$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n"                     \
    "%1\r\n$5\r\nindex\r\n:" i "\r\n"
#define ONE                                                                                        \
    "$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n"                         \
    "%3\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n"
#define READS(i) "%3\r\n$5\r\nflags\r\n~1\r\n+RO\r\n" INDEX_OF(i) ONE
#define WRITES(i) "%3\r\n$5\r\nflags\r\n~1\r\n+RW\r\n" INDEX_OF(i) ONE

/* Writes the keys of "x a b c d e f" into `text`. */
static void keys_of_x(char *text)
{
    struct bytes argv[] = {BYTES("x"), BYTES("a"), BYTES("b"), BYTES("c"),
                           BYTES("d"), BYTES("e"), BYTES("f")};
    struct command_keys keys;
    ck_assert(command_keys_collect(find("x"), argv, 7, true, &keys));
    for (size_t i = 0; i < keys.n; i++)
        *text++ = keys.items[i].ptr[0];
    strcpy(text, keys.complete ? "" : "...");
    command_keys_deinit(&keys);
}

static const struct {
    const char *reply;
    const char *keys;
} specs[] = {
    {SPECS("2", WRITES("1") WRITES("3")), "ac"},
    {SPECS("4", WRITES("1") READS("2") READS("3") READS("4")), "a"},
    /* More than larder keeps: the rest may write anything. */
    {SPECS("5", WRITES("1") READS("2") READS("3") READS("4") WRITES("5")), "ad..."},
    {SPECS("5", WRITES("1") READS("2") READS("3") READS("4") READS("5")), "a"},
    {SPECS("0", ""), "a"}, /* as first, last and step say */
    /* Kinds that are not known yet, and none */
    {SPECS("1", "%1\r\n$5\r\nflags\r\n~1\r\n+RW\r\n"), "..."},
    {SPECS("1", "%2\r\n$5\r\nflags\r\n~1\r\n+RW\r\n" INDEX_OF("1")), "..."},
    {SPECS("1", "%2\r\n$5\r\nflags\r\n~1\r\n+OW\r\n" ONE), "..."},
    {SPECS("1", "%3\r\n$5\r\nflags\r\n~2\r\n+RM\r\n+incomplete\r\n" INDEX_OF("2") ONE), "b..."},
    {SPECS("1", "%3\r\n$5\r\nflags\r\n~1\r\n+RW\r\n$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n"
                "$5\r\nmagic\r\n$4\r\nspec\r\n%0\r\n" ONE),
     "..."},
    /* A keyword that larder can't keep */
    {SPECS("1", "%3\r\n$5\r\nflags\r\n~1\r\n+RW\r\n$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n"
                "$7\r\nkeyword\r\n$4\r\nspec\r\n%2\r\n$7\r\nkeyword\r\n$16\r\n0123456789abcdef\r\n"
                "$9\r\nstartfrom\r\n:1\r\n" ONE),
     "..."},
    {SPECS("1", "%3\r\n$5\r\nflags\r\n~1\r\n+RW\r\n$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n"
                "$7\r\nkeyword\r\n$4\r\nspec\r\n%2\r\n$7\r\nkeyword\r\n$1\r\nB\r\n"
                "$9\r\nstartfrom\r\n:1\r\n" ONE),
     "c"},
};

START_TEST(test_specs)
{
    char keys[32];
    ck_assert_uint_eq(learn(specs[_i].reply), 1);
    keys_of_x(keys);
    ck_assert_str_eq(keys, specs[_i].keys);
}
END_TEST

#define N(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
    Suite *suite = suite_create("command_learn");
    TCase *tcase = tcase_create("learn");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, test_cut_off, 0, 2);
    tcase_add_loop_test(tcase, test_bent, 0, 4);
    tcase_add_loop_test(tcase, test_refused, 0, N(refused));
    tcase_add_test(tcase, test_odd_names);
    tcase_add_test(tcase, test_odd_subcommand_names);
    tcase_add_test(tcase, test_fails_among_subcommands);
    tcase_add_test(tcase, test_twice_in_a_reply);
    tcase_add_test(tcase, test_rows_are_bounded);
    tcase_add_test(tcase, test_subcommands_are_bounded);
    tcase_add_loop_test(tcase, test_specs, 0, N(specs));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
