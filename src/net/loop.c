/* The event loop; see loop.h. */
#include "net/loop.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Events taken from the kernel in one turn; more wait for the next. */
#define EVENTS_PER_TURN 512

int loop_init(struct loop *loop)
{
    memset(loop, 0, sizeof(*loop));
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0)
        return -errno;
    clock_init(&loop->clock);
    timers_init(&loop->timers);
    return 0;
}

void loop_free_retired(struct loop *loop)
{
    /* Freeing may retire more. */
    for (size_t i = 0; i < loop->n_retired; i++) {
        struct loop_retired item = loop->retired[i];
        item.fn(item.ptr);
    }
    loop->n_retired = 0;
}

void loop_deinit(struct loop *loop)
{
    loop_free_retired(loop);
    mem_free(loop->retired);
    timers_deinit(&loop->timers);
    close(loop->epoll_fd);
    loop->epoll_fd = -1;
}

void loop_add_hook(struct loop *loop, loop_hook_fn *fn, void *ctx)
{
    if (loop->n_hooks == LOOP_HOOKS_MAX)
        abort();
    loop->hooks[loop->n_hooks].fn = fn;
    loop->hooks[loop->n_hooks].ctx = ctx;
    loop->n_hooks++;
}

static int wait_ms(const struct loop *loop, int max_wait_ms)
{
    if (loop->again)
        return 0;
    int64_t next = timers_next_ms(&loop->timers);
    if (next == INT64_MAX)
        return max_wait_ms;
    struct clock now = loop->clock;
    clock_update(&now);
    int64_t left = next - now.mono_ms;
    if (left < 0)
        left = 0;
    if (max_wait_ms >= 0 && left > max_wait_ms)
        left = max_wait_ms;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

static struct loop_watch *watch_of(const struct epoll_event *event)
{
    return event->data.ptr;
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
    struct loop_watch *watch = watch_of(event);
    if (watch->fn == NULL)
        return; /* removed by an earlier callback of this turn */
    unsigned events = 0;
    if (event->events & EPOLLIN)
        events |= LOOP_READ;
    if (event->events & EPOLLOUT)
        events |= LOOP_WRITE;
    if (event->events & EPOLLRDHUP)
        events |= LOOP_HANGUP;
    if (event->events & (EPOLLERR | EPOLLHUP))
        events |= LOOP_READ | LOOP_WRITE;
    watch->fn(loop, watch, events);
}

void loop_turn(struct loop *loop, int max_wait_ms)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int timeout = wait_ms(loop, max_wait_ms);
    loop->again = false;
    int n = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, timeout);
    clock_update(&loop->clock);
    int64_t start_us = loop->clock.mono_us;
    for (int i = 0; i < n; i++)
        if (watch_of(&events[i])->is_first)
            dispatch(loop, &events[i]);
    for (int i = 0; i < n; i++)
        if (!watch_of(&events[i])->is_first)
            dispatch(loop, &events[i]);
    timers_run(&loop->timers, loop->clock.mono_ms);
    for (size_t i = 0; i < loop->n_hooks; i++)
        loop->hooks[i].fn(loop, loop->hooks[i].ctx);
    loop_free_retired(loop);
    loop->turns++;
    int64_t took_us = clock_read_ns() / 1000 - start_us;
    if (took_us > loop->longest_turn_us)
        loop->longest_turn_us = took_us;
}

void loop_run(struct loop *loop)
{
    while (!loop->stop)
        loop_turn(loop, -1);
}

static uint32_t kernel_events(unsigned events)
{
    return (events & LOOP_READ ? (uint32_t)EPOLLIN : 0) |
           (events & LOOP_WRITE ? (uint32_t)EPOLLOUT : 0) |
           (events & LOOP_HANGUP ? (uint32_t)EPOLLRDHUP : 0);
}

int loop_watch(struct loop *loop, struct loop_watch *watch, int fd, unsigned events,
               loop_watch_fn *fn, void *ctx)
{
    struct epoll_event event = {.events = kernel_events(events), .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    watch->fd = fd;
    watch->events = events;
    watch->fn = fn;
    watch->ctx = ctx;
    return 0;
}

void loop_rewatch(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    if (watch->fn == NULL || watch->events == events)
        return;
    struct epoll_event event = {.events = kernel_events(events), .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0)
        watch->events = events;
}

void loop_unwatch(struct loop *loop, struct loop_watch *watch)
{
    if (watch->fn == NULL)
        return;
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fn = NULL;
    watch->fd = -1;
}

void loop_retire(struct loop *loop, loop_free_fn *fn, void *ptr)
{
    if (loop->n_retired == loop->retired_cap) {
        size_t cap = loop->retired_cap == 0 ? 64 : loop->retired_cap * 2;
        struct loop_retired *retired = mem_try_resize(loop->retired, cap * sizeof(*retired));
        if (retired == NULL)
            abort(); /* small fixed metadata: 16 bytes an item */
        loop->retired = retired;
        loop->retired_cap = cap;
    }
    loop->retired[loop->n_retired++] = (struct loop_retired){fn, ptr};
}
