/* COMMAND: which commands there are, how they are called, where their keys are.
 *
 * In front of an L2 it is L2 who knows, modules included, and larder adds its extensions
 * (introspect_merge.c); without one, and while it is down, larder's own table answers
 * (introspect_table.c). */
#include "command/introspect.h"

#include "command/families.h"
#include "command/subcommand.h"

static void answer(struct call *call, const struct introspect_query *query)
{
    if (call->larder->link != NULL && link_get_state(call->larder->link) != LINK_DOWN)
        introspect_ask(call, query);
    else
        introspect_answer(&call->reply, call->larder, query, false);
}

static void command_all(struct call *call)
{
    struct introspect_query query = {.form = INTROSPECT_ALL};
    if (call->argc > 1)
        subcommand_unknown(call);
    else
        answer(call, &query);
}

static void command_count(struct call *call)
{
    struct introspect_query query = {.form = INTROSPECT_COUNT};
    answer(call, &query);
}

static void command_info(struct call *call)
{
    struct introspect_query query = {.form = call->argc > 2 ? INTROSPECT_INFO : INTROSPECT_ALL,
                                     .names = call->argv + 2,
                                     .n_names = call->argc - 2};
    answer(call, &query);
}

static void command_docs(struct call *call)
{
    struct introspect_query query = {
        .form = INTROSPECT_DOCS, .names = call->argv + 2, .n_names = call->argc - 2};
    answer(call, &query);
}

static void command_list(struct call *call)
{
    struct introspect_query query = {.form = INTROSPECT_LIST};
    if (call->argc > 2) {
        if (call->argc != 5 || !bytes_is(call->argv[2], "filterby")) {
            call_syntax_error(call);
            return;
        }
        query.filter_by = call->argv[4];
        if (bytes_is(call->argv[3], "module")) {
            query.filter = INTROSPECT_MODULE;
        } else if (bytes_is(call->argv[3], "aclcat")) {
            query.filter = INTROSPECT_CATEGORY;
        } else if (bytes_is(call->argv[3], "pattern")) {
            query.filter = INTROSPECT_PATTERN;
        } else {
            call_syntax_error(call);
            return;
        }
    }
    answer(call, &query);
}

/* COMMAND GETKEYS and GETKEYSANDFLAGS */

/* True when a row has keys at all. */
static bool has_keys(const struct command *row)
{
    return row->first > 0 || row->n_specs > 0;
}

static void write_keys(struct call *call, const struct command *row, const struct bytes *argv,
                       size_t argc, bool with_flags)
{
    struct command_keys keys;
    bool writes = (row->flags & COMMAND_WRITE) != 0;
    if (!command_keys_collect(row, argv, argc, false, &keys)) {
        reply_error(&call->reply, "ERR out of memory");
        return;
    }
    if (keys.n == 0)
        reply_error(&call->reply, "ERR Invalid arguments specified for command");
    else
        reply_array(&call->reply, keys.n);
    for (size_t i = 0; i < keys.n; i++) {
        if (!with_flags) {
            reply_bulk(&call->reply, keys.items[i]);
            continue;
        }
        reply_array(&call->reply, 2);
        reply_bulk(&call->reply, keys.items[i]);
        reply_set(&call->reply, 2);
        reply_status(&call->reply, writes ? "RW" : "RO");
        reply_status(&call->reply, writes ? "update" : "access");
    }
    command_keys_deinit(&keys);
}

/* Keys of L2's commands are best told by L2 itself, whose own functions find some that no
 * specification can name. */
static void get_keys(struct call *call, bool with_flags)
{
    const struct larder *larder = call->larder;
    const struct bytes *argv = call->argv + 2;
    size_t argc = call->argc - 2;
    const struct command *row = command_table_find(larder->commands, argv[0]);
    if (row != NULL && !introspect_is_served(larder, row))
        row = NULL;
    bool is_extension = row != NULL && introspect_is_extension(row);
    if (row != NULL)
        row = command_resolve(row, argv, argc);
    if (!is_extension && larder->link != NULL && link_get_state(larder->link) == LINK_READY)
        call_pass(call);
    else if (row == NULL)
        reply_error(&call->reply, "ERR Invalid command specified");
    else if (!has_keys(row))
        reply_error(&call->reply, "ERR The command has no key arguments");
    else if (!command_arity_ok(row, argc))
        reply_error(&call->reply, "ERR Invalid number of arguments specified for command");
    else
        write_keys(call, row, argv, argc, with_flags);
}

static void command_getkeys(struct call *call)
{
    get_keys(call, false);
}

static void command_getkeysandflags(struct call *call)
{
    get_keys(call, true);
}

#define ROW(word, function, n)                                                                     \
    .name = (word), .fn = (function), .arity = (n), .flags = COMMAND_LOCAL, .group = "server"

static const struct command subs[] = {
    {ROW("count", command_count, 2), .since = "2.8.13",
     .summary = "Returns how many commands there are"},
    {ROW("docs", command_docs, -2), .since = "7.0.0",
     .summary = "Returns the documentation of commands, or of all",
     .args = "[command-name [command-name ...]]"},
    {ROW("getkeys", command_getkeys, -4), .since = "2.8.13",
     .summary = "Returns the keys of a whole command", .args = "command [arg [arg ...]]"},
    {ROW("getkeysandflags", command_getkeysandflags, -4), .since = "7.0.0",
     .summary = "Returns the keys of a whole command, and how they are accessed",
     .args = "command [arg [arg ...]]"},
    {ROW("info", command_info, -2), .since = "2.8.13",
     .summary = "Returns how commands are called, or all",
     .args = "[command-name [command-name ...]]"},
    {ROW("list", command_list, -2), .since = "7.0.0",
     .summary = "Returns the names of commands, subcommands included",
     .args = "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]"},
    {ROW("help", subcommand_help, 2), .since = "5.0.0", .summary = "Prints this help"},
    {.name = NULL},
};

const struct command introspect_commands[] = {
    {ROW("command", command_all, -1), .since = "2.8.13",
     .summary = "Returns how every command is called", .subs = subs},
    {.name = NULL},
};
