/* CONFIG: larder's own configuration. GET and SET work on the table of directives, SET brings the
 * running server into line or leaves everything as it was. Parameters that larder doesn't have are
 * L2's, where there is one. */
#include "core/config_rewrite.h"

#include "command/config_upstream.h"
#include "command/families.h"
#include "command/subcommand.h"
#include "core/stats_table.h"

static void add_pair(void *ctx, struct bytes name, struct bytes value)
{
    struct reply *reply = ctx;
    reply_bulk(reply, name);
    reply_bulk(reply, value);
}

/* True when every name is that of a directive of larder: L2 needn't be asked. */
static bool are_own(const struct bytes *names, size_t n, size_t step)
{
    for (size_t i = 0; i < n; i += step)
        if (!config_is_own(names[i]))
            return false;
    return true;
}

static void config_get_values(struct call *call)
{
    if (call->larder->link != NULL && !call->is_queued &&
        !are_own(call->argv + 2, call->argc - 2, 1)) {
        config_upstream_get(call);
        return;
    }
    const struct bytes *patterns = call->argv + 2;
    size_t n_patterns = call->argc - 2;
    reply_map(&call->reply, config_get(&call->larder->config, patterns, n_patterns, NULL, NULL));
    config_get(&call->larder->config, patterns, n_patterns, add_pair, &call->reply);
}

static void config_set_values(struct call *call)
{
    char error[CONFIG_ERR_SIZE];
    size_t n_own = 0;
    for (size_t i = 2; i < call->argc; i += 2)
        n_own += config_is_own(call->argv[i]);
    if (call->argc % 2 != 0)
        call_syntax_error(call);
    else if (n_own == 0 && call->larder->link != NULL && !call->is_queued)
        call_pass(call);
    else if (n_own < (call->argc - 2) / 2 && call->larder->link != NULL && !call->is_queued)
        config_upstream_set(call);
    else if (config_set(&call->larder->config, call->argv + 2, (call->argc - 2) / 2,
                        larder_apply_config, call->larder, error, sizeof(error)))
        reply_ok(&call->reply);
    else
        reply_error(&call->reply, "%s", error);
}

static void reset_command(void *ctx, const struct command *command, const struct command *parent)
{
    (void)ctx;
    (void)parent;
    if (command->stats != NULL)
        memset(command->stats, 0, sizeof(*command->stats));
}

static void config_resetstat(struct call *call)
{
    struct larder *larder = call->larder;
    stats_reset(&larder->stats);
    larder->conns.bytes_read = larder->conns.bytes_written = 0;
    larder->conns.reads = larder->conns.writes = 0;
    /* Rates are made of differences to these. */
    larder->rate_commands.last = larder->rate_in.last = larder->rate_out.last = 0;
    larder->loop.longest_turn_us = 0;
    tier_reset_counters(larder->tier);
    store_reset_counters(larder->store);
    if (larder->link != NULL)
        link_reset_counters(larder->link);
    if (larder->pinned != NULL)
        pinned_reset_counters(larder->pinned);
    command_table_each(larder->commands, reset_command, NULL);
    errorstats_reset(&larder->errorstats);
    reply_ok(&call->reply);
}

static void config_rewrite_file(struct call *call)
{
    char error[CONFIG_ERR_SIZE];
    if (config_rewrite(&call->larder->config, error, sizeof(error))) {
        LOG(LOG_NOTICE, "CONFIG REWRITE executed with success.");
        reply_ok(&call->reply);
    } else {
        LOG(LOG_WARNING, "CONFIG REWRITE failed: %s", error);
        reply_error(&call->reply, "%s", error);
    }
}

#define ROW(word, function, n)                                                                     \
    .name = (word), .fn = (function), .arity = (n), .flags = COMMAND_LOCAL | COMMAND_NOSCRIPT,     \
    .group = "server", .since = "2.0.0"

static const struct command subs[] = {
    {ROW("get", config_get_values, -3), .summary = "Returns directives whose names match patterns",
     .args = "parameter [parameter ...]"},
    {ROW("set", config_set_values, -4), .summary = "Changes directives, all or none",
     .args = "parameter value [parameter value ...]"},
    {ROW("resetstat", config_resetstat, 2), .summary = "Sets the counters of INFO back"},
    {ROW("rewrite", config_rewrite_file, 2),
     .summary = "Writes the values in force into the configuration file"},
    {ROW("help", subcommand_help, 2), .summary = "Prints this help"},
    {.name = NULL},
};

const struct command config_commands[] = {
    {ROW("config", subcommand_unknown, -2),
     .summary = "A container for commands about larder's configuration", .subs = subs},
    {.name = NULL},
};
