/* From a parsed request to its handler: checks in the order of Redis 7.0's processCommand, counting, timing. */
#include "core/call_internal.h"
#include "core/monitor.h"
#include "core/tracking.h"
#include "core/transaction.h"

#include "base/log.h"

/* Checks */

/* An HTTP request, sent here to smuggle commands: closed without an answer, as Redis. */
static bool is_http(struct bytes name)
{
    return bytes_is(name, "post") || bytes_is(name, "host:");
}

static bool is_learned_only(const struct command *command)
{
    return (command->flags & COMMAND_LEARNED) != 0;
}

/* Says why a command that larder has no handler of its own for can't be sent on; NULL: it can. */
static const char *why_not_sent(const struct larder *larder, const struct command *command)
{
    if (!is_learned_only(command))
        return NULL;
    if ((command->flags & COMMAND_ADMIN) && !larder->config.allow_admin)
        return "is an administrative command; set allow-admin to send it upstream";
    if (command->flags & COMMAND_BLOCKING)
        return "blocks its connection and is not supported through larder yet";
    return NULL;
}

/* True for what is answered in L2's words (BUSY) while it is busy with a script. Reads that L1 may have are not: a busy L2 changes nothing
 * that anybody can read before the script has ended. PING is, though larder answers it: who asks wants to know of L2. */
static bool is_refused_by_busy(const struct call *call)
{
    const struct larder *larder = call->larder;
    if (larder->link == NULL || !link_is_busy(larder->link))
        return false;
    unsigned flags = call->command->flags;
    if (flags & COMMAND_LOCAL)
        return strcmp(call->command->name, "ping") == 0;
    return !(flags & (COMMAND_ALLOW_BUSY | COMMAND_CACHED)) || call->client->multi != NULL;
}

/* While its scripts are in flight, or keys are watched, a client reads from L2 only. */
static bool must_bypass_l1(struct client *client)
{
    return client_passes_l1_by(client) || client->watch != NULL;
}

/* True for what must wait until the client's earlier commands are answered, because it runs on another link than they. */
static bool waits_for_earlier(const struct client *client, const struct command *command)
{
    if (client->n_slots == 0 || command == NULL)
        return false;
    if (client->multi == NULL)
        return (command->flags & COMMAND_WAITS) != 0;
    return client->watch != NULL && strcmp(command->name, "exec") == 0;
}

/* True for what a client in RESP2 may do while it is subscribed. */
static bool is_for_subscribers(const struct command *command)
{
    static const char *const names[] = {"ping",        "quit",         "reset",
                                        "subscribe",   "psubscribe",   "ssubscribe",
                                        "unsubscribe", "punsubscribe", "sunsubscribe"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(command->name, names[i]) == 0)
            return true;
    return false;
}

/* Refuses what a subscriber in RESP2, or a monitor, can't do, as Redis. Returns false when the command is fine. */
static bool is_out_of_context(struct call *call)
{
    char name[COMMAND_NAME_MAX * 2 + CALL_SHOWN_MAX];
    if (call->client->proto == 2 && client_is_subscriber(call->client) &&
        !is_for_subscribers(call->command)) {
        reply_error(&call->reply,
                    "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT "
                    "/ RESET are allowed in this "
                    "context",
                    call_full_name(call, name, sizeof(name)));
        return true;
    }
    if (call->client->is_monitor &&
        (call->command->flags & (COMMAND_READONLY | COMMAND_WRITE | COMMAND_SCRIPT))) {
        reply_error(&call->reply, "ERR Replica can't interact with the keyspace");
        return true;
    }
    return false;
}

/* The function that serves the call; NULL when the command is refused and the error is written. */
static command_fn *check(struct call *call)
{
    struct larder *larder = call->larder;
    const struct command *command = call->command;
    if (command == NULL) {
        if (larder->link != NULL && call->client->authenticated && call->client->multi == NULL)
            return call_unknown;
        call_unknown_command(call);
        return NULL;
    }
    command_fn *fn =
        larder->link != NULL || (command->flags & COMMAND_LOCAL) ? command->fn : command->alone;
    if (fn == NULL) {
        call_unknown_command(call);
        return NULL;
    }
    /* That of learned ones is L2's to judge, but not for those who may not ask it. */
    bool judges = !is_learned_only(command) || !call->client->authenticated;
    if (judges && !command_arity_ok(command, call->argc)) {
        if (strcmp(command->name, "exec") == 0)
            reply_error(&call->reply, "EXECABORT Transaction discarded because of: wrong number of "
                                      "arguments for 'exec' command");
        else
            call_wrong_arity(call);
        return NULL;
    }
    if (!call->client->authenticated && !(command->flags & COMMAND_NO_AUTH)) {
        reply_error(&call->reply, "NOAUTH Authentication required.");
        return NULL;
    }
    const char *why = why_not_sent(larder, command);
    if (why != NULL) {
        char name[COMMAND_NAME_MAX * 2 + CALL_SHOWN_MAX];
        reply_error(&call->reply, "ERR '%s' %s", call_full_name(call, name, sizeof(name)), why);
        return NULL;
    }
    if (is_refused_by_busy(call)) {
        reply_raw(&call->reply, link_get_busy(larder->link));
        return NULL;
    }
    if (__builtin_expect((call->client->pubsub != NULL) | call->client->is_monitor, 0) &&
        is_out_of_context(call))
        return NULL;
    if (call->client->multi != NULL && !(command->flags & COMMAND_NOT_QUEUED))
        return call_queue;
    return (command->flags & COMMAND_CACHED) && must_bypass_l1(call->client) ? call_pass : fn;
}

/* Execution */

/* Hits of L1 take less than two readings of the clock: only each STAMP_EVERY-th is timed, and stands for those before it. (Seen:
 * 8 % of the CPU of a hit at P=100.) With a slow log that wants everything, all are. */
#define STAMP_EVERY 8

static bool is_sampled_out(const struct call *call)
{
    struct larder *larder = call->larder;
    int64_t slow_us = larder->config.slowlog_log_slower_than_us;
    bool may = (call->command->flags & COMMAND_CACHED) && !call->deferred &&
               (slow_us < 0 || slow_us >= 1000);
    larder->unstamped = may && larder->unstamped + 1 < STAMP_EVERY ? larder->unstamped + 1 : 0;
    return larder->unstamped != 0;
}

static void account(struct call *call, struct command_stats *stats, bool failed)
{
    struct larder *larder = call->larder;
    stats->calls++;
    stats->failed += failed;
    if (__builtin_expect(is_sampled_out(call), 1))
        return;
    int64_t now_ns = clock_read_ns();
    int64_t took_ns = now_ns - larder->stamp_ns;
    larder->stamp_ns = now_ns;
    stats->nanoseconds += (uint64_t)took_ns;
    if (__builtin_expect(slowlog_is_slow(larder->config.slowlog_log_slower_than_us, took_ns / 1000),
                         0)) {
        struct slowlog_event event = {
            .argv = call->argv,
            .argc = call->argc,
            .client_address = bytes_of_str(call->client->peer),
            .client_name = bytes_of_str(call->client->name),
            .duration_us = took_ns / 1000,
            .unix_s = clock_wall_ms(&larder->loop.clock) / 1000,
        };
        slowlog_note(&larder->slowlog, (size_t)larder->config.slowlog_max_len, &event);
    }
}

/* The request as a RESP array: its own bytes where they are one, else serialised into the scratch buffer. */
static bool set_raw(struct call *call, const struct request *request)
{
    if (__builtin_expect(request->canonical, 1)) {
        call->raw = request->raw;
        return true;
    }
    struct buf *scratch = &call->larder->scratch;
    scratch->len = 0;
    bool ok = request_encode(call->argv, call->argc, scratch);
    call->raw = buf_bytes(scratch);
    return ok;
}

/* Counts a call that was served, or refused (fn is NULL), and ends its reply. */
static void finish(struct call *call, command_fn *fn)
{
    struct larder *larder = call->larder;
    struct client *client = call->client;
    /* The connection may be gone now; the client's memory is there until the end of the turn. */
    size_t start = client->reply_start;
    bool failed = !call->deferred && !client->conn.closed && call->reply.out->len > start &&
                  call->reply.out->data[start] == '-';
    if (failed)
        larder_count_error(larder,
                           bytes_of(call->reply.out->data + start, call->reply.out->len - start));
    if (call->command != NULL && fn == NULL)
        call->command->stats->rejected++;
    else if (call->command != NULL)
        account(call, call->command->stats, failed);
    if (!call->deferred)
        client_end_reply(client, &call->reply);
    if (__builtin_expect(larder->n_monitors > 0, 0) && fn != NULL && fn != call_queue)
        monitor_after(call);
    if (__builtin_expect(client->tracker != NULL, 0))
        tracking_after(call);
}

bool larder_execute(struct larder *larder, struct client *client, const struct parsed *parsed)
{
    const struct bytes *argv = request_argv(&parsed->request);
    struct call call = {
        .larder = larder, .client = client, .argv = argv, .argc = parsed->request.argc};
    if (parsed->command != NULL)
        call.command = command_resolve(parsed->command, argv, call.argc);
    else if (is_http(argv[0])) {
        LOG(LOG_WARNING, "Possible SECURITY ATTACK: %s sends HTTP; closed", client->peer);
        client_close(client, "HTTP request");
        return true;
    }
    if (waits_for_earlier(client, call.command))
        return false;
    call.hash = parsed->hash;
    call.has_hash = parsed->has_hash;
    call.reply = client_begin_reply(client);
    command_fn *fn = check(&call);
    if (fn != NULL && client_hold_call(&call, fn))
        return false;
    if (!set_raw(&call, &parsed->request)) {
        client_close(client, "out of memory for a command");
        return true;
    }
    client->last_command = call.command;
    client->n_commands++;
    larder->stats.commands++;
    if (__builtin_expect(larder->n_monitors > 0, 0) && fn != NULL)
        monitor_before(&call);
    if (__builtin_expect(client->tracker != NULL, 0) && fn != NULL) {
        tracking_before(&call);
        if (client->conn.closed)
            return true;
    }
    if (fn != NULL)
        fn(&call);
    else if (client->multi != NULL)
        client->multi->is_dirty = true;
    finish(&call, fn);
    larder->scratch.len = 0;
    buf_trim(&larder->scratch, CONN_READ_BYTES);
    if (__builtin_expect(client->reply_skip | client->reply_skip_next, 0)) {
        client->reply_skip = client->reply_skip_next;
        client->reply_skip_next = false;
    }
    return true;
}
