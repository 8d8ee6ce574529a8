/* Clients that track, and what they are sent; see tracking.h. */
#include "core/tracking_internal.h"

#include "base/mem.h"
#include "core/push.h"

#define CHANNEL "__redis__:invalidate"

/* Keys that are forgotten in one turn after the limit was lowered. */
#define TRIM_KEYS 200

/* Sending */

static struct reply begin(struct tracking *tracking, const struct client *client)
{
    tracking->scratch.len = 0;
    return (struct reply){.out = &tracking->scratch, .proto = client->proto};
}

static void end(struct client *client, const struct reply *reply)
{
    if (reply->failed)
        client_close(client, "out of memory for an invalidation");
    else
        push_in_order(client, buf_bytes(reply->out));
}

static void send_broken(struct tracking *tracking, struct tracker *tracker)
{
    tracker->flags |= TRACKER_BROKEN;
    if (tracker->client->proto != 3)
        return;
    struct reply reply = begin(tracking, tracker->client);
    reply_push(&reply, 2);
    reply_bulk_str(&reply, "tracking-redir-broken");
    reply_int(&reply, (int64_t)tracker->redirect_id);
    end(tracker->client, &reply);
}

void tracking_send(struct tracking *tracking, struct tracker *tracker, const struct bytes *keys,
                   size_t n)
{
    struct client *to = tracker->client;
    if (to == NULL)
        return;
    if (tracker->redirect != NULL)
        to = tracker->redirect->client;
    if (to == NULL) {
        send_broken(tracking, tracker);
        return;
    }
    struct reply reply = begin(tracking, to);
    if (to->proto == 3) {
        reply_push(&reply, 2);
        reply_bulk_str(&reply, "invalidate");
    } else if (tracker->redirect != NULL && client_is_subscriber(to)) {
        reply_array(&reply, 3);
        reply_bulk_str(&reply, "message");
        reply_bulk_str(&reply, CHANNEL);
    } else {
        return; /* RESP2 has no way to tell it */
    }
    if (keys == NULL)
        reply_null(&reply);
    else
        reply_array(&reply, n);
    for (size_t i = 0; keys != NULL && i < n; i++)
        reply_bulk(&reply, keys[i]);
    end(to, &reply);
}

/* Clients may be closed by what they are sent, so the list is turned round instead of walked. */
void tracking_send_all(struct tracking *tracking, enum tracking_mode mode)
{
    struct tracker_list *list = &tracking->lists[mode];
    for (size_t n = tracking->n_on[mode]; n > 0 && !TAILQ_EMPTY(list); n--) {
        struct tracker *tracker = TAILQ_FIRST(list);
        TAILQ_REMOVE(list, tracker, link);
        TAILQ_INSERT_TAIL(list, tracker, link);
        tracking_send(tracking, tracker, NULL, 0);
    }
}

/* Invalidations in default mode */

/* True when a NOLOOP client's own write caused the invalidation: L2 sends it right behind the
 * reply, so that nothing else was read from the link in between. */
static bool is_own(struct tracking *tracking, const struct tracker *tracker, struct bytes key)
{
    const struct tracked *own = tracking->own;
    if (own == NULL || own->tracker != tracker || !(tracker->flags & TRACKER_NOLOOP))
        return false;
    struct bytes written;
    size_t offset = 0;
    while (tracked_next_key(own, &offset, &written))
        if (bytes_equal(written, key))
            return true;
    return false;
}

static void forget_own(struct tracking *tracking)
{
    if (tracking->own != NULL)
        tracked_free(tracking->own);
    tracking->own = NULL;
}

static void check_own(struct tracking *tracking)
{
    struct link_figures figures;
    if (tracking->own == NULL)
        return;
    link_read_figures(tracking->larder->link, &figures);
    if (figures.replies != tracking->own_replies || figures.reads != tracking->own_reads)
        forget_own(tracking);
}

static void send_key(struct tracking *tracking, struct tracked_key *key)
{
    struct bytes name = bytes_of(key->key, key->len);
    for (size_t i = 0; i < key->n; i++) {
        struct tracker *tracker = key->trackers[i];
        if ((tracker->flags & (TRACKER_ON | TRACKER_BCAST)) == TRACKER_ON &&
            !is_own(tracking, tracker, name))
            tracking_send(tracking, tracker, &name, 1);
    }
    tracked_key_free(key);
}

static void on_key(void *ctx, struct bytes name)
{
    struct tracking *tracking = ctx;
    if (tracking->table.n_keys == 0)
        return;
    struct tracked_key *key = tracking_table_take(&tracking->table, name);
    if (key == NULL)
        return;
    check_own(tracking);
    send_key(tracking, key);
}

/* Everything was flushed, or changes may have been missed. */
void tracking_lose_all(void *ctx)
{
    struct tracking *tracking = ctx;
    tracking->epoch++;
    forget_own(tracking);
    tracking_table_clear(&tracking->table);
    tracking_send_all(tracking, TRACKING_KEYS);
}

/* Forgets up to `most` of the keys beyond the limit. */
static void evict(struct tracking *tracking, unsigned most)
{
    struct tracking_table *table = &tracking->table;
    size_t max = (size_t)tracking->larder->config.tracking_table_max_keys;
    for (; most > 0 && max > 0 && table->n_keys > max; most--) {
        forget_own(tracking);
        send_key(tracking, tracking_table_take_any(table));
    }
}

void tracking_trim(struct tracking *tracking)
{
    size_t max = (size_t)tracking->larder->config.tracking_table_max_keys;
    if (max == 0 || tracking->table.n_keys <= max)
        return;
    evict(tracking, TRIM_KEYS);
    if (tracking->table.n_keys > max)
        loop_again(&tracking->larder->loop);
}

void tracking_add(struct tracking *tracking, struct tracker *tracker, struct bytes key)
{
    struct tracking_table *table = &tracking->table;
    if (!tracking_table_add(table, key, tracker)) {
        client_close(tracker->client, "out of memory for the keys that it tracks");
        return;
    }
    evict(tracking, 1);
}

bool tracking_is_told(const struct tracking *tracking, struct bytes key)
{
    return link_tracks(tracking->larder->link, key);
}

/* Clients */

static enum tracking_mode mode_of(const struct tracker *tracker)
{
    return tracker->flags & TRACKER_BCAST ? TRACKING_BCAST : TRACKING_KEYS;
}

static void unlist(struct tracking *tracking, struct tracker *tracker)
{
    if (!(tracker->flags & TRACKER_ON))
        return;
    TAILQ_REMOVE(&tracking->lists[mode_of(tracker)], tracker, link);
    tracking->n_on[mode_of(tracker)]--;
    tracker->flags = 0;
}

static void drop_prefixes(struct tracking *tracking, struct tracker *tracker)
{
    for (size_t i = 0; i < tracker->n_prefixes; i++)
        buf_deinit(&tracker->prefixes[i]);
    mem_free(tracker->prefixes);
    tracking->n_prefixes -= tracker->n_prefixes;
    tracker->prefixes = NULL;
    tracker->n_prefixes = 0;
}

static void set_redirect(struct tracker *tracker, struct client *to)
{
    struct tracker *old = tracker->redirect;
    tracker->redirect = NULL;
    tracker->redirect_id = 0;
    if (to != NULL) {
        if (to->tracker == NULL)
            to->tracker = tracker_create(to);
        tracker->redirect = tracker_ref(to->tracker);
        tracker->redirect_id = to->id;
    }
    if (old != NULL)
        tracker_unref(old);
}

/* Adds a prefix at its place in the sorted array. */
static bool add_prefix(struct tracking *tracking, struct tracker *tracker, struct bytes prefix)
{
    size_t i = tracker->n_prefixes;
    size_t size;
    if (__builtin_mul_overflow(i + 1, sizeof(struct buf), &size))
        return false;
    struct buf *prefixes = mem_try_resize(tracker->prefixes, size);
    if (prefixes == NULL)
        return false;
    tracker->prefixes = prefixes;
    struct buf text;
    buf_init(&text);
    if (!buf_append(&text, prefix.ptr, prefix.len))
        return false;
    for (; i > 0; i--) {
        struct bytes before = buf_bytes(&prefixes[i - 1]);
        size_t len = before.len < prefix.len ? before.len : prefix.len;
        int order = len > 0 ? memcmp(before.ptr, prefix.ptr, len) : 0;
        if (order == 0 && before.len == prefix.len) {
            memmove(prefixes + i, prefixes + i + 1, (tracker->n_prefixes - i) * sizeof(*prefixes));
            buf_deinit(&text);
            return true;
        }
        if (order < 0 || (order == 0 && before.len < prefix.len))
            break;
        prefixes[i] = prefixes[i - 1];
    }
    prefixes[i] = text;
    tracker->n_prefixes++;
    tracking->n_prefixes++;
    return true;
}

static bool add_prefixes(struct tracking *tracking, struct tracker *tracker,
                         const struct tracking_request *request)
{
    if (request->n_prefixes == 0)
        return add_prefix(tracking, tracker, BYTES(""));
    for (size_t i = 0; i < request->n_prefixes; i++)
        if (!add_prefix(tracking, tracker, request->prefixes[i]))
            return false;
    return true;
}

bool tracking_enable(struct client *client, const struct tracking_request *request)
{
    struct tracking *tracking = client->larder->tracking;
    if (client->tracker == NULL)
        client->tracker = tracker_create(client);
    struct tracker *tracker = client->tracker;
    unsigned caching = tracker->flags & TRACKER_CACHING;
    if ((request->flags & TRACKER_BCAST) && !add_prefixes(tracking, tracker, request))
        return false;
    unlist(tracking, tracker);
    tracker->flags = TRACKER_ON | request->flags | caching;
    TAILQ_INSERT_TAIL(&tracking->lists[mode_of(tracker)], tracker, link);
    tracking->n_on[mode_of(tracker)]++;
    struct client *to =
        request->redirect_id != 0 ? client_find(client->larder, request->redirect_id) : NULL;
    set_redirect(tracker, to);
    return true;
}

void tracking_disable(struct client *client)
{
    struct tracking *tracking = client->larder->tracking;
    if (client->tracker == NULL)
        return;
    unlist(tracking, client->tracker);
    drop_prefixes(tracking, client->tracker);
    set_redirect(client->tracker, NULL);
}

void tracking_leave(struct client *client)
{
    struct tracker *tracker = client->tracker;
    if (tracker == NULL)
        return;
    tracking_disable(client);
    if (tracker->pending != NULL)
        tracked_free(tracker->pending);
    tracker->pending = NULL;
    tracker->client = NULL;
    client->tracker = NULL;
    tracker_unref(tracker);
}

unsigned tracking_flags(const struct client *client)
{
    return client->tracker != NULL ? client->tracker->flags : 0;
}

int64_t tracking_redirect(const struct client *client)
{
    return tracking_flags(client) & TRACKER_ON ? (int64_t)client->tracker->redirect_id : -1;
}

/* Life cycle */

struct tracking *tracking_create(struct larder *larder, tracking_link_options_fn *fn)
{
    struct tracking *tracking = mem_zalloc(sizeof(*tracking));
    tracking->larder = larder;
    tracking->link_options = fn;
    tracking_table_init(&tracking->table);
    for (int mode = 0; mode < TRACKING_MODES; mode++)
        TAILQ_INIT(&tracking->lists[mode]);
    tier_on_invalidate(larder->tier, on_key, tracking_lose_all, tracking);
    return tracking;
}

void tracking_destroy(struct tracking *tracking)
{
    if (tracking == NULL)
        return;
    struct link *bcast = tracking->bcast;
    tracking->bcast = NULL;
    if (bcast != NULL)
        link_destroy(bcast);
    forget_own(tracking);
    tracking_table_deinit(&tracking->table);
    buf_deinit(&tracking->scratch);
    buf_deinit(&tracking->changed);
    mem_free(tracking);
}

void tracking_read_figures(const struct tracking *tracking, struct tracking_figures *figures)
{
    figures->clients = tracking->n_on[TRACKING_KEYS] + tracking->n_on[TRACKING_BCAST];
    figures->keys = tracking->table.n_keys;
    figures->items = tracking->table.n_items;
    figures->prefixes = tracking->n_prefixes;
}
