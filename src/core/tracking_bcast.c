/* The link of CLIENT TRACKING's BCAST mode; see tracking.h.
 *
 * It tracks every key: L2's own prefixes would have to be switched off and on, with a gap, whenever
 * a client brings one that overlaps. What it tells is matched here. */
#include "core/tracking_internal.h"

#include "base/log.h"
#include "base/mem.h"

#define TRACK_ALL BYTES("*4\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n$5\r\nBCAST\r\n")

/* The main link tells of the same change, earlier or later: until then nobody may find the old
 * value in L1 any more. */
static void on_key(void *ctx, struct bytes key)
{
    struct tracking *tracking = ctx;
    tier_drop_everywhere(tracking->larder->tier, key);
    size_t len_before = tracking->changed.len;
    if (buf_append(&tracking->changed, &key.len, sizeof(key.len)) &&
        buf_append(&tracking->changed, key.ptr, key.len)) {
        tracking->n_changed++;
        return;
    }
    tracking->changed.len = len_before;
    tracking_send_all(tracking, TRACKING_BCAST); /* no memory to tell of one */
}

/* Tells a tracker of what has changed below one of its prefixes, in one message, as Redis. */
static void tell_prefix(struct tracking *tracking, struct tracker *tracker, struct bytes prefix,
                        struct bytes *keys)
{
    size_t n = 0;
    const char *at = tracking->changed.data;
    for (size_t i = 0; i < tracking->n_changed; i++) {
        size_t len;
        memcpy(&len, at, sizeof(len));
        struct bytes key = bytes_of(at + sizeof(len), len);
        at += sizeof(len) + len;
        if (bytes_starts_with(key, prefix))
            keys[n++] = key;
    }
    if (n > 0)
        tracking_send(tracking, tracker, keys, n);
}

/* Tells of what the link brought in this turn. Clients may be closed by what they are sent. */
static void tell_changed(struct tracking *tracking)
{
    struct tracker_list *list = &tracking->lists[TRACKING_BCAST];
    struct bytes *keys = mem_try(tracking->n_changed * sizeof(*keys));
    if (keys == NULL)
        tracking_send_all(tracking, TRACKING_BCAST);
    for (size_t n = tracking->n_on[TRACKING_BCAST]; keys != NULL && n > 0 && !TAILQ_EMPTY(list);
         n--) {
        struct tracker *tracker = TAILQ_FIRST(list);
        TAILQ_REMOVE(list, tracker, link);
        TAILQ_INSERT_TAIL(list, tracker, link);
        for (size_t i = 0; i < tracker->n_prefixes; i++)
            tell_prefix(tracking, tracker, buf_bytes(&tracker->prefixes[i]), keys);
    }
    mem_free(keys);
    tracking->n_changed = 0;
    tracking->changed.len = 0;
    buf_trim(&tracking->changed, CONN_OUT_KEEP);
}

static void on_all(void *ctx)
{
    struct tracking *tracking = ctx;
    tier_drop_all(tracking->larder->tier);
    tracking_send_all(tracking, TRACKING_BCAST);
}

/* What changed until now was missed. */
static void on_tracking(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct tracking *tracking = ctx;
    if (outcome == LINK_REPLY && reply.ptr[0] == '+')
        tracking_send_all(tracking, TRACKING_BCAST);
    else if (tracking->bcast != NULL)
        link_distrust(tracking->bcast, "it can't track keys for clients");
}

static void on_up(void *ctx)
{
    struct tracking *tracking = ctx;
    if (!tracking->has_missed)
        return; /* who wants it first has asked for it */
    tracking->has_missed = false;
    link_send(tracking->bcast, 0, TRACK_ALL, on_tracking, tracking);
    loop_again(&tracking->larder->loop);
}

static void on_down(void *ctx)
{
    struct tracking *tracking = ctx;
    tracking->has_missed = true;
    tracking_send_all(tracking, TRACKING_BCAST);
}

static bool ask_options(struct tracking *tracking, struct link_options *options)
{
    memset(options, 0, sizeof(*options));
    if (!tracking->link_options(tracking->larder, options))
        return false;
    options->tracking = LINK_TRACKING_NONE;
    options->plain = true;
    return true;
}

static const struct link_handlers handlers = {
    .on_invalidate = on_key, .on_invalidate_all = on_all, .on_up = on_up, .on_down = on_down};

bool tracking_begin_bcast(struct tracking *tracking, link_reply_fn *fn, void *ctx)
{
    struct link_options options;
    if (tracking->bcast == NULL && !ask_options(tracking, &options))
        return false;
    if (tracking->bcast == NULL)
        tracking->bcast = link_create(&tracking->larder->loop, &options, &handlers, tracking);
    tracking->n_starting++;
    link_send(tracking->bcast, 0, TRACK_ALL, fn, ctx);
    return true;
}

void tracking_end_bcast(struct tracking *tracking)
{
    tracking->n_starting--;
}

void tracking_flush(struct loop *loop, void *ctx)
{
    struct tracking *tracking = ctx;
    if (tracking->n_changed > 0)
        tell_changed(tracking);
    tracking_trim(tracking);
    if (tracking->bcast == NULL)
        return;
    if (tracking->n_on[TRACKING_BCAST] == 0 && tracking->n_starting == 0) {
        struct link *link = tracking->bcast;
        tracking->bcast = NULL;
        link_destroy(link);
        tracking->has_missed = false;
        return;
    }
    link_flush(loop, tracking->bcast);
}

void tracking_configure(struct tracking *tracking)
{
    struct link_options options;
    if (tracking->bcast == NULL || !ask_options(tracking, &options))
        return;
    link_configure(tracking->bcast, &options);
    address_deinit(&options.address);
}
