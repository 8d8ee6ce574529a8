/* Whether L2 still tracks (src/upstream/link_tracking.c): CLIENT TRACKINGINFO in the place of pings,
 * and what is done about the answers; fences. The test moves the clock. */
#include "link_tracking_support.h"

/* Checks */

#define BCAST(prefixes)                                                                            \
    "%3\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$5\r\nbcast\r\n$8\r\nredirect\r\n:0\r\n"               \
    "$8\r\nprefixes\r\n" prefixes

static const struct {
    enum link_tracking tracking;
    const char *prefix;
    const char *answer;
    bool is_fine;
} answers[] = {
    {LINK_TRACKING_KEYS, NULL, ON, true},
    {LINK_TRACKING_KEYS, NULL, OFF, false},
    {LINK_TRACKING_KEYS, NULL, BCAST("*1\r\n$0\r\n\r\n"), false},
    {LINK_TRACKING_KEYS, NULL, "%1\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$3\r\nnew\r\n", true},
    {LINK_TRACKING_KEYS, NULL, "%1\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$5\r\noptin\r\n", false},
    {LINK_TRACKING_KEYS, NULL, "%1\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$6\r\nnoloop\r\n", false},
    {LINK_TRACKING_KEYS, NULL, "%2\r\n$5\r\nflags\r\n~1\r\n$2\r\non\r\n$8\r\nredirect\r\n:7\r\n",
     false},
    {LINK_TRACKING_KEYS, NULL, "*2\r\n$5\r\nflags\r\n*1\r\n$2\r\non\r\n", true},
    {LINK_TRACKING_KEYS, NULL, "%1\r\n$5\r\nflags\r\n~0\r\n", false},
    {LINK_TRACKING_KEYS, NULL, "%1\r\n$5\r\nflags\r\n~1\r\n*1\r\n$2\r\non\r\n", false},
    {LINK_TRACKING_KEYS, NULL, "%1\r\n$5\r\nflags\r\n$2\r\non\r\n", false},
    {LINK_TRACKING_KEYS, NULL, "%0\r\n", false},
    {LINK_TRACKING_KEYS, NULL, "+OK\r\n", false},
    {LINK_TRACKING_KEYS, NULL, "_\r\n", false},
    {LINK_TRACKING_BROADCAST, NULL, BCAST("*1\r\n$0\r\n\r\n"), true},
    {LINK_TRACKING_BROADCAST, NULL, BCAST("*0\r\n"), false},
    {LINK_TRACKING_BROADCAST, NULL, BCAST("*1\r\n$1\r\na\r\n"), false},
    {LINK_TRACKING_BROADCAST, NULL, ON, false},
    {LINK_TRACKING_BROADCAST, "a", BCAST("*2\r\n$1\r\nb\r\n$1\r\na\r\n"), true},
    {LINK_TRACKING_BROADCAST, "a", BCAST("*1\r\n$1\r\na\r\n"), false},
    {LINK_TRACKING_BROADCAST, "a", BCAST("*2\r\n$1\r\na\r\n$1\r\nc\r\n"), false},
    {LINK_TRACKING_BROADCAST, "a", BCAST("*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"), false},
};

START_TEST(test_checks)
{
    const char *other = answers[_i].prefix != NULL ? "b" : NULL;
    start(answers[_i].tracking, answers[_i].prefix, other);
    pass_ms(PING_INTERVAL_MS - 1);
    ck_assert_str_eq(fake.said, "");
    pass_ms(1);
    TURN_UNTIL(&loop, strcmp(fake.said, "CLIENT.TRACKINGINFO") == 0);
    fake.greeting[0] = '\0';
    fake_say(answers[_i].answer);
    turn_times(&loop, 6);
    ck_assert_uint_eq(figures().tracking_losses, answers[_i].is_fine ? 0 : 1);
    ck_assert_uint_eq(times("OFF"), answers[_i].is_fine ? 0 : 1);
    ck_assert_int_eq(link_get_tracking(link_) == answers[_i].tracking, answers[_i].is_fine);
    ck_assert_uint_eq(heard.n_down, 0);
}
END_TEST

/* Also on a link that hears something all the time; with others between, no PING. */
START_TEST(test_checked_all_the_time)
{
    fake.trackinginfo = ON;
    start(LINK_TRACKING_KEYS, NULL, NULL);
    fake.greeting[0] = '\0';
    for (unsigned i = 0; i < 16; i++) {
        uint64_t before = figures().invalidations;
        fake_say(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
        TURN_UNTIL(&loop, figures().invalidations == before + 1);
        pass_ms(PING_INTERVAL_MS / 4);
        turn_times(&loop, 3);
    }
    ck_assert_uint_eq(times("TRACKINGINFO"), 4);
    ck_assert_str_eq(fake.said, "");
    ck_assert_mode(LINK_TRACKING_KEYS, 0, 0);
    ck_assert_uint_eq(heard.n_modes, 0);
}
END_TEST

START_TEST(test_check_without_an_answer_takes_the_link_down)
{
    start(LINK_TRACKING_KEYS, NULL, NULL);
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, strcmp(fake.said, "CLIENT.TRACKINGINFO") == 0);
    fake_stop_listening();
    pass_ms(TIMEOUT_MS + 2);
    ck_assert_uint_eq(heard.n_down, 1);
}
END_TEST

/* Lost without a word: switched on again, and L1 told; nothing is stepped. */
START_TEST(test_lost_tracking_is_switched_on_again)
{
    fake.trackinginfo = ON;
    start(LINK_TRACKING_KEYS, NULL, NULL);
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, times("TRACKINGINFO") == 1);
    for (unsigned i = 1; i < 4; i++) {
        turn_times(&loop, 5);
        fake.trackinginfo = OFF;
        fake.greeting[0] = '\0';
        pass_ms(PING_INTERVAL_MS);
        TURN_UNTIL(&loop, strcmp(fake.greeting, "CLIENT.TRACKINGINFO CLIENT.TRACKING.OFF "
                                                "CLIENT.TRACKING.ON") == 0);
        ck_assert_mode(LINK_TRACKING_KEYS, 0, 0);
        ck_assert_uint_eq(figures().tracking_losses, i);
        ck_assert_uint_eq(heard.n_modes, 2 * i);
        fake.trackinginfo = ON;
        pass_ms(PING_INTERVAL_MS);
        TURN_UNTIL(&loop, times("TRACKINGINFO") == 2);
    }
    ck_assert_uint_eq(heard.n_down, 0);
}
END_TEST

/* Who says yes and never does it is not believed for long. */
START_TEST(test_false_promises_step_down)
{
    fake.trackinginfo = OFF;
    start(LINK_TRACKING_BROADCAST, NULL, NULL);
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, figures().tracking_losses == 1);
    ck_assert_mode(LINK_TRACKING_KEYS, 1, 0);
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, figures().tracking_losses == 2);
    ck_assert_mode(LINK_TRACKING_NONE, 2, 0);
    pass_ms(2 * RETRY_MS - 2 * RETRY_MS / 4 - 1); /* each disappointment doubles the wait */
    ck_assert_mode(LINK_TRACKING_NONE, 2, 0);
    fake.trackinginfo = BCAST("*1\r\n$0\r\n\r\n");
    pass_ms(4 * RETRY_MS);
    TURN_UNTIL(&loop, link_get_tracking(link_) == LINK_TRACKING_BROADCAST);
    for (int i = 0; i < 3; i++) {
        pass_ms(PING_INTERVAL_MS);
        turn_times(&loop, 5);
    }
    ck_assert_mode(LINK_TRACKING_BROADCAST, 2, 1);
}
END_TEST

/* Redis 6.0 has no TRACKINGINFO, an ACL may deny it: it is pinged as ever, and believed. */
START_TEST(test_upstream_that_does_not_tell)
{
    fake.trackinginfo = "-ERR Unknown subcommand or wrong number of arguments\r\n";
    start(LINK_TRACKING_KEYS, NULL, NULL);
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, times("TRACKINGINFO") == 1);
    turn_times(&loop, 5);
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, times("PING") == 1);
    ck_assert_mode(LINK_TRACKING_KEYS, 0, 0);
    ck_assert_uint_eq(figures().tracking_losses, 0);
    fake_hang_up(); /* the next one may */
    TURN_UNTIL(&loop, heard.n_up == 2);
    fake.trackinginfo = ON;
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, times("TRACKINGINFO") == 1);
}
END_TEST

START_TEST(test_busy_upstream_is_asked_again)
{
    fake.trackinginfo = "-BUSY Redis is busy running a script.\r\n";
    start(LINK_TRACKING_KEYS, NULL, NULL);
    for (unsigned i = 1; i < 4; i++) {
        pass_ms(PING_INTERVAL_MS);
        TURN_UNTIL(&loop, times("TRACKINGINFO") == i);
        turn_times(&loop, 5);
    }
    ck_assert_mode(LINK_TRACKING_KEYS, 0, 0);
}
END_TEST

/* The answer to a question from before a switch says nothing about what is in force now. */
START_TEST(test_check_from_before_a_switch)
{
    start(LINK_TRACKING_KEYS, NULL, NULL);
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, strcmp(fake.said, "CLIENT.TRACKINGINFO") == 0);
    fake.tracking = NULL;
    configure(LINK_TRACKING_BROADCAST, NULL, NULL);
    TURN_UNTIL(&loop, strcmp(fake.said, "CLIENT.TRACKINGINFO CLIENT.TRACKING.ON.BCAST") == 0);
    /* OFF was answered out of turn by the fake: it counts as the check's answer. */
    fake_say(ON "+OK\r\n");
    TURN_UNTIL(&loop, link_get_tracking(link_) == LINK_TRACKING_BROADCAST);
    ck_assert_uint_eq(figures().tracking_losses, 0);
}
END_TEST

/* Fences */

START_TEST(test_fence)
{
    struct op *ops = new_ops(4);
    start(LINK_TRACKING_BROADCAST, NULL, NULL);
    send_op(0, "GET a", &ops[0]);
    struct link_fence fence = link_set_fence(link_);
    send_op(0, "GET b", &ops[1]);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a GET.b") == 0);
    ck_assert(!link_is_past_fence(link_, fence));
    fake_say("+a\r\n");
    ck_assert_op(&ops[0], LINK_REPLY, "+a");
    ck_assert(!link_is_past_fence(link_, fence)); /* it was given before */
    fake_say("+b\r\n");
    ck_assert_op(&ops[1], LINK_REPLY, "+b");
    ck_assert(link_is_past_fence(link_, fence));
    fence = link_set_fence(link_);
    ck_assert(!link_is_past_fence(link_, fence));
    fake_hang_up();
    TURN_UNTIL(&loop, heard.n_up == 2);
    ck_assert(link_is_past_fence(link_, fence));
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, test_checks, 0, sizeof(answers) / sizeof(answers[0]));
    tcase_add_test(tcase, test_checked_all_the_time);
    tcase_add_test(tcase, test_check_without_an_answer_takes_the_link_down);
    tcase_add_test(tcase, test_lost_tracking_is_switched_on_again);
    tcase_add_test(tcase, test_false_promises_step_down);
    tcase_add_test(tcase, test_upstream_that_does_not_tell);
    tcase_add_test(tcase, test_busy_upstream_is_asked_again);
    tcase_add_test(tcase, test_check_from_before_a_switch);
    tcase_add_test(tcase, test_fence);
}

int main(void)
{
    return run_suite("link_checks", add_tests);
}
