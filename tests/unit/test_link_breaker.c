/* A link's circuit breaker (src/upstream/link_breaker.c): what counts, probes, refusals. The rules of
 * opening and waiting are in test_breaker.c. The test moves the clock. */
#include "link_fake.h"

#define FAILURES 3
#define WAIT_MIN_MS 200
#define WAIT_MAX_MS 400
#define OPEN_TEXT "does not answer in time: circuit breaker open"

static const char invalidation[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";

static void start_with(struct breaker_options breaker)
{
    struct link_options options = link_options_for("");
    options.breaker = breaker;
    options.ping_interval_ms = 3600000;
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
}

static void start(void)
{
    start_with((struct breaker_options){
        .failures = FAILURES, .wait_min_ms = WAIT_MIN_MS, .wait_max_ms = WAIT_MAX_MS});
}

/* Something arrives, so the link isn't silent. */
static void keep_alive(void)
{
    uint64_t before = figures().invalidations;
    fake_say(invalidation);
    TURN_UNTIL(&loop, figures().invalidations == before + 1);
}

/* Lets so many commands time out; their replies are still owed. */
static struct op *time_out(unsigned n)
{
    struct op *ops = new_ops(n);
    keep_alive();
    for (unsigned i = 0; i < n; i++)
        send_op(0, "GET a", &ops[i]);
    pass_ms(TIMEOUT_MS - 100);
    keep_alive();
    pass_ms(101);
    for (unsigned i = 0; i < n; i++)
        ck_assert_op(&ops[i], LINK_FAILED, "gave no reply within 1000 ms");
    return ops;
}

static void open_breaker(void)
{
    time_out(FAILURES);
    ck_assert_int_eq(figures().breaker, BREAKER_OPEN);
}

/* Time passes in which the link isn't silent. */
static void pass_alive(int64_t ms)
{
    clock_advance(&loop.clock, ms - 1);
    keep_alive();
    pass_ms(1);
}

/* Opening */

START_TEST(test_opens)
{
    start();
    time_out(FAILURES - 1);
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
    ck_assert(link_is_available(link_));
    time_out(1);
    ck_assert_int_eq(figures().breaker, BREAKER_OPEN);
    ck_assert(!link_is_available(link_));
    ck_assert_uint_eq(figures().breaker_opened, 1);
    ck_assert_uint_eq(figures().breaker_transitions, 1);
    ck_assert_int_eq(link_get_state(link_), LINK_READY);
    ck_assert_uint_eq(heard.n_down, 0);
}
END_TEST

/* An answer in between begins the row anew, an error reply, too: L2 answers. */
START_TEST(test_answers_count)
{
    struct op *ops = new_ops(2);
    start();
    time_out(FAILURES - 1);
    send_op(0, "GET b", &ops[0]);
    fake_say("+late\r\n+late\r\n");
    turn_times(&loop, 3);
    fake_say("-ERR b\r\n");
    ck_assert_op(&ops[0], LINK_REPLY, "-ERR b");
    time_out(FAILURES - 1);
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
    time_out(1);
    ck_assert_int_eq(figures().breaker, BREAKER_OPEN);
}
END_TEST

/* A late reply is no answer in time. */
START_TEST(test_late_replies_do_not)
{
    start();
    time_out(FAILURES - 1);
    fake_say("+late\r\n+late\r\n");
    TURN_UNTIL(&loop, figures().inflight == 0);
    time_out(1);
    ck_assert_int_eq(figures().breaker, BREAKER_OPEN);
}
END_TEST

START_TEST(test_by_rate)
{
    struct op *ops = new_ops(10);
    start_with((struct breaker_options){
        .error_percent = 50, .wait_min_ms = WAIT_MIN_MS, .wait_max_ms = WAIT_MAX_MS});
    for (unsigned i = 0; i < 10; i++)
        send_op(0, "GET b", &ops[i]);
    turn_times(&loop, 3);
    for (unsigned i = 0; i < 10; i++)
        fake_say("+b\r\n");
    TURN_UNTIL(&loop, ops[9].n_calls > 0);
    time_out(9);
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
    time_out(1);
    ck_assert_int_eq(figures().breaker, BREAKER_OPEN);
}
END_TEST

START_TEST(test_never)
{
    start_with((struct breaker_options){0});
    time_out(50);
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
    ck_assert(link_is_available(link_));
}
END_TEST

/* Reads given up on the way up are none of this link's failures. */
START_TEST(test_not_on_the_way_up)
{
    struct op *ops = new_ops(FAILURES);
    struct buf raw;
    struct link_options options = link_options_for("");
    options.breaker = (struct breaker_options){.failures = FAILURES, .wait_min_ms = WAIT_MIN_MS};
    fake.is_mute = true;
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_HANDSHAKE);
    buf_init(&raw);
    encode("GET a", &raw);
    for (unsigned i = 0; i < FAILURES; i++)
        link_send_read(link_, 0, buf_bytes(&raw), loop.clock.mono_us - 500000, on_reply, &ops[i]);
    buf_deinit(&raw);
    pass_ms(501);
    for (unsigned i = 0; i < FAILURES; i++)
        ck_assert_op(&ops[i], LINK_FAILED, "gave no reply");
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
}
END_TEST

/* Open */

START_TEST(test_refuses)
{
    struct op *ops = new_ops(2);
    start();
    open_breaker();
    fake.said[0] = '\0';
    send_op(0, "GET b", &ops[0]);
    send_write(3, "SET b c", &ops[1]);
    ck_assert_uint_eq(ops[0].n_calls, 0); /* never inside the call */
    turn_times(&loop, 1);
    ck_assert_op(&ops[0], LINK_REFUSED, OPEN_TEXT);
    ck_assert_op(&ops[1], LINK_REFUSED, OPEN_TEXT);
    ck_assert_mem_eq(ops[0].reply, "-UPSTREAM ", 10);
    ck_assert_str_eq(fake.said, "");
}
END_TEST

/* Probes */

START_TEST(test_probe_closes)
{
    struct op *ops = new_ops(1);
    start();
    open_breaker();
    fake.said[0] = '\0';
    pass_alive(WAIT_MIN_MS - 1);
    ck_assert_str_eq(fake.said, "");
    pass_alive(2);
    TURN_UNTIL(&loop, strcmp(fake.said, "PING") == 0);
    ck_assert_int_eq(figures().breaker, BREAKER_HALF_OPEN);
    send_op(0, "GET b", &ops[0]); /* refused: the probe is alone */
    ck_assert_op(&ops[0], LINK_REFUSED, OPEN_TEXT);
    fake_say("+late\r\n+late\r\n+late\r\n");
    turn_times(&loop, 5);
    ck_assert_int_eq(figures().breaker, BREAKER_HALF_OPEN); /* those say nothing */
    fake_say("+PONG\r\n");
    TURN_UNTIL(&loop, figures().breaker == BREAKER_CLOSED);
    ck_assert(link_is_available(link_));
    ops = new_ops(1);
    send_op(0, "GET b", &ops[0]);
    turn_times(&loop, 3);
    fake_say("+b\r\n");
    ck_assert_op(&ops[0], LINK_REPLY, "+b");
    time_out(FAILURES - 1); /* all is forgotten */
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
    ck_assert_uint_eq(figures().breaker_transitions, 3);
    ck_assert_uint_eq(figures().breaker_opened, 1);
}
END_TEST

/* One that is not answered in time: the next one comes after twice the wait. */
START_TEST(test_probe_fails)
{
    start();
    open_breaker();
    fake.said[0] = '\0';
    pass_alive(WAIT_MIN_MS + 1);
    TURN_UNTIL(&loop, strcmp(fake.said, "PING") == 0);
    pass_alive(TIMEOUT_MS - 2);
    ck_assert_int_eq(figures().breaker, BREAKER_HALF_OPEN);
    pass_alive(3);
    ck_assert_int_eq(figures().breaker, BREAKER_OPEN);
    pass_alive(2 * WAIT_MIN_MS - 2);
    ck_assert_str_eq(fake.said, "PING");
    pass_alive(3);
    TURN_UNTIL(&loop, strcmp(fake.said, "PING PING") == 0);
    ck_assert_int_eq(figures().breaker, BREAKER_HALF_OPEN);
    fake_say("+late\r\n+late\r\n+late\r\n+late PONG\r\n");
    turn_times(&loop, 5);
    ck_assert_int_eq(figures().breaker, BREAKER_HALF_OPEN); /* the late one is not the answer */
    fake_say("+PONG\r\n");
    TURN_UNTIL(&loop, figures().breaker == BREAKER_CLOSED);
}
END_TEST

/* Time-outs of what was sent before it opened change nothing. */
START_TEST(test_stragglers)
{
    struct op *ops = new_ops(1);
    start();
    struct op *row = new_ops(FAILURES);
    for (unsigned i = 0; i < FAILURES; i++)
        send_op(0, "GET a", &row[i]);
    pass_ms(500);
    send_op(0, "GET b", &ops[0]);
    keep_alive();
    pass_alive(TIMEOUT_MS - 499);
    ck_assert_int_eq(figures().breaker, BREAKER_OPEN);
    pass_alive(WAIT_MIN_MS + 1);
    ck_assert_int_eq(figures().breaker, BREAKER_HALF_OPEN);
    pass_alive(500);
    ck_assert_op(&ops[0], LINK_FAILED, "gave no reply");
    ck_assert_int_eq(figures().breaker, BREAKER_HALF_OPEN);
    ck_assert_uint_eq(figures().breaker_opened, 1);
}
END_TEST

/* The loss of the link */

START_TEST(test_next_link_closes)
{
    struct op *ops = new_ops(1);
    start();
    open_breaker();
    fake_hang_up();
    TURN_UNTIL(&loop, heard.n_up == 2);
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
    send_op(0, "GET b", &ops[0]);
    turn_times(&loop, 3);
    fake_say("+b\r\n");
    ck_assert_op(&ops[0], LINK_REPLY, "+b");
    time_out(FAILURES - 1);
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
}
END_TEST

/* While a probe is under way, too: its answer never comes. */
START_TEST(test_lost_with_a_probe)
{
    start();
    open_breaker();
    pass_alive(WAIT_MIN_MS + 1);
    ck_assert_int_eq(figures().breaker, BREAKER_HALF_OPEN);
    fake_hang_up();
    TURN_UNTIL(&loop, heard.n_up == 2);
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
    ck_assert(link_is_available(link_));
}
END_TEST

/* Without a connection it is open, with the connection's own words, until there is one. */
START_TEST(test_no_connection)
{
    struct op *ops = new_ops(1);
    start();
    fake_stop_listening();
    fake_hang_up();
    TURN_UNTIL(&loop, figures().connects_failed > 0);
    ck_assert_int_ne(figures().breaker, BREAKER_CLOSED);
    ck_assert(!link_is_available(link_));
    send_op(0, "GET b", &ops[0]);
    turn_times(&loop, 2);
    ck_assert_op(&ops[0], LINK_REFUSED, "is down: ");
    clock_advance(&loop.clock, BACKOFF_MAX_MS);
    TURN_UNTIL(&loop, figures().connects_failed > 1);
    ck_assert_int_eq(figures().breaker, BREAKER_OPEN); /* that attempt was its probe */
    fake_listen();
    clock_advance(&loop.clock, BACKOFF_MAX_MS);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
    ck_assert(link_is_available(link_));
}
END_TEST

/* The first attempt after a loss is waited for. */
START_TEST(test_available_while_connecting)
{
    start();
    fake.is_mute = true;
    fake_hang_up();
    TURN_UNTIL(&loop, heard.n_down == 1);
    ck_assert(link_is_available(link_));
    pass_ms(CONNECT_TIMEOUT_MS + 1);
    ck_assert(!link_is_available(link_));
    clock_advance(&loop.clock, BACKOFF_MAX_MS);
    turn_times(&loop, 3);
    ck_assert(!link_is_available(link_)); /* the second is not */
}
END_TEST

/* Another link has its own. */
START_TEST(test_other_links)
{
    start();
    open_breaker();
    struct link *first = link_;
    start();
    ck_assert_int_eq(figures().breaker, BREAKER_CLOSED);
    ck_assert(link_is_available(link_));
    link_destroy(first);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_opens);
    tcase_add_test(tcase, test_answers_count);
    tcase_add_test(tcase, test_late_replies_do_not);
    tcase_add_test(tcase, test_by_rate);
    tcase_add_test(tcase, test_never);
    tcase_add_test(tcase, test_not_on_the_way_up);
    tcase_add_test(tcase, test_refuses);
    tcase_add_test(tcase, test_probe_closes);
    tcase_add_test(tcase, test_probe_fails);
    tcase_add_test(tcase, test_stragglers);
    tcase_add_test(tcase, test_next_link_closes);
    tcase_add_test(tcase, test_lost_with_a_probe);
    tcase_add_test(tcase, test_no_connection);
    tcase_add_test(tcase, test_available_while_connecting);
    tcase_add_test(tcase, test_other_links);
}

int main(void)
{
    return run_suite("link_breaker", add_tests);
}
