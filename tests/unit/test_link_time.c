/* A link's time (src/upstream/link.h): deadlines, late replies, silence, and new settings. The test
 * moves the clock. */
#include "link_fake.h"

static const char invalidation[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

/* Something arrives, so the link isn't silent. */
static void keep_alive(void)
{
    uint64_t before = figures().invalidations;
    fake_say(invalidation);
    TURN_UNTIL(&loop, figures().invalidations == before + 1);
}

START_TEST(test_late_reply_reaches_nobody)
{
    struct op *ops = new_ops(2);
    link_start_and_wait();
    send_op(0, "GET a", &ops[0]);
    pass_ms(TIMEOUT_MS - 100);
    keep_alive();
    ck_assert_uint_eq(ops[0].n_calls, 0);
    pass_ms(101);
    ck_assert_op(&ops[0], LINK_FAILED, "gave no reply within 1000 ms");
    ck_assert_uint_eq(figures().timeouts, 1);
    ck_assert_uint_eq(figures().inflight, 1); /* its reply is still owed */
    send_op(0, "GET b", &ops[1]);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a GET.b") == 0);
    fake_say("+late\r\n+b\r\n");
    ck_assert_op(&ops[1], LINK_REPLY, "+b");
    ck_assert_uint_eq(ops[0].n_calls, 1);
    ck_assert_uint_eq(heard.n_down, 0);
}
END_TEST

START_TEST(test_late_reply_to_a_write_is_told)
{
    struct op *ops = new_ops(1);
    link_start_and_wait();
    send_write(0, "SET a b", &ops[0]);
    pass_ms(TIMEOUT_MS - 100);
    keep_alive();
    pass_ms(101);
    ck_assert_op(&ops[0], LINK_FAILED, "gave no reply");
    fake_say("+OK\r\n");
    TURN_UNTIL(&loop, ops[0].n_calls == 2);
    ck_assert_int_eq(ops[0].outcomes[1], LINK_LATE);
    ck_assert_str_eq(ops[0].reply, "+OK");
    turn_times(&loop, 3);
    ck_assert_uint_eq(ops[0].n_calls, 2);
}
END_TEST

START_TEST(test_late_write_hears_of_the_loss_instead)
{
    struct op *ops = new_ops(1);
    link_start_and_wait();
    send_write(0, "SET a b", &ops[0]);
    pass_ms(TIMEOUT_MS - 100);
    keep_alive();
    pass_ms(101);
    ck_assert_uint_eq(ops[0].n_calls, 1);
    fake_hang_up();
    TURN_UNTIL(&loop, ops[0].n_calls == 2);
    ck_assert_int_eq(ops[0].outcomes[1], LINK_LATE);
    TURN_UNTIL(&loop, heard.n_up == 2);
    ck_assert_uint_eq(ops[0].n_calls, 2);
}
END_TEST

START_TEST(test_each_operation_has_its_own_deadline)
{
    struct op *ops = new_ops(3);
    link_start_and_wait();
    for (int i = 0; i < 3; i++) {
        send_op(0, "GET a", &ops[i]);
        pass_ms(300);
    }
    keep_alive();
    pass_ms(101); /* 1001 ms behind the first */
    ck_assert_uint_eq(ops[0].n_calls, 1);
    ck_assert_uint_eq(ops[1].n_calls, 0);
    pass_ms(300);
    ck_assert_uint_eq(ops[1].n_calls, 1);
    ck_assert_uint_eq(ops[2].n_calls, 0);
    fake_say("+1\r\n+2\r\n+3\r\n");
    ck_assert_op(&ops[2], LINK_REPLY, "+3");
}
END_TEST

/* The first operation after a change of the database is preceded by a SELECT, and has a deadline
 * all the same. */
START_TEST(test_deadline_behind_a_select)
{
    struct op *ops = new_ops(1);
    link_start_and_wait();
    turn_times(&loop, 3);
    send_op(5, "GET a", &ops[0]);
    pass_ms(TIMEOUT_MS + 2);
    ck_assert_uint_eq(ops[0].n_calls, 1);
    ck_assert_int_eq(ops[0].outcomes[0], LINK_FAILED);
}
END_TEST

START_TEST(test_sending_when_the_deadline_has_passed)
{
    struct op *ops = new_ops(2);
    ops[0].then = "GET b";
    ops[0].then_op = &ops[1];
    link_start_and_wait();
    send_op(0, "GET a", &ops[0]);
    pass_ms(TIMEOUT_MS - 100);
    keep_alive();
    pass_ms(101);
    ck_assert_uint_eq(ops[0].n_calls, 1);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a GET.b") == 0);
    fake_say("+late\r\n+b\r\n");
    ck_assert_op(&ops[1], LINK_REPLY, "+b");
}
END_TEST

/* Silence. Where L2 tracks, the PING is a question about that (test_link_checks.c). */

static void start_untracked(void)
{
    struct link_options options = link_options_for("");
    options.tracking = LINK_TRACKING_NONE;
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
}

START_TEST(test_silent_link_is_pinged)
{
    start_untracked();
    pass_ms(PING_INTERVAL_MS - 1);
    turn_times(&loop, 3);
    ck_assert_str_eq(fake.said, "");
    pass_ms(1);
    TURN_UNTIL(&loop, strcmp(fake.said, "PING") == 0);
    fake_say("+PONG\r\n");
    TURN_UNTIL(&loop, figures().inflight == 0);
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, strcmp(fake.said, "PING PING") == 0);
    fake_say("+PONG\r\n");
    TURN_UNTIL(&loop, figures().inflight == 0);
    ck_assert_uint_eq(heard.n_down, 0);
}
END_TEST

/* Invalidations alone don't tell how many more are on their way. */
START_TEST(test_link_that_hears_only_invalidations_is_pinged)
{
    link_start_and_wait();
    pass_ms(PING_INTERVAL_MS - 10);
    keep_alive();
    ck_assert_str_eq(fake.said, "");
    pass_ms(10);
    TURN_UNTIL(&loop, strcmp(fake.said, "CLIENT.TRACKINGINFO") == 0);
}
END_TEST

START_TEST(test_link_that_is_answered_is_not_pinged)
{
    struct op *ops = new_ops(5);
    start_untracked();
    for (int i = 0; i < 5; i++) {
        send_op(0, "GET a", &ops[i]);
        fake_say("+a\r\n");
        TURN_UNTIL(&loop, ops[i].n_calls == 1);
        pass_ms(PING_INTERVAL_MS - 10);
    }
    ck_assert_ptr_null(strstr(fake.said, "PING"));
}
END_TEST

/* A slow line: invalidations arrive all the time, and each later than the one before. */
START_TEST(test_link_that_falls_behind_is_taken_down)
{
    link_start_and_wait();
    for (int64_t ms = 0; ms < PING_INTERVAL_MS + TIMEOUT_MS - 100; ms += 100) {
        pass_ms(100);
        keep_alive();
    }
    ck_assert_uint_eq(heard.n_down, 0);
    pass_ms(101);
    ck_assert_uint_eq(heard.n_down, 1);
    ck_assert_ptr_nonnull(strstr(figures().last_error, "ms behind"));
}
END_TEST

START_TEST(test_link_without_tracking_may_be_behind)
{
    start_untracked();
    for (int64_t ms = 0; ms < 2 * (PING_INTERVAL_MS + TIMEOUT_MS); ms += 100) {
        pass_ms(100);
        keep_alive();
    }
    ck_assert_uint_eq(heard.n_down, 0);
    ck_assert_str_eq(fake.said, "");
}
END_TEST

START_TEST(test_ping_without_an_answer_takes_the_link_down)
{
    start_untracked();
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, strcmp(fake.said, "PING") == 0);
    pass_ms(TIMEOUT_MS);
    ck_assert_uint_eq(heard.n_down, 0);
    fake_stop_listening();
    pass_ms(2);
    ck_assert_uint_eq(heard.n_down, 1);
    TURN_UNTIL(&loop, fake.n_lost == 1);
}
END_TEST

START_TEST(test_operation_without_any_sign_of_life_takes_the_link_down)
{
    struct op *ops = new_ops(1);
    link_start_and_wait();
    send_op(0, "GET a", &ops[0]);
    fake_stop_listening();
    pass_ms(TIMEOUT_MS + 2);
    ck_assert_op(&ops[0], LINK_FAILED, "gave no reply within 1000 ms");
    ck_assert_uint_eq(heard.n_down, 1);
}
END_TEST

/* The ping's own deadline passes while something is still heard; after that nothing is, and nobody
 * sends. The link must find out by itself. */
START_TEST(test_link_that_falls_silent_behind_an_unanswered_ping)
{
    start_untracked();
    pass_ms(PING_INTERVAL_MS);
    TURN_UNTIL(&loop, strcmp(fake.said, "PING") == 0);
    pass_ms(TIMEOUT_MS - 100);
    keep_alive();
    pass_ms(110);
    ck_assert_uint_eq(heard.n_down, 0);
    fake_stop_listening();
    pass_ms(TIMEOUT_MS - 100);
    ck_assert_uint_eq(heard.n_down, 1);
}
END_TEST

/* Settings */

START_TEST(test_new_times_count_from_now)
{
    struct op *ops = new_ops(1);
    struct link_options options = link_options_for("");
    link_start_and_wait();
    send_op(0, "GET a", &ops[0]);
    address_deinit(&options.address);
    options.timeout_ms = 100;
    options.max_inflight = 1;
    link_configure(link_, &options);
    ck_assert(link_is_full(link_));
    pass_ms(102);
    ck_assert_op(&ops[0], LINK_FAILED, "within 100 ms");
}
END_TEST

START_TEST(test_new_credentials_are_for_the_next_login)
{
    struct link_options options = link_options_for("");
    address_deinit(&options.address);
    link_start_and_wait();
    options.username = mem_strdup("you");
    options.password = mem_strdup("new");
    link_configure(link_, &options);
    turn_times(&loop, 3);
    ck_assert_uint_eq(heard.n_down, 0);
    fake_hang_up();
    TURN_UNTIL(&loop, heard.n_up == 2);
    ck_assert_ptr_nonnull(strstr(fake.greeting, "HELLO.3.AUTH.you.new."));
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_late_reply_reaches_nobody);
    tcase_add_test(tcase, test_late_reply_to_a_write_is_told);
    tcase_add_test(tcase, test_late_write_hears_of_the_loss_instead);
    tcase_add_test(tcase, test_each_operation_has_its_own_deadline);
    tcase_add_test(tcase, test_deadline_behind_a_select);
    tcase_add_test(tcase, test_sending_when_the_deadline_has_passed);
    tcase_add_test(tcase, test_silent_link_is_pinged);
    tcase_add_test(tcase, test_link_that_hears_only_invalidations_is_pinged);
    tcase_add_test(tcase, test_link_that_is_answered_is_not_pinged);
    tcase_add_test(tcase, test_link_that_falls_behind_is_taken_down);
    tcase_add_test(tcase, test_link_without_tracking_may_be_behind);
    tcase_add_test(tcase, test_ping_without_an_answer_takes_the_link_down);
    tcase_add_test(tcase, test_operation_without_any_sign_of_life_takes_the_link_down);
    tcase_add_test(tcase, test_link_that_falls_silent_behind_an_unanswered_ping);
    tcase_add_test(tcase, test_new_times_count_from_now);
    tcase_add_test(tcase, test_new_credentials_are_for_the_next_login);
}

int main(void)
{
    return run_suite("link_time", add_tests);
}
