/* SLOWLOG: larder's own slow log, which dispatch fills (core/slowlog.h). */
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

#define ROW(word, function, n)                                                                     \
    .name = (word), .fn = (function), .arity = (n), .flags = COMMAND_LOCAL | COMMAND_NOSCRIPT,     \
    .group = "server"

static const struct command slowlog_subs[] = {
    {ROW("get", slowlog_get, -2), .since = "2.2.12",
     .summary = "Returns the newest entries, 10 or as many as asked for (-1: all): id, time, "
                "duration in microseconds, arguments, "
                "client address, client name",
     .args = "[count]"},
    {ROW("len", slowlog_len, 2), .since = "2.2.12",
     .summary = "Returns how many entries there are"},
    {ROW("reset", slowlog_drop, 2), .since = "2.2.12", .summary = "Drops all entries"},
    {ROW("help", subcommand_help, 2), .since = "6.2.0", .summary = "Prints this help"},
    {.name = NULL},
};

const struct command slowlog_commands[] = {
    {ROW("slowlog", subcommand_unknown, -2), .since = "2.2.12",
     .summary = "A container for commands about the slow log", .subs = slowlog_subs},
    {.name = NULL},
};
