/* UPSTREAM LIST | STATS | HELP: what larder knows of the nodes behind it; one, or none. */
#include "command/families.h"
#include "command/subcommand.h"
#include "core/stats_table.h"

/* The rows that a list of nodes shows. */
static bool is_in_list(const char *name)
{
    static const char *const names[] = {"name",
                                        "state",
                                        "state_age_ms",
                                        "version",
                                        "tracking",
                                        "coherence_configured",
                                        "coherence",
                                        "coherence_step_downs",
                                        "coherence_step_ups",
                                        "last_error",
                                        "rtt_us",
                                        "inflight",
                                        "commands",
                                        "errors",
                                        "timeouts",
                                        "breaker"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void add_value(struct reply *reply, struct stats_value value)
{
    if (value.is == STATS_IS_INTEGER)
        reply_int(reply, value.integer);
    else if (value.is == STATS_IS_DOUBLE)
        reply_double(reply, value.number);
    else
        reply_bulk_str(reply, value.text);
}

/* Adds a node as a map: all its figures, or those of a list. */
static void add_node(struct reply *reply, const struct stats_snapshot *stats, bool all)
{
    size_t n;
    const struct stats_row *rows = stats_table(&n);
    size_t n_shown = 0;
    for (size_t i = 0; i < n; i++)
        n_shown += rows[i].section == STATS_L2 && (all || is_in_list(rows[i].name));
    reply_map(reply, n_shown);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].section != STATS_L2 || !(all || is_in_list(rows[i].name)))
            continue;
        reply_bulk_str(reply, rows[i].name);
        add_value(reply, stats_value(&rows[i], stats));
    }
}

/* UPSTREAM LIST: an array with a map for each node. */
static void upstream_list(struct call *call)
{
    struct stats_snapshot stats;
    stats_snapshot_take(&stats, call->larder);
    reply_array(&call->reply, stats.has_link ? 1 : 0);
    if (stats.has_link)
        add_node(&call->reply, &stats, false);
}

/* UPSTREAM STATS [node]: an array with a map for each node, or for the one of that name. */
static void upstream_stats(struct call *call)
{
    struct stats_snapshot stats;
    if (call->argc > 3) {
        call_wrong_arity(call);
        return;
    }
    stats_snapshot_take(&stats, call->larder);
    if (call->argc == 3 &&
        !(stats.has_link && bytes_equal(call->argv[2], bytes_of_str(stats.link_name)))) {
        reply_error(&call->reply, "ERR No such upstream '%.*s'", subcommand_shown(call->argv[2]),
                    call->argv[2].ptr);
        return;
    }
    reply_array(&call->reply, stats.has_link ? 1 : 0);
    if (stats.has_link)
        add_node(&call->reply, &stats, true);
}

#define ROW(word, function, n)                                                                     \
    .name = (word), .fn = (function), .arity = (n), .flags = COMMAND_LOCAL | COMMAND_NOSCRIPT,     \
    .group = "larder", .since = "0.1.0"

static const struct command subs[] = {
    {ROW("list", upstream_list, 2),
     .summary = "Describes each upstream node: state, errors, round-trip time"},
    {ROW("stats", upstream_stats, -2),
     .summary = "Returns every figure of each upstream node, or of one", .args = "[node]"},
    {ROW("help", subcommand_help, 2), .summary = "Prints this help"},
    {.name = NULL},
};

const struct command upstream_commands[] = {
    {ROW("upstream", subcommand_unknown, -2),
     .summary = "A container for commands about the upstream", .subs = subs},
    {.name = NULL},
};
