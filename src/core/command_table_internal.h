/* What the files of the command table share; nobody else includes this. */
#ifndef LARDER_CORE_COMMAND_TABLE_INTERNAL_H
#define LARDER_CORE_COMMAND_TABLE_INTERNAL_H

#include "core/command_table.h"

struct command_table {
    struct hash_key key;
    struct command **slots; /* owned; open addressing, linear probing; rows never leave */
    size_t n_slots;         /* a power of two */
    size_t n_rows;
};

/* The row of a name, created (empty but for its counters, without name) when there is none; NULL: not a name. */
struct command *command_table_insert(struct command_table *table, struct bytes name);

/* Frees an array of subcommand rows with their counters. */
void command_rows_destroy(struct command *rows, bool owns_names);

/* Frees the name of a learned row. */
void command_name_free(struct command *row);

#endif
