/* A link's time: deadlines of operations and attempts, and pings. */
#include "upstream/link_internal.h"

#include <stdio.h>

/* True while a command that blocks is under way: time is L2's then. */
static bool is_unbounded(struct link *link)
{
    return link->ops.n > link->ops.n_abandoned && link->figures.state == LINK_READY &&
           (link_ops_at(&link->ops, link->ops.n - 1)->flags & OP_UNBOUNDED);
}

/* When the link is pinged. Whatever is heard shows that L2 lives; but invalidations may stand behind it in a long
 * queue, so where they matter, only an answer to what was sent shows how far they have come. */
static int64_t ping_due_ms(const struct link *link)
{
    bool is_tracking = link->figures.tracking != LINK_TRACKING_NONE;
    return (is_tracking ? link->proven_us / 1000 : link->last_read_ms) +
           link->options.ping_interval_ms;
}

/* Where L2 tracks, it is asked once in an interval whether it still does, whatever else is heard. */
static int64_t next_ping_ms(const struct link *link)
{
    int64_t due_ms = ping_due_ms(link);
    return link_tracking_is_checked(link) && link->check_at_ms < due_ms ? link->check_at_ms
                                                                        : due_ms;
}

/* When a link that is to tell of changes has been behind for too long, by what it owes; INT64_MAX: it owes nothing, or
 * L2 is busy with a script, and changes nothing else meanwhile. */
static int64_t behind_due_ms(const struct link *link)
{
    if (link->figures.state != LINK_READY || link->figures.tracking == LINK_TRACKING_NONE ||
        link->ops.n == 0 || link_head_is_set_aside(&link->ops))
        return INT64_MAX;
    int64_t owed_ms = link_ops_at(&link->ops, 0)->sent_us / 1000;
    int64_t since_ms = ping_due_ms(link);
    if (owed_ms > since_ms)
        since_ms = owed_ms;
    if (link->busy_ms > since_ms) /* what waited for a script comes now */
        since_ms = link->busy_ms;
    return since_ms + link->options.timeout_ms + 1;
}

/* Arms the tick for what comes first: the connect time-out, an operation's deadline, the end of
 * waiting for late replies, or the time for a ping. */
void link_arm_tick(struct link *link)
{
    int64_t at = INT64_MAX;
    if (link->figures.state == LINK_CONNECTING || link->figures.state == LINK_HANDSHAKE)
        at = link->attempt_until_ms;
    if (link->ops.n > link->ops.n_abandoned && !is_unbounded(link)) {
        int64_t due = link_ops_at(&link->ops, link->ops.n_abandoned)->sent_us / 1000 +
                      link->options.timeout_ms + 1;
        at = due < at ? due : at;
    }
    if (link->figures.state == LINK_READY && link->ops.n_abandoned > 0) {
        int64_t due = link_head_is_set_aside(&link->ops)
                          ? link_head_due_ms(link)
                          : link->last_read_ms + link->options.timeout_ms;
        at = due < at ? due : at;
    }
    if (link->figures.state == LINK_READY && !link->ping_sent && !is_unbounded(link)) {
        int64_t due = next_ping_ms(link);
        at = due < at ? due : at;
    }
    int64_t behind = behind_due_ms(link);
    at = behind < at ? behind : at;
    int64_t probe = link_probe_due_ms(link);
    at = probe < at ? probe : at;
    int64_t tracking = link_tracking_due_ms(link);
    at = tracking < at ? tracking : at;
    if (at == INT64_MAX)
        timer_disarm(&link->loop->timers, &link->tick);
    else
        timer_arm(&link->loop->timers, &link->tick, at);
}

static void abandon(struct link *link, struct link_op *op, struct bytes error)
{
    op->flags |= OP_ABANDONED;
    if (op->flags & OP_PROBE)
        link_end_probe(link, false);
    if (op->fn == NULL)
        return;
    link->figures.timeouts++;
    if (link->figures.state == LINK_READY)
        link_count_failure(link);
    link_reply_fn *fn = op->fn;
    fn(op->ctx, LINK_FAILED, error); /* may move the ring */
}

/* On the way up, only reads that are first: the end of others is that of the attempt. */
static void time_out_ops(struct link *link)
{
    bool is_up = link->figures.state == LINK_READY;
    int64_t before_us = (link_now_ms(link) - link->options.timeout_ms) * 1000;
    char error[ADDRESS_TEXT_MAX + 64];
    int len = snprintf(error, sizeof(error), "-UPSTREAM %s gave no reply within %lld ms\r\n",
                       link->name, (long long)link->options.timeout_ms);
    while (link->ops.n_abandoned < link->ops.n) {
        struct link_op *op = link_ops_at(&link->ops, link->ops.n_abandoned);
        if (op->sent_us > before_us || !(is_up || (op->flags & OP_READ)))
            break;
        if (link->ops.n_abandoned++ > 0 || !link_may_be_busy_with(link, op))
            abandon(link, op, bytes_of(error, (size_t)len));
    }
    if (link_head_is_set_aside(&link->ops) && link_now_ms(link) >= link_head_due_ms(link))
        abandon(link, link_ops_at(&link->ops, 0), bytes_of(error, (size_t)len));
}

/* The question whether L2 still tracks is as good as a PING. */
static void send_ping(struct link *link)
{
    struct link_op op = {.flags = OP_INTERNAL | OP_WRITE};
    struct bytes raw = BYTES("*1\r\n$4\r\nPING\r\n");
    if (link_tracking_is_checked(link)) {
        op.flags |= OP_CHECK;
        raw = BYTES("*2\r\n$6\r\nCLIENT\r\n$12\r\nTRACKINGINFO\r\n");
        link->check_at_ms = link_now_ms(link) + link->options.ping_interval_ms;
    }
    if (!link_put(link, raw, op)) {
        link_set_error(link, "out of memory for output");
        link->broken = true;
    }
    link->ping_sent = true;
}

void link_on_tick(struct timer *timer, void *ctx)
{
    (void)timer;
    struct link *link = ctx;
    int64_t now = link_now_ms(link);
    if (link->figures.state != LINK_READY) {
        /* Commands that wait in the backlog have not been sent: an attempt that takes too long for
         * them fails them all. */
        time_out_ops(link);
        size_t next = link->ops.n_abandoned;
        bool op_due =
            link->ops.n > next &&
            link_ops_at(&link->ops, next)->sent_us / 1000 + link->options.timeout_ms < now;
        if (link->figures.state != LINK_DOWN && (now >= link->attempt_until_ms || op_due)) {
            link_set_error(
                link, "%s within %lld ms",
                link->figures.state == LINK_CONNECTING ? "no connection"
                                                       : "no answer to the handshake",
                (long long)(op_due ? link->options.timeout_ms : link->options.connect_timeout_ms));
            link_take_down(link);
            return;
        }
    } else if (!is_unbounded(link)) {
        time_out_ops(link);
        if (link->ops.n_abandoned > 0 && !link_head_is_set_aside(&link->ops) &&
            now - link->last_read_ms >= link->options.timeout_ms) {
            link_set_error(link, "silent for %lld ms", (long long)(now - link->last_read_ms));
            link_take_down(link);
            return;
        }
        if (now >= behind_due_ms(link)) {
            link_set_error(link, "%lld ms behind", (long long)(now - link->proven_us / 1000));
            link_take_down(link);
            return;
        }
        link_probe(link);
        link_tracking_tick(link);
        if (!link->ping_sent && now >= next_ping_ms(link))
            send_ping(link);
        link_flush(link->loop, link); /* its owner may flush it only when it has given commands */
    }
    link_arm_tick(link);
}
