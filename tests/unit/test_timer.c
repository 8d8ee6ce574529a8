/* Timers (src/base/timer.h): order, moving, disarming, and callbacks that change the heap. */
#include "base/timer.h"

#include <check.h>
#include <stdlib.h>

#define N_TIMERS 500

struct probe {
    struct timer timer;
    struct timers *timers;
    struct probe *other; /* what the callback disarms or arms */
    unsigned n_runs;
};

static struct timers timers;
static struct probe probes[N_TIMERS];
static int64_t last_at_ms;

static void on_time(struct timer *timer, void *ctx)
{
    struct probe *probe = ctx;
    ck_assert_ptr_eq(timer, &probe->timer);
    ck_assert(!timer_is_armed(timer));
    if (timer->at_ms < last_at_ms)
        ck_abort_msg("out of order");
    last_at_ms = timer->at_ms;
    probe->n_runs++;
}

static void start(void)
{
    timers_init(&timers);
    last_at_ms = INT64_MIN;
    for (unsigned i = 0; i < N_TIMERS; i++) {
        probes[i] = (struct probe){.timers = &timers};
        timer_init(&probes[i].timer, on_time, &probes[i]);
    }
}

static void stop(void)
{
    timers_deinit(&timers);
}

static unsigned sum_of_runs(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < N_TIMERS; i++)
        n += probes[i].n_runs;
    return n;
}

/* The heap's order and the positions that timers know. */
static void check(void)
{
    for (size_t i = 1; i <= timers.len; i++) {
        if (timers.heap[i]->position != i ||
            timers.heap[i / 2 + (i == 1)]->at_ms > timers.heap[i]->at_ms)
            ck_abort_msg("broken at %zu", i);
    }
}

START_TEST(none)
{
    ck_assert_int_eq(timers_next_ms(&timers), INT64_MAX);
    timers_run(&timers, INT64_MAX);
    timer_disarm(&timers, &probes[0].timer);
    ck_assert(!timer_is_armed(&probes[0].timer));
}
END_TEST

START_TEST(due_ones_run_in_order)
{
    for (unsigned i = 0; i < N_TIMERS; i++) {
        timer_arm(&timers, &probes[i].timer, i * 7919 % N_TIMERS);
        check();
    }
    ck_assert_int_eq(timers_next_ms(&timers), 0);
    timers_run(&timers, -1);
    ck_assert_uint_eq(sum_of_runs(), 0);
    timers_run(&timers, 99);
    ck_assert_uint_eq(sum_of_runs(), 100);
    ck_assert_int_eq(timers_next_ms(&timers), 100);
    check();
    timers_run(&timers, INT64_MAX);
    ck_assert_uint_eq(sum_of_runs(), N_TIMERS);
    for (unsigned i = 0; i < N_TIMERS; i++)
        ck_assert_uint_eq(probes[i].n_runs, 1);
}
END_TEST

START_TEST(moving_and_disarming)
{
    unsigned x = 12345;
    for (unsigned i = 0; i < 20000; i++) {
        x = x * 1103515245 + 12345;
        struct timer *timer = &probes[(x >> 16) % N_TIMERS].timer;
        if ((x >> 8 & 3) == 0)
            timer_disarm(&timers, timer);
        else
            timer_arm(&timers, timer, (x >> 4) % 1000);
        ck_assert_int_eq(timer_is_armed(timer), (x >> 8 & 3) != 0);
        if (i % 50 == 0)
            check();
    }
    size_t n_armed = timers.len;
    timers_run(&timers, 1000);
    ck_assert_uint_eq(sum_of_runs(), n_armed);
    ck_assert_uint_eq(timers.len, 0);
}
END_TEST

static void disarm_other(struct timer *timer, void *ctx)
{
    struct probe *probe = ctx;
    on_time(timer, ctx);
    timer_disarm(probe->timers, &probe->other->timer);
}

START_TEST(a_callback_disarms_another_that_is_due)
{
    for (unsigned i = 0; i < 10; i++) {
        timer_init(&probes[i].timer, disarm_other, &probes[i]);
        probes[i].other = &probes[i ^ 1];
        timer_arm(&timers, &probes[i].timer, i);
    }
    timers_run(&timers, 100);
    for (unsigned i = 0; i < 10; i++)
        ck_assert_uint_eq(probes[i].n_runs, i % 2 == 0);
    ck_assert_uint_eq(timers.len, 0);
}
END_TEST

static void arm_again(struct timer *timer, void *ctx)
{
    struct probe *probe = ctx;
    probe->n_runs++;
    timer_arm(probe->timers, timer, 10);
}

/* Else a timer for "at once" would keep the loop from everything else. */
START_TEST(one_that_arms_itself_waits_for_the_next_call)
{
    timer_init(&probes[0].timer, arm_again, &probes[0]);
    timer_arm(&timers, &probes[0].timer, 5);
    timers_run(&timers, 10);
    ck_assert_uint_eq(probes[0].n_runs, 1);
    ck_assert(timer_is_armed(&probes[0].timer));
    timers_run(&timers, 10);
    ck_assert_uint_eq(probes[0].n_runs, 2);
}
END_TEST

START_TEST(others_run_beside_one_that_arms_itself)
{
    timer_init(&probes[0].timer, arm_again, &probes[0]);
    timer_arm(&timers, &probes[0].timer, 1);
    for (unsigned i = 1; i < 20; i++)
        timer_arm(&timers, &probes[i].timer, 20);
    timers_run(&timers, 20);
    ck_assert_uint_eq(probes[0].n_runs, 1);
    for (unsigned i = 1; i < 20; i++)
        ck_assert_uint_eq(probes[i].n_runs, 1);
}
END_TEST

static void arm_other(struct timer *timer, void *ctx)
{
    struct probe *probe = ctx;
    on_time(timer, ctx);
    timer_arm(probe->timers, &probe->other->timer, 50);
}

START_TEST(a_callback_moves_another_that_is_due)
{
    timer_init(&probes[0].timer, arm_other, &probes[0]);
    probes[0].other = &probes[1];
    for (unsigned i = 0; i < 3; i++)
        timer_arm(&timers, &probes[i].timer, i);
    timers_run(&timers, 10);
    ck_assert_uint_eq(probes[1].n_runs, 0);
    ck_assert_uint_eq(probes[2].n_runs, 1);
    ck_assert_int_eq(timers_next_ms(&timers), 50);
    timers_run(&timers, 50);
    ck_assert_uint_eq(probes[1].n_runs, 1);
}
END_TEST

START_TEST(deinit_disarms)
{
    for (unsigned i = 0; i < 50; i++)
        timer_arm(&timers, &probes[i].timer, i);
    timers_deinit(&timers);
    for (unsigned i = 0; i < 50; i++)
        ck_assert(!timer_is_armed(&probes[i].timer));
    timer_arm(&timers, &probes[0].timer, 1);
    timers_run(&timers, 1);
    ck_assert_uint_eq(probes[0].n_runs, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("timer");
    TCase *tcase = tcase_create("timer");
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, none);
    tcase_add_test(tcase, due_ones_run_in_order);
    tcase_add_test(tcase, moving_and_disarming);
    tcase_add_test(tcase, a_callback_disarms_another_that_is_due);
    tcase_add_test(tcase, one_that_arms_itself_waits_for_the_next_call);
    tcase_add_test(tcase, others_run_beside_one_that_arms_itself);
    tcase_add_test(tcase, a_callback_moves_another_that_is_due);
    tcase_add_test(tcase, deinit_disarms);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
