/* A link whose L2 is busy with a script (src/upstream/link_busy.c). The test moves the clock. */
#include "link_fake.h"

#define WORDS "-BUSY Redis is busy running a script.\r\n"

static const char invalidation[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

static void set_busy(void)
{
    link_set_busy(link_, BYTES(WORDS));
}

/* What is given is refused in L2's words, and never sent. */
START_TEST(test_refuses)
{
    struct op *ops = new_ops(2);
    link_start_and_wait();
    set_busy();
    ck_assert(link_is_busy(link_));
    send_op(0, "GET a", &ops[0]);
    send_write(3, "SET a b", &ops[1]);
    turn_times(&loop, 3);
    ck_assert_op(&ops[0], LINK_REFUSED, "BUSY Redis is busy running a script.");
    ck_assert_op(&ops[1], LINK_REFUSED, "BUSY Redis is busy running a script.");
    ck_assert_str_eq(fake.said, "");
    link_set_busy(link_, BYTES(""));
    ck_assert(!link_is_busy(link_));
    send_op(0, "GET a", &ops[0]);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a") == 0);
}
END_TEST

/* The oldest operation is what L2 is busy with; those behind it have their deadlines. */
START_TEST(test_oldest_has_no_deadline)
{
    struct op *ops = new_ops(2);
    link_start_and_wait();
    send_op(0, "EVAL a", &ops[0]);
    send_op(0, "GET b", &ops[1]);
    for (int i = 0; i < 30; i++) {
        set_busy();
        pass_ms(100);
    }
    ck_assert_uint_eq(ops[0].n_calls, 0);
    ck_assert_op(&ops[1], LINK_FAILED, "gave no reply within 1000 ms");
    ck_assert_uint_eq(heard.n_down, 0);
    fake_say("+script\r\n+late\r\n+PONG\r\n"); /* of the ping that silence has caused */
    ck_assert_op(&ops[0], LINK_REPLY, "+script");
    turn_times(&loop, 3);
    ck_assert(!link_is_busy(link_)); /* the reply tells */
    ck_assert_uint_eq(ops[1].n_calls, 1);
    ck_assert_uint_eq(figures().inflight, 0);
}
END_TEST

/* An L2 of which nobody says any more that it is busy is given up. */
START_TEST(test_falls_silent)
{
    struct op *ops = new_ops(1);
    link_start_and_wait();
    send_op(0, "EVAL a", &ops[0]);
    pass_ms(900);
    set_busy();
    pass_ms(900);
    link_set_busy(link_, BYTES(""));
    pass_ms(990);
    ck_assert_uint_eq(ops[0].n_calls, 0);
    pass_ms(20);
    ck_assert_op(&ops[0], LINK_FAILED, "gave no reply within 1000 ms");
    ck_assert_uint_eq(heard.n_down, 1);
}
END_TEST

/* A script has a second more than others to be found busy. */
START_TEST(test_script_has_grace)
{
    struct op *ops = new_ops(2);
    link_start_and_wait();
    send_op(0, "EVAL a", &ops[0]);
    link_note_script(link_);
    send_op(0, "GET b", &ops[1]);
    pass_ms(1900);
    ck_assert_uint_eq(ops[0].n_calls, 0);
    ck_assert_op(&ops[1], LINK_FAILED, "gave no reply");
    ck_assert_uint_eq(heard.n_down, 0);
    pass_ms(101);
    ck_assert_op(&ops[0], LINK_FAILED, "gave no reply");
    ck_assert_uint_eq(heard.n_down, 1);
}
END_TEST

START_TEST(test_silence)
{
    struct op *ops = new_ops(1);
    link_start_and_wait();
    ck_assert_int_eq(link_silent_since_ms(link_), 0);
    send_op(0, "EVAL a", &ops[0]);
    int64_t sent_ms = loop.clock.mono_ms;
    pass_ms(300);
    ck_assert_int_eq(link_silent_since_ms(link_), sent_ms);
    uint64_t before = figures().invalidations;
    fake_say(invalidation);
    TURN_UNTIL(&loop, figures().invalidations == before + 1);
    ck_assert_int_eq(link_silent_since_ms(link_), sent_ms + 300);
}
END_TEST

/* A busy L2 refuses SELECT and what comes behind it: the link stays, and selects again. */
START_TEST(test_select_refused)
{
    struct op *ops = new_ops(2);
    link_start_and_wait();
    send_op(5, "GET a", &ops[0]);
    TURN_UNTIL(&loop, strcmp(fake.said, "SELECT.5 GET.a") == 0);
    fake_say(WORDS WORDS);
    ck_assert_op(&ops[0], LINK_REPLY, "-BUSY Redis is busy running a script.");
    send_op(5, "GET b", &ops[1]);
    TURN_UNTIL(&loop, strcmp(fake.said, "SELECT.5 GET.a SELECT.5 GET.b") == 0);
    fake_say("+OK\r\n+b\r\n");
    ck_assert_op(&ops[1], LINK_REPLY, "+b");
    ck_assert_uint_eq(heard.n_down, 0);
}
END_TEST

/* What ran behind a refused SELECT ran in another database: it fails, and the link goes. */
START_TEST(test_ran_in_another_database)
{
    struct op *ops = new_ops(1);
    link_start_and_wait();
    send_op(5, "GET a", &ops[0]);
    TURN_UNTIL(&loop, strcmp(fake.said, "SELECT.5 GET.a") == 0);
    fake_say(WORDS "$1\r\nx\r\n");
    TURN_UNTIL(&loop, heard.n_down == 1);
    ck_assert_op(&ops[0], LINK_FAILED, "refused SELECT");
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_refuses);
    tcase_add_test(tcase, test_oldest_has_no_deadline);
    tcase_add_test(tcase, test_falls_silent);
    tcase_add_test(tcase, test_script_has_grace);
    tcase_add_test(tcase, test_silence);
    tcase_add_test(tcase, test_select_refused);
    tcase_add_test(tcase, test_ran_in_another_database);
}

int main(void)
{
    return run_suite("link_busy", add_tests);
}
