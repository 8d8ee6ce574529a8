/* Writing what comes unasked; see push.h. */
#include "core/push.h"

#include "tier/pubsub.h"

static bool goes_at_once(const struct client *client)
{
    if (TAILQ_EMPTY(&client->slots))
        return true;
    if (client->pubsub != NULL && pubsub_is_leaving(client->pubsub))
        return true; /* the only slot is the UNSUBSCRIBE's, which L2 answers behind the message */
    return client->proto == 3 && (client->pubsub == NULL || !pubsub_is_joining(client->pubsub));
}

/* Writes two pieces, where the client's next push belongs. */
static void write_push(struct client *client, struct bytes head, struct bytes rest)
{
    if (client->conn.closed || client->ending)
        return;
    if (goes_at_once(client)) {
        struct reply reply = {.out = &client->conn.out, .proto = client->proto};
        reply_raw(&reply, head);
        reply_raw(&reply, rest);
        client_end_push(client, &reply);
        return;
    }
    struct reply_slot *slot = client_defer(client);
    slot->muted = false;
    struct reply reply = slot_begin(slot);
    reply_raw(&reply, head);
    reply_raw(&reply, rest);
    slot_finish(slot, &reply);
}

void push_message(struct client *client, struct bytes push)
{
    bool is_resp3 = client->proto == 3;
    write_push(client, is_resp3 ? BYTES(">") : BYTES("*"), bytes_of(push.ptr + 1, push.len - 1));
}

void push_raw(struct client *client, struct bytes raw)
{
    write_push(client, raw, bytes_of(NULL, 0));
}

void push_in_order(struct client *client, struct bytes raw)
{
    struct reply_slot *slot = TAILQ_LAST(&client->slots, reply_slots);
    while (slot != NULL && slot->is_blocking && !slot->done)
        slot = TAILQ_PREV(slot, reply_slots, link);
    if (client->proto != 3 || slot == NULL)
        push_raw(client, raw);
    else if (!client->conn.closed && !client->ending)
        slot_insert_behind(slot, raw);
}
