/* Which keys a command of a tracking client reads, and when that counts; see tracking.h. */
#include "core/tracking_internal.h"

#include "base/mem.h"
#include "core/transaction.h"

bool tracked_next_key(const struct tracked *tracked, size_t *offset, struct bytes *key)
{
    size_t len;
    if (*offset >= tracked->keys.len)
        return false;
    memcpy(&len, tracked->keys.data + *offset, sizeof(len));
    *key = bytes_of(tracked->keys.data + *offset + sizeof(len), len);
    *offset += sizeof(len) + len;
    return true;
}

void tracked_free(struct tracked *tracked)
{
    tracker_unref(tracked->tracker);
    buf_deinit(&tracked->keys);
    mem_free(tracked);
}

/* Collecting */

static bool collect(struct tracked *tracked, const struct command *command,
                    const struct bytes *argv, size_t argc, bool only_written)
{
    struct command_keys keys;
    if (!command_keys_collect(command, argv, argc, only_written, &keys))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < keys.n; i++) {
        ok = buf_append(&tracked->keys, (const char *)&keys.items[i].len, sizeof(size_t)) &&
             buf_append(&tracked->keys, keys.items[i].ptr, keys.items[i].len);
        tracked->n += ok;
    }
    command_keys_deinit(&keys);
    return ok;
}

static bool reads(const struct command *command)
{
    return (command->flags & (COMMAND_READONLY | COMMAND_SCRIPT)) != 0;
}

static bool collect_queued(struct tracked *tracked, const struct transaction *multi)
{
    bool ok = true;
    for (size_t i = 0; ok && i < multi->n; i++) {
        struct request_parser parser;
        struct request_args args = {0};
        struct request_limits limits = {SIZE_MAX / 2, false};
        struct request request;
        struct bytes raw = transaction_raw(multi, i);
        size_t consumed;
        if (!reads(multi->items[i].command))
            continue;
        request_parser_init(&parser);
        ok = request_parse(&parser, &limits, raw.ptr, raw.len, &args, &request, &consumed) ==
                 REQUEST_OK &&
             collect(tracked, multi->items[i].command, request_argv(&request), request.argc, false);
        request_parser_deinit(&parser);
        request_args_deinit(&args);
    }
    return ok;
}

/* CLIENT CACHING's choice for this command. */
static bool is_chosen(const struct tracker *tracker)
{
    bool given = (tracker->flags & TRACKER_CACHING) != 0;
    return !((tracker->flags & TRACKER_OPTIN) && !given) &&
           !((tracker->flags & TRACKER_OPTOUT) && given);
}

/* Fills in what the call is about. Returns false without memory. */
static bool note(struct tracked *tracked, const struct call *call, bool is_exec)
{
    const struct command *command = call->command;
    const struct tracker *tracker = tracked->tracker;
    const struct client *client = call->client;
    if (is_exec) {
        tracked->is_elsewhere |= client->watch != NULL;
        return client->multi->is_dirty || !is_chosen(tracker) ||
               collect_queued(tracked, client->multi);
    }
    if (reads(command)) {
        tracked->is_elsewhere |= (command->flags & COMMAND_BLOCKING) != 0;
        return !is_chosen(tracker) || collect(tracked, command, call->argv, call->argc, false);
    }
    tracked->is_write = true;
    return collect(tracked, command, call->argv, call->argc, true);
}

/* Notes the keys that L2 tells of. */
static void add_told(struct tracked *tracked)
{
    struct bytes key;
    size_t offset = 0;
    while (tracked->tracker->client != NULL && tracked_next_key(tracked, &offset, &key))
        if (tracking_is_told(tracked->tracking, key))
            tracking_add(tracked->tracking, tracked->tracker, key);
}

void tracking_before(struct call *call)
{
    struct tracker *tracker = call->client->tracker;
    struct tracking *tracking = call->larder->tracking;
    if ((tracker->flags & (TRACKER_ON | TRACKER_BCAST)) != TRACKER_ON || call->command == NULL)
        return;
    bool is_exec = call->client->multi != NULL;
    if (is_exec && strcmp(call->command->name, "exec") != 0)
        return; /* queued, or about the transaction itself */
    bool is_own_write = (tracker->flags & TRACKER_NOLOOP) && command_may_write(call->command) &&
                        !(call->command->flags & COMMAND_BLOCKING);
    if (!is_exec && !reads(call->command) && !is_own_write)
        return;
    struct tracked *tracked = mem_zalloc(sizeof(*tracked));
    tracked->tracking = tracking;
    tracked->tracker = tracker_ref(tracker);
    tracked->epoch = tracking->epoch;
    if (!note(tracked, call, is_exec)) {
        client_close(call->client, "out of memory for the keys that it tracks");
        tracked->n = 0;
    }
    if (tracked->n == 0 || call->client->conn.closed) {
        tracked_free(tracked);
        return;
    }
    /* What L1 answers, or a fetch that began earlier, L2 tracks already. */
    if ((call->command->flags & COMMAND_CACHED) && !tracked->is_elsewhere)
        add_told(tracked);
    if (call->client->tracker == tracker)
        tracker->pending = tracked;
    else
        tracked_free(tracked); /* closed, for want of memory */
}

struct tracked *tracking_take_pending(struct client *client)
{
    struct tracked *pending = client->tracker->pending;
    client->tracker->pending = NULL;
    return pending;
}

void tracking_after(struct call *call)
{
    struct tracker *tracker = call->client->tracker;
    struct tracked *pending = tracking_take_pending(call->client);
    /* CLIENT CACHING counts for the next command or transaction that isn't CLIENT, as in Redis. */
    if (call->client->multi == NULL && call->command != NULL && !bytes_is(call->argv[0], "client"))
        tracker->flags &= ~(unsigned)TRACKER_CACHING;
    if (pending != NULL)
        tracking_finish(pending);
}

/* Finishing */

/* Replies from which it can't be told whether something was written count as if nothing was: then a
 * client hears of its own write, which does no harm. */
void tracking_note_reply(struct tracked *tracked, struct bytes reply)
{
    bool is_nothing = reply.ptr[0] == '-' || reply.ptr[0] == '_' || reply.ptr[0] == '*' ||
                      (reply.len >= 2 && reply.ptr[0] == ':' && reply.ptr[1] == '0');
    tracked->has_changed = !is_nothing;
}

static void become_own(struct tracking *tracking, struct tracked *tracked)
{
    struct link_figures figures;
    link_read_figures(tracking->larder->link, &figures);
    if (tracking->own != NULL)
        tracked_free(tracking->own);
    tracking->own = tracked;
    tracking->own_replies = figures.replies;
    tracking->own_reads = figures.reads;
}

void tracking_finish(struct tracked *tracked)
{
    struct tracking *tracking = tracked->tracking;
    struct tracker *tracker = tracked->tracker;
    if (tracker->client == NULL || (tracker->flags & (TRACKER_ON | TRACKER_BCAST)) != TRACKER_ON) {
        tracked_free(tracked);
        return;
    }
    if (tracked->is_write && tracked->has_changed) {
        become_own(tracking, tracked);
        return;
    }
    bool is_known = !tracked->is_elsewhere && tracked->epoch == tracking->epoch;
    struct bytes key;
    size_t offset = 0;
    while (!tracked->is_write && tracked_next_key(tracked, &offset, &key)) {
        if (!is_known || !tracking_is_told(tracking, key))
            tracking_send(tracking, tracker, &key, 1);
        else if (tracker->client != NULL)
            tracking_add(tracking, tracker, key);
    }
    tracked_free(tracked);
}
