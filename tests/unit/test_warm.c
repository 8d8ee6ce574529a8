/* Warming jobs at work (src/tier/warm.h): pace, trouble with L2, a full L1, the three sources. */
#include "warm_support.h"

START_TEST(keys_are_counted_by_what_became_of_them)
{
    struct bytes keys[] = {BYTES("one"), BYTES("have"), BYTES("gone"), BYTES("list"), BYTES("big")};
    put("have", 4, "x", 1);
    struct warm_spec spec = keys_spec(keys, 5);
    spec.ttl_ms = 60000;
    uint64_t id = start(&spec);
    ck_assert_uint_eq(id, 1);
    ck_assert_uint_eq(t.n_fetches, 0); /* not inside the call */
    turns(1);
    ck_assert_uint_eq(t.n_pending, 4);
    ck_assert_int_eq(t.ttl_cap_ms, 60000);
    check_state(id, WARM_RUNNING, "");
    answer_value("value");
    answer(TIER_ABSENT, "");
    answer(TIER_ERROR, "-WRONGTYPE Operation against a key\r\n");
    answer(TIER_STRING, "not kept");
    pass_ms(500);
    check_state(id, WARM_DONE, "");
    struct warm_figures f = figures_of(id);
    ck_assert_uint_eq(f.counts.asked, 5);
    ck_assert_uint_eq(f.counts.warmed, 1);
    ck_assert_uint_eq(f.counts.skipped, 1);
    ck_assert_uint_eq(f.counts.missing, 1);
    ck_assert_uint_eq(f.counts.failed, 2);
    ck_assert_uint_eq(f.counts.wrong_type, 1);
    ck_assert_uint_eq(f.counts.not_kept, 1);
    ck_assert_uint_eq(f.counts.bytes, 5);
    ck_assert_int_eq(f.elapsed_ms, 500);
    ck_assert_double_eq(f.rate, 10);
    ck_assert_int_eq(f.left_ms, 0);
    ck_assert_str_eq(f.last_error, "L1 did not keep a value: too big, or changed or expired "
                                   "meanwhile");
}
END_TEST

START_TEST(concurrency_and_turns_bound_what_is_in_flight)
{
    uint64_t id = start_n(100, (struct warm_spec){.concurrency = 20});
    turns(1);
    ck_assert_uint_le(t.n_pending, 8);
    turns(10);
    ck_assert_uint_eq(t.n_pending, 20);
    while (t.n_pending > 0) {
        answer_value("v");
        turns(1);
    }
    ck_assert_uint_eq(t.max_pending, 20);
    ck_assert_uint_eq(figures_of(id).counts.warmed, 100);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(two_jobs_share_the_turns)
{
    uint64_t a = start_n(1000, (struct warm_spec){.concurrency = 500});
    uint64_t b = start_n(1000, (struct warm_spec){.concurrency = 500, .db = 1});
    turns(20);
    ck_assert_uint_eq(t.n_pending, 160);
    ck_assert_uint_eq(figures_of(a).in_flight, 80);
    ck_assert_uint_eq(figures_of(b).in_flight, 80);
}
END_TEST

START_TEST(many_known_keys_take_several_turns)
{
    for (int i = 0; i < 2000; i++) {
        char key[16];
        put(key, (size_t)snprintf(key, sizeof(key), "k%d", i), "v", 1);
    }
    uint64_t id = start_n(2000, (struct warm_spec){0});
    turns(1);
    ck_assert_uint_le(figures_of(id).counts.skipped, 256);
    check_state(id, WARM_RUNNING, "");
    turns(10);
    ck_assert_uint_eq(figures_of(id).counts.skipped, 2000);
    ck_assert_uint_eq(t.n_fetches, 0);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(a_full_link_gets_nothing_more)
{
    t.is_full = true;
    uint64_t id = start_n(3, (struct warm_spec){0});
    for (int i = 0; i < 20; i++)
        pass_ms(5);
    ck_assert_uint_eq(t.n_fetches, 0);
    check_state(id, WARM_RUNNING, "");
    t.is_full = false;
    pass_ms(5);
    ck_assert_uint_eq(t.n_fetches, 3);
}
END_TEST

START_TEST(rate_is_kept)
{
    start_n(500, (struct warm_spec){.rate = 50, .concurrency = 1000});
    for (int i = 0; i < 200; i++)
        pass_ms(5);
    ck_assert_uint_ge(t.n_fetches, 48);
    ck_assert_uint_le(t.n_fetches, 52);
}
END_TEST

START_TEST(a_high_rate_is_reached_in_steps)
{
    start_n(2000, (struct warm_spec){.rate = 1000, .concurrency = 1000});
    for (int i = 0; i < 50; i++) {
        pass_ms(10);
        turns(3);
    }
    ck_assert_uint_ge(t.n_fetches, 480);
    ck_assert_uint_le(t.n_fetches, 521);
}
END_TEST

START_TEST(limit_bounds_the_keys)
{
    uint64_t id = start_n(50, (struct warm_spec){.limit = 3});
    turns(1);
    ck_assert_uint_eq(t.n_pending, 3);
    while (t.n_pending > 0)
        answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.asked, 3);
}
END_TEST

START_TEST(time_left_is_estimated)
{
    uint64_t id = start_n(40, (struct warm_spec){.concurrency = 1});
    ck_assert_int_eq(figures_of(id).left_ms, -1);
    turns(1);
    for (int i = 0; i < 9; i++) {
        pass_ms(100);
        answer_value("v");
        turns(1);
    }
    struct warm_figures f = figures_of(id); /* the tenth is under way after 900 ms */
    ck_assert_int_eq(f.left_ms, 2700);
    ck_assert_double_eq(f.rate, 10);
}
END_TEST

START_TEST(a_job_waits_for_the_link_and_goes_on)
{
    t.state = LINK_DOWN;
    uint64_t id = start_n(2, (struct warm_spec){0});
    pass_ms(1);
    check_state(id, WARM_PAUSED, "waiting for L2");
    ck_assert_str_eq(figures_of(id).last_error, "Connection refused");
    for (int i = 0; i < 50; i++)
        pass_ms(1 * SECOND_MS);
    check_state(id, WARM_PAUSED, "waiting for L2");
    ck_assert_uint_eq(t.n_fetches, 0);
    t.state = LINK_READY;
    pass_ms(SECOND_MS);
    ck_assert_uint_eq(t.n_pending, 1); /* one, to see */
    answer_value("v");
    turns(1);
    check_state(id, WARM_RUNNING, "");
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(a_job_gives_the_link_up_after_a_minute)
{
    t.state = LINK_CONNECTING;
    uint64_t id = start_n(2, (struct warm_spec){0});
    for (int i = 0; i < 59; i++)
        pass_ms(1 * SECOND_MS);
    check_state(id, WARM_PAUSED, "waiting for L2");
    pass_ms(1 * SECOND_MS);
    pass_ms(1 * SECOND_MS);
    check_state(id, WARM_FAILED, "L2 did not answer for 60 s");
}
END_TEST

START_TEST(a_lost_link_costs_no_key)
{
    uint64_t id = start_n(5, (struct warm_spec){.concurrency = 3});
    turns(1);
    t.state = LINK_DOWN;
    for (int i = 0; i < 3; i++)
        answer(TIER_ERROR, "-UPSTREAM link lost\r\n");
    turns(2);
    ck_assert_uint_eq(t.n_pending, 0);
    check_state(id, WARM_PAUSED, "waiting for L2");
    ck_assert_uint_eq(figures_of(id).in_flight, 3); /* they wait */
    t.state = LINK_READY;
    pass_ms(200);
    while (t.n_pending > 0) {
        answer_value("v");
        turns(1);
    }
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.warmed, 5);
    ck_assert_uint_eq(figures_of(id).counts.retried, 3);
}
END_TEST

START_TEST(a_key_that_is_cut_off_three_times_has_failed)
{
    uint64_t id = start_n(2, (struct warm_spec){.concurrency = 1});
    turns(1);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(t.n_pending, 1);
        answer(TIER_ERROR, "-UPSTREAM reply too big\r\n");
        turns(2);
        ck_assert_uint_eq(t.n_pending, 0); /* a wait comes first */
        for (int j = 0; j < 3 && t.n_pending == 0; j++)
            pass_ms(SECOND_MS);
    }
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.failed, 1);
    ck_assert_uint_eq(figures_of(id).counts.warmed, 1);
    ck_assert_str_eq(figures_of(id).last_error, "UPSTREAM reply too big");
}
END_TEST

START_TEST(an_l2_that_loads_is_waited_for)
{
    uint64_t id = start_n(1, (struct warm_spec){0});
    turns(1);
    for (int i = 0; i < 20; i++) {
        answer(TIER_ERROR, "-LOADING Redis is loading the dataset in memory\r\n");
        turns(1);
        check_state(id, WARM_PAUSED, "waiting for L2");
        ck_assert_uint_eq(t.n_pending, 0);
        pass_ms(1 * SECOND_MS);
        ck_assert_uint_eq(t.n_pending, 1);
    }
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.failed, 0);
}
END_TEST

START_TEST(an_l2_that_loads_for_ever_is_given_up)
{
    uint64_t id = start_n(1, (struct warm_spec){0});
    turns(1);
    for (int i = 0; i < 61 && t.n_pending > 0; i++) {
        answer(TIER_ERROR, "-LOADING\r\n");
        turns(1);
        pass_ms(1 * SECOND_MS);
    }
    check_state(id, WARM_FAILED, "L2 did not answer for 60 s");
    ck_assert_uint_eq(figures_of(id).counts.failed, 1);
}
END_TEST

START_TEST(a_full_l1_ends_the_job_and_evicts_nothing)
{
    tear_down();
    struct store_options options;
    store_options_default(&options);
    options.max_bytes = 100000;
    set_up_with(&options);
    uint64_t id = start_n(1000, (struct warm_spec){.concurrency = 4});
    char value[1001];
    memset(value, 'v', 1000);
    value[1000] = '\0';
    turns(1);
    while (t.n_pending > 0) {
        answer_value(value);
        turns(1);
    }
    check_state(id, WARM_STOPPED, "L1 is full");
    struct warm_figures f = figures_of(id);
    ck_assert_uint_gt(f.counts.warmed, 50);
    ck_assert_uint_lt(f.counts.warmed, 100);
    struct store_counters counters;
    store_read_counters(t.store, &counters);
    ck_assert_uint_eq(counters.evictions, 0);
}
END_TEST

START_TEST(entries_are_a_limit_too)
{
    tear_down();
    struct store_options options;
    store_options_default(&options);
    options.max_entries = 20;
    set_up_with(&options);
    uint64_t id = start_n(30, (struct warm_spec){0});
    turns(1);
    while (t.n_pending > 0) {
        answer_value("v");
        turns(1);
    }
    check_state(id, WARM_STOPPED, "L1 is full");
    ck_assert_uint_eq(figures_of(id).counts.warmed, 20);
}
END_TEST

START_TEST(what_a_flush_left_is_room_to_come)
{
    tear_down();
    struct store_options options;
    store_options_default(&options);
    options.max_entries = 20;
    set_up_with(&options);
    for (int i = 0; i < 20; i++) {
        char key[16];
        put(key, (size_t)snprintf(key, sizeof(key), "old%d", i), "v", 1);
    }
    store_flush_all(t.store);
    uint64_t id = start_n(1, (struct warm_spec){0});
    turns(3);
    check_state(id, WARM_RUNNING, "");
    ck_assert_uint_eq(t.n_pending, 0);
    while (store_cycle(t.store, t.loop.clock.mono_ms, 1000))
        ;
    pass_ms(20);
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(match_scans_page_by_page)
{
    uint64_t id = start_match("user:*", (struct warm_spec){.concurrency = 2});
    turns(1);
    ck_assert_str_eq(t.scan, "*8  $4  SCAN  $1  0  $5  COUNT  $3  100  $4  TYPE  $6  string  "
                             "$5  MATCH  $6  user:*  ");
    answer_scan("*2\r\n$2\r\n40\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    turns(1);
    ck_assert_uint_eq(t.n_scans, 1); /* its keys come first */
    answer_value("v");
    turns(1);
    ck_assert_uint_eq(t.n_scans, 1);
    answer_value("v");
    turns(1);
    ck_assert_uint_eq(t.n_scans, 2);
    ck_assert_ptr_nonnull(strstr(t.scan, "SCAN  $2  40  $5  COUNT  $3  200  "));
    answer_value("v");
    turns(1);
    answer_scan("*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
    turns(2);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.warmed, 3);
    ck_assert_uint_eq(figures_of(id).counts.skipped, 1);
}
END_TEST

START_TEST(an_l2_without_type_is_asked_without)
{
    uint64_t id = start_match("*", (struct warm_spec){0});
    turns(1);
    answer_scan("-ERR syntax error\r\n");
    turns(1);
    ck_assert_str_eq(t.scan, "*6  $4  SCAN  $1  0  $5  COUNT  $3  100  $5  MATCH  $1  *  ");
    answer_scan("*2\r\n$1\r\n0\r\n*0\r\n");
    turns(2);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(a_refused_scan_fails_the_job)
{
    uint64_t id = start_match("*", (struct warm_spec){0});
    turns(1);
    answer_scan("-NOPERM no\r\n");
    turns(1);
    answer_scan("-NOPERM no\r\n");
    turns(2);
    check_state(id, WARM_FAILED, "L2 refused SCAN: NOPERM no");
}
END_TEST

START_TEST(a_scan_that_is_cut_off_comes_again)
{
    uint64_t id = start_match("*", (struct warm_spec){0});
    turns(1);
    answer_scan("*2\r\n$1\r\n7\r\n*0\r\n");
    turns(1);
    answer_scan("-UPSTREAM link lost\r\n");
    turns(1);
    check_state(id, WARM_PAUSED, "waiting for L2");
    pass_ms(200);
    ck_assert_ptr_nonnull(strstr(t.scan, "SCAN  $1  7  "));
    answer_scan("*2\r\n$1\r\n0\r\n*0\r\n");
    turns(2);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(a_limit_ends_the_scan)
{
    uint64_t id = start_match("*", (struct warm_spec){.limit = 2});
    turns(1);
    answer_scan("*2\r\n$1\r\n7\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    turns(1);
    ck_assert_uint_eq(t.n_pending, 2);
    answer_value("v");
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(t.n_scans, 1);
}
END_TEST

START_TEST(a_file_is_warmed)
{
    write_file("list", "a\nbad\\q\nb\n", 10);
    struct warm_spec spec = {.kind = WARM_FILE, .text = BYTES("list"), .concurrency = 10};
    uint64_t id = start(&spec);
    turns(2);
    ck_assert_uint_eq(t.n_pending, 2);
    answer_value("v");
    answer(TIER_ABSENT, "");
    turns(2);
    check_state(id, WARM_DONE, "");
    struct warm_figures f = figures_of(id);
    ck_assert_uint_eq(f.counts.asked, 3);
    ck_assert_uint_eq(f.counts.bad_lines, 1);
    ck_assert_uint_eq(f.counts.failed, 1);
    ck_assert(bytes_equal(f.text, BYTES("list")));
    ck_assert_str_eq(f.last_error, "line 2 has an unknown escape");
}
END_TEST

START_TEST(a_long_line_fails_the_job)
{
    char *text = malloc(WARM_LINE_MAX + 100);
    memset(text, 'k', WARM_LINE_MAX + 100);
    memcpy(text, "a\n", 2);
    write_file("list", text, WARM_LINE_MAX + 100);
    free(text);
    struct warm_spec spec = {.kind = WARM_FILE, .text = BYTES("list"), .concurrency = 10};
    uint64_t id = start(&spec);
    turns(4);
    answer_value("v");
    turns(1);
    check_state(id, WARM_FAILED, "line 2 is longer than 65536 bytes");
    ck_assert_uint_eq(figures_of(id).counts.warmed, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("warm");
    TCase *tcase = tcase_create("warm");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, keys_are_counted_by_what_became_of_them);
    tcase_add_test(tcase, concurrency_and_turns_bound_what_is_in_flight);
    tcase_add_test(tcase, two_jobs_share_the_turns);
    tcase_add_test(tcase, many_known_keys_take_several_turns);
    tcase_add_test(tcase, a_full_link_gets_nothing_more);
    tcase_add_test(tcase, rate_is_kept);
    tcase_add_test(tcase, a_high_rate_is_reached_in_steps);
    tcase_add_test(tcase, limit_bounds_the_keys);
    tcase_add_test(tcase, time_left_is_estimated);
    tcase_add_test(tcase, a_job_waits_for_the_link_and_goes_on);
    tcase_add_test(tcase, a_job_gives_the_link_up_after_a_minute);
    tcase_add_test(tcase, a_lost_link_costs_no_key);
    tcase_add_test(tcase, a_key_that_is_cut_off_three_times_has_failed);
    tcase_add_test(tcase, an_l2_that_loads_is_waited_for);
    tcase_add_test(tcase, an_l2_that_loads_for_ever_is_given_up);
    tcase_add_test(tcase, a_full_l1_ends_the_job_and_evicts_nothing);
    tcase_add_test(tcase, entries_are_a_limit_too);
    tcase_add_test(tcase, what_a_flush_left_is_room_to_come);
    tcase_add_test(tcase, match_scans_page_by_page);
    tcase_add_test(tcase, an_l2_without_type_is_asked_without);
    tcase_add_test(tcase, a_refused_scan_fails_the_job);
    tcase_add_test(tcase, a_scan_that_is_cut_off_comes_again);
    tcase_add_test(tcase, a_limit_ends_the_scan);
    tcase_add_test(tcase, a_file_is_warmed);
    tcase_add_test(tcase, a_long_line_fails_the_job);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
