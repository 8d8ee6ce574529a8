/* The commands by family: one array of rows each, ended by a row without name, defined in the family's file. */
#ifndef LARDER_COMMAND_FAMILIES_H
#define LARDER_COMMAND_FAMILIES_H

#include "core/command_table.h"

extern const struct command bit_commands[];
extern const struct command blocking_commands[];
extern const struct command cache_commands[];
extern const struct command client_commands[];
extern const struct command config_commands[];
extern const struct command connection_commands[];
extern const struct command info_commands[];
extern const struct command introspect_commands[];
extern const struct command key_commands[];
extern const struct command latency_commands[];
extern const struct command monitor_commands[];
extern const struct command publish_commands[];
extern const struct command pubsub_commands[];
extern const struct command refused_commands[];
extern const struct command replication_commands[];
extern const struct command script_commands[];
extern const struct command server_commands[];
extern const struct command slowlog_commands[];
extern const struct command string_commands[];
extern const struct command transaction_commands[];
extern const struct command upstream_commands[];
extern const struct command watch_commands[];

/* Adds every family to the table. */
void families_add(struct command_table *table);

#endif
