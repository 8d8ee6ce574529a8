/* Timers; see timer.h. */
#include "base/timer.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void timers_init(struct timers *timers)
{
    memset(timers, 0, sizeof(*timers));
}

void timers_deinit(struct timers *timers)
{
    for (size_t i = 1; i <= timers->len; i++)
        timers->heap[i]->position = 0;
    for (size_t i = 0; i < timers->n_due; i++)
        if (timers->due[i] != NULL)
            timers->due[i]->position = 0;
    mem_free(timers->heap);
    mem_free(timers->due);
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

/* Room for one more in an array; small fixed metadata, so it aborts without memory: 8 bytes a
 * timer. */
static void reserve(struct timer ***array, size_t len, size_t *cap)
{
    if (len < *cap)
        return;
    size_t wanted = *cap == 0 ? 16 : *cap * 2;
    *array = mem_resize(*array, wanted * sizeof(struct timer *));
    *cap = wanted;
}

static void insert(struct timers *timers, struct timer *timer)
{
    reserve(&timers->heap, timers->len + 1, &timers->cap);
    sift_up(timers, timer, ++timers->len);
}

static void remove_from_heap(struct timers *timers, struct timer *timer)
{
    size_t position = timer->position;
    timer->position = 0;
    struct timer *last = timers->heap[timers->len--];
    if (last != timer)
        move(timers, last, position);
}

void timer_arm(struct timers *timers, struct timer *timer, int64_t at_ms)
{
    if (timer->position & TIMER_DUE)
        timer_disarm(timers, timer);
    timer->at_ms = at_ms;
    if (timer->position != 0)
        move(timers, timer, timer->position);
    else
        insert(timers, timer);
}

void timer_disarm(struct timers *timers, struct timer *timer)
{
    if (timer->position & TIMER_DUE) {
        timers->due[timer->position & ~TIMER_DUE] = NULL;
        timer->position = 0;
    } else if (timer->position != 0) {
        remove_from_heap(timers, timer);
    }
}

int64_t timers_next_ms(const struct timers *timers)
{
    return timers->len == 0 ? INT64_MAX : timers->heap[1]->at_ms;
}

void timers_run(struct timers *timers, int64_t now_ms)
{
    /* All that are due leave the heap before the first runs, so one that arms itself for now
     * neither runs again nor keeps others from running. */
    while (timers->len > 0 && timers->heap[1]->at_ms <= now_ms) {
        struct timer *timer = timers->heap[1];
        remove_from_heap(timers, timer);
        reserve(&timers->due, timers->n_due, &timers->cap_due);
        timer->position = TIMER_DUE | timers->n_due;
        timers->due[timers->n_due++] = timer;
    }
    for (size_t i = 0; i < timers->n_due; i++) {
        struct timer *timer = timers->due[i];
        if (timer == NULL)
            continue;
        timer->position = 0;
        timers->due[i] = NULL;
        timer->fn(timer, timer->ctx);
    }
    timers->n_due = 0;
}
