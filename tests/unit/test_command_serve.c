/* Which learned commands a function of larder's own serves (command_table_serve). */
#include "recorded.h"

#include <string.h>

static void served_fn(struct call *call)
{
    (void)call;
}

static const struct command_served served[] = {
    {.name = "get", .fn = served_fn},     {.name = "hget", .fn = served_fn, .unless = "hpexpire"},
    {.name = "set", .fn = served_fn},     /* a write */
    {.name = "object", .fn = served_fn},  /* a container without a key */
    {.name = "bitop", .fn = served_fn},   /* a write whose key is not its first argument */
    {.name = "pfcount", .fn = served_fn}, /* a read that may write its key */
    {.name = "nosuch", .fn = served_fn},  {0},
};

static struct command_table *table;

static void set_up(void)
{
    table = command_table_create();
}

static void tear_down(void)
{
    command_table_destroy(table);
}

static bool is_served(const char *name)
{
    const struct command *row = command_table_find(table, bytes_of_str(name));
    ck_assert_msg(row != NULL, "%s", name);
    ck_assert_int_eq(row->fn == served_fn, (row->flags & COMMAND_CACHED) != 0);
    return row->fn == served_fn;
}

START_TEST(only_learned_reads_of_their_first_argument)
{
    command_table_serve(table, served);
    ck_assert_uint_gt(recorded_learn(table, RECORDED_ALL), 200);
    ck_assert(is_served("get"));
    ck_assert(is_served("hget"));
    ck_assert(is_served("pfcount"));
    ck_assert(!is_served("set"));
    ck_assert(!is_served("object"));
    ck_assert(!is_served("bitop"));
    ck_assert(!is_served("hset"));
    ck_assert(!is_served("hgetall"));
    ck_assert_ptr_null(command_table_find(table, BYTES("nosuch")));
    ck_assert_uint_gt(recorded_learn(table, RECORDED_ALL), 200); /* again, as after a new link */
    ck_assert(is_served("hget"));
}
END_TEST

static const struct command own[] = {{.name = "get", .fn = recorded_read_fn, .arity = 2}, {0}};

START_TEST(rows_of_larders_own_stay)
{
    command_table_add(table, own);
    command_table_serve(table, served);
    recorded_learn(table, RECORDED_ALL);
    ck_assert(!is_served("get"));
    ck_assert(is_served("hget"));
}
END_TEST

START_TEST(not_beside_a_command_that_forbids_it)
{
    static const char more[] =
        "*1\r\n*6\r\n$8\r\nhpexpire\r\n:-6\r\n~1\r\n+write\r\n:1\r\n:1\r\n:1\r\n";
    command_table_serve(table, served);
    recorded_learn(table, RECORDED_ALL);
    ck_assert(is_served("hget"));
    /* L2 is another now, which has it. */
    command_table_learn(table, bytes_of_str(more), recorded_read_fn, recorded_write_fn);
    recorded_learn(table, RECORDED_ALL);
    ck_assert(!is_served("hget"));
    ck_assert(is_served("get"));
}
END_TEST

START_TEST(a_table_may_have_none)
{
    recorded_learn(table, RECORDED_ALL);
    ck_assert(!is_served("get"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command_serve");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, only_learned_reads_of_their_first_argument);
    tcase_add_test(tcase, rows_of_larders_own_stay);
    tcase_add_test(tcase, not_beside_a_command_that_forbids_it);
    tcase_add_test(tcase, a_table_may_have_none);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
