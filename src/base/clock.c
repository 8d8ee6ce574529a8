/* Time; see clock.h. */
#include "base/clock.h"

#include <stdlib.h>
#include <time.h>

/* Above this the wall clock was stepped; below, the difference is slewing or the time between the two readings. */
#define WALL_STEP_MS 20

static int64_t read_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_read_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Rounded up, so that larder's wall clock is never behind and a deadline given in wall time never comes late. */
static int64_t read_offset_ms(int64_t mono_us)
{
    return (read_us(CLOCK_REALTIME) - mono_us + 999) / 1000;
}

void clock_init(struct clock *clock)
{
    clock->manual = false;
    clock->mono_us = read_us(CLOCK_MONOTONIC);
    clock->mono_ms = clock->mono_us / 1000;
    clock->wall_offset_ms = read_offset_ms(clock->mono_us);
}

void clock_init_manual(struct clock *clock, int64_t mono_ms, int64_t wall_ms)
{
    clock->manual = true;
    clock->mono_ms = mono_ms;
    clock->mono_us = mono_ms * 1000;
    clock->wall_offset_ms = wall_ms - mono_ms;
}

void clock_update(struct clock *clock)
{
    if (clock->manual)
        return;
    int64_t previous_ms = clock->mono_ms;
    clock->mono_us = read_us(CLOCK_MONOTONIC);
    clock->mono_ms = clock->mono_us / 1000;
    if (clock->mono_ms == previous_ms)
        return;
    int64_t offset = read_offset_ms(clock->mono_us);
    if (llabs(offset - clock->wall_offset_ms) > WALL_STEP_MS)
        clock->wall_offset_ms = offset;
}

void clock_advance(struct clock *clock, int64_t ms)
{
    clock->mono_ms += ms;
    clock->mono_us += ms * 1000;
}
