/* From a parsed request to its handler: checks in the order of Redis 7.0's processCommand, counting, timing; and the two ways
 * in which a handler sends its command on to L2. */
#include "core/larder.h"
#include "core/monitor.h"
#include "core/tracking.h"
#include "core/transaction.h"

#include "base/log.h"

#include <stdio.h>

/* Longest part of an unknown command's name and arguments that its error shows, as Redis. */
#define SHOWN_MAX 128

/* Errors */

void larder_count_error(struct larder *larder, struct bytes error_line)
{
    larder->stats.error_replies++;
    errorstats_count(&larder->errorstats, error_line);
}

static const char *full_name(const struct call *call, char *out, size_t size)
{
    struct bytes name = call->argv[0];
    if (call->command == NULL)
        snprintf(out, size, "%.*s", (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX), name.ptr);
    else if (command_table_find(call->larder->commands, name) == call->command)
        snprintf(out, size, "%s", call->command->name);
    else
        snprintf(out, size, "%s|%s", command_table_find(call->larder->commands, name)->name, call->command->name);
    return out;
}

void call_wrong_arity(struct call *call)
{
    char name[COMMAND_NAME_MAX * 2 + SHOWN_MAX];
    reply_error(&call->reply, "ERR wrong number of arguments for '%s' command", full_name(call, name, sizeof(name)));
}

void call_syntax_error(struct call *call)
{
    reply_error(&call->reply, "ERR syntax error");
}

static void unknown_command(struct call *call)
{
    char args[2 * SHOWN_MAX];
    size_t len = 0;
    args[0] = '\0';
    for (size_t i = 1; i < call->argc && len < SHOWN_MAX; i++) {
        size_t room = SHOWN_MAX - len;
        size_t shown = call->argv[i].len < room ? call->argv[i].len : room;
        len += (size_t)snprintf(args + len, sizeof(args) - len, "'%.*s' ", (int)shown, call->argv[i].ptr);
    }
    struct bytes name = call->argv[0];
    reply_error(&call->reply, "ERR unknown command '%.*s', with args beginning with: %s",
                (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX), name.ptr, args);
}

/* As Redis 7.0 for a container command whose argument names no subcommand. */
static void unknown_subcommand(struct call *call)
{
    char container[COMMAND_NAME_MAX];
    size_t len = 0;
    for (const char *p = call->command->name; *p != '\0' && len + 1 < sizeof(container); p++)
        container[len++] = *p >= 'a' && *p <= 'z' ? (char)(*p - ('a' - 'A')) : *p;
    container[len] = '\0';
    struct bytes name = call->argv[1];
    reply_error(&call->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", (int)(name.len < SHOWN_MAX ? name.len : SHOWN_MAX),
                name.ptr, container);
}

/* Sending on */

struct reply_slot *call_defer(struct call *call)
{
    call->deferred = true;
    struct reply_slot *slot = client_defer(call->client);
    slot->command = call->command;
    return slot;
}

uint64_t call_hash(const struct call *call, size_t i)
{
    return i == 1 && call->has_hash ? call->hash : store_hash(call->larder->store, call->argv[i]);
}

static void on_reply(void *ctx, struct bytes reply)
{
    slot_finish_resp3(ctx, reply);
}

static struct reply_slot *defer_translated(struct call *call)
{
    struct reply_slot *slot = call_defer(call);
    if (call->client->proto == 2)
        slot->rule = translate_rule_for(call->argv, call->argc);
    return slot;
}

void call_pass(struct call *call)
{
    tier_pass(call->larder->tier, call->client->db, call->raw, on_reply, defer_translated(call));
}

void call_write(struct call *call)
{
    struct command_keys keys;
    if (!command_keys_collect(call->command, call->argv, call->argc, true, &keys)) {
        reply_error(&call->reply, "ERR larder has no memory for the keys of this command");
        return;
    }
    enum tier_scope scope = TIER_KEYS;
    if (call->command->flags & COMMAND_WRITES_ALL)
        scope = TIER_ALL;
    else if ((call->command->flags & COMMAND_WATCHES_DB) || !keys.complete)
        scope = TIER_DATABASE;
    struct reply_slot *slot = defer_translated(call);
    if (call->command->flags & COMMAND_SCRIPT) {
        /* What a script writes beyond its keys comes as a push behind its reply. Until then, this client's reads go to L2, behind
         * the script, so that they see what it wrote. */
        client_note_script(slot);
    }
    tier_write(call->larder->tier, call->client->db, call->raw, scope, keys.items, keys.n, on_reply, slot);
    command_keys_deinit(&keys);
}

/* Queueing */

/* True for a CONFIG SET of parameters that larder doesn't have, and for a CONFIG GET of such names (no patterns, which may match what
 * larder doesn't show). */
static bool is_upstream_config(const struct call *call)
{
    if (call->argc < 3 || !bytes_is(call->argv[0], "config"))
        return false;
    bool is_get = bytes_is(call->argv[1], "get");
    if (!is_get && !bytes_is(call->argv[1], "set"))
        return false;
    for (size_t i = 2; i < call->argc; i += is_get ? 1 : 2) {
        struct bytes name = call->argv[i];
        if (config_is_own(name))
            return false;
        if (!is_get)
            continue;
        if (config_is_sensitive(name) || config_is_pattern(name))
            return false;
    }
    return true;
}

/* True for what larder answers outside MULTI, and L2 inside: because larder's answer would come later, or because it steers L2. */
static bool is_sent_in_multi(const struct call *call)
{
    struct bytes name = call->argv[0];
    return bytes_is(name, "select") || bytes_is(name, "info") || bytes_is(name, "command") ||
           (call->larder->link != NULL && is_upstream_config(call));
}

static bool is_larders_own(const struct command *command)
{
    return command->group != NULL && strcmp(command->group, "larder") == 0;
}

void call_queue(struct call *call)
{
    struct transaction *multi = call->client->multi;
    const struct command *command = call->command;
    unsigned flags = command->flags;
    if (!command_arity_ok(command, call->argc)) {
        multi->is_dirty = true;
        call_wrong_arity(call);
        return;
    }
    if (call->argc > 1 && (command->subs != NULL || command->learned_subs != NULL)) {
        multi->is_dirty = true;
        unknown_subcommand(call);
        return;
    }
    bool is_local = (flags & COMMAND_LOCAL) && !is_sent_in_multi(call);
    if ((flags & COMMAND_ADMIN) && !is_local && !call->larder->config.allow_admin) {
        char name[COMMAND_NAME_MAX * 2 + SHOWN_MAX];
        multi->is_dirty = true;
        reply_error(&call->reply, "ERR '%s' is an administrative command; set allow-admin to send it upstream",
                    full_name(call, name, sizeof(name)));
    } else if ((flags & (COMMAND_NO_MULTI | COMMAND_STATEFUL)) || is_larders_own(call->command)) {
        char name[COMMAND_NAME_MAX * 2 + SHOWN_MAX];
        multi->is_dirty = true;
        reply_error(&call->reply, "ERR '%s' is not possible inside MULTI through larder", full_name(call, name, sizeof(name)));
    } else if (multi->raw.len + call->raw.len > (size_t)call->larder->config.client_query_buffer_limit_bytes) {
        client_close(call->client, "query buffer limit, by queued commands");
    } else if (!transaction_add(multi, call, is_local)) {
        reply_error(&call->reply, "ERR larder has no memory to queue this command");
    } else {
        reply_status(&call->reply, "QUEUED");
    }
}

void larder_execute_queued(struct larder *larder, struct client *client, const struct command *command, struct bytes raw,
                           struct reply *reply)
{
    struct request_parser parser;
    struct request_args args = {0};
    struct request_limits limits = {SIZE_MAX / 2, false};
    struct request request;
    size_t consumed;
    size_t start = reply->out->len;
    request_parser_init(&parser);
    if (request_parse(&parser, &limits, raw.ptr, raw.len, &args, &request, &consumed) == REQUEST_OK) {
        struct call call = {.larder = larder, .client = client, .command = command, .argv = request_argv(&request),
                            .argc = request.argc, .raw = raw, .is_queued = true, .reply = *reply};
        command_fn *fn = larder->link != NULL || (command->flags & COMMAND_LOCAL) ? command->fn : command->alone;
        fn(&call);
        command->stats->calls++;
        reply->failed |= call.reply.failed;
        if (reply->out->len > start && reply->out->data[start] == '-')
            larder_count_error(larder, bytes_of(reply->out->data + start, reply->out->len - start));
    } else {
        reply_error(reply, "ERR larder has no memory for this command");
    }
    request_parser_deinit(&parser);
    request_args_deinit(&args);
}

/* Commands that the table doesn't know */

static void on_learned_again(void *ctx, struct bytes reply)
{
    struct larder *larder = ctx;
    if (reply.ptr[0] == '*' && command_table_learn(larder->commands, reply, call_pass, call_write) > 0)
        LOG(LOG_NOTICE, "Learned the upstream's commands again");
}

/* L2 ran a command that it did not list when the link came up, such as one of a module loaded since: what it wrote is unknown. */
static void on_unknown_reply(void *ctx, struct bytes reply)
{
    struct reply_slot *slot = ctx;
    struct larder *larder = slot->larder;
    if (reply.ptr[0] != '-') {
        tier_drop_all(larder->tier);
        tier_pass(larder->tier, 0, BYTES("*1\r\n$7\r\nCOMMAND\r\n"), on_learned_again, larder);
    }
    slot_finish_resp3(slot, reply);
}

static void call_unknown(struct call *call)
{
    struct tier *tier = call->larder->tier;
    struct reply_slot *slot = defer_translated(call);
    if (call->larder->learned) {
        client_note_script(slot); /* until then, the client's own reads go behind it */
        tier_pass(tier, call->client->db, call->raw, on_unknown_reply, slot);
    } else {
        tier_write(tier, call->client->db, call->raw, TIER_DATABASE, NULL, 0, on_reply, slot);
    }
}

void larder_on_upstream_up(void *ctx)
{
    struct larder *larder = ctx;
    struct bytes table = link_get_command_table(larder->link);
    size_t n = table.len > 0 ? command_table_learn(larder->commands, table, call_pass, call_write) : 0;
    larder->learned = n > 0;
    if (n > 0)
        LOG(LOG_VERBOSE, "The upstream has %zu commands", n);
    else
        LOG(LOG_WARNING, "The upstream does not tell its commands: those that larder does not know drop L1 when they are used");
}

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

/* While its scripts are in flight, or keys are watched, a client reads from L2 only. */
static bool must_bypass_l1(const struct client *client)
{
    return client->n_scripts > 0 || client->watch != NULL;
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
    static const char *const names[] = {"ping",       "quit",        "reset",        "subscribe",   "psubscribe",
                                        "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(command->name, names[i]) == 0)
            return true;
    return false;
}

/* Refuses what a subscriber in RESP2, or a monitor, can't do, as Redis. Returns false when the command is fine. */
static bool is_out_of_context(struct call *call)
{
    char name[COMMAND_NAME_MAX * 2 + SHOWN_MAX];
    if (call->client->proto == 2 && client_is_subscriber(call->client) && !is_for_subscribers(call->command)) {
        reply_error(&call->reply,
                    "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
                    "context",
                    full_name(call, name, sizeof(name)));
        return true;
    }
    if (call->client->is_monitor && (call->command->flags & (COMMAND_READONLY | COMMAND_WRITE | COMMAND_SCRIPT))) {
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
        unknown_command(call);
        return NULL;
    }
    command_fn *fn = larder->link != NULL || (command->flags & COMMAND_LOCAL) ? command->fn : command->alone;
    if (fn == NULL) {
        unknown_command(call);
        return NULL;
    }
    /* That of learned ones is L2's to judge, but not for those who may not ask it. */
    bool judges = !is_learned_only(command) || !call->client->authenticated;
    if (judges && !command_arity_ok(command, call->argc)) {
        if (strcmp(command->name, "exec") == 0)
            reply_error(&call->reply, "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command");
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
        char name[COMMAND_NAME_MAX * 2 + SHOWN_MAX];
        reply_error(&call->reply, "ERR '%s' %s", full_name(call, name, sizeof(name)), why);
        return NULL;
    }
    if (__builtin_expect((call->client->pubsub != NULL) | call->client->is_monitor, 0) && is_out_of_context(call))
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
    bool may = (call->command->flags & COMMAND_CACHED) && !call->deferred && (slow_us < 0 || slow_us >= 1000);
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
    if (__builtin_expect(slowlog_is_slow(larder->config.slowlog_log_slower_than_us, took_ns / 1000), 0)) {
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

bool larder_execute(struct larder *larder, struct client *client, const struct parsed *parsed)
{
    const struct bytes *argv = request_argv(&parsed->request);
    struct call call = {.larder = larder, .client = client, .argv = argv, .argc = parsed->request.argc};
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
    /* The connection may be gone now; the client's memory is there until the end of the turn. */
    size_t start = client->reply_start;
    bool failed = !call.deferred && !client->conn.closed && call.reply.out->len > start && call.reply.out->data[start] == '-';
    if (failed)
        larder_count_error(larder, bytes_of(call.reply.out->data + start, call.reply.out->len - start));
    if (call.command != NULL && fn == NULL)
        call.command->stats->rejected++;
    else if (call.command != NULL)
        account(&call, call.command->stats, failed);
    if (!call.deferred)
        client_end_reply(client, &call.reply);
    if (__builtin_expect(larder->n_monitors > 0, 0) && fn != NULL && fn != call_queue)
        monitor_after(&call);
    if (__builtin_expect(client->tracker != NULL, 0))
        tracking_after(&call);
    larder->scratch.len = 0;
    buf_trim(&larder->scratch, CONN_READ_BYTES);
    if (__builtin_expect(client->reply_skip | client->reply_skip_next, 0)) {
        client->reply_skip = client->reply_skip_next;
        client->reply_skip_next = false;
    }
    return true;
}
