/* The usage parser (src/command/usage.h): the tree, drawn as redis-cli 7.0 draws its hints, and
 * every row of larder's table. */
#include "command/usage.h"

#include "base/buf.h"
#include "command/families.h"

#include <check.h>
#include <stdlib.h>

static void draw(const struct usage *usage, int i, struct buf *out);

static void draw_children(const struct usage *usage, const struct usage_node *node, struct buf *out)
{
    const char *between = node->type == USAGE_ONEOF ? "|" : " ";
    for (int i = node->first; i >= 0; i = usage->nodes[i].next) {
        draw(usage, i, out);
        if (usage->nodes[i].next >= 0)
            ck_assert(buf_printf(out, "%s", between));
    }
}

static void draw_value(const struct usage *usage, const struct usage_node *node, bool with_token,
                       struct buf *out)
{
    bool is_pure = node->type == USAGE_PURE_TOKEN;
    if (with_token && node->token.len > 0)
        ck_assert(buf_append(out, node->token.ptr, node->token.len));
    if (with_token && node->token.len > 0 && !is_pure)
        ck_assert(buf_append(out, " ", 1));
    if (node->type == USAGE_ONEOF || node->type == USAGE_BLOCK)
        draw_children(usage, node, out);
    else if (!is_pure)
        ck_assert(buf_append(out, node->name.ptr, node->name.len));
}

static void draw(const struct usage *usage, int i, struct buf *out)
{
    const struct usage_node *node = &usage->nodes[i];
    ck_assert(buf_append(out, "[", node->optional));
    draw_value(usage, node, true, out);
    if (node->multiple) {
        ck_assert(buf_append(out, " [", 2));
        draw_value(usage, node, node->multiple_token, out);
        ck_assert(buf_append(out, " ...]", 5));
    }
    ck_assert(buf_append(out, "]", node->optional));
}

static const struct {
    const char *text;
    const char *hint;
} good[] = {
    {"key", "key"},
    {"key value [NX | XX] [GET] [EX seconds | KEEPTTL]",
     "key value [NX|XX] [GET] [EX seconds|KEEPTTL]"},
    {"key [key ...]", "key [key ...]"},
    {"[key [key ...]]", "[key [key ...]]"},
    {"key value [key value ...]", "key value [key value ...]"},
    {"a key value [key value ...]", "a key value [key value ...]"},
    {"key [GET pattern [GET pattern ...]] [ALPHA]", "key [GET pattern [GET pattern ...]] [ALPHA]"},
    {"[COUNT count] STREAMS key [key ...] id [id ...]",
     "[COUNT count] STREAMS key [key ...] id [id ...]"},
    {"source <LEFT | RIGHT> timeout", "source LEFT|RIGHT timeout"},
    {"subcommand [argument ...]", "subcommand [argument [argument ...]]"},
    {"[AUTH username password]", "[AUTH username password]"},
    {"[v [AUTH user pass] [NAME n]]", "[v [AUTH user pass] [NAME n]]"},
    {"KEYS key [key ...] | MATCH pattern | LIST", "KEYS key [key ...]|MATCH pattern|LIST"},
    {"key [GET e o | [F <A | B>] <SET e o | INCR e> ...]",
     "key [GET e o|[F A|B] SET e o|INCR e [GET e o|[F A|B] SET e o|INCR e ...]]"},
    {"[TYPE <A | B>] [ID id [id ...]]", "[TYPE A|B] [ID id [id ...]]"},
    {"  key   [ NX ]  ", "key [NX]"},
};

START_TEST(test_draws_as_redis_cli)
{
    struct usage usage;
    struct buf out;
    buf_init(&out);
    ck_assert_msg(usage_parse(&usage, good[_i].text), "%s", good[_i].text);
    for (int i = usage.first; i >= 0; i = usage.nodes[i].next) {
        draw(&usage, i, &out);
        ck_assert(buf_append(&out, " ", usage.nodes[i].next >= 0));
    }
    ck_assert_msg(bytes_equal(buf_bytes(&out), bytes_of_str(good[_i].hint)), "%s: %.*s",
                  good[_i].text, (int)out.len, out.data);
    buf_deinit(&out);
}
END_TEST

static const char *const bad[] = {
    "",      "[",  "key ]", "<a | b",  "[a",
    "a > b", "[]", "a | ",  "| a",     "[a | ]",
    "a ...", "<>", "[a>",   "key [[a", "[[[[[[[[[[a]]]]]]]]]]",
};

START_TEST(test_refuses)
{
    struct usage usage;
    ck_assert_msg(!usage_parse(&usage, bad[_i]), "%s", bad[_i]);
}
END_TEST

START_TEST(test_refuses_what_is_too_long)
{
    char text[4 * USAGE_NODES_MAX + 1];
    struct usage usage;
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "a ", 2);
    text[sizeof(text) - 1] = '\0';
    ck_assert(!usage_parse(&usage, text));
}
END_TEST

START_TEST(test_types)
{
    struct usage usage;
    ck_assert(usage_parse(&usage, "newkey count pattern word NX"));
    static const enum usage_type types[] = {USAGE_KEY, USAGE_INTEGER, USAGE_PATTERN, USAGE_STRING,
                                            USAGE_STRING};
    int i = usage.first;
    for (size_t n = 0; n < 4; n++, i = usage.nodes[i].next)
        ck_assert_int_eq(usage.nodes[i].type, types[n]);
    ck_assert_int_eq(usage.nodes[i].type, USAGE_PURE_TOKEN);
}
END_TEST

static void check_row(void *ctx, const struct command *command, const struct command *parent)
{
    struct usage usage;
    int *n_rows = ctx;
    if (command->args == NULL || command->args[0] == '\0')
        return;
    (*n_rows)++;
    ck_assert_msg(usage_parse(&usage, command->args), "%s %s: %s",
                  parent != NULL ? parent->name : "", command->name, command->args);
}

START_TEST(test_every_row_can_be_read)
{
    struct command_table *table = command_table_create();
    int n_rows = 0;
    families_add(table);
    command_table_each(table, check_row, &n_rows);
    ck_assert_int_gt(n_rows, 50);
    command_table_destroy(table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("usage");
    TCase *tcase = tcase_create("usage");
    tcase_add_loop_test(tcase, test_draws_as_redis_cli, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tcase, test_refuses, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tcase, test_refuses_what_is_too_long);
    tcase_add_test(tcase, test_types);
    tcase_add_test(tcase, test_every_row_can_be_read);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
