/* Time. Every duration and deadline in larder is on the monotonic clock, so that a step of the wall clock changes no deadline.
 * A `struct clock` is read once per turn of the loop; a manual one is moved by tests.
 *
 * Names: mono_ms and mono_us count from an arbitrary start, wall_ms from the Unix epoch. */
#ifndef LARDER_BASE_CLOCK_H
#define LARDER_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock {
    int64_t mono_us; /* at the last clock_update */
    int64_t mono_ms; /* the same, in whole milliseconds */
    int64_t
        wall_offset_ms; /* wall_ms - mono_ms; moves only when the wall clock steps, see clock_update */
    bool manual;        /* moved by clock_advance only */
};

/* A clock on the system's time, read once. */
void clock_init(struct clock *clock);

/* A clock for tests: starts at mono_ms and wall_ms, stands still until clock_advance. */
void clock_init_manual(struct clock *clock, int64_t mono_ms, int64_t wall_ms);

/* Reads the time again. The offset to the wall clock is kept as it is while the two agree within 20 ms (so that EXPIREAT
 * and EXPIRETIME agree to the millisecond) and follows a larger step. No effect on a manual clock. */
void clock_update(struct clock *clock);

/* Moves a manual clock forward by `ms` (>= 0). */
void clock_advance(struct clock *clock, int64_t ms);

/* Wall-clock milliseconds at the last update. */
static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->mono_ms + clock->wall_offset_ms;
}

/* Monotonic nanoseconds, read now; for measuring. */
int64_t clock_read_ns(void);

#endif
