/* The circuit breaker (src/upstream/breaker.h): what opens it, when it probes, what closes it. */
#include "upstream/breaker.h"

#include <check.h>
#include <stdlib.h>

#define WAIT_MIN 50
#define WAIT_MAX 180
#define START 1000000

static struct breaker breaker;

static void start(void)
{
    struct breaker_options options = {
        .failures = 3, .error_percent = 50, .wait_min_ms = WAIT_MIN, .wait_max_ms = WAIT_MAX};
    breaker_init(&breaker, &options);
    breaker_close(&breaker, START); /* the window begins */
}

static void miss(unsigned n, int64_t now_ms)
{
    for (unsigned i = 0; i < n; i++)
        breaker_failure(&breaker, now_ms);
}

START_TEST(test_failures_in_a_row_open_it)
{
    miss(2, START);
    breaker_success(&breaker);
    miss(2, START);
    ck_assert(breaker_allows(&breaker));
    ck_assert_int_eq(breaker_probe_due_ms(&breaker), INT64_MAX);
    miss(1, START);
    ck_assert(!breaker_allows(&breaker));
    ck_assert_int_eq(breaker.state, BREAKER_OPEN);
    ck_assert_int_eq(breaker_probe_due_ms(&breaker), START + WAIT_MIN);
    ck_assert_uint_eq(breaker.opened, 1);
}
END_TEST

/* Half of twenty calls in the window fail, never two in a row. */
START_TEST(test_a_share_of_failures_opens_it)
{
    for (unsigned i = 0; i < 10; i++) {
        ck_assert(breaker_allows(&breaker));
        breaker_success(&breaker);
        miss(1, START + i);
    }
    ck_assert(!breaker_allows(&breaker));
}
END_TEST

START_TEST(test_old_calls_do_not_count)
{
    for (unsigned i = 0; i < 9; i++) {
        breaker_success(&breaker);
        miss(1, START);
    }
    breaker_success(&breaker);
    miss(1, START + BREAKER_WINDOW_MS);
    ck_assert(breaker_allows(&breaker));
    ck_assert_uint_eq(breaker.calls, 1);
}
END_TEST

START_TEST(test_few_calls_say_nothing_about_a_share)
{
    for (unsigned i = 0; i < BREAKER_WINDOW_CALLS / 2 - 1; i++) {
        miss(1, START);
        breaker_success(&breaker);
    }
    ck_assert(breaker_allows(&breaker));
}
END_TEST

START_TEST(test_a_row_goes_on_into_the_next_window)
{
    miss(2, START);
    miss(1, START + BREAKER_WINDOW_MS);
    ck_assert(!breaker_allows(&breaker));
}
END_TEST

START_TEST(test_waits_double_until_a_probe_is_answered)
{
    static const int64_t waits[] = {WAIT_MIN, 2 * WAIT_MIN, WAIT_MAX, WAIT_MAX};
    int64_t now = START;
    miss(3, now);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        ck_assert_int_eq(breaker_probe_due_ms(&breaker), now + waits[i]);
        now += waits[i];
        breaker_probe_begin(&breaker);
        ck_assert(!breaker_allows(&breaker));
        ck_assert_int_eq(breaker_probe_due_ms(&breaker), INT64_MAX);
        breaker_probe_end(&breaker, false, now);
    }
    breaker_probe_begin(&breaker);
    breaker_probe_end(&breaker, true, now);
    ck_assert(breaker_allows(&breaker));
    miss(2, now);
    ck_assert_msg(breaker_allows(&breaker), "the row starts anew");
    miss(1, now);
    ck_assert_int_eq(breaker_probe_due_ms(&breaker), now + WAIT_MIN);
    ck_assert_uint_eq(breaker.opened, 2);
}
END_TEST

/* What was sent before it opened says nothing; nor does the end of a probe that was not begun. */
START_TEST(test_only_a_probe_changes_an_open_breaker)
{
    miss(3, START);
    breaker_success(&breaker);
    miss(5, START + 10);
    breaker_probe_end(&breaker, true, START + 10);
    ck_assert_int_eq(breaker.state, BREAKER_OPEN);
    ck_assert_int_eq(breaker_probe_due_ms(&breaker), START + WAIT_MIN);
}
END_TEST

START_TEST(test_opened_and_closed_by_the_connection)
{
    breaker_open(&breaker, START);
    breaker_open(&breaker, START + 5);
    ck_assert_int_eq(breaker_probe_due_ms(&breaker), START + WAIT_MIN);
    breaker_close(&breaker, START + 7);
    ck_assert(breaker_allows(&breaker));
    ck_assert_uint_eq(breaker.transitions, 2);
}
END_TEST

START_TEST(test_switched_off)
{
    breaker_configure(&breaker, &(struct breaker_options){.wait_min_ms = 1, .wait_max_ms = 1});
    miss(1000, START);
    ck_assert(breaker_allows(&breaker));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("breaker");
    TCase *tcase = tcase_create("breaker");
    tcase_add_checked_fixture(tcase, start, NULL);
    tcase_add_test(tcase, test_failures_in_a_row_open_it);
    tcase_add_test(tcase, test_a_share_of_failures_opens_it);
    tcase_add_test(tcase, test_old_calls_do_not_count);
    tcase_add_test(tcase, test_few_calls_say_nothing_about_a_share);
    tcase_add_test(tcase, test_a_row_goes_on_into_the_next_window);
    tcase_add_test(tcase, test_waits_double_until_a_probe_is_answered);
    tcase_add_test(tcase, test_only_a_probe_changes_an_open_breaker);
    tcase_add_test(tcase, test_opened_and_closed_by_the_connection);
    tcase_add_test(tcase, test_switched_off);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
