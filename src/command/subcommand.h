/* What container commands (CLIENT, CONFIG, CACHE ...) have in common: HELP from their rows, Redis's
 * errors for subcommands, and the full name of a row ("client|list"). Must not know: single
 * commands. */
#ifndef LARDER_COMMAND_SUBCOMMAND_H
#define LARDER_COMMAND_SUBCOMMAND_H

#include "core/larder.h"

/* Longest full name, with the NUL. */
#define SUBCOMMAND_NAME_SIZE (2 * COMMAND_NAME_MAX + 2)

/* How many bytes of an argument an error shows, as the precision of %.*s: reply_error cuts there
 * anyway. */
static inline int subcommand_shown(struct bytes argument)
{
    return (int)(argument.len < 1024 ? argument.len : 1024);
}

/* Serves "<container> HELP": an array of statuses in Redis's form, usage and summary of each of
 * larder's own subcommand rows. */
void subcommand_help(struct call *call);

/* Serves a container called with a subcommand that it hasn't: "unknown subcommand 'x'. Try CLIENT
 * HELP." */
void subcommand_unknown(struct call *call);

/* Writes "unknown subcommand or wrong number of arguments for 'x'. Try CLIENT HELP.", Redis's error
 * for arguments that a subcommand's arity doesn't exclude. */
void subcommand_bad_arguments(struct call *call);

/* Writes the row's full name, NUL-terminated and cut to `size`, into `out`: "get", "client|list";
 * "unknown" for a row that the table hasn't any more. Costs a walk over the table. */
void subcommand_full_name(const struct command_table *table, const struct command *row, char *out,
                          size_t size);

#endif
