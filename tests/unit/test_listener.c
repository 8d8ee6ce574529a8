/* Listening sockets (src/net/listener.h): TCP and unix sockets, and what happens without
 * descriptors. */
#include "net/listener.h"

#include "loop_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 511
#define ACCEPTED_MAX 128

static struct loop loop;
static struct listener listener;
static int accepted[ACCEPTED_MAX];
static unsigned n_accepted;
static bool closes_listener; /* inside the callback */

static char folder[64];
static char path[80];

static void on_accept(struct listener *from, int fd, void *ctx)
{
    ck_assert_ptr_eq(from, &listener);
    ck_assert_ptr_eq(ctx, accepted);
    ck_assert_uint_lt(n_accepted, ACCEPTED_MAX);
    accepted[n_accepted++] = fd;
    if (closes_listener)
        listener_close(from);
}

static int open_tcp(const char *address, unsigned port)
{
    return listener_open_tcp(&listener, &loop, address, port, BACKLOG, on_accept, accepted);
}

static int open_unix(mode_t mode)
{
    return listener_open_unix(&listener, &loop, path, mode, BACKLOG, on_accept, accepted);
}

static void set_up(void)
{
    n_accepted = 0;
    listener.fd = -1;
    closes_listener = false;
    ck_assert_int_eq(loop_init(&loop), 0);
    strcpy(folder, "/tmp/larder-listener-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/socket", folder);
}

static void tear_down(void)
{
    listener_close(&listener);
    listener_close(&listener); /* twice does no harm */
    while (n_accepted > 0)
        close(accepted[--n_accepted]);
    unlink(path);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing is left behind */
    loop_deinit(&loop);
}

static unsigned local_port(int fd)
{
    struct sockaddr_storage where;
    socklen_t len = sizeof(where);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&where, &len), 0);
    return ntohs(where.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&where)->sin6_port
                                             : ((struct sockaddr_in *)&where)->sin_port);
}

/* Connects to the listener. Returns the socket or -errno. */
static int connect_to_it(void)
{
    struct sockaddr_storage where;
    socklen_t len = sizeof(where);
    ck_assert_int_eq(getsockname(listener.fd, (struct sockaddr *)&where, &len), 0);
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    if (connect(fd, (struct sockaddr *)&where, len) < 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

START_TEST(test_tcp)
{
    char name[NET_NAME_MAX];
    char expected[NET_NAME_MAX];
    ck_assert_int_eq(open_tcp("127.0.0.1", 0), 0);
    int fd = connect_to_it();
    TURN_UNTIL(&loop, n_accepted == 1);
    ck_assert_int_eq(fcntl(accepted[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    ck_assert_int_eq(fcntl(accepted[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert_int_eq(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ck_assert(net_peer_is_local(accepted[0]));
    net_peer_name(accepted[0], name, sizeof(name));
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", local_port(fd));
    ck_assert_str_eq(name, expected);
    net_local_name(accepted[0], name, sizeof(name));
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", local_port(listener.fd));
    ck_assert_str_eq(name, expected);
    listener_close(&listener);
    ck_assert_int_lt(listener.fd, 0);
    close(fd);
}
END_TEST

START_TEST(test_tcp_over_ipv6)
{
    char name[NET_NAME_MAX];
    char expected[NET_NAME_MAX];
    int result = open_tcp("::1", 0);
    if (result < 0) { /* a host without IPv6 must say so */
        ck_assert(result == -EAFNOSUPPORT || result == -EADDRNOTAVAIL);
        return;
    }
    int fd = connect_to_it();
    TURN_UNTIL(&loop, n_accepted == 1);
    ck_assert(net_peer_is_local(accepted[0]));
    net_peer_name(accepted[0], name, sizeof(name));
    snprintf(expected, sizeof(expected), "[::1]:%u", local_port(fd));
    ck_assert_str_eq(name, expected);
    close(fd);
}
END_TEST

START_TEST(test_tcp_wildcards)
{
    ck_assert_int_eq(open_tcp("*", 0), 0);
    unsigned port = local_port(listener.fd);
    int fd = connect_to_it();
    ck_assert_int_ge(fd, 0);
    TURN_UNTIL(&loop, n_accepted == 1);
    close(fd);
    /* All of IPv6 on the same port does not clash with all of IPv4. */
    struct listener v4 = listener;
    loop_unwatch(&loop, &listener.watch);
    int result = open_tcp("::*", port);
    ck_assert(result == 0 || result == -EAFNOSUPPORT);
    close(v4.fd);
}
END_TEST

START_TEST(test_tcp_errors)
{
    ck_assert_int_eq(open_tcp("localhost", 0), 0);
    unsigned port = local_port(listener.fd);
    struct listener other;
    ck_assert_int_eq(
        listener_open_tcp(&other, &loop, "127.0.0.1", port, BACKLOG, on_accept, accepted),
        -EADDRINUSE);
    listener_close(&other); /* after a failure, too */
    listener_close(&listener);
    static const char *const none[] = {"",      "nohost.invalid", "127.0.0.1:80",
                                       "1.2.3", "[::1]",          "::g"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        ck_assert_int_eq(open_tcp(none[i], 0), -EINVAL);
    ck_assert_int_eq(open_tcp("127.0.0.1", 65536), -EINVAL);
    ck_assert_int_eq(open_tcp("192.0.2.1", 0), -EADDRNOTAVAIL); /* kept for documentation */
}
END_TEST

START_TEST(test_flood_leaves_time_for_others)
{
    enum { N = 100 };
    int fds[N];
    ck_assert_int_eq(open_tcp("127.0.0.1", 0), 0);
    for (int i = 0; i < N; i++)
        fds[i] = connect_to_it();
    loop_turn(&loop, -1);
    ck_assert_uint_gt(n_accepted, 1);
    ck_assert_uint_le(n_accepted, 64);
    TURN_UNTIL(&loop, n_accepted == N);
    for (int i = 0; i < N; i++)
        close(fds[i]);
}
END_TEST

START_TEST(test_close_inside_the_callback)
{
    closes_listener = true;
    ck_assert_int_eq(open_tcp("127.0.0.1", 0), 0);
    int first = connect_to_it();
    int second = connect_to_it();
    TURN_UNTIL(&loop, n_accepted > 0);
    turn_times(&loop, 3);
    ck_assert_uint_eq(n_accepted, 1);
    close(first);
    close(second);
}
END_TEST

START_TEST(test_rests_without_descriptors)
{
    struct rlimit limit;
    clock_init_manual(&loop.clock, 1000, 0);
    ck_assert_int_eq(open_tcp("127.0.0.1", 0), 0);
    int fd = connect_to_it();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t usual = limit.rlim_cur;
    limit.rlim_cur = 3;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    TURN_UNTIL(&loop, timer_is_armed(&listener.rest));
    ck_assert_uint_eq(listener.watch.events, 0); /* no turn is woken by the one that waits */
    clock_advance(&loop.clock, 99);
    turn_times(&loop, 3);
    ck_assert_uint_eq(listener.watch.events, 0);
    clock_advance(&loop.clock, 1);
    turn_times(&loop, 2); /* tries again in vain, and rests again */
    ck_assert(timer_is_armed(&listener.rest));
    limit.rlim_cur = usual;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(n_accepted, 0);
    clock_advance(&loop.clock, 100);
    TURN_UNTIL(&loop, n_accepted == 1);
    close(fd);
}
END_TEST

/* Unix sockets */

static bool has_file(void)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

START_TEST(test_unix)
{
    static const mode_t modes[] = {0700, 0777, 0660};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char name[NET_NAME_MAX];
        char expected[NET_NAME_MAX];
        struct stat info;
        n_accepted = 0;
        ck_assert_int_eq(open_unix(modes[i]), 0);
        ck_assert_int_eq(stat(path, &info), 0);
        ck_assert_uint_eq(info.st_mode & 07777, modes[i]);
        int fd = connect_to_it();
        TURN_UNTIL(&loop, n_accepted == 1);
        ck_assert(net_peer_is_local(accepted[0]));
        net_peer_name(accepted[0], name, sizeof(name));
        snprintf(expected, sizeof(expected), "%s:0", path);
        ck_assert_str_eq(name, expected);
        net_tune(accepted[0], 60); /* no effect, no harm */
        close(fd);
        close(accepted[--n_accepted]);
        listener_close(&listener);
        ck_assert(!has_file());
    }
}
END_TEST

START_TEST(test_unix_mode_by_umask)
{
    struct stat info;
    mode_t before = umask(027);
    int result = open_unix(0);
    umask(before);
    ck_assert_int_eq(result, 0);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_eq(info.st_mode & 07777, 0750);
}
END_TEST

/* Binds a socket to the path as another server does. Returns it. */
static int other_server(int type, int backlog)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    strcpy(where.sun_path, path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    if (backlog >= 0)
        ck_assert_int_eq(listen(fd, backlog), 0);
    return fd;
}

START_TEST(test_unix_stale_file_is_replaced)
{
    close(other_server(SOCK_STREAM, 1));
    ck_assert(has_file());
    ck_assert_int_eq(open_unix(0700), 0);
    int fd = connect_to_it();
    TURN_UNTIL(&loop, n_accepted == 1);
    close(fd);
}
END_TEST

START_TEST(test_unix_live_server_is_left_alone)
{
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        int fd = other_server(types[i], types[i] == SOCK_DGRAM ? -1 : 1);
        ck_assert_int_eq(open_unix(0700), -EADDRINUSE);
        ck_assert(has_file());
        close(fd);
        unlink(path);
    }
}
END_TEST

START_TEST(test_unix_live_server_that_accepts_nobody)
{
    int fds[2] = {-1, -1};
    int server = other_server(SOCK_STREAM, 0);
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    strcpy(where.sun_path, path);
    for (int i = 0; i < 2; i++) { /* its backlog is full */
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(fds[i], (struct sockaddr *)&where, sizeof(where));
    }
    ck_assert_int_eq(open_unix(0700), -EADDRINUSE);
    ck_assert(has_file());
    close(fds[0]);
    close(fds[1]);
    close(server);
}
END_TEST

START_TEST(test_unix_other_files_are_left_alone)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    ck_assert_int_eq(open_unix(0700), -EADDRINUSE);
    ck_assert(has_file());
    unlink(path);
    ck_assert_int_eq(symlink("/nonexistent", path), 0);
    ck_assert_int_eq(open_unix(0700), -EADDRINUSE);
    ck_assert(has_file());
}
END_TEST

START_TEST(test_unix_errors)
{
    char long_path[200];
    memset(long_path, 'a', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    ck_assert_int_eq(
        listener_open_unix(&listener, &loop, long_path, 0, BACKLOG, on_accept, accepted),
        -ENAMETOOLONG);
    snprintf(long_path, sizeof(long_path), "%s/none/socket", folder);
    ck_assert_int_eq(
        listener_open_unix(&listener, &loop, long_path, 0, BACKLOG, on_accept, accepted), -ENOENT);
}
END_TEST

START_TEST(test_tuning)
{
    int value = 0;
    socklen_t len = sizeof(value);
    ck_assert_int_eq(open_tcp("127.0.0.1", 0), 0);
    int fd = connect_to_it();
    net_tune(fd, 0);
    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    ck_assert_int_ne(value, 0);
    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
    ck_assert_int_eq(value, 0);
    net_tune(fd, 300);
    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
    ck_assert_int_ne(value, 0);
    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &len), 0);
    ck_assert_int_eq(value, 300);
    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &value, &len), 0);
    ck_assert_int_eq(value, 100);
    close(fd);
}
END_TEST

START_TEST(test_names_of_nothing)
{
    char name[NET_NAME_MAX];
    char small[5];
    net_peer_name(-1, name, sizeof(name));
    ck_assert_str_eq(name, "?:0");
    net_local_name(-1, small, sizeof(small));
    ck_assert_str_eq(small, "?:0");
    ck_assert(!net_peer_is_local(-1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("listener");
    TCase *tcase = tcase_create("listener");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_tcp);
    tcase_add_test(tcase, test_tcp_over_ipv6);
    tcase_add_test(tcase, test_tcp_wildcards);
    tcase_add_test(tcase, test_tcp_errors);
    tcase_add_test(tcase, test_flood_leaves_time_for_others);
    tcase_add_test(tcase, test_close_inside_the_callback);
    tcase_add_test(tcase, test_rests_without_descriptors);
    tcase_add_test(tcase, test_unix);
    tcase_add_test(tcase, test_unix_mode_by_umask);
    tcase_add_test(tcase, test_unix_stale_file_is_replaced);
    tcase_add_test(tcase, test_unix_live_server_is_left_alone);
    tcase_add_test(tcase, test_unix_live_server_that_accepts_nobody);
    tcase_add_test(tcase, test_unix_other_files_are_left_alone);
    tcase_add_test(tcase, test_unix_errors);
    tcase_add_test(tcase, test_tuning);
    tcase_add_test(tcase, test_names_of_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
