/* What the tests of everything that runs on a loop share: turning it until something has
 * happened. */
#ifndef LARDER_TESTS_LOOP_SUPPORT_H
#define LARDER_TESTS_LOOP_SUPPORT_H

#include "base/clock.h"
#include "net/loop.h"

#include <check.h>

/* Far above what anything on one machine takes: it only ends a test that would hang. */
#define TURN_LIMIT_MS 10000

/* Turns the loop until `condition` holds. */
#define TURN_UNTIL(loop, condition)                                                                \
    do {                                                                                           \
        int64_t limit_ns_ = clock_read_ns() + (int64_t)TURN_LIMIT_MS * 1000000;                    \
        while (!(condition)) {                                                                     \
            ck_assert_msg(clock_read_ns() < limit_ns_, "never came true: %s", #condition);         \
            loop_turn((loop), 20);                                                                 \
        }                                                                                          \
    } while (0)

/* Turns the loop `n` times without waiting: enough for what is on its way to arrive, and for
 * nothing else to happen. */
static inline void turn_times(struct loop *loop, unsigned n)
{
    while (n-- > 0)
        loop_turn(loop, 0);
}

#endif
