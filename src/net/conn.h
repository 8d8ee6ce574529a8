/* A client connection: a non-blocking stream socket with one read and one write per turn.
 *
 *     socket --read--> [shared buffer | in] --on_input--> owner
 *     owner --appends--> out --write at the end of the turn--> socket
 *
 * Bytes are offered to the owner straight from the loop-wide read buffer (struct conn_shared); only
 * what the owner leaves is copied to `in`. Output is written once per turn by conn_flush_all;
 * EPOLLOUT is asked for only after a short write. Knows no protocol: the owner says how many bytes
 * it took.
 *
 * Closing is final: conn_close stops all callbacks but on_close, which comes once, inside
 * conn_close; the memory is the owner's and must be retired through the loop. */
#ifndef LARDER_NET_CONN_H
#define LARDER_NET_CONN_H

#include "base/buf.h"
#include "net/loop.h"

#include <sys/queue.h>

/* Bytes read from a socket at once. 64 KiB holds 100 pipelined GETs of 600 bytes; larger reads gain
 * nothing measurable. */
#define CONN_READ_BYTES 65536

/* Output capacity that an idle connection keeps. */
#define CONN_OUT_KEEP 16384

struct conn;

struct conn_handlers {
    /* Offers the bytes that were not yet taken. Returns how many are taken now; the rest is offered
     * again with more behind it, or on conn_process. A connection may be closed inside. */
    size_t (*on_input)(struct conn *conn, const char *data, size_t len);
    /* The peer has sent its last byte. The owner closes the connection, at once or when its last
     * reply is written. */
    void (*on_end)(struct conn *conn);
    /* The connection ends; `why` is borrowed for the call. Runs once. */
    void (*on_close)(struct conn *conn, const char *why);
    /* All output has reached the kernel after a short write before; may be NULL. */
    void (*on_drained)(struct conn *conn);
};

/* What all connections of a loop share. */
struct conn_shared {
    struct loop *loop;                    /* borrowed */
    const struct conn_handlers *handlers; /* borrowed */
    TAILQ_HEAD(, conn) dirty;             /* have output to write at the end of the turn */
    char *read_buffer;                    /* owned, CONN_READ_BYTES */
    uint64_t bytes_read;
    uint64_t bytes_written;
    uint64_t reads; /* system calls */
    uint64_t writes;
};

struct conn {
    struct conn_shared *shared;
    struct loop_watch watch;
    int fd;
    struct buf in;      /* bytes offered and not taken */
    size_t in_taken;    /* of `in`, taken already */
    struct buf out;     /* bytes to write */
    size_t out_written; /* of `out`, written already */
    TAILQ_ENTRY(conn) dirty_link;
    bool is_dirty;
    bool blocked;        /* a write was short; on_drained is due once all is written */
    bool watches_hangup; /* closed when the peer closes, although it is not read from */
    bool paused;         /* not read from */
    bool closing;        /* close when `out` is written */
    bool closed;
    bool in_input; /* inside on_input */
    bool at_end;   /* the peer has sent its last byte */
};

/* Prepares what connections share; aborts without memory. */
void conn_shared_init(struct conn_shared *shared, struct loop *loop,
                      const struct conn_handlers *handlers);
void conn_shared_deinit(struct conn_shared *shared);

/* Takes over a connected, non-blocking socket. Returns 0 or -errno (the socket is then still the
 * caller's). */
int conn_init(struct conn *conn, struct conn_shared *shared, int fd)
    __attribute__((warn_unused_result));

/* Ends the connection now: closes the socket, drops both buffers, calls on_close. No effect when
 * closed. */
void conn_close(struct conn *conn, const char *why);

/* Ends the connection when all output is written; reads nothing more. */
void conn_close_after_output(struct conn *conn);

/* Says that something was appended to `out`. */
static inline void conn_mark_dirty(struct conn *conn)
{
    if (!conn->is_dirty && !conn->closed) {
        conn->is_dirty = true;
        TAILQ_INSERT_TAIL(&conn->shared->dirty, conn, dirty_link);
    }
}

/* Bytes waiting to be written. */
static inline size_t conn_pending_output(const struct conn *conn)
{
    return conn->out.len - conn->out_written;
}

/* Bytes waiting to be taken. */
static inline size_t conn_pending_input(const struct conn *conn)
{
    return conn->in.len - conn->in_taken;
}

/* Stops, or goes on with, reading from the socket. */
void conn_set_paused(struct conn *conn, bool paused);

/* While `watch`, the connection is closed as soon as the peer closes its sending side, although it isn't read from: for an owner
 * that holds something for the peer which nobody else should wait for. */
void conn_watch_hangup(struct conn *conn, bool watch);

/* Offers the bytes in `in` again, for an owner that had stopped taking them. Not from inside
 * on_input. */
void conn_process(struct conn *conn);

/* Writes every connection's output; the before-sleep hook of this module (ctx is the
 * conn_shared). */
void conn_flush_all(struct loop *loop, void *ctx);

#endif
