/* Client connections (src/net/conn.h) over socket pairs: what is offered, what is written, and
 * every way to end. */
#include "net/conn.h"

#include "base/mem.h"
#include "loop_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGE ((size_t)3 << 20)

static struct loop loop;
static struct conn_shared shared;

/* A connection whose owner does as the test says. */
struct owner {
    struct conn conn; /* first: callbacks get it */
    int peer;
    struct buf got;       /* what was taken */
    size_t takes_at_most; /* in one call */
    size_t takes_from;    /* nothing below this many bytes */
    bool closes;          /* inside on_input */
    bool pauses_when_drained;
    unsigned n_inputs, n_ends, n_closes, n_drained;
    char why[64];
};

static struct owner owner;

static size_t on_input(struct conn *conn, const char *data, size_t len)
{
    struct owner *self = (struct owner *)conn;
    self->n_inputs++;
    ck_assert_uint_gt(len, 0);
    if (self->closes) {
        conn_close(conn, "had enough");
        return 0;
    }
    if (len < self->takes_from)
        return 0;
    size_t taken = len < self->takes_at_most ? len : self->takes_at_most;
    ck_assert(buf_append(&self->got, data, taken));
    return taken;
}

static void on_end(struct conn *conn)
{
    ((struct owner *)conn)->n_ends++;
}

static void on_close(struct conn *conn, const char *why)
{
    struct owner *self = (struct owner *)conn;
    self->n_closes++;
    snprintf(self->why, sizeof(self->why), "%s", why);
}

static void on_drained(struct conn *conn)
{
    struct owner *self = (struct owner *)conn;
    self->n_drained++;
    if (self->pauses_when_drained)
        conn_set_paused(conn, true);
}

static const struct conn_handlers handlers = {on_input, on_end, on_close, on_drained};

static void owner_adopt(int fd, int peer)
{
    memset(&owner, 0, sizeof(owner));
    buf_init(&owner.got);
    owner.peer = peer;
    owner.takes_at_most = SIZE_MAX;
    ck_assert_int_eq(conn_init(&owner.conn, &shared, fd), 0);
}

static void set_up(void)
{
    int fds[2];
    ck_assert_int_eq(loop_init(&loop), 0);
    conn_shared_init(&shared, &loop, &handlers);
    loop_add_hook(&loop, conn_flush_all, &shared);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    owner_adopt(fds[0], fds[1]);
}

static void tear_down(void)
{
    mem_fail_after(0);
    conn_close(&owner.conn, "the end");
    ck_assert_uint_eq(owner.n_closes, 1);
    buf_deinit(&owner.got);
    if (owner.peer >= 0)
        close(owner.peer);
    conn_shared_deinit(&shared);
    loop_deinit(&loop);
}

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

static void peer_write(const char *bytes, size_t len)
{
    ck_assert_int_eq(write(owner.peer, bytes, len), (ssize_t)len);
}

static void say(const void *bytes, size_t len)
{
    ck_assert(buf_append(&owner.conn.out, bytes, len));
    conn_mark_dirty(&owner.conn);
}

/* Byte i of what large tests send. */
static char pattern(size_t i)
{
    return (char)(i * 31 + (i >> 12));
}

static char *make_large(void)
{
    char *bytes = mem_alloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = pattern(i);
    return bytes;
}

/* Reads what the peer can get now and checks that it goes on at `*n`. */
static void peer_read(size_t *n)
{
    static char bytes[65536];
    ssize_t len;
    while ((len = read(owner.peer, bytes, sizeof(bytes))) > 0) {
        for (ssize_t i = 0; i < len; i++)
            if (bytes[i] != pattern(*n + (size_t)i))
                ck_abort_msg("byte %zu is wrong", *n + (size_t)i);
        *n += (size_t)len;
    }
}

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
