/* The ordered queue of a client's replies; see client.h. */
#include "core/larder.h"
#include "core/tracking.h"

#include "base/mem.h"

static struct reply_slot *alloc_slot(struct client *client)
{
    client->larder->n_slots++;
    return mem_alloc(sizeof(struct reply_slot));
}

static void free_slot(struct reply_slot *slot)
{
    slot->larder->n_slots--;
    buf_deinit(&slot->data);
    mem_free(slot);
}

/* All but its place in the queue. */
static void init_slot(struct reply_slot *slot, struct client *client)
{
    buf_init(&slot->data);
    slot->client = client;
    slot->larder = client->larder;
    slot->proto = client->proto;
    slot->rule = TRANSLATE_GENERIC;
    slot->command = NULL;
    slot->done = false;
    slot->is_script = false;
    slot->is_elsewhere = false;
    slot->is_blocking = false;
    slot->muted = client->reply_off || client->reply_skip;
    slot->tracked = NULL;
}

static struct reply_slot *open_slot(struct client *client)
{
    struct reply_slot *slot = alloc_slot(client);
    init_slot(slot, client);
    TAILQ_INSERT_TAIL(&client->slots, slot, link);
    client->n_slots++;
    return slot;
}

struct reply_slot *client_defer(struct client *client)
{
    /* client_begin_reply may have opened a finished slot for a reply that was not written: it becomes the one that waits. */
    struct reply_slot *slot = TAILQ_LAST(&client->slots, reply_slots);
    if (slot != NULL && slot->done && slot->data.len == 0) {
        buf_deinit(&slot->data);
        init_slot(slot, client);
    } else {
        slot = open_slot(client);
    }
    if (__builtin_expect(client->tracker != NULL, 0))
        slot->tracked = tracking_take_pending(client);
    return slot;
}

/* Where nobody listens. */
static struct buf *nowhere(struct larder *larder)
{
    larder->discard.len = 0;
    return &larder->discard;
}

/* Forgets what nobody heard, with its memory when it was much. */
static void forget(struct larder *larder, const struct reply *reply)
{
    if (reply->out != &larder->discard)
        return;
    larder->discard.len = 0;
    buf_trim(&larder->discard, CONN_OUT_KEEP);
}

void client_note_script(struct reply_slot *slot)
{
    slot->is_script = true;
    slot->is_elsewhere = slot->client->watch != NULL;
    slot->client->n_scripts++;
}

/* What a script wrote beyond its keys comes as a push: right behind the reply, but perhaps in a later read. It comes later still where
 * the reply came on another link, and in the broadcast mode, since L2 collects pushes until the end of its loop's turn. So the reply
 * counts as in flight until the next one is there; of the two others, until something that was sent behind it is answered. */
static void end_script(struct client *client, bool is_elsewhere)
{
    const struct link *link = client->larder->link;
    if (link == NULL || client->awaits_pushes)
        client->n_scripts--;
    if (link == NULL)
        return; /* nobody else writes */
    bool is_late = is_elsewhere || link_get_tracking(link) == LINK_TRACKING_BROADCAST;
    client->awaits_pushes = true;
    client->script_fence = is_late ? link_set_fence(link) : link_set_fence_here(link);
}

bool client_has_unseen_scripts(struct client *client)
{
    if (client->awaits_pushes && link_is_past_fence(client->larder->link, client->script_fence)) {
        client->awaits_pushes = false;
        client->n_scripts--;
    }
    return client->n_scripts > 0;
}

void client_block(struct reply_slot *slot)
{
    slot->is_blocking = true;
    slot->client->n_blocking++;
}

struct reply slot_begin(struct reply_slot *slot)
{
    struct client *client = slot->client;
    struct buf *out = &slot->data;
    if (client == NULL || slot->muted)
        out = nowhere(slot->larder);
    else if (TAILQ_FIRST(&client->slots) == slot)
        out = &client->conn.out;
    return (struct reply){.out = out, .proto = slot->proto};
}

/* Moves the finished slots at the head of the queue into the output. */
static void release_slots(struct client *client, struct reply *reply)
{
    struct reply_slot *head;
    while ((head = TAILQ_FIRST(&client->slots)) != NULL && head->done) {
        if (head->data.len > 0) {
            client->slot_bytes -= head->data.len;
            reply->failed |= !buf_append(&client->conn.out, head->data.data, head->data.len);
        }
        TAILQ_REMOVE(&client->slots, head, link);
        client->n_slots--;
        free_slot(head);
    }
}

static bool is_over_output_limit(const struct client *client)
{
    int64_t hard = client_output_limit(client)->hard_bytes;
    return hard > 0 && conn_pending_output(&client->conn) + client->slot_bytes > (size_t)hard;
}

/* Looks at the client after output was added. */
static void after_output(struct client *client, const struct reply *reply)
{
    if (reply->failed) {
        client_close(client, "out of memory for output");
        return;
    }
    if (is_over_output_limit(client)) {
        client->larder->stats.clients_closed_output++;
        client_close(client, "output buffer limit");
        return;
    }
    if (conn_pending_output(&client->conn) > 0)
        conn_mark_dirty(&client->conn);
}

void slot_finish(struct reply_slot *slot, const struct reply *reply)
{
    struct client *client = slot->client;
    struct tracked *tracked = slot->tracked;
    slot->tracked = NULL;
    forget(slot->larder, reply);
    if (client == NULL) {
        free_slot(slot);
        if (tracked != NULL)
            tracking_finish(tracked);
        return;
    }
    struct reply state = *reply;
    client->active_ms = larder_now_ms(client->larder);
    if (__builtin_expect(slot->is_script, 0))
        end_script(client, slot->is_elsewhere);
    client->n_blocking -= slot->is_blocking;
    slot->done = true;
    client->slot_bytes += slot->data.len;
    release_slots(client, &state);
    after_output(client, &state);
    if (__builtin_expect(tracked != NULL, 0))
        tracking_finish(tracked);
    if (client->conn.closed)
        return;
    if (client->n_slots == 0 && (client->ending || (client->conn.at_end && !client->held_back)))
        conn_close_after_output(&client->conn);
    else if (client->held_back)
        client_resume_later(client);
}

void slot_finish_resp3(struct reply_slot *slot, struct bytes resp3)
{
    struct reply reply = slot_begin(slot);
    if (resp3.ptr[0] == '-') {
        larder_count_error(slot->larder, resp3);
        if (slot->command != NULL)
            slot->command->stats->failed++;
    }
    if (__builtin_expect(slot->tracked != NULL, 0))
        tracking_note_reply(slot->tracked, resp3);
    if (slot->proto == 3)
        reply_raw(&reply, resp3);
    else if (!translate_to_resp2(resp3.ptr, resp3.len, slot->rule, reply.out))
        reply_error(&reply, "ERR larder can't translate this reply to RESP2");
    slot_finish(slot, &reply);
}

struct reply client_begin_reply(struct client *client)
{
    struct reply reply = {.out = &client->conn.out, .proto = client->proto};
    if (client->reply_off || client->reply_skip) {
        reply.out = nowhere(client->larder);
    } else if (!TAILQ_EMPTY(&client->slots)) {
        struct reply_slot *tail = TAILQ_LAST(&client->slots, reply_slots);
        if (!tail->done) {
            tail = open_slot(client);
            tail->done = true;
        }
        reply.out = &tail->data;
    }
    client->reply_start = reply.out->len;
    return reply;
}

void client_end_reply(struct client *client, const struct reply *reply)
{
    forget(client->larder, reply);
    if (client->conn.closed)
        return;
    if (reply->out != &client->conn.out && reply->out != &client->larder->discard)
        client->slot_bytes += reply->out->len - client->reply_start;
    if (__builtin_expect(reply->failed || conn_pending_output(&client->conn) + client->slot_bytes >
                                              CONN_READ_BYTES,
                         0)) {
        after_output(client, reply);
        return;
    }
    if (client->conn.out.len > 0)
        conn_mark_dirty(&client->conn);
}

void client_leave_slots(struct client *client)
{
    struct reply_slot *slot;
    while ((slot = TAILQ_FIRST(&client->slots)) != NULL) {
        TAILQ_REMOVE(&client->slots, slot, link);
        slot->client = NULL;
        if (slot->done)
            free_slot(slot);
    }
    client->n_slots = 0;
}

void slot_insert_behind(struct reply_slot *slot, struct bytes raw)
{
    struct client *client = slot->client;
    struct reply_slot *pushed = alloc_slot(client);
    init_slot(pushed, client);
    pushed->done = true;
    pushed->muted = false;
    struct reply reply = {.out = &pushed->data, .proto = client->proto};
    reply_raw(&reply, raw);
    TAILQ_INSERT_AFTER(&client->slots, slot, pushed, link);
    client->n_slots++;
    client->slot_bytes += pushed->data.len;
    after_output(client, &reply);
}

struct reply client_begin_push(struct client *client)
{
    if (client->proto != 3)
        return client_begin_reply(client);
    return (struct reply){.out = &client->conn.out, .proto = 3};
}

void client_end_push(struct client *client, const struct reply *reply)
{
    if (client->conn.closed)
        return;
    if (reply->out == &client->conn.out)
        after_output(client, reply);
    else
        client_end_reply(client, reply);
}
