/* Container commands; see subcommand.h. */
#include "command/subcommand.h"

#include <stdio.h>

/* Redis shows no more of a name in its errors. */
#define NAME_SHOWN_MAX 128

/* Writes `text` in upper case, NUL-terminated and cut to `size`. */
static void upper(char *out, size_t size, const char *text)
{
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < size; i++)
        out[i] = text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - ('a' - 'A')) : text[i];
    out[i] = '\0';
}

/* The name of the container that a call is for, in upper case. */
static void container_name(const struct call *call, char *out, size_t size)
{
    const struct command *container = command_table_find(call->larder->commands, call->argv[0]);
    upper(out, size, container != NULL ? container->name : "");
}

void subcommand_help(struct call *call)
{
    const struct command *container = command_table_find(call->larder->commands, call->argv[0]);
    char name[COMMAND_NAME_MAX];
    container_name(call, name, sizeof(name));
    size_t n = 0;
    for (const struct command *sub = container->subs; sub != NULL && sub->name != NULL; sub++)
        n++;
    char line[512];
    reply_array(&call->reply, 1 + 2 * n);
    snprintf(line, sizeof(line),
             "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    reply_status(&call->reply, line);
    for (const struct command *sub = container->subs; sub != NULL && sub->name != NULL; sub++) {
        char shown[COMMAND_NAME_MAX];
        upper(shown, sizeof(shown), sub->name);
        bool has_args = sub->args != NULL && sub->args[0] != '\0';
        snprintf(line, sizeof(line), "%s%s%s", shown, has_args ? " " : "",
                 has_args ? sub->args : "");
        reply_status(&call->reply, line);
        snprintf(line, sizeof(line), "    %s.", sub->summary);
        reply_status(&call->reply, line);
    }
}

/* How much of an argument is printed (as %.*s, which stops at a NUL, as Redis does). */
static int shown_len(struct bytes name)
{
    return (int)(name.len < NAME_SHOWN_MAX ? name.len : NAME_SHOWN_MAX);
}

void subcommand_unknown(struct call *call)
{
    char name[COMMAND_NAME_MAX];
    container_name(call, name, sizeof(name));
    if (call->argc < 2) {
        call_wrong_arity(call);
        return;
    }
    reply_error(&call->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                shown_len(call->argv[1]), call->argv[1].ptr, name);
}

void subcommand_bad_arguments(struct call *call)
{
    char name[COMMAND_NAME_MAX];
    container_name(call, name, sizeof(name));
    reply_error(&call->reply,
                "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
                shown_len(call->argv[1]), call->argv[1].ptr, name);
}

struct name_search {
    const struct command
        *row; /* may be freed memory (a subcommand that was learned again): only compared */
    char *out;
    size_t size;
};

static void write_if_row(void *ctx, const struct command *command, const struct command *parent)
{
    struct name_search *search = ctx;
    if (command != search->row)
        return;
    if (parent != NULL)
        snprintf(search->out, search->size, "%s|%s", parent->name, command->name);
    else
        snprintf(search->out, search->size, "%s", command->name);
}

void subcommand_full_name(const struct command_table *table, const struct command *row, char *out,
                          size_t size)
{
    struct name_search search = {row, out, size};
    snprintf(out, size, "unknown");
    command_table_each(table, write_if_row, &search);
}
