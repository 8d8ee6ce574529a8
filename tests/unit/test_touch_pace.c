/* TOUCH for L2 (src/tier/touch.h): rounds and batches in time, and what ends them early. */
#include "touch_support.h"

/* Pace */

START_TEST(test_one_batch_in_flight)
{
    put_and_hit_many(500);
    pass_ms(INTERVAL_MS);
    for (unsigned i = 0; i < 9; i++)
        pass_ms(INTERVAL_MS / 10);
    ck_assert(answer());
    ck_assert_uint_eq(n_commands, 1);
    ck_assert_uint_eq(n_named, TOUCH_KEYS_MAX);
    ck_assert(!answer()); /* not in the same millisecond */
    pass_ms(1);
    ck_assert(answer());
    ck_assert_uint_eq(n_commands, 2);
    answer_for_ms(INTERVAL_MS);
    ck_assert_uint_eq(n_commands, 500 / TOUCH_KEYS_MAX + 1);
    ck_assert_uint_eq(n_named, 500);
    ck_assert_uint_eq(max_keys, TOUCH_KEYS_MAX);
    qsort(named, n_named, sizeof(named[0]), compare);
    for (size_t i = 1; i < n_named; i++)
        ck_assert_str_ne(named[i - 1], named[i]);
}
END_TEST

START_TEST(test_round_is_spread_over_the_interval)
{
    put_and_hit_many(10000);
    answer_for_ms(INTERVAL_MS);
    ck_assert_uint_lt(n_named, 500);
    for (size_t tenth = 1; tenth <= 10; tenth++) {
        answer_for_ms(INTERVAL_MS / 10);
        ck_assert_uint_ge(n_named + 500, tenth * 1000);
        ck_assert_uint_le(n_named, tenth * 1000 + 500);
    }
    answer_for_ms(INTERVAL_MS / 10);
    ck_assert_uint_eq(n_named, 10000);
    ck_assert_uint_eq(counters().touch_rounds, 1);
    ck_assert_uint_ge(counters().touch_commands, 10000 / TOUCH_KEYS_MAX);
    ck_assert_uint_le(counters().touch_commands,
                      10000 / TOUCH_KEYS_MAX + INTERVAL_MS / HOLD_MS + 1);
}
END_TEST

/* However long the round takes. */
START_TEST(test_a_batch_that_is_not_full_does_not_wait)
{
    configure(100 * INTERVAL_MS);
    put_and_hit_many(10000);
    for (unsigned i = 0; i < 10000; i++) { /* leaves one hit in twenty */
        char key[32];
        snprintf(key, sizeof(key), "k%u", i);
        if (i % 20 != 0)
            put_in(0, key, ENTRY_STRING);
    }
    pass_ms(100 * INTERVAL_MS);
    ck_assert(!answer());
    pass_ms(HOLD_MS - 1);
    ck_assert(!answer());
    pass_ms(1);
    ck_assert(answer());
    ck_assert_uint_gt(n_named, 0);
    ck_assert_uint_le(n_named, TOUCH_KEYS_MAX);
}
END_TEST

/* L2 takes its time: the next round begins when this one has ended. */
START_TEST(test_a_round_that_takes_longer_than_the_interval)
{
    put_and_hit_many(500);
    pass_ms(INTERVAL_MS);
    for (unsigned i = 0; i < 500 / TOUCH_KEYS_MAX + 1; i++) {
        pass_ms(INTERVAL_MS / 4);
        ck_assert(answer());
        pass_ms(1);
    }
    ck_assert_uint_eq(n_named, 500);
    ck_assert_uint_eq(counters().touch_rounds, 1);
    n_named = 0;
    put_and_hit("a");
    answer_for_ms(INTERVAL_MS + INTERVAL_MS / 10);
    ck_assert_str_eq(all_named(), "0/a");
    ck_assert_uint_eq(counters().touch_rounds, 2);
}
END_TEST

/* The index that a round began with may be gone at its end. */
START_TEST(test_l1_shrinks_meanwhile)
{
    put_and_hit_many(10000);
    answer_for_ms(INTERVAL_MS + INTERVAL_MS / 2);
    tier_drop_all(tier);
    while (store_cycle(tier_store(tier), loop.clock.mono_ms, 1000000))
        continue;
    n_named = 0;
    put_and_hit("a");
    answer_for_ms(2 * INTERVAL_MS);
    ck_assert_str_eq(all_named(), "0/a");
    ck_assert_uint_ge(counters().touch_rounds, 2);
}
END_TEST

START_TEST(test_a_full_link_is_left_alone)
{
    put_and_hit("a");
    pass_ms(INTERVAL_MS - 1);
    unsigned n_passed = 0;
    for (unsigned i = 0; i < 1000; i++)
        tier_pass(tier, 0, BYTES("*1\r\n$4\r\nTIME\r\n"), ignore_reply, &n_passed);
    ck_assert(link_is_full(tier_link(tier)));
    TURN_UNTIL(&loop, upstream.said.len >= 1000 * 6 - 2);
    upstream.said.len = 0;
    for (unsigned i = 0; i < 40; i++) {
        pass_ms(INTERVAL_MS / 50); /* below the deadline of what is in flight */
        ck_assert_uint_eq(upstream.said.len, 0);
    }
    upstream_say(":1\r\n:1\r\n");
    turn_times(&loop, 4);
    pass_ms(10);
    upstream_expect("TOUCH a");
    for (unsigned i = 0; i < 1000; i++)
        upstream_say(":1\r\n");
    TURN_UNTIL(&loop, counters().touch_rounds == 1);
}
END_TEST

/* Trouble */

START_TEST(test_a_refusal_ends_the_round)
{
    put_and_hit_many(500);
    pass_ms(INTERVAL_MS);
    TURN_UNTIL(&loop, upstream.said.len > 0);
    upstream.said.len = 0;
    upstream_say("-NOPERM this user has no permissions to run the 'touch' command\r\n");
    TURN_UNTIL(&loop, counters().touch_errors == 1);
    for (unsigned i = 0; i < 9; i++)
        pass_ms(INTERVAL_MS / 10);
    upstream_expect("");
    ck_assert_uint_eq(counters().touch_rounds, 0);
    answer_for_ms(INTERVAL_MS +
                  INTERVAL_MS / 10); /* what was lost was lost, the next round is whole */
    ck_assert_uint_gt(n_named, 500 - 3 * TOUCH_KEYS_MAX);
    ck_assert_uint_eq(counters().touch_rounds, 1);
}
END_TEST

START_TEST(test_another_policy_ends_the_round)
{
    put_and_hit_many(500);
    upstream.policy = "noeviction"; /* as L2 tells when the round begins */
    pass_ms(INTERVAL_MS);
    ck_assert(answer());
    answer_for_ms(INTERVAL_MS / 2);
    ck_assert_uint_eq(n_named, TOUCH_KEYS_MAX);
    ck_assert_uint_eq(counters().touch_rounds, 0);
}
END_TEST

START_TEST(test_a_lost_link_ends_the_round)
{
    put_and_hit_many(500);
    pass_ms(INTERVAL_MS);
    TURN_UNTIL(&loop, upstream.said.len > 0);
    upstream.said.len = 0;
    upstream_hang_up();
    TURN_UNTIL(&loop, counters().touch_errors == 1);
    ck_assert_uint_eq(n_entries(), 0);
    pass_ms(10);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    put_and_hit("a");
    answer_for_ms(2 * INTERVAL_MS);
    ck_assert_str_eq(all_named(), "0/a");
}
END_TEST

START_TEST(test_no_reply_ends_the_round)
{
    put_and_hit_many(500);
    pass_ms(INTERVAL_MS);
    TURN_UNTIL(&loop, upstream.said.len > 0);
    pass_ms(1001); /* its deadline */
    ck_assert_uint_eq(counters().touch_errors, 1);
}
END_TEST

START_TEST(test_destroy_before_and_after_the_reply)
{
    put_and_hit("a");
    put_in(3, "a", ENTRY_STRING);
    hit_in(3, "a");
    pass_ms(INTERVAL_MS);
    touch_destroy(touch);
    if (_i == 0) {
        upstream_say(":1\r\n");
        upstream_say("+OK\r\n:1\r\n");
        turn_times(&loop, 3);
    } /* else the link fails them, within tier_destroy */
    touch = NULL;
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_one_batch_in_flight);
    tcase_add_test(tcase, test_round_is_spread_over_the_interval);
    tcase_add_test(tcase, test_a_batch_that_is_not_full_does_not_wait);
    tcase_add_test(tcase, test_a_round_that_takes_longer_than_the_interval);
    tcase_add_test(tcase, test_l1_shrinks_meanwhile);
    tcase_add_test(tcase, test_a_full_link_is_left_alone);
    tcase_add_test(tcase, test_a_refusal_ends_the_round);
    tcase_add_test(tcase, test_another_policy_ends_the_round);
    tcase_add_test(tcase, test_a_lost_link_ends_the_round);
    tcase_add_test(tcase, test_no_reply_ends_the_round);
    tcase_add_loop_test(tcase, test_destroy_before_and_after_the_reply, 0, 2);
}

int main(void)
{
    return touch_run("touch_pace", add_tests);
}
