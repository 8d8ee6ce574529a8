/* A link's tracking while it is READY: which mode is in force, stepping down and up, and whether L2
 * still does what it said.
 *
 *     wanted --refused--> next lower --refused--> NONE        steps down, in the handshake or here
 *        ^                    |                     |
 *        +---- tracking_retry_ms later, asked again +         a step up, if L2 says yes
 *
 * A mode is in force from L2's +OK on, and not any more from the moment at which another one is
 * asked for. What was read in between, and before, may not be tracked: on_tracking tells of either
 * change. Replies come in the order of commands, so that +OK divides what was read before from what
 * is read behind it.
 *
 * Redis refuses to switch between the modes without an OFF. Whether it still tracks is asked in the
 * place of every PING, and on a link that is never silent as often. */
#include "upstream/link_internal.h"

#include "base/log.h"
#include "resp/request.h"
#include "resp/walk.h"

#include <stdio.h>

/* Longest wait for a step up, as a multiple of tracking_retry_ms: for attempts that cost L1 its
 * entries, since L2 had to stop tracking in the mode that it can do. */
#define STEP_UP_WAIT_FACTOR 64

const char *link_tracking_name(enum link_tracking tracking)
{
    switch (tracking) {
    case LINK_TRACKING_BROADCAST: return "broadcast";
    case LINK_TRACKING_KEYS: return "tracking";
    case LINK_TRACKING_NONE: break;
    }
    return "ttl";
}

enum link_tracking link_get_tracking(const struct link *link)
{
    return link->figures.state == LINK_READY ? link->figures.tracking : LINK_TRACKING_NONE;
}

bool link_tracks(const struct link *link, struct bytes key)
{
    enum link_tracking tracking = link_get_tracking(link);
    if (tracking != LINK_TRACKING_BROADCAST || link->options.n_prefixes == 0)
        return tracking != LINK_TRACKING_NONE;
    for (size_t i = 0; i < link->options.n_prefixes; i++)
        if (bytes_starts_with(key, bytes_of_str(link->options.prefixes[i])))
            return true;
    return false;
}

/* Fences */

struct link_fence link_set_fence(const struct link *link)
{
    return (struct link_fence){link->figures.epoch, link->given};
}

struct link_fence link_set_fence_here(const struct link *link)
{
    return (struct link_fence){link->figures.epoch, link->answered};
}

bool link_is_past_fence(const struct link *link, struct link_fence fence)
{
    return link->figures.state != LINK_READY || link->figures.epoch != fence.epoch ||
           link->answered > fence.given;
}

/* Steps */

size_t link_tracking_command(const struct link *link, struct bytes argv[LINK_TRACKING_ARGS])
{
    size_t argc = 0;
    argv[argc++] = BYTES("CLIENT");
    argv[argc++] = BYTES("TRACKING");
    argv[argc++] = BYTES("ON");
    if (link->asked != LINK_TRACKING_BROADCAST)
        return argc;
    argv[argc++] = BYTES("BCAST");
    for (size_t i = 0; i < link->options.n_prefixes; i++) {
        argv[argc++] = BYTES("PREFIX");
        argv[argc++] = bytes_of_str(link->options.prefixes[i]);
    }
    return argc;
}

void link_tracking_refused(struct link *link, struct bytes why)
{
    snprintf(link->refused, sizeof(link->refused), "%.*s", (int)(why.len > 100 ? 100 : why.len),
             why.ptr);
    if (link->asked != LINK_TRACKING_NONE)
        link->asked--;
}

/* Plans the next attempt at the wanted mode, where there is to be one. */
static void plan_step_up(struct link *link)
{
    int64_t wait_ms = link->step_up_wait_ms;
    bool tries_again =
        link->figures.tracking < link->options.tracking && wait_ms > 0 && !link->use_resp2;
    link->step_up_at_ms =
        tries_again ? link_now_ms(link) + wait_ms - link_random(link, wait_ms / 4) : 0;
}

/* Counts from what it was to what it has come to. */
static void settle(struct link *link)
{
    enum link_tracking was = link->settled;
    enum link_tracking is = link->figures.tracking;
    link->settled = is;
    if (is < was) {
        link->figures.step_downs++;
        LOG(LOG_WARNING, "Upstream %s: coherence steps down from %s to %s%s (CLIENT TRACKING: %s)",
            link->name, link_tracking_name(was), link_tracking_name(is),
            is == LINK_TRACKING_NONE ? ", entries live by their TTL only" : "", link->refused);
    } else if (is > was) {
        link->figures.step_ups++;
        LOG(LOG_NOTICE, "Upstream %s: coherence steps up from %s to %s", link->name,
            link_tracking_name(was), link_tracking_name(is));
    }
    plan_step_up(link);
    link->check_at_ms = link_now_ms(link) + link->options.ping_interval_ms;
}

static void put_command(struct link *link, const struct bytes *argv, size_t argc, struct link_op op)
{
    struct buf raw;
    buf_init(&raw);
    if (!request_encode(argv, argc, &raw) || !link_put(link, buf_bytes(&raw), op)) {
        link_set_error(link, "out of memory for output");
        link->broken = true;
    }
    buf_deinit(&raw);
}

static link_reply_fn on_asked;

/* Asks for the mode in `asked`. A late answer counts as well as one in time. */
static void ask(struct link *link)
{
    struct bytes argv[LINK_TRACKING_ARGS];
    struct link_op op = {.fn = on_asked, .ctx = link, .flags = OP_WRITE | OP_OWN};
    size_t argc = link_tracking_command(link, argv);
    link->n_asked++;
    put_command(link, argv, argc, op);
}

static void say_off(struct link *link)
{
    struct bytes argv[] = {BYTES("CLIENT"), BYTES("TRACKING"), BYTES("OFF")};
    put_command(link, argv, 3, (struct link_op){.flags = OP_OWN});
}

/* Nothing more is tracked. */
static void end_tracking(struct link *link)
{
    if (link->figures.tracking == LINK_TRACKING_NONE)
        return;
    link->figures.tracking = LINK_TRACKING_NONE;
    if (link->handlers->on_tracking != NULL)
        link->handlers->on_tracking(link->ctx);
}

static void ask_or_settle(struct link *link)
{
    if (link->asked != LINK_TRACKING_NONE)
        ask(link);
    else
        settle(link);
}

static void on_asked(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct link *link = ctx;
    if (outcome == LINK_FAILED || link->figures.state != LINK_READY)
        return; /* not in time: it may come yet; or the link is lost */
    if (--link->n_asked > 0)
        return; /* what the options said then is out of date, and the next answer is on its way */
    if (reply.ptr[0] == '+') {
        link->figures.tracking = link->asked;
        if (link->handlers->on_tracking != NULL)
            link->handlers->on_tracking(link->ctx);
        settle(link);
        return;
    }
    bool is_error = reply.ptr[0] == '-';
    struct bytes text = bytes_of(reply.ptr + 1, reply.len - 3);
    if (is_error && !link_is_final(text)) {
        link->step_up_at_ms = link_now_ms(link) + link->options.ping_interval_ms; /* it is busy */
        return;
    }
    link_tracking_refused(link, is_error ? text : BYTES("an unexpected answer"));
    ask_or_settle(link);
}

/* Asks for what the options want, whatever is in force. */
static void switch_tracking(struct link *link)
{
    end_tracking(link);
    link->is_proven = false;
    link->step_up_at_ms = 0;
    link->asked = link->options.tracking;
    say_off(link);
    ask_or_settle(link);
}

/* The next attempt waits for longer, because this one drops what L1 holds. */
static void wait_longer(struct link *link)
{
    int64_t max = link->options.tracking_retry_ms * STEP_UP_WAIT_FACTOR;
    link->step_up_wait_ms = link->step_up_wait_ms * 2 < max ? link->step_up_wait_ms * 2 : max;
}

void link_tracking_up(struct link *link)
{
    link->is_proven = false;
    link->is_unprovable = false;
    link->step_up_wait_ms = link->options.tracking_retry_ms;
    if (link->must_switch)
        switch_tracking(link);
    else
        settle(link);
    link->must_switch = false;
}

void link_tracking_configured(struct link *link, bool changed)
{
    bool is_ready = link->figures.state == LINK_READY;
    if (!changed && link->step_up_wait_ms == link->options.tracking_retry_ms)
        return;
    link->step_up_wait_ms = link->options.tracking_retry_ms;
    if (!changed) {
        if (is_ready && link->n_asked == 0)
            plan_step_up(link);
        return;
    }
    link->settled = link->options.tracking; /* steps are L2's, not the operator's */
    if (link->figures.state == LINK_HANDSHAKE)
        link->must_switch = true;
    else if (is_ready && link->use_resp2)
        settle(link);
    else if (is_ready)
        switch_tracking(link);
}

/* Checks */

bool link_tracking_is_checked(const struct link *link)
{
    return link_get_tracking(link) != LINK_TRACKING_NONE && !link->is_unprovable;
}

int64_t link_tracking_due_ms(const struct link *link)
{
    bool is_due = link->figures.state == LINK_READY && link->step_up_at_ms != 0;
    return is_due ? link->step_up_at_ms : INT64_MAX;
}

void link_tracking_tick(struct link *link)
{
    if (link->step_up_at_ms == 0 || link_now_ms(link) < link->step_up_at_ms)
        return;
    if (link->figures.tracking != LINK_TRACKING_NONE)
        wait_longer(link);
    switch_tracking(link);
}

/* Looks through a list of texts: how many there are, and how many `is_fine` says yes to. */
static bool count_texts(struct walk *walk, const struct link *link,
                        bool (*is_fine)(const struct link *link, struct bytes text), size_t *n,
                        size_t *n_fine)
{
    struct walk_item item;
    if (walk_value(walk, &item, LINK_DEPTH_MAX) != WALK_OK)
        return false;
    *n = item.n_items;
    *n_fine = 0;
    for (size_t left = *n; left > 0; left--) {
        if (walk_value(walk, &item, LINK_DEPTH_MAX) != WALK_OK || item.n_items > 0)
            return false;
        *n_fine += is_fine(link, item.text);
    }
    return true;
}

static bool is_needed_flag(const struct link *link, struct bytes text)
{
    return bytes_is(text, "on") ||
           (link->figures.tracking == LINK_TRACKING_BROADCAST && bytes_is(text, "bcast"));
}

/* With one of these, L2 keeps some changes to itself. */
static bool is_wrong_flag(const struct link *link, struct bytes text)
{
    return bytes_is(text, "optin") || bytes_is(text, "optout") || bytes_is(text, "noloop") ||
           bytes_is(text, "broken_redirect") ||
           (link->figures.tracking != LINK_TRACKING_BROADCAST && bytes_is(text, "bcast"));
}

static bool is_own_prefix(const struct link *link, struct bytes text)
{
    if (link->options.n_prefixes == 0)
        return text.len == 0;
    for (size_t i = 0; i < link->options.n_prefixes; i++)
        if (bytes_equal(text, bytes_of_str(link->options.prefixes[i])))
            return true;
    return false;
}

/* Reads one field of CLIENT TRACKINGINFO. Returns false when it contradicts the mode in force. */
static bool is_field_right(const struct link *link, struct bytes name, struct walk walk,
                           bool *has_flags)
{
    bool bcasts = link->figures.tracking == LINK_TRACKING_BROADCAST;
    struct walk again = walk;
    struct walk_item item;
    size_t n;
    size_t n_fine;
    size_t n_needed = bcasts ? 2 : 1;
    if (bytes_is(name, "flags")) {
        *has_flags = true;
        return count_texts(&walk, link, is_needed_flag, &n, &n_fine) && n_fine == n_needed &&
               count_texts(&again, link, is_wrong_flag, &n, &n_fine) && n_fine == 0;
    }
    if (bytes_is(name, "redirect"))
        return walk_value(&walk, &item, LINK_DEPTH_MAX) == WALK_OK && bytes_is(item.text, "0");
    if (bytes_is(name, "prefixes") && bcasts) {
        size_t n_wanted = link->options.n_prefixes > 0 ? link->options.n_prefixes : 1;
        return count_texts(&walk, link, is_own_prefix, &n, &n_fine) && n == n_wanted &&
               n_fine == n_wanted;
    }
    return true;
}

/* True when the answer (link->reply) says that L2 tracks in the mode in force. */
static bool is_confirmed(const struct link *link)
{
    struct walk walk = walk_over(link->reply.data, link->reply.len);
    struct walk_item name;
    bool has_flags = false;
    if (walk_value(&walk, &name, LINK_DEPTH_MAX) != WALK_OK)
        return false;
    for (size_t pairs = name.n_items / 2; pairs > 0; pairs--) {
        if (walk_value(&walk, &name, LINK_DEPTH_MAX) != WALK_OK)
            return false;
        struct walk value = walk;
        if (walk_skip(&walk, 1, LINK_DEPTH_MAX) != WALK_OK ||
            !is_field_right(link, name.text, value, &has_flags))
            return false;
    }
    return has_flags;
}

/* L2 does not track any more, without having been told to stop. */
static void lose_tracking(struct link *link)
{
    link->figures.tracking_losses++;
    LOG(LOG_WARNING, "Upstream %s does not track changes any more: dropping L1", link->name);
    if (link->is_proven) {
        switch_tracking(link);
        return;
    }
    /* It never did, whatever it said. */
    wait_longer(link);
    end_tracking(link);
    say_off(link);
    link_tracking_refused(link, BYTES("said to be on, and is not"));
    ask_or_settle(link);
}

void link_tracking_checked(struct link *link)
{
    if (!link_tracking_is_checked(link) || link->n_asked > 0)
        return; /* the question is older than the mode in force */
    if (link->reply.data[0] == '-') {
        struct bytes text = bytes_of(link->reply.data + 1, link->reply.len - 3);
        if (!link_is_final(text))
            return; /* it is busy */
        link->is_unprovable = true;
        LOG(LOG_NOTICE,
            "Upstream %s does not tell whether it still tracks changes (CLIENT TRACKINGINFO: %.*s)",
            link->name, (int)(text.len > 100 ? 100 : text.len), text.ptr);
    } else if (is_confirmed(link)) {
        link->is_proven = true;
    } else {
        lose_tracking(link);
    }
}
