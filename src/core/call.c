/* What a handler can do with its call: answer with the common errors, send it on to L2 as a read or a write, queue it in a transaction;
 * and commands that the table doesn't know. */
#include "core/call_internal.h"
#include "core/transaction.h"

#include "base/log.h"

#include <stdio.h>

/* Errors */

void larder_count_error(struct larder *larder, struct bytes error_line)
{
    larder->stats.error_replies++;
    errorstats_count(&larder->errorstats, error_line);
}

const char *call_full_name(const struct call *call, char *out, size_t size)
{
    struct bytes name = call->argv[0];
    if (call->command == NULL)
        snprintf(out, size, "%.*s", (int)(name.len < CALL_SHOWN_MAX ? name.len : CALL_SHOWN_MAX),
                 name.ptr);
    else if (command_table_find(call->larder->commands, name) == call->command)
        snprintf(out, size, "%s", call->command->name);
    else
        snprintf(out, size, "%s|%s", command_table_find(call->larder->commands, name)->name,
                 call->command->name);
    return out;
}

void call_wrong_arity(struct call *call)
{
    char name[COMMAND_NAME_MAX * 2 + CALL_SHOWN_MAX];
    reply_error(&call->reply, "ERR wrong number of arguments for '%s' command",
                call_full_name(call, name, sizeof(name)));
}

void call_syntax_error(struct call *call)
{
    reply_error(&call->reply, "ERR syntax error");
}

void call_unknown_command(struct call *call)
{
    char args[2 * CALL_SHOWN_MAX];
    size_t len = 0;
    args[0] = '\0';
    for (size_t i = 1; i < call->argc && len < CALL_SHOWN_MAX; i++) {
        size_t room = CALL_SHOWN_MAX - len;
        size_t shown = call->argv[i].len < room ? call->argv[i].len : room;
        len += (size_t)snprintf(args + len, sizeof(args) - len, "'%.*s' ", (int)shown,
                                call->argv[i].ptr);
    }
    struct bytes name = call->argv[0];
    reply_error(&call->reply, "ERR unknown command '%.*s', with args beginning with: %s",
                (int)(name.len < CALL_SHOWN_MAX ? name.len : CALL_SHOWN_MAX), name.ptr, args);
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
    reply_error(&call->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                (int)(name.len < CALL_SHOWN_MAX ? name.len : CALL_SHOWN_MAX), name.ptr, container);
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
    tier_write(call->larder->tier, call->client->db, call->raw, scope, keys.items, keys.n, on_reply,
               slot);
    if (call->command->flags & COMMAND_SCRIPT)
        link_note_script(call->larder->link);
    command_keys_deinit(&keys);
}

void call_write_string(struct call *call, struct bytes raw, bool allocate)
{
    struct tier *tier = call->larder->tier;
    struct reply_slot *slot = defer_translated(call);
    if (allocate)
        tier_write_allocate(tier, call->client->db, raw, call->argv[1], call_hash(call, 1),
                            on_reply, slot);
    else
        tier_write(tier, call->client->db, raw, TIER_KEYS, &call->argv[1], 1, on_reply, slot);
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
    if (flags & COMMAND_NEVER_QUEUED) {
        multi->is_dirty = true;
        reply_error(&call->reply, "ERR Command not allowed inside a transaction");
    } else if ((flags & COMMAND_ADMIN) && !is_local && !call->larder->config.allow_admin) {
        char name[COMMAND_NAME_MAX * 2 + CALL_SHOWN_MAX];
        multi->is_dirty = true;
        reply_error(&call->reply,
                    "ERR '%s' is an administrative command; set allow-admin to send it upstream",
                    call_full_name(call, name, sizeof(name)));
    } else if ((flags & (COMMAND_NO_MULTI | COMMAND_STATEFUL)) || is_larders_own(call->command)) {
        char name[COMMAND_NAME_MAX * 2 + CALL_SHOWN_MAX];
        multi->is_dirty = true;
        reply_error(&call->reply, "ERR '%s' is not possible inside MULTI through larder",
                    call_full_name(call, name, sizeof(name)));
    } else if (multi->raw.len + call->raw.len >
               (size_t)call->larder->config.client_query_buffer_limit_bytes) {
        client_close(call->client, "query buffer limit, by queued commands");
    } else if (!transaction_add(multi, call, is_local)) {
        reply_error(&call->reply, "ERR larder has no memory to queue this command");
    } else {
        multi->may_write |= call_may_write(call);
        reply_status(&call->reply, "QUEUED");
    }
}

void larder_execute_queued(struct larder *larder, struct client *client,
                           const struct command *command, struct bytes raw, struct reply *reply)
{
    struct request_parser parser;
    struct request_args args = {0};
    struct request_limits limits = {SIZE_MAX / 2, false};
    struct request request;
    size_t consumed;
    size_t start = reply->out->len;
    request_parser_init(&parser);
    if (request_parse(&parser, &limits, raw.ptr, raw.len, &args, &request, &consumed) ==
        REQUEST_OK) {
        struct call call = {.larder = larder,
                            .client = client,
                            .command = command,
                            .argv = request_argv(&request),
                            .argc = request.argc,
                            .raw = raw,
                            .is_queued = true,
                            .reply = *reply};
        command_fn *fn =
            larder->link != NULL || (command->flags & COMMAND_LOCAL) ? command->fn : command->alone;
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
    if (reply.ptr[0] == '*' &&
        command_table_learn(larder->commands, reply, call_pass, call_write) > 0)
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

void call_unknown(struct call *call)
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
    size_t n =
        table.len > 0 ? command_table_learn(larder->commands, table, call_pass, call_write) : 0;
    larder->learned = n > 0;
    if (n > 0)
        LOG(LOG_VERBOSE, "The upstream has %zu commands", n);
    else
        LOG(LOG_WARNING, "The upstream does not tell its commands: those that larder does not know "
                         "drop L1 when they are used");
}
