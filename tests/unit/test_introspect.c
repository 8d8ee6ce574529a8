/* COMMAND from the table (src/command/introspect.h), and what containers have in common
 * (subcommand.h), on a larder that is nothing but a command table. */
#include "command/introspect.h"

#include "command/families.h"
#include "command/subcommand.h"
#include "resp/walk.h"

#include <check.h>
#include <stdlib.h>

static void serve(struct call *call)
{
    reply_ok(&call->reply);
}

static const struct command cache_subs[] = {
    {.name = "drop",
     .fn = serve,
     .arity = -3,
     .flags = COMMAND_LOCAL,
     .group = "larder",
     .since = "0.1.0",
     .summary = "Drops keys",
     .args = "key [key ...]",
     .first = 2,
     .last = -1,
     .step = 1},
    {.name = "help",
     .fn = subcommand_help,
     .arity = 2,
     .flags = COMMAND_LOCAL,
     .group = "larder",
     .since = "0.1.0",
     .summary = "Prints this help"},
    {.name = NULL},
};

static const struct command rows[] = {
    {.name = "get",
     .fn = serve,
     .alone = serve,
     .arity = 2,
     .flags = COMMAND_READONLY | COMMAND_FAST,
     .first = 1,
     .last = 1,
     .step = 1,
     .group = "string",
     .since = "1.0.0",
     .summary = "Returns a value",
     .args = "key"},
    {.name = "hset",
     .fn = serve,
     .arity = -4,
     .flags = COMMAND_WRITE,
     .first = 1,
     .last = 1,
     .step = 1,
     .group = "hash",
     .since = "2.0.0",
     .summary = "Sets a field",
     .args = "key field value"},
    {.name = "store",
     .fn = subcommand_unknown,
     .arity = -2,
     .flags = COMMAND_LOCAL,
     .group = "larder",
     .since = "0.1.0",
     .summary = "A container",
     .subs = cache_subs},
    {.name = NULL},
};

static struct larder *larder;
static struct buf out;

static void set_up(void)
{
    larder = calloc(1, sizeof(*larder));
    ck_assert_ptr_nonnull(larder);
    larder->commands = command_table_create();
    command_table_add(larder->commands, rows);
    buf_init(&out);
}

static void tear_down(void)
{
    buf_deinit(&out);
    command_table_destroy(larder->commands);
    free(larder);
}

/* Answers a query and checks that it is one well-formed reply. Returns it. */
static struct bytes ask(int proto, const struct introspect_query *query)
{
    struct reply reply = {.out = &out, .proto = proto};
    size_t len;
    out.len = 0;
    introspect_answer(&reply, larder, query, false);
    ck_assert_int_eq(walk_reply_len(out.data, out.len, WALK_DEPTH_MAX, &len), WALK_OK);
    ck_assert_uint_eq(len, out.len);
    return buf_bytes(&out);
}

static bool has(struct bytes reply, const char *text)
{
    return memmem(reply.ptr, reply.len, text, strlen(text)) != NULL;
}

/* Alone, what only an L2 could serve is not there. */
START_TEST(test_count)
{
    struct introspect_query query = {.form = INTROSPECT_COUNT};
    ck_assert(bytes_equal(ask(2, &query), BYTES(":2\r\n")));
}
END_TEST

START_TEST(test_all)
{
    struct introspect_query query = {.form = INTROSPECT_ALL};
    struct bytes reply = ask(_i, &query);
    ck_assert(bytes_starts_with(reply, BYTES("*2\r\n*10\r\n")));
    ck_assert(has(reply, "$3\r\nget\r\n:2\r\n"));
    ck_assert(has(reply, "$10\r\nstore|drop\r\n:-3\r\n"));
    ck_assert(!has(reply, "hset"));
}
END_TEST

START_TEST(test_entry_of_get)
{
    struct bytes names[] = {BYTES("GeT")};
    struct introspect_query query = {.form = INTROSPECT_INFO, .names = names, .n_names = 1};
    ck_assert(bytes_equal(
        ask(3, &query),
        BYTES("*1\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
              "~3\r\n+@string\r\n+@read\r\n+@fast\r\n~0\r\n~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+"
              "RO\r\n+access\r\n"
              "$12\r\nbegin_search\r\n%2\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n%1\r\n$"
              "5\r\nindex\r\n:1\r\n"
              "$9\r\nfind_keys\r\n%2\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n%3\r\n$"
              "7\r\nlastkey\r\n:0\r\n"
              "$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n~0\r\n")));
}
END_TEST

START_TEST(test_info_of_names)
{
    struct bytes names[] = {BYTES("nosuch"), BYTES("store|drop"), BYTES("hset"),
                            BYTES(""),       BYTES("|"),          BYTES("get|x")};
    struct introspect_query query = {.form = INTROSPECT_INFO, .names = names, .n_names = 6};
    struct bytes reply = ask(2, &query);
    ck_assert(bytes_starts_with(reply, BYTES("*6\r\n$-1\r\n*10\r\n$10\r\nstore|drop\r\n")));
    ck_assert(has(reply, "$-1\r\n$-1\r\n$-1\r\n$-1\r\n"));
}
END_TEST

START_TEST(test_docs)
{
    struct bytes names[] = {BYTES("store|drop"), BYTES("nosuch")};
    struct introspect_query query = {.form = INTROSPECT_DOCS, .names = names, .n_names = 2};
    ck_assert(bytes_equal(
        ask(3, &query),
        BYTES(
            "%1\r\n$10\r\nstore|drop\r\n%4\r\n$7\r\nsummary\r\n$10\r\nDrops keys\r\n$5\r\nsince\r\n"
            "$5\r\n0.1.0\r\n$5\r\ngroup\r\n$6\r\nlarder\r\n$9\r\narguments\r\n*1\r\n%3\r\n$"
            "4\r\nname\r\n"
            "$3\r\nkey\r\n$4\r\ntype\r\n$3\r\nkey\r\n$5\r\nflags\r\n~1\r\n+multiple\r\n")));
    query.n_names = 0;
    ck_assert(bytes_starts_with(ask(2, &query), BYTES("*4\r\n")));
}
END_TEST

START_TEST(test_list)
{
    struct introspect_query query = {.form = INTROSPECT_LIST};
    ck_assert(bytes_starts_with(ask(2, &query), BYTES("*4\r\n")));
    query.filter = INTROSPECT_PATTERN;
    query.filter_by = BYTES("STORE|d*");
    ck_assert(bytes_equal(ask(3, &query), BYTES("*1\r\n$10\r\nstore|drop\r\n")));
    query.filter = INTROSPECT_CATEGORY;
    query.filter_by = BYTES("read");
    ck_assert(bytes_equal(ask(2, &query), BYTES("*1\r\n$3\r\nget\r\n")));
    query.filter_by = BYTES("nosuch");
    ck_assert(bytes_equal(ask(2, &query), BYTES("*0\r\n")));
    query.filter = INTROSPECT_MODULE;
    ck_assert(bytes_equal(ask(2, &query), BYTES("*0\r\n")));
}
END_TEST

START_TEST(test_extensions_only)
{
    struct introspect_query query = {.form = INTROSPECT_ALL};
    struct reply reply = {.out = &out, .proto = 3};
    ck_assert_uint_eq(introspect_answer(&reply, larder, &query, true), 1);
    ck_assert(bytes_starts_with(buf_bytes(&out), BYTES("*10\r\n$5\r\nstore\r\n")));
    out.len = 0;
    query.form = INTROSPECT_COUNT;
    ck_assert_uint_eq(introspect_answer(&reply, larder, &query, true), 1);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

/* The whole table of larder, as DOCS and INFO, in both protocols. */
START_TEST(test_every_family)
{
    static const enum introspect_form forms[] = {INTROSPECT_ALL, INTROSPECT_DOCS, INTROSPECT_LIST};
    families_add(larder->commands);
    for (size_t i = 0; i < 3; i++) {
        struct introspect_query query = {.form = forms[i]};
        ck_assert_uint_gt(ask(2, &query).len, 1000);
        ck_assert_uint_gt(ask(3, &query).len, 1000);
    }
}
END_TEST

static struct bytes call_container(const struct bytes *argv, size_t argc, command_fn *fn)
{
    struct call call = {
        .larder = larder, .argv = argv, .argc = argc, .reply = {.out = &out, .proto = 2}};
    call.command = command_resolve(command_table_find(larder->commands, argv[0]), argv, argc);
    out.len = 0;
    fn(&call);
    return buf_bytes(&out);
}

START_TEST(test_help)
{
    struct bytes argv[] = {BYTES("store"), BYTES("HELP")};
    ck_assert(bytes_equal(
        call_container(argv, 2, subcommand_help),
        BYTES("*5\r\n+STORE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n"
              "+DROP key [key ...]\r\n+    Drops keys.\r\n+HELP\r\n+    Prints this help.\r\n")));
}
END_TEST

START_TEST(test_errors_of_containers)
{
    struct bytes argv[] = {BYTES("store"), BYTES("a\r\nb\0c")};
    ck_assert(bytes_equal(call_container(argv, 2, subcommand_unknown),
                          BYTES("-ERR unknown subcommand 'a  b'. Try STORE HELP.\r\n")));
    char wide[300];
    memset(wide, 'x', sizeof(wide));
    argv[1] = bytes_of(wide, sizeof(wide));
    struct bytes error = call_container(argv, 2, subcommand_bad_arguments);
    ck_assert(bytes_starts_with(
        error, BYTES("-ERR unknown subcommand or wrong number of arguments for 'xxx")));
    ck_assert_uint_lt(error.len, 230);
}
END_TEST

START_TEST(test_full_name)
{
    char name[SUBCOMMAND_NAME_SIZE];
    const struct command *store = command_table_find(larder->commands, BYTES("store"));
    subcommand_full_name(larder->commands, store, name, sizeof(name));
    ck_assert_str_eq(name, "store");
    subcommand_full_name(larder->commands, &store->subs[1], name, sizeof(name));
    ck_assert_str_eq(name, "store|help");
    /* A row that isn't the table's, as one that was freed: only its address may be looked at. */
    subcommand_full_name(larder->commands, (const struct command *)name, name, sizeof(name));
    ck_assert_str_eq(name, "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("introspect");
    TCase *tcase = tcase_create("introspect");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_count);
    tcase_add_loop_test(tcase, test_all, 2, 4);
    tcase_add_test(tcase, test_entry_of_get);
    tcase_add_test(tcase, test_info_of_names);
    tcase_add_test(tcase, test_docs);
    tcase_add_test(tcase, test_list);
    tcase_add_test(tcase, test_extensions_only);
    tcase_add_test(tcase, test_every_family);
    tcase_add_test(tcase, test_help);
    tcase_add_test(tcase, test_errors_of_containers);
    tcase_add_test(tcase, test_full_name);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
