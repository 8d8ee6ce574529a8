/* The clock (src/base/clock.h): the system's, and the one that tests move. */
#include "base/clock.h"

#include <check.h>
#include <stdlib.h>
#include <time.h>

static int64_t wall_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits until the monotonic clock has passed into another millisecond. */
static void pass_a_millisecond(void)
{
    int64_t start_ns = clock_read_ns();
    while (clock_read_ns() - start_ns < 2000000)
        ;
}

START_TEST(a_manual_clock_stands_still)
{
    struct clock clock;
    clock_init_manual(&clock, 5000, 1700000000000);
    pass_a_millisecond();
    clock_update(&clock);
    ck_assert_int_eq(clock.mono_ms, 5000);
    ck_assert_int_eq(clock.mono_us, 5000000);
    ck_assert_int_eq(clock_wall_ms(&clock), 1700000000000);
    clock_advance(&clock, 1234);
    clock_advance(&clock, 0);
    ck_assert_int_eq(clock.mono_ms, 6234);
    ck_assert_int_eq(clock.mono_us, 6234000);
    ck_assert_int_eq(clock_wall_ms(&clock), 1700000001234);
}
END_TEST

START_TEST(the_system_clock_goes_forward)
{
    struct clock clock;
    clock_init(&clock);
    for (unsigned i = 0; i < 10; i++) {
        struct clock before = clock;
        pass_a_millisecond();
        clock_update(&clock);
        ck_assert_int_gt(clock.mono_ms, before.mono_ms);
        ck_assert_int_gt(clock.mono_us, before.mono_us);
        ck_assert_int_eq(clock.mono_ms, clock.mono_us / 1000);
    }
}
END_TEST

/* Larder's wall clock is the system's, to the tolerance that clock_update allows, and never behind
 * when it was just read. */
START_TEST(wall_time_is_the_systems)
{
    struct clock clock;
    int64_t before_ms = wall_now_ms();
    clock_init(&clock);
    int64_t after_ms = wall_now_ms();
    ck_assert_int_ge(clock_wall_ms(&clock), before_ms - 1);
    ck_assert_int_le(clock_wall_ms(&clock), after_ms + 1);
    ck_assert(!clock.manual);
}
END_TEST

/* A deadline given in wall time and read back must be the same to the millisecond. */
START_TEST(small_differences_change_no_offset)
{
    struct clock clock;
    clock_init(&clock);
    int64_t offset_ms = clock.wall_offset_ms + 5;
    clock.wall_offset_ms = offset_ms;
    pass_a_millisecond();
    clock_update(&clock);
    ck_assert_int_eq(clock.wall_offset_ms, offset_ms);
    clock.wall_offset_ms = offset_ms - 10;
    pass_a_millisecond();
    clock_update(&clock);
    ck_assert_int_eq(clock.wall_offset_ms, offset_ms - 10);
}
END_TEST

START_TEST(a_step_of_the_wall_clock_is_followed)
{
    static const int64_t steps_ms[] = {3600000, -3600000, 100, -100};
    struct clock clock;
    clock_init(&clock);
    int64_t offset_ms = clock.wall_offset_ms;
    for (unsigned i = 0; i < 4; i++) {
        clock.wall_offset_ms = offset_ms + steps_ms[i];
        pass_a_millisecond();
        clock_update(&clock);
        ck_assert_int_le(llabs(clock.wall_offset_ms - offset_ms), 20);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tcase = tcase_create("clock");
    tcase_add_test(tcase, a_manual_clock_stands_still);
    tcase_add_test(tcase, the_system_clock_goes_forward);
    tcase_add_test(tcase, wall_time_is_the_systems);
    tcase_add_test(tcase, small_differences_change_no_offset);
    tcase_add_test(tcase, a_step_of_the_wall_clock_is_followed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
