/* What the files of the command table share; nobody else includes this. */
#ifndef LARDER_CORE_COMMAND_TABLE_INTERNAL_H
#define LARDER_CORE_COMMAND_TABLE_INTERNAL_H

#include "core/command_table.h"

struct command_table {
    struct hash_key key;
    struct command **slots; /* owned; open addressing, linear probing; rows never leave */
    size_t n_slots;         /* a power of two */
    size_t n_rows;
    const struct command_served *served; /* borrowed; NULL: none */
};

/* The row of a name, created (empty but for its counters, without name) when there is none; NULL: not a name, or the table is
 * full. */
struct command *command_table_insert(struct command_table *table, struct bytes name);

/* True when a name may stand in the table. A NUL would end it early, so that it were never found again. */
static inline bool command_name_is_good(struct bytes name)
{
    return name.len > 0 && name.len < COMMAND_NAME_MAX && memchr(name.ptr, '\0', name.len) == NULL;
}

/* Finds a subcommand in arrays for command_sub_at; NULL: none. */
const struct command *command_rows_find(const struct command *subs, struct bytes name);

/* Frees arrays of subcommand rows with their counters. */
void command_rows_destroy(struct command *rows, bool owns_names);

/* Frees the name of a learned row. */
void command_name_free(struct command *row);

#endif
