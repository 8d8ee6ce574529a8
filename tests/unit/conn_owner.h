/* A connection over a socket pair whose owner does as the test says, and the peer at its other
 * end. */
#ifndef LARDER_TESTS_CONN_OWNER_H
#define LARDER_TESTS_CONN_OWNER_H

#include "net/conn.h"

#include "base/mem.h"
#include "loop_support.h"

#include <errno.h>
#include <stdio.h>
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

static inline void owner_adopt(int fd, int peer)
{
    memset(&owner, 0, sizeof(owner));
    buf_init(&owner.got);
    owner.peer = peer;
    owner.takes_at_most = SIZE_MAX;
    ck_assert_int_eq(conn_init(&owner.conn, &shared, fd), 0);
}

static inline void set_up(void)
{
    int fds[2];
    ck_assert_int_eq(loop_init(&loop), 0);
    conn_shared_init(&shared, &loop, &handlers);
    loop_add_hook(&loop, conn_flush_all, &shared);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    owner_adopt(fds[0], fds[1]);
}

static inline void tear_down(void)
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

static inline void peer_write(const char *bytes, size_t len)
{
    ck_assert_int_eq(write(owner.peer, bytes, len), (ssize_t)len);
}

static inline void say(const void *bytes, size_t len)
{
    ck_assert(buf_append(&owner.conn.out, bytes, len));
    conn_mark_dirty(&owner.conn);
}

/* Byte i of what large tests send. */
static inline char pattern(size_t i)
{
    return (char)(i * 31 + (i >> 12));
}

static inline char *make_large(void)
{
    char *bytes = mem_alloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = pattern(i);
    return bytes;
}

/* Reads what the peer can get now and checks that it goes on at `*n`. */
static inline void peer_read(size_t *n)
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

#endif
