/* A fake L2 on the loop of the larder or tier under test: it listens on a unix socket in a folder
 * of its own, answers the handshake, writes every other command down, and says what the test tells
 * it to. One connection at a time, but for those that `taker` takes (fake_pins.h).
 *
 *     upstream_expect("GET a; PTTL a");          turns the loop until these have come
 *     upstream_say("$1\r\n1\r\n:-1\r\n");        replies and pushes, as they are
 */
#ifndef LARDER_TESTS_FAKE_UPSTREAM_H
#define LARDER_TESTS_FAKE_UPSTREAM_H

#include "loop_support.h"
#include "resp/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct {
    struct loop *loop;
    char dir[64];
    char path[80];
    int listening;
    struct loop_watch accept_watch;
    int fd; /* of the connection; -1: none */
    struct loop_watch watch;
    unsigned n_connected; /* connections so far */
    struct buf in;
    struct request_parser parser;
    struct request_args args;
    struct buf said; /* commands not expected yet, "; " between them, blanks between words */
    bool refuses_tracking;
    bool leaves_tracking;      /* to the test: it writes these commands down, too */
    const char *command_reply; /* to COMMAND; NULL: an empty array */
    const char *policy;        /* its maxmemory-policy; NULL: it tells none */
    unsigned n_policy_asked;
    bool (*taker)(struct loop *loop, int fd); /* takes a new connection; NULL, false: it is ours */
} upstream;

/* Says bytes at once, to be read in one piece where the socket's buffer has room for them. */
static inline void upstream_write_to(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return; /* the link is gone */
        if (n < 0) {
            loop_turn(upstream.loop, 1);
            continue;
        }
        bytes += n;
        len -= (size_t)n;
    }
}

static inline void upstream_write(const char *bytes, size_t len)
{
    upstream_write_to(upstream.fd, bytes, len);
}

/* The same when what was asked has been sent: a link takes no reply before. */
static inline void upstream_say_bytes(const char *bytes, size_t len)
{
    turn_times(upstream.loop, 3);
    upstream_write(bytes, len);
}

static inline void upstream_say(const char *text)
{
    upstream_say_bytes(text, strlen(text));
}

/* Ends the connection. */
static inline void upstream_hang_up(void)
{
    if (upstream.fd < 0)
        return;
    loop_unwatch(upstream.loop, &upstream.watch);
    close(upstream.fd);
    upstream.fd = -1;
    upstream.in.len = 0;
    request_parser_rewind(&upstream.parser);
}

static void upstream_greet_with(const char *text)
{
    upstream_write(text, strlen(text));
}

static void upstream_greet_policy(void)
{
    char text[128];
    snprintf(text, sizeof(text), "%%1\r\n$16\r\nmaxmemory-policy\r\n$%zu\r\n%s\r\n",
             strlen(upstream.policy), upstream.policy);
    upstream_greet_with(text);
}

/* Answers what a link says first. Returns false for anything else. */
static bool upstream_greet(const struct bytes *argv, size_t argc)
{
    struct bytes second = argc > 1 ? argv[1] : BYTES(".");
    bool is_policy = argc > 2 && bytes_is(argv[2], "maxmemory-policy");
    upstream.n_policy_asked += is_policy;
    if (upstream.leaves_tracking && bytes_is(argv[0], "CLIENT"))
        return false;
    if (bytes_is(argv[0], "HELLO"))
        upstream_greet_with("%1\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n");
    else if (bytes_is(argv[0], "CLIENT") && bytes_is(second, "TRACKING"))
        upstream_greet_with(upstream.refuses_tracking ? "-ERR no tracking\r\n" : "+OK\r\n");
    else if (bytes_is(argv[0], "CLIENT") && !bytes_is(second, "UNBLOCK"))
        upstream_greet_with("+OK\r\n");
    else if (is_policy && upstream.policy != NULL)
        upstream_greet_policy();
    else if (is_policy)
        upstream_greet_with("-NOPERM no\r\n");
    else if (bytes_is(argv[0], "CONFIG") && argc == 3 && bytes_is(argv[2], "databases"))
        upstream_greet_with("%1\r\n$9\r\ndatabases\r\n$2\r\n16\r\n");
    else if (bytes_is(argv[0], "COMMAND") && upstream.command_reply != NULL)
        upstream_greet_with(upstream.command_reply);
    else if (bytes_is(argv[0], "COMMAND"))
        upstream_greet_with("*0\r\n");
    else
        return false;
    return true;
}

static void upstream_note(struct buf *said, const struct bytes *argv, size_t argc)
{
    if (said->len > 0)
        ck_assert(buf_append(said, "; ", 2));
    for (size_t i = 0; i < argc; i++)
        ck_assert((i == 0 || buf_append(said, " ", 1)) &&
                  buf_append(said, argv[i].ptr, argv[i].len));
}

static void upstream_take(void)
{
    struct request_limits limits = {.max_bulk_bytes = (size_t)1 << 30};
    struct request request;
    size_t taken = 0;
    size_t consumed;
    enum request_status status;
    upstream.args.n = 0;
    while ((status = request_parse(&upstream.parser, &limits, upstream.in.data + taken,
                                   upstream.in.len - taken, &upstream.args, &request, &consumed)) ==
           REQUEST_OK) {
        taken += consumed;
        if (!upstream_greet(request_argv(&request), request.argc))
            upstream_note(&upstream.said, request_argv(&request), request.argc);
    }
    ck_assert_int_eq(status, REQUEST_MORE);
    memmove(upstream.in.data, upstream.in.data + taken, upstream.in.len - taken);
    upstream.in.len -= taken;
}

static void upstream_on_readable(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    (void)loop;
    (void)events;
    ck_assert(buf_reserve(&upstream.in, 65536));
    ssize_t n = recv(watch->fd, upstream.in.data + upstream.in.len, 65536, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        upstream_hang_up();
        return;
    }
    upstream.in.len += (size_t)n;
    upstream_take();
}

static void upstream_on_acceptable(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    (void)events;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    if (upstream.taker != NULL && upstream.taker(loop, fd))
        return;
    upstream_hang_up();
    upstream.fd = fd;
    upstream.n_connected++;
    ck_assert_int_eq(
        loop_watch(loop, &upstream.watch, upstream.fd, LOOP_READ, upstream_on_readable, NULL), 0);
}

/* Makes the folder and listens in it; nobody is accepted before upstream_attach. */
static inline void upstream_open(void)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    memset(&upstream, 0, sizeof(upstream));
    buf_init(&upstream.in);
    buf_init(&upstream.said);
    request_parser_init(&upstream.parser);
    upstream.fd = -1;
    snprintf(upstream.dir, sizeof(upstream.dir), "/tmp/fake_upstream.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(upstream.dir));
    snprintf(upstream.path, sizeof(upstream.path), "%s/l2", upstream.dir);
    snprintf(where.sun_path, sizeof(where.sun_path), "%s", upstream.path);
    upstream.listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(upstream.listening, 0);
    ck_assert_int_eq(bind(upstream.listening, (struct sockaddr *)&where, sizeof(where)), 0);
    ck_assert_int_eq(listen(upstream.listening, 512), 0);
}

static inline void upstream_attach(struct loop *loop)
{
    upstream.loop = loop;
    ck_assert_int_eq(loop_watch(loop, &upstream.accept_watch, upstream.listening, LOOP_READ,
                                upstream_on_acceptable, NULL),
                     0);
}

/* Listens no more, so that nobody can connect again. */
static inline void upstream_stop_listening(void)
{
    if (upstream.listening < 0)
        return;
    if (upstream.loop != NULL)
        loop_unwatch(upstream.loop, &upstream.accept_watch);
    close(upstream.listening);
    upstream.listening = -1;
    unlink(upstream.path);
}

/* Ends it, while its loop still is there. */
static inline void upstream_close(void)
{
    upstream_hang_up();
    upstream_stop_listening();
    rmdir(upstream.dir);
    buf_deinit(&upstream.in);
    buf_deinit(&upstream.said);
    request_parser_deinit(&upstream.parser);
    request_args_deinit(&upstream.args);
}

static inline void upstream_expect_in(struct buf *said, const char *commands)
{
    size_t len = strlen(commands);
    if (len > 0)
        TURN_UNTIL(upstream.loop, said->len >= len);
    turn_times(upstream.loop, 3);
    ck_assert(buf_append(said, "", 1));
    ck_assert_str_eq(said->data, commands);
    said->len = 0;
}

/* Turns the loop until as many bytes of commands have come, and some turns more; they must be
 * these. "": there are none. */
static inline void upstream_expect(const char *commands)
{
    upstream_expect_in(&upstream.said, commands);
}

#endif
