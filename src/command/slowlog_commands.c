/* SLOWLOG and LATENCY over what larder really records.
 *
 * The slow log is larder's own: it measures what clients wait for, L2's time included. Latency events are not recorded, as in a
 * Redis whose latency-monitor-threshold is 0, so the lists of them are empty. */
#include "command/families.h"
#include "command/subcommand.h"

/* Entries that SLOWLOG GET returns when it isn't told how many. */
#define SLOWLOG_GET_DEFAULT 10

static void slowlog_get(struct call *call)
{
    const struct slowlog *slowlog = &call->larder->slowlog;
    int64_t count = SLOWLOG_GET_DEFAULT;
    if (call->argc > 3) {
        subcommand_bad_arguments(call);
        return;
    }
    if (call->argc == 3 && !bytes_parse_i64(call->argv[2], &count)) {
        reply_error(&call->reply, "ERR count should be greater than or equal to -1");
        return;
    }
    if (count < -1) {
        reply_error(&call->reply, "ERR count should be greater than or equal to -1");
        return;
    }
    size_t n = count < 0 || (uint64_t)count > slowlog->n ? slowlog->n : (size_t)count;
    reply_array(&call->reply, n);
    const struct slowlog_entry *entry = TAILQ_FIRST(&slowlog->entries);
    for (size_t i = 0; i < n; i++, entry = TAILQ_NEXT(entry, link)) {
        reply_array(&call->reply, 6);
        reply_int(&call->reply, entry->id);
        reply_int(&call->reply, entry->unix_s);
        reply_int(&call->reply, entry->duration_us);
        reply_array(&call->reply, entry->argc);
        for (size_t j = 0; j < entry->argc; j++)
            reply_bulk(&call->reply, entry->argv[j]);
        reply_bulk(&call->reply, entry->client_address);
        reply_bulk(&call->reply, entry->client_name);
    }
}

static void slowlog_len(struct call *call)
{
    reply_int(&call->reply, (int64_t)call->larder->slowlog.n);
}

static void slowlog_drop(struct call *call)
{
    slowlog_reset(&call->larder->slowlog);
    reply_ok(&call->reply);
}

static void latency_none(struct call *call)
{
    reply_array(&call->reply, 0);
}

static void latency_reset(struct call *call)
{
    reply_int(&call->reply, 0);
}

static void latency_unsupported(struct call *call)
{
    reply_error(&call->reply, "ERR this LATENCY subcommand is not supported by larder yet");
}

#define ROW(word, function, n) \
    .name = (word), .fn = (function), .arity = (n), .flags = COMMAND_LOCAL | COMMAND_NOSCRIPT, .group = "server"

static const struct command slowlog_subs[] = {
    {ROW("get", slowlog_get, -2), .since = "2.2.12",
     .summary = "Returns the newest entries, 10 or as many as asked for (-1: all): id, time, duration in microseconds, arguments, "
                "client address, client name",
     .args = "[count]"},
    {ROW("len", slowlog_len, 2), .since = "2.2.12", .summary = "Returns how many entries there are"},
    {ROW("reset", slowlog_drop, 2), .since = "2.2.12", .summary = "Drops all entries"},
    {ROW("help", subcommand_help, 2), .since = "6.2.0", .summary = "Prints this help"},
    {.name = NULL},
};

static const struct command latency_subs[] = {
    {ROW("latest", latency_none, 2), .since = "2.8.13", .summary = "Returns the latest sample of each event; none is recorded"},
    {ROW("history", latency_none, 3), .since = "2.8.13", .summary = "Returns the samples of an event; none is recorded",
     .args = "event"},
    {ROW("reset", latency_reset, -2), .since = "2.8.13", .summary = "Drops the samples of events; none is recorded",
     .args = "[event [event ...]]"},
    {ROW("doctor", latency_unsupported, 2), .since = "2.8.13", .summary = "Not supported yet"},
    {ROW("graph", latency_unsupported, 3), .since = "2.8.13", .summary = "Not supported yet", .args = "event"},
    {ROW("histogram", latency_unsupported, -2), .since = "7.0.0", .summary = "Not supported yet", .args = "[command [command ...]]"},
    {ROW("help", subcommand_help, 2), .since = "2.8.13", .summary = "Prints this help"},
    {.name = NULL},
};

const struct command slowlog_commands[] = {
    {ROW("slowlog", subcommand_unknown, -2), .since = "2.2.12", .summary = "A container for commands about the slow log",
     .subs = slowlog_subs},
    {ROW("latency", subcommand_unknown, -2), .since = "2.8.13", .summary = "A container for commands about latency events",
     .subs = latency_subs},
    {.name = NULL},
};
