/* A link's tracking (src/upstream/link_tracking.c): the modes, steps down and up, and changes of the
 * options. The test moves the clock. */
#include "link_tracking_support.h"

/* Modes */

START_TEST(test_modes)
{
    static const struct {
        enum link_tracking tracking;
        const char *prefix;
        const char *said; /* NULL: nothing of tracking */
        bool a, ab, b;    /* tracked */
    } modes[] = {
        {LINK_TRACKING_NONE, NULL, NULL, false, false, false},
        {LINK_TRACKING_NONE, "a", NULL, false, false, false},
        {LINK_TRACKING_KEYS, NULL, "CLIENT.TRACKING.ON ", true, true, true},
        {LINK_TRACKING_KEYS, "ab", "CLIENT.TRACKING.ON ", true, true, true},
        {LINK_TRACKING_BROADCAST, NULL, "CLIENT.TRACKING.ON.BCAST ", true, true, true},
        {LINK_TRACKING_BROADCAST, "ab", "CLIENT.TRACKING.ON.BCAST.PREFIX.ab.PREFIX.c: ", false,
         true, false},
    };
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        start(modes[i].tracking, modes[i].prefix, "c:");
        ck_assert_mode(modes[i].tracking, 0, 0);
        ck_assert_int_eq(figures().tracking_wanted, modes[i].tracking);
        if (modes[i].said != NULL)
            ck_assert_ptr_nonnull(strstr(fake.greeting, modes[i].said));
        else
            ck_assert_ptr_null(strstr(fake.greeting, "TRACKING"));
        ck_assert_int_eq(tracks("a"), modes[i].a);
        ck_assert_int_eq(tracks("ab"), modes[i].ab);
        ck_assert_int_eq(tracks("abc"), modes[i].ab);
        ck_assert_int_eq(tracks("b"), modes[i].b);
        ck_assert_int_eq(tracks(""), modes[i].b);
        ck_assert_uint_eq(heard.n_modes, 0);
        fake_hang_up();
        TURN_UNTIL(&loop, heard.n_down == i + 1);
        ck_assert(!tracks("ab"));
        TURN_UNTIL(&loop, heard.n_up == 2 * i + 2); /* and again */
        ck_assert_mode(modes[i].tracking, 0, 0);
        link_destroy(link_);
        link_ = NULL;
        TURN_UNTIL(&loop, fake.fd < 0);
    }
}
END_TEST

/* Steps */

START_TEST(test_steps_down_in_the_handshake)
{
    fake.broadcast = "-ERR syntax error\r\n";
    start(LINK_TRACKING_BROADCAST, "a", NULL);
    ck_assert_uint_eq(heard.n_up, 1);
    ck_assert_mode(LINK_TRACKING_KEYS, 1, 0);
    ck_assert(tracks("b")); /* this mode knows no prefixes */
    fake.tracking = NO_PERMISSION;
    fake_hang_up();
    TURN_UNTIL(&loop, heard.n_up == 2);
    ck_assert_mode(LINK_TRACKING_NONE, 2, 0);
    fake_hang_up();
    pass_ms(BACKOFF_MAX_MS);
    TURN_UNTIL(&loop, heard.n_up == 3);
    ck_assert_mode(LINK_TRACKING_NONE, 2, 0); /* no news */
    fake.tracking = "+OK\r\n";
    fake.broadcast = NULL;
    fake_hang_up();
    pass_ms(BACKOFF_MAX_MS);
    TURN_UNTIL(&loop, heard.n_up == 4);
    ck_assert_mode(LINK_TRACKING_BROADCAST, 2, 1);
}
END_TEST

START_TEST(test_steps_down_without_resp3)
{
    fake.hello = "-NOPROTO unsupported protocol version\r\n";
    start(LINK_TRACKING_BROADCAST, "a", NULL);
    ck_assert_mode(LINK_TRACKING_NONE, 1, 0);
    pass_ms(2 * RETRY_MS);
    ck_assert_uint_eq(times("TRACKING"), 1); /* said behind HELLO 3, before its answer */
    configure(LINK_TRACKING_KEYS, NULL, NULL);
    ck_assert_mode(LINK_TRACKING_NONE, 2, 0);
    ck_assert_uint_eq(times("TRACKING"), 1);
}
END_TEST

START_TEST(test_unexpected_answer_is_a_refusal)
{
    fake.tracking = "$2\r\nOK\r\n";
    start(LINK_TRACKING_KEYS, NULL, NULL);
    ck_assert_mode(LINK_TRACKING_NONE, 1, 0);
}
END_TEST

/* From nothing to what is wanted: every minute, less at most a quarter. */
START_TEST(test_steps_up)
{
    fake.trackinginfo = ON;
    fake.tracking = NO_PERMISSION;
    start(LINK_TRACKING_KEYS, NULL, NULL);
    ck_assert_mode(LINK_TRACKING_NONE, 1, 0);
    pass_ms(RETRY_MS - RETRY_MS / 4 - 1);
    ck_assert_uint_eq(times("TRACKING.ON"), 1);
    pass_ms(RETRY_MS / 4 + 1);
    TURN_UNTIL(&loop, times("TRACKING.ON") == 2);
    ck_assert_mode(LINK_TRACKING_NONE, 1, 0);
    ck_assert_uint_eq(heard.n_modes, 0); /* nothing was tracked, nothing is */
    fake.tracking = "+OK\r\n";
    for (unsigned i = 3; i < 6; i++) {
        pass_ms(RETRY_MS);
        TURN_UNTIL(&loop, link_get_tracking(link_) == LINK_TRACKING_KEYS);
        ck_assert_uint_eq(times("TRACKING.ON"), 3);
    }
    ck_assert_mode(LINK_TRACKING_KEYS, 1, 1);
    ck_assert_uint_eq(heard.n_modes, 1);
    ck_assert_uint_eq(heard.n_up, 1);
}
END_TEST

/* What is in between is better than nothing; trying again costs it, so that the wait doubles. */
START_TEST(test_steps_up_from_the_middle)
{
    fake.trackinginfo = ON;
    fake.broadcast = "-ERR syntax error\r\n";
    start(LINK_TRACKING_BROADCAST, NULL, NULL);
    ck_assert_mode(LINK_TRACKING_KEYS, 1, 0);
    int64_t wait_ms = RETRY_MS;
    for (unsigned n = 1; n < 9; n++) {
        fake.greeting[0] = '\0';
        pass_ms(wait_ms - wait_ms / 4 - 1);
        turn_times(&loop, 5);
        ck_assert_uint_eq(times("BCAST"), 0);
        pass_ms(wait_ms / 4 + 1);
        TURN_UNTIL(&loop, times("TRACKING.ON") == 2);
        ck_assert_ptr_nonnull(strstr(fake.greeting, "TRACKING.OFF CLIENT.TRACKING.ON.BCAST "));
        ck_assert_mode(LINK_TRACKING_KEYS, 1, 0);
        ck_assert_uint_eq(heard.n_modes, 2 * n);
        wait_ms = wait_ms * 2 < 64 * RETRY_MS ? wait_ms * 2 : 64 * RETRY_MS;
    }
    fake.broadcast = NULL;
    pass_ms(wait_ms);
    TURN_UNTIL(&loop, link_get_tracking(link_) == LINK_TRACKING_BROADCAST);
    ck_assert_mode(LINK_TRACKING_BROADCAST, 1, 1);
}
END_TEST

START_TEST(test_nothing_is_tried_again_without_an_interval)
{
    struct link_options options = options_for(LINK_TRACKING_KEYS, NULL, NULL);
    options.tracking_retry_ms = 0;
    fake.pong = "+PONG\r\n";
    fake.tracking = NO_PERMISSION;
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
    pass_ms(3600000);
    ck_assert_uint_eq(times("TRACKING.ON"), 1);
    turn_times(&loop, 5);
    /* With one, it counts from now. */
    options = options_for(LINK_TRACKING_KEYS, NULL, NULL);
    address_deinit(&options.address);
    options.tracking_retry_ms = 100;
    fake.tracking = "+OK\r\n";
    link_configure(link_, &options);
    pass_ms(101);
    TURN_UNTIL(&loop, link_get_tracking(link_) == LINK_TRACKING_KEYS);
    ck_assert_mode(LINK_TRACKING_KEYS, 1, 1);
}
END_TEST

/* An error that passes is no refusal: asked again soon. */
START_TEST(test_busy_upstream)
{
    start(LINK_TRACKING_NONE, NULL, NULL);
    fake.tracking = "-BUSY Redis is busy running a script.\r\n";
    configure(LINK_TRACKING_KEYS, NULL, NULL);
    TURN_UNTIL(&loop, times("TRACKING.ON") == 1);
    ck_assert_mode(LINK_TRACKING_NONE, 0, 0);
    fake.tracking = "+OK\r\n";
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, times("TRACKING.ON") == 2);
    ck_assert_mode(LINK_TRACKING_KEYS, 0, 0);
}
END_TEST

/* The answer comes when nobody waits any more, or not at all. */
START_TEST(test_late_answer)
{
    start(LINK_TRACKING_NONE, NULL, NULL);
    fake.tracking = NULL;
    configure(LINK_TRACKING_KEYS, NULL, NULL);
    TURN_UNTIL(&loop, strcmp(fake.said, "CLIENT.TRACKING.ON") == 0);
    pass_ms(TIMEOUT_MS / 2);
    fake_say(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"); /* not silent */
    TURN_UNTIL(&loop, figures().invalidations == 1);
    pass_ms(TIMEOUT_MS / 2 + 2);
    ck_assert_uint_eq(figures().timeouts, 1);
    ck_assert_mode(LINK_TRACKING_NONE, 0, 0);
    fake_say("+OK\r\n");
    TURN_UNTIL(&loop, link_get_tracking(link_) == LINK_TRACKING_KEYS);
    ck_assert_mode(LINK_TRACKING_KEYS, 0, 0);
    configure(LINK_TRACKING_BROADCAST, NULL, NULL);
    TURN_UNTIL(&loop, strstr(fake.said, "BCAST") != NULL);
    fake.tracking = "+OK\r\n";
    fake_hang_up();
    TURN_UNTIL(&loop, heard.n_up == 2);
    ck_assert_mode(LINK_TRACKING_BROADCAST, 0, 0);
}
END_TEST

/* Options */

START_TEST(test_switched_by_the_options)
{
    start(LINK_TRACKING_KEYS, NULL, NULL);
    fake.greeting[0] = '\0';
    configure(LINK_TRACKING_BROADCAST, "a", "b");
    ck_assert(!tracks("a")); /* from now on, until L2 says so */
    ck_assert_uint_eq(heard.n_modes, 1);
    TURN_UNTIL(&loop, tracks("a"));
    ck_assert_str_eq(fake.greeting,
                     "CLIENT.TRACKING.OFF CLIENT.TRACKING.ON.BCAST.PREFIX.a.PREFIX.b");
    ck_assert_uint_eq(heard.n_modes, 2);
    ck_assert(!tracks("c"));
    configure(LINK_TRACKING_BROADCAST, "a", "b"); /* the same */
    ck_assert(tracks("a"));
    configure(LINK_TRACKING_BROADCAST, "a", "c");
    ck_assert(!tracks("a") && !tracks("c"));
    TURN_UNTIL(&loop, tracks("c"));
    ck_assert(tracks("a") && !tracks("b"));
    configure(LINK_TRACKING_BROADCAST, NULL, NULL);
    TURN_UNTIL(&loop, tracks("x"));
    fake.greeting[0] = '\0';
    configure(LINK_TRACKING_NONE, NULL, NULL);
    ck_assert(!tracks("x"));
    TURN_UNTIL(&loop, strcmp(fake.greeting, "CLIENT.TRACKING.OFF") == 0);
    ck_assert_mode(LINK_TRACKING_NONE, 0, 0); /* what the operator does is no step */
    configure(LINK_TRACKING_KEYS, "of no", "use");
    TURN_UNTIL(&loop, tracks("x"));
    ck_assert_mode(LINK_TRACKING_KEYS, 0, 0);
    configure(LINK_TRACKING_KEYS, NULL, NULL);
    ck_assert(tracks("x"));
}
END_TEST

/* Only the answer to the last question counts. */
START_TEST(test_switched_again_before_the_answer)
{
    start(LINK_TRACKING_KEYS, NULL, NULL);
    fake.tracking = NULL;
    configure(LINK_TRACKING_BROADCAST, "a", NULL);
    configure(LINK_TRACKING_BROADCAST, "b", NULL);
    TURN_UNTIL(&loop, strcmp(fake.said, "CLIENT.TRACKING.ON.BCAST.PREFIX.a "
                                        "CLIENT.TRACKING.ON.BCAST.PREFIX.b") == 0);
    /* The answers to OFF have come before, since the fake gives these at once. */
    fake_say("+OK\r\n");
    turn_times(&loop, 5);
    ck_assert(!tracks("a") && !tracks("b"));
    fake_say("+OK\r\n");
    TURN_UNTIL(&loop, tracks("b"));
    ck_assert(!tracks("a"));
}
END_TEST

/* Which said the old mode. */
START_TEST(test_switched_during_the_handshake)
{
    fake.command = NULL; /* the test answers COMMAND */
    for (int i = 0; i < 2; i++) {
        struct link_options options =
            options_for(i == 0 ? LINK_TRACKING_KEYS : LINK_TRACKING_NONE, NULL, NULL);
        link_ = link_create(&loop, &options, &link_handlers, &heard);
        TURN_UNTIL(&loop, strcmp(fake.said, "COMMAND") == 0);
        ck_assert_int_eq(link_get_state(link_), LINK_HANDSHAKE);
        ck_assert_int_eq(figures().tracking, LINK_TRACKING_NONE); /* not before it is READY */
        fake.said[0] = '\0';
        configure(i == 0 ? LINK_TRACKING_NONE : LINK_TRACKING_BROADCAST, "a", NULL);
        fake_say(COMMAND_TABLE);
        TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
        ck_assert(!tracks("a"));
        if (i == 0)
            TURN_UNTIL(&loop, times("TRACKING.OFF") == 1);
        else
            TURN_UNTIL(&loop, tracks("a"));
        ck_assert(!tracks("b"));
        link_destroy(link_);
        link_ = NULL;
        TURN_UNTIL(&loop, fake.fd < 0);
    }
}
END_TEST

START_TEST(test_copies_of_options_are_deep)
{
    struct link_options options = options_for(LINK_TRACKING_BROADCAST, "a", "b");
    struct link_options copy;
    link_options_copy(&copy, &options);
    ck_assert_ptr_ne(copy.prefixes, options.prefixes);
    link_options_deinit(&options);
    ck_assert_uint_eq(copy.n_prefixes, 2);
    ck_assert_str_eq(copy.prefixes[1], "b");
    link_options_deinit(&copy);
    ck_assert_ptr_null(copy.prefixes);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_modes);
    tcase_add_test(tcase, test_steps_down_in_the_handshake);
    tcase_add_test(tcase, test_steps_down_without_resp3);
    tcase_add_test(tcase, test_unexpected_answer_is_a_refusal);
    tcase_add_test(tcase, test_steps_up);
    tcase_add_test(tcase, test_steps_up_from_the_middle);
    tcase_add_test(tcase, test_nothing_is_tried_again_without_an_interval);
    tcase_add_test(tcase, test_busy_upstream);
    tcase_add_test(tcase, test_late_answer);
    tcase_add_test(tcase, test_switched_by_the_options);
    tcase_add_test(tcase, test_switched_again_before_the_answer);
    tcase_add_test(tcase, test_switched_during_the_handshake);
    tcase_add_test(tcase, test_copies_of_options_are_deep);
}

int main(void)
{
    return run_suite("link_tracking", add_tests);
}
