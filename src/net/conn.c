/* A client connection; see conn.h. */
#include "net/conn.h"

#include "base/mem.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

void conn_shared_init(struct conn_shared *shared, struct loop *loop,
                      const struct conn_handlers *handlers)
{
    memset(shared, 0, sizeof(*shared));
    shared->loop = loop;
    shared->handlers = handlers;
    shared->read_buffer = mem_alloc(CONN_READ_BYTES);
    TAILQ_INIT(&shared->dirty);
}

void conn_shared_deinit(struct conn_shared *shared)
{
    mem_free(shared->read_buffer);
    shared->read_buffer = NULL;
}

/* Asks the kernel for what is wanted now. */
static void update_watch(struct conn *conn)
{
    unsigned events = 0;
    if (!conn->paused && !conn->closing && !conn->at_end)
        events |= LOOP_READ;
    /* Also when the rest went out with later output: on_drained comes from the next turn's
     * event. */
    if (conn->blocked || (conn_pending_output(conn) > 0 && !conn->is_dirty))
        events |= LOOP_WRITE;
    if (conn->watches_hangup)
        events |= LOOP_HANGUP;
    loop_rewatch(conn->shared->loop, &conn->watch, events);
}

void conn_close(struct conn *conn, const char *why)
{
    if (conn->closed)
        return;
    conn->closed = true;
    if (conn->is_dirty) {
        TAILQ_REMOVE(&conn->shared->dirty, conn, dirty_link);
        conn->is_dirty = false;
    }
    loop_unwatch(conn->shared->loop, &conn->watch);
    close(conn->fd);
    conn->fd = -1;
    buf_deinit(&conn->out);
    conn->out_written = 0;
    if (!conn->in_input) {
        buf_deinit(&conn->in);
        conn->in_taken = 0;
    }
    conn->shared->handlers->on_close(conn, why);
}

void conn_close_after_output(struct conn *conn)
{
    if (conn->closed || conn->closing)
        return;
    conn->closing = true;
    conn_mark_dirty(conn);
    update_watch(conn);
}

void conn_watch_hangup(struct conn *conn, bool watch)
{
    if (conn->closed || conn->watches_hangup == watch)
        return;
    conn->watches_hangup = watch;
    update_watch(conn);
}

void conn_set_paused(struct conn *conn, bool paused)
{
    if (conn->closed || conn->paused == paused)
        return;
    conn->paused = paused;
    update_watch(conn);
}

/* Offers in[in_taken..] and drops from the front what was taken. */
static void offer_in(struct conn *conn)
{
    conn->in_input = true;
    size_t taken = conn->shared->handlers->on_input(conn, conn->in.data + conn->in_taken,
                                                    conn_pending_input(conn));
    conn->in_input = false;
    if (conn->closed) {
        buf_deinit(&conn->in);
        conn->in_taken = 0;
        return;
    }
    conn->in_taken += taken;
    if (conn->in_taken == conn->in.len) {
        conn->in.len = 0;
        conn->in_taken = 0;
        buf_trim(&conn->in, 0);
    }
}

void conn_process(struct conn *conn)
{
    if (!conn->closed && conn_pending_input(conn) > 0)
        offer_in(conn);
}

/* Makes room behind `in` for the next read: drops the taken front when it is at least half, so that
 * bytes move seldom. */
static bool make_room(struct conn *conn)
{
    struct buf *in = &conn->in;
    if (conn->in_taken > 0 && conn->in_taken >= in->len / 2) {
        memmove(in->data, in->data + conn->in_taken, in->len - conn->in_taken);
        in->len -= conn->in_taken;
        conn->in_taken = 0;
    }
    return buf_reserve(in, CONN_READ_BYTES);
}

/* Offers bytes that lie in the shared read buffer and keeps what is left of them. */
static void offer_shared(struct conn *conn, size_t len)
{
    char *data = conn->shared->read_buffer;
    conn->in_input = true;
    size_t taken = conn->shared->handlers->on_input(conn, data, len);
    conn->in_input = false;
    if (conn->closed || taken == len)
        return;
    if (!buf_append(&conn->in, data + taken, len - taken))
        conn_close(conn, "out of memory for input");
}

static void on_readable(struct conn *conn)
{
    bool direct = conn->in.len == 0;
    if (!direct && !make_room(conn)) {
        conn_close(conn, "out of memory for input");
        return;
    }
    char *target = direct ? conn->shared->read_buffer : conn->in.data + conn->in.len;
    ssize_t n = read(conn->fd, target, CONN_READ_BYTES);
    conn->shared->reads++;
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            conn_close(conn, strerror(errno));
        return;
    }
    if (n == 0) {
        conn->at_end = true;
        update_watch(conn);
        conn->shared->handlers->on_end(conn);
        return;
    }
    conn->shared->bytes_read += (uint64_t)n;
    if (direct) {
        offer_shared(conn, (size_t)n);
    } else {
        conn->in.len += (size_t)n;
        offer_in(conn);
    }
}

/* Writes what there is. Returns false when the connection was closed. */
static bool flush(struct conn *conn)
{
    struct buf *out = &conn->out;
    size_t pending = conn_pending_output(conn);
    if (pending > 0) {
        ssize_t n = send(conn->fd, out->data + conn->out_written, pending, MSG_NOSIGNAL);
        conn->shared->writes++;
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            conn_close(conn, strerror(errno));
            return false;
        }
        if (n > 0) {
            conn->out_written += (size_t)n;
            conn->shared->bytes_written += (uint64_t)n;
        }
    }
    conn->blocked = conn->blocked || conn->out_written < out->len;
    if (conn->out_written == out->len) {
        out->len = 0;
        conn->out_written = 0;
        buf_trim(out, CONN_OUT_KEEP);
        if (conn->closing) {
            conn_close(conn, "closed by server");
            return false;
        }
    } else if (conn->out_written >= out->len / 2) {
        memmove(out->data, out->data + conn->out_written, out->len - conn->out_written);
        out->len -= conn->out_written;
        conn->out_written = 0;
    }
    return true;
}

/* Writes on. Returns false when the connection was closed. */
static bool on_writable(struct conn *conn)
{
    if (conn_pending_output(conn) > 0 && !flush(conn))
        return false;
    bool drained = conn->blocked && conn_pending_output(conn) == 0;
    if (drained)
        conn->blocked = false;
    update_watch(conn);
    if (drained && conn->shared->handlers->on_drained != NULL)
        conn->shared->handlers->on_drained(conn);
    return !conn->closed;
}

static void on_event(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    (void)loop;
    struct conn *conn = watch->ctx;
    if ((events & LOOP_HANGUP) && conn->watches_hangup) {
        conn_close(conn, "client closed connection");
        return;
    }
    unsigned asked = watch->events;
    if ((events & LOOP_WRITE) && !on_writable(conn))
        return;
    if (!(events & LOOP_READ))
        return;
    if (!(asked & LOOP_READ))
        conn_close(conn, "connection reset"); /* a hang-up is reported whatever was asked for */
    else if (watch->events & LOOP_READ)
        on_readable(conn);
}

int conn_init(struct conn *conn, struct conn_shared *shared, int fd)
{
    memset(conn, 0, sizeof(*conn));
    conn->shared = shared;
    conn->fd = fd;
    return loop_watch(shared->loop, &conn->watch, fd, LOOP_READ, on_event, conn);
}

void conn_flush_all(struct loop *loop, void *ctx)
{
    (void)loop;
    struct conn_shared *shared = ctx;
    struct conn *conn;
    while ((conn = TAILQ_FIRST(&shared->dirty)) != NULL) {
        TAILQ_REMOVE(&shared->dirty, conn, dirty_link);
        conn->is_dirty = false;
        if (flush(conn))
            update_watch(conn);
    }
}
