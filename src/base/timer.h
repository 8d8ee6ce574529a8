/* Timers: a binary min-heap of deadlines on the monotonic clock. Timers are embedded in their
 * owners; the heap borrows them while armed. Arming, moving and disarming cost O(log n). A callback
 * runs once per arming and may arm again. */
#ifndef LARDER_BASE_TIMER_H
#define LARDER_BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Marks a timer that timers_run has taken from the heap and not yet run. */
#define TIMER_DUE ((size_t)1 << 63)

struct timer;
typedef void timer_fn(struct timer *timer, void *ctx);

struct timer {
    int64_t at_ms;
    timer_fn *fn;
    void *ctx;       /* borrowed */
    size_t position; /* 1-based in the heap; 0: not armed; TIMER_DUE and the index in `due` */
};

struct timers {
    struct timer **heap; /* owned array of borrowed timers, heap[0] unused */
    size_t len;
    size_t cap;
    struct timer **due; /* owned array, of timers_run: what it took from the heap; NULL: disarmed */
    size_t n_due;
    size_t cap_due;
};

void timers_init(struct timers *timers);
void timers_deinit(struct timers *timers);

/* Prepares a timer that is not armed; `fn` gets `ctx`. */
void timer_init(struct timer *timer, timer_fn *fn, void *ctx);

/* Arms the timer for `at_ms`, or moves it there. */
void timer_arm(struct timers *timers, struct timer *timer, int64_t at_ms);

/* Disarms the timer; no effect when it is not armed. */
void timer_disarm(struct timers *timers, struct timer *timer);

static inline bool timer_is_armed(const struct timer *timer)
{
    return timer->position != 0;
}

/* The earliest deadline, or INT64_MAX without one. */
int64_t timers_next_ms(const struct timers *timers);

/* Runs what is due at `now_ms`; timers armed meanwhile for a time that has come wait for the next
 * call. */
void timers_run(struct timers *timers, int64_t now_ms);

#endif
