/* Further connections of the fake L2 (fake_upstream.h): links of clients, the link of
 * subscriptions. Numbered as they come, from 0; each is spoken to apart.
 *
 *     pins_open(false);                  before upstream_attach; true: there is no first connection
 *     pin_expect(0, "BLPOP q 0");        turns the loop until this has come on the first of them
 *     pin_say(0, "*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
 *
 * HELLO is answered with id 1000, 1001, ... unless they are mute. */
#ifndef LARDER_TESTS_FAKE_PINS_H
#define LARDER_TESTS_FAKE_PINS_H

#include "fake_upstream.h"

#define PINS_MAX 200

struct pin {
    struct loop_watch watch;
    int fd; /* -1: it has ended */
    struct buf in;
    struct buf said;
    struct buf greeting; /* its HELLO */
    struct request_parser parser;
    struct request_args args;
};

static struct {
    struct pin items[PINS_MAX];
    size_t n;     /* so far */
    bool all;     /* every connection is one */
    bool is_mute; /* HELLO is not answered, but by pin_greet */
} pins;

static inline void pin_hang_up(size_t i)
{
    if (pins.items[i].fd < 0)
        return;
    loop_unwatch(upstream.loop, &pins.items[i].watch);
    close(pins.items[i].fd);
    pins.items[i].fd = -1;
}

static inline bool pin_is_open(size_t i)
{
    ck_assert_uint_lt(i, pins.n);
    return pins.items[i].fd >= 0;
}

static inline size_t pins_count_open(void)
{
    size_t n = 0;
    for (size_t i = 0; i < pins.n; i++)
        n += pin_is_open(i);
    return n;
}

static inline void pin_greet(size_t i)
{
    char text[100];
    int len = snprintf(text, sizeof(text),
                       "%%2\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$2\r\nid\r\n:%zu\r\n", 1000 + i);
    upstream_write_to(pins.items[i].fd, text, (size_t)len);
}

static void pin_take(struct pin *pin)
{
    struct request_limits limits = {.max_bulk_bytes = (size_t)1 << 30};
    struct request request;
    size_t taken = 0;
    size_t consumed;
    pin->args.n = 0;
    while (request_parse(&pin->parser, &limits, pin->in.data + taken, pin->in.len - taken,
                         &pin->args, &request, &consumed) == REQUEST_OK) {
        const struct bytes *argv = request_argv(&request);
        bool is_hello = bytes_is(argv[0], "HELLO");
        taken += consumed;
        upstream_note(is_hello ? &pin->greeting : &pin->said, argv, request.argc);
        if (is_hello && !pins.is_mute)
            pin_greet((size_t)(pin - pins.items));
    }
    memmove(pin->in.data, pin->in.data + taken, pin->in.len - taken);
    pin->in.len -= taken;
}

static void pin_on_readable(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    (void)loop;
    (void)events;
    struct pin *pin = watch->ctx;
    ck_assert(buf_reserve(&pin->in, 65536));
    ssize_t n = recv(pin->fd, pin->in.data + pin->in.len, 65536, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        pin_hang_up((size_t)(pin - pins.items));
        return;
    }
    pin->in.len += (size_t)n;
    pin_take(pin);
}

static bool pins_taker(struct loop *loop, int fd)
{
    if (!pins.all && upstream.fd < 0)
        return false;
    ck_assert_uint_lt(pins.n, PINS_MAX);
    struct pin *pin = &pins.items[pins.n++];
    pin->fd = fd;
    request_parser_init(&pin->parser);
    ck_assert_int_eq(loop_watch(loop, &pin->watch, fd, LOOP_READ, pin_on_readable, pin), 0);
    return true;
}

/* After upstream_open. */
static inline void pins_open(bool all)
{
    memset(&pins, 0, sizeof(pins));
    pins.all = all;
    upstream.taker = pins_taker;
}

/* Ends them, while their loop still is there. */
static inline void pins_close(void)
{
    for (size_t i = 0; i < pins.n; i++) {
        struct pin *pin = &pins.items[i];
        pin_hang_up(i);
        buf_deinit(&pin->in);
        buf_deinit(&pin->said);
        buf_deinit(&pin->greeting);
        request_parser_deinit(&pin->parser);
        request_args_deinit(&pin->args);
    }
    pins.n = 0;
}

/* Turns the loop until there have been `n` of them, and some turns more. */
static inline void pins_expect(size_t n)
{
    TURN_UNTIL(upstream.loop, pins.n >= n);
    turn_times(upstream.loop, 3);
    ck_assert_uint_eq(pins.n, n);
}

/* As upstream_expect; waits for the connection, too. */
static inline void pin_expect(size_t i, const char *commands)
{
    TURN_UNTIL(upstream.loop, pins.n > i);
    upstream_expect_in(&pins.items[i].said, commands);
}

/* As upstream_say. */
static inline void pin_say(size_t i, const char *text)
{
    ck_assert(pin_is_open(i));
    turn_times(upstream.loop, 3);
    upstream_write_to(pins.items[i].fd, text, strlen(text));
}

/* Turns the loop until larder has closed it. */
static inline void pin_expect_end(size_t i)
{
    ck_assert_uint_lt(i, pins.n);
    TURN_UNTIL(upstream.loop, !pin_is_open(i));
}

#endif
