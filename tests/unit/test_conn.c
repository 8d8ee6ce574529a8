/* Client connections (src/net/conn.h): what is offered to the owner, and what is written. */
#include "conn_owner.h"

#include <stdlib.h>

/* Input */

START_TEST(test_input_is_offered_and_taken)
{
    peer_write("hello", 5);
    loop_turn(&loop, -1);
    ck_assert(bytes_equal(buf_bytes(&owner.got), BYTES("hello")));
    ck_assert_uint_eq(owner.n_inputs, 1);
    ck_assert_uint_eq(conn_pending_input(&owner.conn), 0);
    ck_assert_uint_eq(owner.conn.in.cap, 0); /* nothing was copied */
    ck_assert_uint_eq(shared.bytes_read, 5);
    ck_assert_uint_eq(shared.reads, 1);
}
END_TEST

START_TEST(test_what_is_not_taken_comes_again_with_more)
{
    owner.takes_from = 8;
    peer_write("hello", 5);
    turn_times(&loop, 2);
    ck_assert_uint_eq(owner.n_inputs, 1);
    ck_assert_uint_eq(conn_pending_input(&owner.conn), 5);
    owner.takes_at_most = 6;
    peer_write(" you", 4);
    turn_times(&loop, 2);
    ck_assert(bytes_equal(buf_bytes(&owner.got), BYTES("hello ")));
    ck_assert_uint_eq(conn_pending_input(&owner.conn), 3);
    owner.takes_from = 0;
    conn_process(&owner.conn);
    ck_assert(bytes_equal(buf_bytes(&owner.got), BYTES("hello you")));
    ck_assert_uint_eq(owner.n_inputs, 3);
    conn_process(&owner.conn); /* nothing left to offer */
    ck_assert_uint_eq(owner.n_inputs, 3);
    ck_assert_uint_eq(owner.conn.in.cap, 0);
}
END_TEST

/* Large input in many reads, taken in pieces that never fit. */
START_TEST(test_large_input_arrives_in_order)
{
    char *bytes = make_large();
    size_t sent = 0;
    owner.takes_at_most = 1000;
    while (owner.got.len < LARGE) {
        ssize_t n = sent < LARGE ? write(owner.peer, bytes + sent, LARGE - sent) : 0;
        sent += n > 0 ? (size_t)n : 0;
        loop_turn(&loop, 0);
        for (int i = 0; i < 500 && conn_pending_input(&owner.conn) > 0; i++)
            conn_process(&owner.conn);
    }
    ck_assert_mem_eq(owner.got.data, bytes, LARGE);
    ck_assert_uint_eq(owner.got.len, LARGE);
    mem_free(bytes);
}
END_TEST

START_TEST(test_paused_is_not_read_from)
{
    char *bytes = make_large();
    size_t sent = 0;
    ssize_t n;
    conn_set_paused(&owner.conn, true);
    conn_set_paused(&owner.conn, true);
    while ((n = write(owner.peer, bytes + sent, LARGE - sent)) > 0)
        sent += (size_t)n;
    ck_assert_int_eq(errno, EAGAIN); /* the peer feels it */
    turn_times(&loop, 5);
    ck_assert_uint_eq(shared.reads, 0);
    conn_set_paused(&owner.conn, false);
    TURN_UNTIL(&loop, owner.got.len == sent);
    mem_free(bytes);
}
END_TEST

START_TEST(test_no_memory_for_input)
{
    owner.takes_from = SIZE_MAX;
    peer_write("hello", 5);
    mem_fail_after(1); /* the first size is tried again smaller */
    loop_turn(&loop, 0);
    ck_assert_uint_eq(owner.n_closes, 0);
    peer_write("again", 5);
    mem_fail_after(1);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(owner.n_closes, 1);
    ck_assert_str_eq(owner.why, "out of memory for input");
}
END_TEST

/* Output */

START_TEST(test_one_write_for_all_output_of_a_turn)
{
    char got[20];
    say("hello", 5);
    say(" you", 4);
    ck_assert_uint_eq(conn_pending_output(&owner.conn), 9);
    ck_assert_int_eq(read(owner.peer, got, sizeof(got)), -1);
    loop_turn(&loop, 0);
    ck_assert_int_eq(read(owner.peer, got, sizeof(got)), 9);
    ck_assert_mem_eq(got, "hello you", 9);
    ck_assert_uint_eq(shared.writes, 1);
    ck_assert_uint_eq(shared.bytes_written, 9);
    turn_times(&loop, 3);
    ck_assert_uint_eq(shared.writes, 1);
    ck_assert_uint_eq(owner.n_drained, 0); /* no write was short */
}
END_TEST

START_TEST(test_short_writes)
{
    int small = 4096;
    char *bytes = make_large();
    size_t n = 0;
    ck_assert_int_eq(setsockopt(owner.conn.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    say(bytes, LARGE);
    turn_times(&loop, 3);
    ck_assert_uint_gt(conn_pending_output(&owner.conn), 0);
    ck_assert_uint_eq(shared.writes, 1); /* and then it waits for the peer */
    ck_assert_uint_eq(owner.n_drained, 0);
    while (n < LARGE) {
        peer_read(&n);
        loop_turn(&loop, 0);
    }
    turn_times(&loop, 3);
    ck_assert_uint_eq(n, LARGE);
    ck_assert_uint_eq(owner.n_drained, 1);
    ck_assert_uint_eq(conn_pending_output(&owner.conn), 0);
    ck_assert_uint_le(owner.conn.out.cap, CONN_OUT_KEEP);
    mem_free(bytes);
}
END_TEST

/* The peer has read everything and more output was appended before the loop could see that the
 * socket is writable. */
static void drain_and_say(struct timer *timer, void *ctx)
{
    (void)timer;
    peer_read(ctx);
    char next = pattern(*(size_t *)ctx + conn_pending_output(&owner.conn));
    say(&next, 1);
}

START_TEST(test_drained_when_later_output_took_the_rest_along)
{
    char *bytes = make_large();
    struct timer timer;
    size_t n = 0;
    ssize_t first = 0;
    say(bytes, LARGE);
    loop_turn(&loop, 0);
    first = (ssize_t)shared.bytes_written;
    ck_assert_int_gt(first, 0);
    owner.conn.out.len = owner.conn.out_written + 100; /* only this much is left */
    timer_init(&timer, drain_and_say, &n);
    timer_arm(&loop.timers, &timer, 0);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(conn_pending_output(&owner.conn), 0);
    turn_times(&loop, 2);
    ck_assert_uint_eq(owner.n_drained, 1);
    turn_times(&loop, 2);
    ck_assert_uint_eq(owner.n_drained, 1);
    mem_free(bytes);
}
END_TEST

START_TEST(test_pause_in_on_drained_while_input_waits)
{
    char *bytes = make_large();
    size_t n = 0;
    owner.pauses_when_drained = true;
    say(bytes, LARGE);
    loop_turn(&loop, 0);
    while (owner.n_drained == 0) {
        peer_read(&n);
        if (n == LARGE)
            break;
        loop_turn(&loop, 0);
        if (conn_pending_output(&owner.conn) > 0 && conn_pending_output(&owner.conn) < 100000)
            (void)!write(owner.peer, "x", 1); /* readable and writable in the same event */
    }
    turn_times(&loop, 3);
    ck_assert_uint_eq(owner.n_drained, 1);
    ck_assert_msg(owner.n_closes == 0, "%s", owner.why);
    conn_set_paused(&owner.conn, false);
    peer_write("y", 1);
    turn_times(&loop, 3);
    ck_assert_uint_ge(owner.got.len, 1);
    mem_free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn");
    TCase *tcase = tcase_create("conn");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_input_is_offered_and_taken);
    tcase_add_test(tcase, test_what_is_not_taken_comes_again_with_more);
    tcase_add_test(tcase, test_large_input_arrives_in_order);
    tcase_add_test(tcase, test_paused_is_not_read_from);
    tcase_add_test(tcase, test_no_memory_for_input);
    tcase_add_test(tcase, test_one_write_for_all_output_of_a_turn);
    tcase_add_test(tcase, test_short_writes);
    tcase_add_test(tcase, test_drained_when_later_output_took_the_rest_along);
    tcase_add_test(tcase, test_pause_in_on_drained_while_input_waits);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
