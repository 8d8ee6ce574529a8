/* Timers; see timer.h. */
#include "base/timer.h"

#include "base/mem.h"

#include <stdlib.h>

void timers_init(struct timers *timers)
{
    timers->heap = NULL;
    timers->len = 0;
    timers->cap = 0;
}

void timers_deinit(struct timers *timers)
{
    for (size_t i = 1; i <= timers->len; i++)
        timers->heap[i]->position = 0;
    mem_free(timers->heap);
    timers_init(timers);
}

void timer_init(struct timer *timer, timer_fn *fn, void *ctx)
{
    timer->at_ms = 0;
    timer->fn = fn;
    timer->ctx = ctx;
    timer->position = 0;
}

static void place(struct timers *timers, struct timer *timer, size_t position)
{
    timers->heap[position] = timer;
    timer->position = position;
}

static void sift_up(struct timers *timers, struct timer *timer, size_t position)
{
    while (position > 1 && timers->heap[position / 2]->at_ms > timer->at_ms) {
        place(timers, timers->heap[position / 2], position);
        position /= 2;
    }
    place(timers, timer, position);
}

static void sift_down(struct timers *timers, struct timer *timer, size_t position)
{
    for (size_t child; (child = position * 2) <= timers->len; position = child) {
        if (child < timers->len && timers->heap[child + 1]->at_ms < timers->heap[child]->at_ms)
            child++;
        if (timers->heap[child]->at_ms >= timer->at_ms)
            break;
        place(timers, timers->heap[child], position);
    }
    place(timers, timer, position);
}

static void move(struct timers *timers, struct timer *timer, size_t position)
{
    if (position > 1 && timers->heap[position / 2]->at_ms > timer->at_ms)
        sift_up(timers, timer, position);
    else
        sift_down(timers, timer, position);
}

void timer_arm(struct timers *timers, struct timer *timer, int64_t at_ms)
{
    timer->at_ms = at_ms;
    if (timer->position != 0) {
        move(timers, timer, timer->position);
        return;
    }
    if (timers->len + 1 >= timers->cap) {
        size_t cap = timers->cap == 0 ? 16 : timers->cap * 2;
        struct timer **heap = mem_try_resize(timers->heap, cap * sizeof(struct timer *));
        if (heap == NULL)
            abort(); /* small fixed metadata: 8 bytes a timer */
        timers->heap = heap;
        timers->cap = cap;
    }
    sift_up(timers, timer, ++timers->len);
}

void timer_disarm(struct timers *timers, struct timer *timer)
{
    size_t position = timer->position;
    if (position == 0)
        return;
    timer->position = 0;
    struct timer *last = timers->heap[timers->len--];
    if (last != timer)
        move(timers, last, position);
}

int64_t timers_next_ms(const struct timers *timers)
{
    return timers->len == 0 ? INT64_MAX : timers->heap[1]->at_ms;
}

void timers_run(struct timers *timers, int64_t now_ms)
{
    /* A timer that arms itself for now must not run for ever: at most as many runs as timers were due at the start. */
    for (size_t budget = timers->len; budget > 0 && timers->len > 0; budget--) {
        struct timer *timer = timers->heap[1];
        if (timer->at_ms > now_ms)
            return;
        timer_disarm(timers, timer);
        timer->fn(timer, timer->ctx);
    }
}
