/* Reads that may be sent a second time (link_send_read of src/upstream/link.h): deadlines that began
 * before, on the link and on its way up; and who fails first. The test moves the clock. */
#include "link_fake.h"

static void send_read(unsigned db, const char *command, int64_t ago_ms, struct op *op)
{
    struct buf raw;
    buf_init(&raw);
    link_send_read(link_, db, encode(command, &raw), loop.clock.mono_us - ago_ms * 1000, on_reply,
                   op);
    buf_deinit(&raw);
}

/* Starts a link that gets no answer to its handshake. */
static void start_mute(void)
{
    fake.is_mute = true;
    link_start();
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_HANDSHAKE);
}

/* Deadlines */

/* Also behind a SELECT, which is the read's own. */
START_TEST(test_deadline)
{
    struct op *ops = new_ops(2);
    link_start_and_wait();
    send_read((unsigned)_i, "GET a", 700, &ops[0]);
    send_read((unsigned)_i, "GET b", 0, &ops[1]);
    pass_ms(299);
    ck_assert_uint_eq(ops[0].n_calls, 0);
    pass_ms(2);
    ck_assert_op(&ops[0], LINK_FAILED, "gave no reply within 1000 ms");
    ck_assert_uint_eq(ops[1].n_calls, 0);
    TURN_UNTIL(&loop, strcmp(fake.said, _i == 0 ? "GET.a GET.b" : "SELECT.1 GET.a GET.b") == 0);
    fake_say(_i == 0 ? "+late\r\n+b\r\n" : "+OK\r\n+late\r\n+b\r\n");
    ck_assert_op(&ops[1], LINK_REPLY, "+b");
    ck_assert_uint_eq(ops[0].n_calls, 1);
    ck_assert_uint_eq(heard.n_down, 0);
}
END_TEST

/* The attempt goes on for those that have time to wait. */
START_TEST(test_deadline_on_the_way_up)
{
    struct op *ops = new_ops(3);
    start_mute();
    send_read(1, "GET a", 900, &ops[0]);
    send_read(1, "GET b", 800, &ops[1]);
    send_op(0, "GET c", &ops[2]);
    pass_ms(101);
    ck_assert_op(&ops[0], LINK_FAILED, "gave no reply within 1000 ms");
    ck_assert_uint_eq(ops[1].n_calls, 0);
    pass_ms(100);
    ck_assert_op(&ops[1], LINK_FAILED, "gave no reply within 1000 ms");
    ck_assert_uint_eq(ops[2].n_calls, 0);
    ck_assert_int_eq(link_get_state(link_), LINK_HANDSHAKE);
    ck_assert_uint_eq(figures().connects_failed, 0);
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
    ck_assert_uint_eq(figures().timeouts, 2);
}
END_TEST

/* Their late replies are read and dropped. */
START_TEST(test_late_when_it_is_up)
{
    struct op *ops = new_ops(2);
    fake.command = ""; /* the last answer of the handshake is held back */
    link_start();
    TURN_UNTIL(&loop, strstr(fake.greeting, "COMMAND") != NULL);
    send_read(1, "GET a", 900, &ops[0]);
    send_op(0, "GET b", &ops[1]);
    pass_ms(150);
    ck_assert_op(&ops[0], LINK_FAILED, "gave no reply");
    fake_say(COMMAND_TABLE);
    TURN_UNTIL(&loop, strcmp(fake.said, "SELECT.1 GET.a SELECT.0 GET.b") == 0);
    fake_say("+OK\r\n+late\r\n+OK\r\n+b\r\n");
    ck_assert_op(&ops[1], LINK_REPLY, "+b");
    ck_assert_uint_eq(ops[0].n_calls, 1);
    ck_assert_uint_eq(figures().inflight, 0);
}
END_TEST

/* What certainly was not sent is refused as such, and ends the attempt, as ever. */
START_TEST(test_others_end_the_attempt)
{
    struct op *ops = new_ops(2);
    start_mute();
    send_op(0, "SET a b", &ops[0]);
    send_read(0, "GET b", 900, &ops[1]);
    pass_ms(TIMEOUT_MS + 2);
    ck_assert_op(&ops[0], LINK_REFUSED, "no answer to the handshake within 1000 ms");
    ck_assert_op(&ops[1], LINK_REFUSED, "no answer to the handshake within 1000 ms");
    ck_assert_uint_eq(figures().connects_failed, 1);
}
END_TEST

/* A busy L2 */

/* No read is what L2 is busy with: two that belong together fail in their order. */
START_TEST(test_never_set_aside)
{
    struct op *ops = new_ops(2);
    link_start_and_wait();
    send_read(0, "GET a", 0, &ops[0]);
    send_read(0, "PTTL a", 0, &ops[1]);
    for (unsigned i = 0; i < 11; i++) {
        link_set_busy(link_, BYTES("-BUSY a script runs\r\n"));
        pass_ms(100);
    }
    ck_assert_op(&ops[0], LINK_FAILED, "gave no reply within 1000 ms");
    ck_assert_op(&ops[1], LINK_FAILED, "gave no reply within 1000 ms");
    ck_assert_str_eq(heard.order, "=-UPSTREAM 127.0.0.1:=-UPSTREAM 127.0.0.1:");
}
END_TEST

/* Memory */

/* What was given before fails before what is refused because of it, on a link and on its way up. */
static void check_order(struct op *ops)
{
    send_read(0, "GET a", 0, &ops[0]);
    link_refuse_output(link_);
    send_read(0, "PTTL a", 0, &ops[1]);
    ck_assert_uint_eq(ops[1].n_calls, 0);
    ops[0].then = "GET again";
    ops[0].then_op = &ops[2];
    TURN_UNTIL(&loop, ops[1].n_calls > 0);
    turn_times(&loop, 3);
    ck_assert_uint_eq(ops[0].n_calls, 1);
    ck_assert_uint_eq(ops[1].n_calls, 1);
    ck_assert_int_eq(ops[1].outcomes[0], LINK_REFUSED);
    ck_assert_mem_eq(heard.order, "=-UPSTREAM 127.0.0.1:=-UPSTREAM 127.0.0.1:", 42);
}

START_TEST(test_refused_in_order)
{
    struct op *ops = new_ops(3);
    link_start_and_wait();
    check_order(ops);
    ck_assert_int_eq(ops[0].outcomes[0], LINK_FAILED);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.again") == 0);
    ck_assert_uint_eq(heard.n_down, 1);
}
END_TEST

START_TEST(test_refused_in_order_on_the_way_up)
{
    struct op *ops = new_ops(3);
    start_mute();
    check_order(ops);
    ck_assert_int_eq(ops[0].outcomes[0], LINK_REFUSED);
    ck_assert_op(&ops[2], LINK_REFUSED, "down");
    fake.is_mute = false;
    fake_hang_up(); /* an attempt that was begun before */
    turn_times(&loop, 3);
    clock_advance(&loop.clock, BACKOFF_MAX_MS);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
    ck_assert_str_eq(fake.said, "");
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, test_deadline, 0, 2);
    tcase_add_test(tcase, test_deadline_on_the_way_up);
    tcase_add_test(tcase, test_late_when_it_is_up);
    tcase_add_test(tcase, test_others_end_the_attempt);
    tcase_add_test(tcase, test_never_set_aside);
    tcase_add_test(tcase, test_refused_in_order);
    tcase_add_test(tcase, test_refused_in_order_on_the_way_up);
}

int main(void)
{
    return run_suite("link_read", add_tests);
}
