/* Whether a silent L2 is busy with a script; see busy.h. */
#include "upstream/busy.h"

#include "base/mem.h"

/* Silence, while replies are owed, after which L2 is asked. Commands that take longer are few, and a PING costs little. */
#define SILENCE_MS 100

/* How soon a busy L2 is asked again. */
#define AGAIN_MS 50

/* A PING under way; it may outlive the watch. */
struct question {
    struct busy_watch *watch; /* NULL: destroyed, and the link given back */
    struct pinned *pinned;
};

struct busy_watch {
    struct loop *loop;
    struct link *link;
    struct pinned_pool *pool;
    struct timer timer;
    struct question *question; /* owned by its PING; NULL: none is under way */
};

static void on_pong(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct question question = *(struct question *)ctx;
    struct busy_watch *watch = question.watch;
    mem_free(ctx);
    if (watch == NULL)
        return;
    watch->question = NULL;
    pinned_release(question.pinned, outcome == LINK_REPLY);
    bool is_busy = outcome == LINK_REPLY && bytes_starts_with(reply, BYTES("-BUSY "));
    if (is_busy || link_is_busy(watch->link))
        link_set_busy(watch->link, is_busy ? reply : BYTES(""));
    if (is_busy)
        timer_arm(&watch->loop->timers, &watch->timer, watch->loop->clock.mono_ms + AGAIN_MS);
}

static void ask(struct busy_watch *watch)
{
    struct pinned *pinned = watch->question == NULL ? pinned_acquire(watch->pool) : NULL;
    if (pinned == NULL)
        return;
    watch->question = mem_alloc(sizeof(*watch->question));
    *watch->question = (struct question){watch, pinned};
    pinned_send_anywhere(pinned, BYTES("*1\r\n$4\r\nPING\r\n"), on_pong, watch->question);
}

/* When L2 is to be asked (monotonic milliseconds); 0: it need not be. */
static int64_t due_ms(const struct busy_watch *watch)
{
    if (link_is_busy(watch->link))
        return 1;
    int64_t since_ms = link_silent_since_ms(watch->link);
    return since_ms == 0 ? 0 : since_ms + SILENCE_MS;
}

static void on_timer(struct timer *timer, void *ctx)
{
    (void)timer;
    struct busy_watch *watch = ctx;
    int64_t at_ms = due_ms(watch);
    if (at_ms != 0 && at_ms <= watch->loop->clock.mono_ms)
        ask(watch);
}

void busy_watch_tick(struct busy_watch *watch)
{
    int64_t at_ms = due_ms(watch);
    if (at_ms != 0 && watch->question == NULL && !timer_is_armed(&watch->timer))
        timer_arm(&watch->loop->timers, &watch->timer, at_ms);
}

struct busy_watch *busy_watch_create(struct loop *loop, struct link *link, struct pinned_pool *pool)
{
    struct busy_watch *watch = mem_zalloc(sizeof(*watch));
    watch->loop = loop;
    watch->link = link;
    watch->pool = pool;
    timer_init(&watch->timer, on_timer, watch);
    return watch;
}

void busy_watch_destroy(struct busy_watch *watch)
{
    if (watch == NULL)
        return;
    timer_disarm(&watch->loop->timers, &watch->timer);
    if (watch->question != NULL) {
        watch->question->watch = NULL;
        pinned_release(watch->question->pinned, false);
    }
    mem_free(watch);
}
