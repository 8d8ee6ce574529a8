/* All families in one list; see families.h. */
#include "command/families.h"

#include "command/cached_reply.h"

void families_add(struct command_table *table)
{
    static const struct command *const families[] = {
        bit_commands,        blocking_commands,    watch_commands,      cache_commands,
        client_commands,     config_commands,      connection_commands, info_commands,
        introspect_commands, key_commands,         latency_commands,    refused_commands,
        monitor_commands,    publish_commands,     pubsub_commands,     server_commands,
        script_commands,     slowlog_commands,     string_commands,     transaction_commands,
        upstream_commands,   replication_commands,
    };
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        command_table_add(table, families[i]);
    command_table_serve(table, cached_reply_table);
}
