/* Client connections (src/net/conn.h): every way to end. */
#include "conn_owner.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>

/* Replaces the socket pair by a TCP connection, whose ends know resets. */
static void use_tcp(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(where);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(listening, (struct sockaddr *)&where, len), 0);
    ck_assert_int_eq(listen(listening, 1), 0);
    ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&where, &len), 0);
    ck_assert_int_eq(connect(peer, (struct sockaddr *)&where, len), 0);
    ck_assert_int_eq(fcntl(peer, F_SETFL, O_NONBLOCK), 0);
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    close(listening);
    conn_close(&owner.conn, "not needed");
    close(owner.peer);
    owner_adopt(fd, peer);
}

/* Ends */

START_TEST(test_peer_ends_and_still_gets_its_reply)
{
    char got[20];
    peer_write("bye", 3);
    ck_assert_int_eq(shutdown(owner.peer, SHUT_WR), 0);
    turn_times(&loop, 5);
    ck_assert_uint_eq(owner.n_ends, 1);
    ck_assert(bytes_equal(buf_bytes(&owner.got), BYTES("bye")));
    ck_assert_uint_eq(owner.n_closes, 0);
    say("reply", 5);
    conn_close_after_output(&owner.conn);
    conn_close_after_output(&owner.conn);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(owner.n_closes, 1);
    ck_assert_str_eq(owner.why, "closed by server");
    ck_assert_int_eq(read(owner.peer, got, sizeof(got)), 5);
    ck_assert_int_eq(read(owner.peer, got, sizeof(got)), 0);
}
END_TEST

START_TEST(test_close_after_output_reads_nothing_more)
{
    int small = 4096;
    char *bytes = make_large();
    size_t n = 0;
    ck_assert_int_eq(setsockopt(owner.conn.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    say(bytes, LARGE);
    conn_close_after_output(&owner.conn);
    peer_write("more", 4);
    turn_times(&loop, 3);
    ck_assert_uint_eq(owner.n_closes, 0);
    while (n < LARGE && owner.n_closes == 0) {
        peer_read(&n);
        loop_turn(&loop, 0);
    }
    peer_read(&n);
    ck_assert_uint_eq(n, LARGE);
    ck_assert_uint_eq(owner.n_closes, 1);
    ck_assert_uint_eq(owner.n_inputs, 0);
    mem_free(bytes);
}
END_TEST

START_TEST(test_close_after_no_output)
{
    conn_close_after_output(&owner.conn);
    ck_assert_uint_eq(owner.n_closes, 0);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(owner.n_closes, 1);
}
END_TEST

START_TEST(test_close_is_final)
{
    conn_close(&owner.conn, "first");
    ck_assert_str_eq(owner.why, "first");
    conn_close(&owner.conn, "second");
    conn_close_after_output(&owner.conn);
    conn_set_paused(&owner.conn, true);
    conn_mark_dirty(&owner.conn);
    conn_process(&owner.conn);
    ck_assert_str_eq(owner.why, "first");
    ck_assert(!owner.conn.is_dirty);
    loop_turn(&loop, 0);
}
END_TEST

START_TEST(test_close_with_output_that_was_not_written)
{
    say("hello", 5);
    conn_close(&owner.conn, "no time");
    loop_turn(&loop, 0);
    ck_assert_uint_eq(shared.writes, 0);
}
END_TEST

START_TEST(test_close_inside_on_input)
{
    /* Once from the shared read buffer, once from its own. */
    for (int kept = 0; kept < 2; kept++) {
        if (kept == 1)
            use_tcp();
        owner.takes_from = kept == 1 ? SIZE_MAX : 0;
        owner.closes = kept == 0;
        peer_write("hello", 5);
        loop_turn(&loop, -1);
        owner.closes = true;
        if (kept == 1)
            peer_write(" you", 4);
        TURN_UNTIL(&loop, owner.n_closes == 1);
        ck_assert_str_eq(owner.why, "had enough");
        ck_assert_uint_eq(owner.conn.in.cap, 0);
        turn_times(&loop, 2);
        ck_assert_uint_eq(owner.n_inputs, kept == 1 ? 2 : 1);
    }
}
END_TEST

START_TEST(test_close_inside_conn_process)
{
    owner.takes_from = SIZE_MAX;
    peer_write("hello", 5);
    loop_turn(&loop, 0);
    owner.closes = true;
    conn_process(&owner.conn);
    ck_assert_uint_eq(owner.n_closes, 1);
    ck_assert_uint_eq(owner.conn.in.cap, 0);
}
END_TEST

static void peer_reset(void)
{
    struct linger now = {1, 0};
    ck_assert_int_eq(setsockopt(owner.peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(owner.peer);
    owner.peer = -1;
}

START_TEST(test_reset_by_the_peer)
{
    use_tcp();
    peer_reset();
    TURN_UNTIL(&loop, owner.n_closes == 1);
    ck_assert_str_eq(owner.why, "Connection reset by peer");
}
END_TEST

START_TEST(test_reset_while_paused)
{
    use_tcp();
    conn_set_paused(&owner.conn, true);
    loop_turn(&loop, 0);
    peer_reset();
    TURN_UNTIL(&loop, owner.n_closes == 1);
    ck_assert_str_eq(owner.why, "connection reset");
}
END_TEST

START_TEST(test_write_to_a_peer_that_is_gone)
{
    use_tcp();
    conn_set_paused(&owner.conn, true);
    peer_reset();
    say("hello", 5); /* no SIGPIPE either */
    TURN_UNTIL(&loop, owner.n_closes == 1);
    ck_assert_uint_eq(owner.n_ends, 0);
}
END_TEST

START_TEST(test_end_is_told_once_and_does_not_spin)
{
    use_tcp();
    ck_assert_int_eq(shutdown(owner.peer, SHUT_WR), 0);
    TURN_UNTIL(&loop, owner.n_ends == 1);
    uint64_t reads = shared.reads;
    turn_times(&loop, 10);
    ck_assert_uint_eq(owner.n_ends, 1);
    ck_assert_uint_eq(shared.reads, reads);
}
END_TEST

START_TEST(test_init_of_a_bad_descriptor)
{
    struct conn conn;
    ck_assert_int_eq(conn_init(&conn, &shared, -1), -EBADF);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conn_end");
    TCase *tcase = tcase_create("conn_end");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_peer_ends_and_still_gets_its_reply);
    tcase_add_test(tcase, test_close_after_output_reads_nothing_more);
    tcase_add_test(tcase, test_close_after_no_output);
    tcase_add_test(tcase, test_close_is_final);
    tcase_add_test(tcase, test_close_with_output_that_was_not_written);
    tcase_add_test(tcase, test_close_inside_on_input);
    tcase_add_test(tcase, test_close_inside_conn_process);
    tcase_add_test(tcase, test_reset_by_the_peer);
    tcase_add_test(tcase, test_reset_while_paused);
    tcase_add_test(tcase, test_write_to_a_peer_that_is_gone);
    tcase_add_test(tcase, test_end_is_told_once_and_does_not_spin);
    tcase_add_test(tcase, test_init_of_a_bad_descriptor);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
