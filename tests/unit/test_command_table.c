/* The command table: larder's own rows (src/core/command_table.c) and L2's as it tells them
 * (src/core/command_learn.c). Replies are those of redis-server 7.0.15, or what no Redis sends. */
#include "recorded.h"

#include "base/mem.h"

static struct command_table *table;

static void set_up(void)
{
    table = command_table_create();
}

static void tear_down(void)
{
    command_table_destroy(table);
}

static const struct command *find(const char *name)
{
    return command_table_find(table, bytes_of_str(name));
}

static const struct command *resolve(const char *name, const char *sub)
{
    struct bytes argv[2] = {bytes_of_str(name), bytes_of_str(sub)};
    const struct command *row = command_table_find(table, argv[0]);
    ck_assert_ptr_nonnull(row);
    return command_resolve(row, argv, 2);
}

static size_t learn(const char *reply)
{
    return command_table_learn(table, bytes_of_str(reply), recorded_read_fn, recorded_write_fn);
}

/* Own rows */

static void own_fn(struct call *call)
{
    (void)call;
}

static const struct command own_subs[] = {
    {.name = "encoding", .fn = own_fn, .arity = 3, .first = 2, .last = 2, .step = 1},
    {.name = "help", .fn = own_fn, .arity = 2},
    {.name = NULL},
};

static const struct command own_rows[] = {
    {.name = "get",
     .fn = own_fn,
     .alone = own_fn,
     .arity = 2,
     .flags = COMMAND_READONLY,
     .summary = "Ours"},
    {.name = "eval", .fn = own_fn, .arity = -7, .flags = COMMAND_WRITE},
    {.name = "object", .fn = own_fn, .arity = -2, .subs = own_subs},
    {.name = "cluster", .fn = own_fn, .arity = -2, .flags = COMMAND_LOCAL, .subs = own_subs},
    {.name = "xread",
     .fn = own_fn,
     .arity = -4,
     .n_specs = 1,
     .specs = {{.begin_index = 7, .find = KEY_FIND_RANGE, .step = 1}}},
    {.name = NULL},
};

START_TEST(test_own_rows)
{
    command_table_add(table, own_rows);
    ck_assert_uint_eq(command_table_count(table), 5);
    ck_assert_str_eq(find("get")->summary, "Ours");
    ck_assert_ptr_eq(find("GeT"), find("get"));
    ck_assert_ptr_nonnull(find("get")->stats);
    ck_assert_ptr_ne(find("get")->stats, find("eval")->stats);
    ck_assert_ptr_null(find("gett"));
    ck_assert_ptr_null(find("ge"));
    ck_assert_ptr_null(find(""));
    ck_assert_ptr_null(command_table_find(table, bytes_of("get", 4))); /* with the NUL */
}
END_TEST

START_TEST(test_own_subcommands)
{
    command_table_add(table, own_rows);
    const struct command *sub = resolve("object", "ENCODING");
    ck_assert_str_eq(sub->name, "encoding");
    ck_assert_ptr_nonnull(sub->stats);
    ck_assert_ptr_ne(sub, &own_subs[0]); /* the table's own copy, with counters */
    ck_assert_ptr_eq(resolve("object", "nothing"), find("object"));
    ck_assert_ptr_eq(resolve("get", "encoding"), find("get"));
    struct bytes alone = BYTES("object");
    ck_assert_ptr_eq(command_resolve(find("object"), &alone, 1), find("object"));
}
END_TEST

/* Names that fill, and those that overflow, what a lookup folds into. */
START_TEST(test_long_names)
{
    char name[COMMAND_NAME_MAX + 2];
    memset(name, 'a', sizeof(name));
    for (size_t len = 1; len <= sizeof(name); len++)
        ck_assert_ptr_null(command_table_find(table, bytes_of(name, len)));
}
END_TEST

static void count_rows(void *ctx, const struct command *command, const struct command *parent)
{
    size_t *n = ctx;
    ck_assert_ptr_nonnull(command->name);
    ck_assert_ptr_nonnull(command->stats);
    n[parent != NULL]++;
}

START_TEST(test_grows)
{
    char reply[128];
    char name[32];
    for (int i = 0; i < 3000; i++) {
        int len = snprintf(name, sizeof(name), "command%d", i);
        snprintf(reply, sizeof(reply), "*1\r\n*6\r\n$%d\r\n%s\r\n:1\r\n*0\r\n:0\r\n:0\r\n:0\r\n",
                 len, name);
        ck_assert_uint_eq(learn(reply), 1);
    }
    ck_assert_uint_eq(command_table_count(table), 3000);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "Command%d", i);
        ck_assert_ptr_nonnull(find(name));
    }
    size_t n[2] = {0, 0};
    command_table_each(table, count_rows, n);
    ck_assert_uint_eq(n[0], 3000);
    ck_assert_uint_eq(n[1], 0);
}
END_TEST

/* A recorded reply */

START_TEST(test_learns_all)
{
    ck_assert_uint_eq(recorded_learn(table, RECORDED_ALL), 240);
    ck_assert_uint_eq(command_table_count(table), 240);
    size_t n[2] = {0, 0};
    command_table_each(table, count_rows, n);
    ck_assert_uint_eq(n[0], 240);
    ck_assert_uint_eq(n[1], 126);
}
END_TEST

static const struct {
    const char *name;
    const char *sub;
    int arity;
    int first, last, step;
    unsigned flags; /* beside COMMAND_LEARNED */
    bool writes;
} learned[] = {
    {"set", NULL, -3, 1, 1, 1, COMMAND_WRITE | COMMAND_DENYOOM, true},
    {"get", NULL, 2, 1, 1, 1, COMMAND_READONLY | COMMAND_FAST, false},
    {"mset", NULL, -3, 1, -1, 2, COMMAND_WRITE | COMMAND_DENYOOM, true},
    {"mget", NULL, -2, 1, -1, 1, COMMAND_READONLY | COMMAND_FAST, false},
    {"eval", NULL, -3, 0, 0, 0, COMMAND_NOSCRIPT | COMMAND_MOVABLE | COMMAND_SCRIPT, true},
    {"sort", NULL, -2, 1, 1, 1, COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_MOVABLE, true},
    {"xread", NULL, -4, 0, 0, 0, COMMAND_READONLY | COMMAND_BLOCKING | COMMAND_MOVABLE, false},
    {"xgroup", NULL, -2, 0, 0, 0, 0, false},
    {"xgroup", "create", -5, 2, 2, 1, COMMAND_WRITE | COMMAND_DENYOOM, true},
    {"georadius", NULL, -6, 1, 1, 1, COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_MOVABLE, true},
    {"migrate", NULL, -6, 3, 3, 1, COMMAND_WRITE | COMMAND_MOVABLE, true},
    {"zunionstore", NULL, -4, 1, 1, 1, COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_MOVABLE, true},
    {"object", NULL, -2, 0, 0, 0, 0, false},
    {"object", "encoding", 3, 2, 2, 1, COMMAND_READONLY, false},
    {"pfcount", NULL, -2, 1, -1, 1, COMMAND_READONLY, true},
    {"bitop", NULL, -4, 2, -1, 1, COMMAND_WRITE | COMMAND_DENYOOM, true},
};

START_TEST(test_learned_rows)
{
    ck_assert_uint_eq(recorded_learn(table, RECORDED_SOME), 14);
    const struct command *row = find(learned[_i].name);
    ck_assert_ptr_nonnull(row);
    if (learned[_i].sub != NULL)
        row = resolve(learned[_i].name, learned[_i].sub);
    ck_assert_str_eq(row->name, learned[_i].sub != NULL ? learned[_i].sub : learned[_i].name);
    ck_assert_int_eq(row->arity, learned[_i].arity);
    ck_assert_int_eq(row->first, learned[_i].first);
    ck_assert_int_eq(row->last, learned[_i].last);
    ck_assert_int_eq(row->step, learned[_i].step);
    ck_assert_uint_eq(row->flags, learned[_i].flags | COMMAND_LEARNED);
    ck_assert_ptr_eq(row->fn, learned[_i].writes ? recorded_write_fn : recorded_read_fn);
    ck_assert_ptr_null(row->alone);
}
END_TEST

/* Own rows keep all but their key specifications. */
START_TEST(test_own_rows_learn_keys)
{
    command_table_add(table, own_rows);
    recorded_learn(table, RECORDED_SOME);
    const struct command *get = find("get");
    ck_assert_ptr_eq(get->fn, own_fn);
    ck_assert_str_eq(get->summary, "Ours");
    ck_assert_uint_eq(get->flags, COMMAND_READONLY);
    ck_assert_uint_eq(get->n_specs, 1);
    ck_assert(!get->specs[0].writes);
    const struct command *eval = find("eval");
    ck_assert_int_eq(eval->arity, -7);
    ck_assert_uint_eq(eval->flags, COMMAND_WRITE | COMMAND_MOVABLE);
    ck_assert_int_eq(eval->specs[0].find, KEY_FIND_KEYNUM);
    ck_assert_int_eq(find("xread")->specs[0].begin, KEY_BEGIN_KEYWORD);
    ck_assert_ptr_eq(resolve("object", "encoding")->fn, own_fn);
    ck_assert_ptr_eq(resolve("object", "freq")->fn, recorded_read_fn);
    size_t n[2] = {0, 0};
    command_table_each(table, count_rows, n);
    ck_assert_uint_eq(n[0], 15);
    ck_assert_uint_eq(n[1], 2 + 2 + 3 + 6); /* own, of object besides, of xgroup */
}
END_TEST

/* What larder answers itself must not reach L2 by a subcommand that only L2 knows. */
START_TEST(test_local_containers_learn_no_subcommands)
{
    command_table_add(table, own_rows);
    recorded_learn(table, RECORDED_ALL);
    ck_assert_ptr_eq(resolve("cluster", "nodes"), find("cluster"));
    ck_assert_str_eq(resolve("cluster", "help")->name, "help");
}
END_TEST

START_TEST(test_learning_twice_moves_nothing)
{
    recorded_learn(table, RECORDED_ALL);
    const struct command *get = find("get");
    const struct command *create = resolve("xgroup", "create");
    get->stats->calls = 7;
    create->stats->calls = 8;
    ck_assert_uint_eq(recorded_learn(table, RECORDED_ALL), 240);
    ck_assert_uint_eq(recorded_learn(table, RECORDED_SOME), 14);
    ck_assert_uint_eq(command_table_count(table), 240);
    ck_assert_ptr_eq(find("get"), get);
    ck_assert_uint_eq(get->stats->calls, 7);
    ck_assert_uint_eq(get->n_specs, 1);
    ck_assert_ptr_eq(resolve("xgroup", "create"), create);
    ck_assert_str_eq(create->name, "create");
    ck_assert_uint_eq(create->stats->calls, 8);
}
END_TEST

#define SIX(name, arity, flags) "*6\r\n$3\r\n" name "\r\n:" arity "\r\n" flags ":1\r\n:1\r\n:1\r\n"
#define SUB(n, name) "*6\r\n$" n "\r\nabc|" name "\r\n:2\r\n~0\r\n:0\r\n:0\r\n:0\r\n"
#define WITH_SUBS(n)                                                                               \
    "*1\r\n*10\r\n$3\r\nabc\r\n:-2\r\n~0\r\n:0\r\n:0\r\n:0\r\n~0\r\n~0\r\n~0\r\n*" n "\r\n"

/* Another L2 came up: what only the old one had stays, so that pointers to it hold. */
START_TEST(test_other_subcommands)
{
    learn(WITH_SUBS("2") SUB("5", "x") SUB("5", "y"));
    const struct command *x = resolve("abc", "x");
    const struct command *y = resolve("abc", "y");
    x->stats->calls = 3;
    ck_assert_uint_eq(learn(WITH_SUBS("2") SUB("5", "z") SUB("5", "x")), 1);
    ck_assert_str_eq(resolve("abc", "z")->name, "z");
    ck_assert_str_eq(resolve("abc", "y")->name, "y");
    ck_assert_str_eq(resolve("abc", "x")->name, "x");
    ck_assert_uint_eq(resolve("abc", "x")->stats->calls, 3);
    ck_assert_str_eq(x->name, "x"); /* the old rows can still be read, and counted in */
    ck_assert_str_eq(y->name, "y");
    x->stats->calls++;
    ck_assert_uint_eq(resolve("abc", "x")->stats->calls, 4);
    size_t n[2] = {0, 0};
    command_table_each(table, count_rows, n);
    ck_assert_uint_eq(n[1], 3);
    ck_assert_uint_eq(learn(WITH_SUBS("0")), 1);
    ck_assert_str_eq(resolve("abc", "z")->name, "z");
}
END_TEST

/* Redis 6: six elements and the ACL categories, no specifications */

START_TEST(test_redis6_entries)
{
    size_t n = learn("*3\r\n"
                     "*7\r\n$3\r\nGEt\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n*1\r\n+@r\r\n"
                     "*7\r\n$4\r\nmset\r\n:-3\r\n~1\r\n+WRITE\r\n:1\r\n:-1\r\n:2\r\n~0\r\n"
                     "*7\r\n$4\r\neval\r\n:-3\r\n~2\r\n+noscript\r\n+movablekeys\r\n:0\r\n:0\r\n"
                     ":0\r\n~0\r\n");
    ck_assert_uint_eq(n, 3);
    ck_assert_ptr_eq(find("get")->fn, recorded_read_fn);
    ck_assert_uint_eq(find("get")->n_specs, 0);
    ck_assert_ptr_eq(find("mset")->fn, recorded_write_fn);
    ck_assert_int_eq(find("mset")->last, -1);
    /* Nothing says what a script writes: it counts as a write to unknown keys. */
    const struct command *eval = find("eval");
    ck_assert_ptr_eq(eval->fn, recorded_write_fn);
    ck_assert(eval->flags & COMMAND_SCRIPT);
    struct bytes argv[] = {BYTES("eval"), BYTES("return 1"), BYTES("0")};
    struct command_keys keys;
    ck_assert(command_keys_collect(eval, argv, 3, true, &keys));
    ck_assert(!keys.complete);
}
END_TEST

START_TEST(test_own_specifications_stay_without_others)
{
    command_table_add(table, own_rows);
    learn("*1\r\n*7\r\n$5\r\nxread\r\n:-4\r\n~0\r\n:0\r\n:0\r\n:0\r\n~0\r\n");
    ck_assert_uint_eq(find("xread")->n_specs, 1);
    ck_assert_int_eq(find("xread")->specs[0].begin_index, 7);
}
END_TEST

/* Redis 6 lists the two words of HTTP. larder must never send them on: the link would be closed. */
START_TEST(test_http_is_no_command)
{
    learn("*2\r\n"
          "*6\r\n$4\r\npost\r\n:-1\r\n~0\r\n:0\r\n:0\r\n:0\r\n"
          "*6\r\n$5\r\nhost:\r\n:-1\r\n~0\r\n:0\r\n:0\r\n:0\r\n");
    ck_assert_ptr_null(find("post"));
    ck_assert_ptr_null(find("host:"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command_table");
    TCase *tcase = tcase_create("table");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_own_rows);
    tcase_add_test(tcase, test_own_subcommands);
    tcase_add_test(tcase, test_long_names);
    tcase_add_test(tcase, test_grows);
    tcase_add_test(tcase, test_learns_all);
    tcase_add_loop_test(tcase, test_learned_rows, 0, sizeof(learned) / sizeof(learned[0]));
    tcase_add_test(tcase, test_own_rows_learn_keys);
    tcase_add_test(tcase, test_local_containers_learn_no_subcommands);
    tcase_add_test(tcase, test_learning_twice_moves_nothing);
    tcase_add_test(tcase, test_other_subcommands);
    tcase_add_test(tcase, test_redis6_entries);
    tcase_add_test(tcase, test_own_specifications_stay_without_others);
    tcase_add_test(tcase, test_http_is_no_command);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
