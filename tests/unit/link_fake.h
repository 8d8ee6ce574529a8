/* A link and the fake upstream that it talks to, on one loop with a clock that the test moves.
 *
 * The fake answers the handshake by itself, as the test configures it, and writes down every other
 * command it gets; replies to those are the test's. Names of commands it has got are kept in
 * `said`, one letter or word each, separated by blanks. */
#ifndef LARDER_TESTS_LINK_FAKE_H
#define LARDER_TESTS_LINK_FAKE_H

#include "upstream/link.h"

#include "base/log.h"
#include "base/mem.h"
#include "loop_support.h"
#include "resp/request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS 1000
#define CONNECT_TIMEOUT_MS 3000
#define PING_INTERVAL_MS 2000
#define RETRY_MS 60000
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 800

/* The fake's answer to COMMAND, which the link keeps. */
#define COMMAND_TABLE "*1\r\n*2\r\n$3\r\nget\r\n:2\r\n"

static struct loop loop;
static struct link *link_; /* not to be confused with link(2) */

/* The fake upstream */

static struct {
    struct loop_watch watch; /* of the listening socket */
    int listening;
    unsigned port;
    struct loop_watch conn_watch;
    int fd; /* of the connection; -1: none */
    unsigned n_accepted;
    unsigned n_lost; /* connections that the link has closed */
    struct buf in;
    struct request_parser parser;
    struct request_args args;
    char said[4096];     /* commands behind the handshake: names and arguments */
    char greeting[1024]; /* commands of the handshake */
    bool is_deaf;        /* drops what it reads */
    bool is_mute;        /* does not answer the handshake */
    const char *hello;   /* answers */
    const char *tracking;
    const char *broadcast;    /* the same with BCAST; NULL: as `tracking` */
    const char *trackinginfo; /* NULL: the test answers */
    const char *pong;         /* the same */
    const char *command;
    const char *behind; /* said right behind the answer to COMMAND, in the same write */
} fake;

static inline void fake_say_bytes(const char *bytes, size_t len)
{
    size_t sent = 0;
    while (sent < len) {
        ssize_t n = send(fake.fd, bytes + sent, len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return; /* the link is gone */
        sent += n > 0 ? (size_t)n : 0;
        if (sent < len)
            loop_turn(&loop, 1); /* the link makes room */
    }
}

static inline void fake_say(const char *text)
{
    fake_say_bytes(text, strlen(text));
}

static inline void fake_hang_up(void)
{
    if (fake.fd < 0)
        return;
    loop_unwatch(&loop, &fake.conn_watch);
    close(fake.fd);
    fake.fd = -1;
    fake.in.len = 0;
    request_parser_rewind(&fake.parser);
}

static void note_command(char *out, size_t size, const struct request *request)
{
    size_t len = strlen(out);
    for (size_t i = 0; i < request->argc; i++) {
        struct bytes arg = request_argv(request)[i];
        len += (size_t)snprintf(out + len, size - len, "%s%.*s",
                                i > 0     ? "."
                                : len > 0 ? " "
                                          : "",
                                (int)arg.len, arg.ptr);
        ck_assert_uint_lt(len, size);
    }
}

static const char *fake_tracking_answer(const struct request *request)
{
    const struct bytes *argv = request_argv(request);
    bool bcasts = request->argc > 3 && bytes_is(argv[3], "BCAST");
    if (bytes_is(argv[2], "OFF"))
        return "+OK\r\n";
    return bcasts && fake.broadcast != NULL ? fake.broadcast : fake.tracking;
}

/* Answers a command of the handshake, and about tracking. Returns false for others. */
static bool answer_greeting(const struct request *request)
{
    struct bytes name = request_argv(request)[0];
    struct bytes second = request->argc > 1 ? request_argv(request)[1] : bytes_of("", 0);
    const char *answer = NULL;
    if (bytes_is(name, "HELLO"))
        answer = fake.hello;
    else if (bytes_is(name, "AUTH"))
        answer = "+OK\r\n";
    else if (bytes_is(name, "CLIENT") && bytes_is(second, "TRACKING"))
        answer = fake_tracking_answer(request);
    else if (bytes_is(name, "CLIENT") && bytes_is(second, "TRACKINGINFO"))
        answer = fake.trackinginfo;
    else if (bytes_is(name, "CLIENT") && bytes_is(second, "SETNAME"))
        answer = "+OK\r\n";
    else if (bytes_is(name, "CLIENT"))
        answer = "-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.\r\n";
    else if (bytes_is(name, "CONFIG"))
        answer = "*2\r\n$9\r\ndatabases\r\n$2\r\n16\r\n";
    else if (bytes_is(name, "COMMAND"))
        answer = fake.command;
    else if (bytes_is(name, "PING"))
        answer = fake.pong;
    if (answer == NULL)
        return false;
    note_command(fake.greeting, sizeof(fake.greeting), request);
    char all[1024];
    bool is_last = bytes_is(name, "COMMAND");
    snprintf(all, sizeof(all), "%s%s", answer, is_last && fake.behind != NULL ? fake.behind : "");
    if (!fake.is_mute)
        fake_say(all);
    return true;
}

static void take_commands(void)
{
    struct request_limits limits = {.max_bulk_bytes = 1u << 30};
    struct request request;
    size_t consumed = 0;
    size_t taken = 0;
    enum request_status status;
    fake.args.n = 0;
    while ((status = request_parse(&fake.parser, &limits, fake.in.data + taken, fake.in.len - taken,
                                   &fake.args, &request, &consumed)) == REQUEST_OK) {
        taken += consumed;
        if (!answer_greeting(&request))
            note_command(fake.said, sizeof(fake.said), &request);
        if (fake.fd < 0)
            return;
    }
    ck_assert_int_eq(status, REQUEST_MORE);
    memmove(fake.in.data, fake.in.data + taken, fake.in.len - taken);
    fake.in.len -= taken;
}

static void on_fake_readable(struct loop *on, struct loop_watch *watch, unsigned events)
{
    (void)on;
    (void)events;
    ck_assert(buf_reserve(&fake.in, 65536));
    ssize_t n = recv(watch->fd, fake.in.data + fake.in.len, 65536, 0);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN)
            return;
        fake.n_lost++;
        fake_hang_up();
        return;
    }
    fake.in.len += (size_t)n;
    if (fake.is_deaf)
        fake.in.len = 0;
    else
        take_commands();
}

static void on_fake_acceptable(struct loop *on, struct loop_watch *watch, unsigned events)
{
    (void)events;
    fake_hang_up();
    fake.fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ck_assert_int_ge(fake.fd, 0);
    int on_now = 1; /* several answers must not wait for each other */
    setsockopt(fake.fd, IPPROTO_TCP, TCP_NODELAY, &on_now, sizeof(on_now));
    fake.n_accepted++;
    fake.said[0] = '\0';
    fake.greeting[0] = '\0';
    ck_assert_int_eq(loop_watch(on, &fake.conn_watch, fake.fd, LOOP_READ, on_fake_readable, NULL),
                     0);
}

/* Listens on a port that the kernel chooses, or again on the same one. */
static inline void fake_listen(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)fake.port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(where);
    int on = 1;
    fake.listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(setsockopt(fake.listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    ck_assert_int_eq(bind(fake.listening, (struct sockaddr *)&where, len), 0);
    ck_assert_int_eq(listen(fake.listening, 10), 0);
    ck_assert_int_eq(getsockname(fake.listening, (struct sockaddr *)&where, &len), 0);
    fake.port = ntohs(where.sin_port);
    ck_assert_int_eq(
        loop_watch(&loop, &fake.watch, fake.listening, LOOP_READ, on_fake_acceptable, NULL), 0);
}

static inline void fake_stop_listening(void)
{
    if (fake.listening < 0)
        return;
    loop_unwatch(&loop, &fake.watch);
    close(fake.listening);
    fake.listening = -1;
}

/* What the link's owner hears */

static struct {
    unsigned n_up;
    unsigned n_down;
    unsigned n_all;   /* invalidations of everything */
    unsigned n_modes; /* changes of the mode of tracking */
    char keys[1024];  /* invalidated, each with a blank behind */
    char order[1024]; /* of replies ("=text") and invalidations ("!key") */
} heard;

static void on_invalidate(void *ctx, struct bytes key)
{
    ck_assert_ptr_eq(ctx, &heard);
    size_t len = strlen(heard.keys);
    snprintf(heard.keys + len, sizeof(heard.keys) - len, "%.*s ", (int)key.len, key.ptr);
    len = strlen(heard.order);
    snprintf(heard.order + len, sizeof(heard.order) - len, "!%.*s", (int)key.len, key.ptr);
}

static void on_invalidate_all(void *ctx)
{
    ck_assert_ptr_eq(ctx, &heard);
    heard.n_all++;
}

static void on_up(void *ctx)
{
    ck_assert_ptr_eq(ctx, &heard);
    heard.n_up++;
}

static void on_down(void *ctx)
{
    ck_assert_ptr_eq(ctx, &heard);
    ck_assert_int_ne(link_get_state(link_), LINK_READY);
    heard.n_down++;
}

static void on_tracking(void *ctx)
{
    ck_assert_ptr_eq(ctx, &heard);
    ck_assert_int_eq(link_get_state(link_), LINK_READY);
    heard.n_modes++;
}

static const struct link_handlers link_handlers = {
    .on_invalidate = on_invalidate,
    .on_invalidate_all = on_invalidate_all,
    .on_up = on_up,
    .on_down = on_down,
    .on_tracking = on_tracking,
};

/* An operation and what became of it. */
struct op {
    unsigned n_calls;
    enum link_outcome outcomes[3];
    char reply[512]; /* of the last call, cut */
    size_t reply_len;
    const char *then; /* sent in the callback */
    struct op *then_op;
};

static struct op op_pool[1000];
static size_t n_ops;

/* `n` fresh operations, there until the next test: the link may call back until it is destroyed. */
static inline struct op *new_ops(size_t n)
{
    ck_assert_uint_le(n_ops + n, sizeof(op_pool) / sizeof(op_pool[0]));
    n_ops += n;
    return &op_pool[n_ops - n];
}

static inline void send_op(unsigned db, const char *command, struct op *op);

static void on_reply(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct op *op = ctx;
    ck_assert_uint_lt(op->n_calls, 3);
    ck_assert_uint_ge(reply.len, 3);
    ck_assert(memcmp(reply.ptr + reply.len - 2, "\r\n", 2) == 0);
    op->outcomes[op->n_calls++] = outcome;
    op->reply_len = reply.len;
    size_t shown = reply.len - 2 < sizeof(op->reply) - 1 ? reply.len - 2 : sizeof(op->reply) - 1;
    memcpy(op->reply, reply.ptr, shown);
    op->reply[shown] = '\0';
    size_t len = strlen(heard.order);
    snprintf(heard.order + len, sizeof(heard.order) - len, "=%.20s", op->reply);
    if (op->then != NULL) {
        const char *then = op->then;
        op->then = NULL;
        send_op(0, then, op->then_op);
        ck_assert_msg(op->then_op->n_calls == 0, "called back inside the call");
    }
}

/* "GET a" as a RESP array. */
static inline struct bytes encode(const char *command, struct buf *out)
{
    struct bytes argv[8];
    size_t argc = 0;
    for (const char *p = command; *p != '\0' && argc < 8;) {
        size_t len = strcspn(p, " ");
        argv[argc++] = bytes_of(p, len);
        p += len + (p[len] == ' ');
    }
    ck_assert(request_encode(argv, argc, out));
    return buf_bytes(out);
}

static inline void send_op(unsigned db, const char *command, struct op *op)
{
    struct buf raw;
    buf_init(&raw);
    link_send(link_, db, encode(command, &raw), on_reply, op);
    buf_deinit(&raw);
}

static inline void send_write(unsigned db, const char *command, struct op *op)
{
    struct buf raw;
    buf_init(&raw);
    link_send_write(link_, db, encode(command, &raw), on_reply, op);
    buf_deinit(&raw);
}

/* Set-up */

static void flush_link(struct loop *on, void *ctx)
{
    (void)ctx;
    if (link_ != NULL)
        link_flush(on, link_);
}

static inline void fixture_set_up(void)
{
    memset(&fake, 0, sizeof(fake));
    memset(&heard, 0, sizeof(heard));
    memset(op_pool, 0, sizeof(op_pool));
    n_ops = 0;
    log_set_level(LOG_NOTHING);
    fake.fd = -1;
    fake.listening = -1;
    fake.hello = "%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n";
    fake.tracking = "+OK\r\n";
    fake.trackinginfo = NULL;
    fake.command = COMMAND_TABLE;
    buf_init(&fake.in);
    request_parser_init(&fake.parser);
    link_ = NULL;
    ck_assert_int_eq(loop_init(&loop), 0);
    clock_init_manual(&loop.clock, 1000000, 0);
    loop_add_hook(&loop, flush_link, NULL);
    fake_listen();
}

static inline void fixture_tear_down(void)
{
    if (link_ != NULL)
        link_destroy(link_);
    link_ = NULL;
    fake_hang_up();
    fake_stop_listening();
    buf_deinit(&fake.in);
    request_parser_deinit(&fake.parser);
    request_args_deinit(&fake.args);
    loop_deinit(&loop);
}

/* Options for the fake; `user_info` is "user:password@" or "". */
static inline struct link_options link_options_for(const char *user_info)
{
    char url[200];
    char error[200];
    struct link_options options = {
        .tracking = LINK_TRACKING_KEYS,
        .timeout_ms = TIMEOUT_MS,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .ping_interval_ms = PING_INTERVAL_MS,
        .backoff_min_ms = BACKOFF_MIN_MS,
        .backoff_max_ms = BACKOFF_MAX_MS,
        .tracking_retry_ms = RETRY_MS,
        .max_inflight = 1000,
        .max_reply_bytes = 1u << 20,
    };
    snprintf(url, sizeof(url), "redis://%s127.0.0.1:%u", user_info, fake.port);
    ck_assert_msg(address_parse(&options.address, url, error, sizeof(error)), "%s", error);
    return options;
}

static inline void link_start(void)
{
    struct link_options options = link_options_for("");
    link_ = link_create(&loop, &options, &link_handlers, &heard);
}

static inline void link_start_and_wait(void)
{
    link_start();
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
}

static inline void pass_ms(int64_t ms)
{
    clock_advance(&loop.clock, ms);
    turn_times(&loop, 3);
}

static inline struct link_figures figures(void)
{
    struct link_figures now;
    link_read_figures(link_, &now);
    return now;
}

/* One call with this outcome, and nothing more in some turns. */
#define ck_assert_op(op, outcome, text)                                                            \
    do {                                                                                           \
        TURN_UNTIL(&loop, (op)->n_calls > 0);                                                      \
        turn_times(&loop, 3);                                                                      \
        ck_assert_uint_eq((op)->n_calls, 1);                                                       \
        ck_assert_int_eq((op)->outcomes[0], (outcome));                                            \
        ck_assert_msg(strstr((op)->reply, (text)) != NULL, "%s", (op)->reply);                     \
    } while (0)

/* Runs a suite of one case. */
static inline int run_suite(const char *name, void (*add_tests)(TCase *tcase))
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, fixture_set_up, fixture_tear_down);
    tcase_set_timeout(tcase, 30);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
