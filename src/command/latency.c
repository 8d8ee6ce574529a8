/* LATENCY over what larder records: no events, as a Redis whose latency-monitor-threshold is 0, so
 * the lists of them are empty. */
#include "command/families.h"
#include "command/subcommand.h"

static void latency_none(struct call *call)
{
    reply_array(&call->reply, 0);
}

static void latency_reset(struct call *call)
{
    reply_int(&call->reply, 0);
}

/* No histograms are kept yet, so no command has one. */
static void latency_histogram(struct call *call)
{
    reply_map(&call->reply, 0);
}

static void latency_unsupported(struct call *call)
{
    reply_error(&call->reply, "ERR this LATENCY subcommand is not supported by larder yet");
}

#define ROW(word, function, n)                                                                     \
    .name = (word), .fn = (function), .arity = (n), .flags = COMMAND_LOCAL | COMMAND_NOSCRIPT,     \
    .group = "server"

static const struct command latency_subs[] = {
    {ROW("latest", latency_none, 2), .since = "2.8.13",
     .summary = "Returns the latest sample of each event; none is recorded"},
    {ROW("history", latency_none, 3), .since = "2.8.13",
     .summary = "Returns the samples of an event; none is recorded", .args = "event"},
    {ROW("reset", latency_reset, -2), .since = "2.8.13",
     .summary = "Drops the samples of events; none is recorded", .args = "[event [event ...]]"},
    {ROW("doctor", latency_unsupported, 2), .since = "2.8.13", .summary = "Not supported yet"},
    {ROW("graph", latency_unsupported, 3), .since = "2.8.13", .summary = "Not supported yet",
     .args = "event"},
    {ROW("histogram", latency_histogram, -2), .since = "7.0.0",
     .summary = "Returns the latencies of commands; none are recorded yet",
     .args = "[command [command ...]]"},
    {ROW("help", subcommand_help, 2), .since = "2.8.13", .summary = "Prints this help"},
    {.name = NULL},
};

const struct command latency_commands[] = {
    {ROW("latency", subcommand_unknown, -2), .since = "2.8.13",
     .summary = "A container for commands about latency events", .subs = latency_subs},
    {.name = NULL},
};
