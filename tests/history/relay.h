/* The relaying half of the fault proxy: sessions between larder and L2, and the faults in force.
 *
 *     larder --fd[NEAR]--> pipe[NEAR] --fd[FAR]--> L2
 *     larder <--fd[NEAR]-- pipe[FAR] <--fd[FAR]--- L2
 *
 * A pipe is a queue of chunks, each with the moment from which it may go on. Bytes never overtake
 * each other, whatever the faults, and none is lost but by a fault that closes the session. A pipe
 * holds at most RELAY_PIPE_MAX bytes: then its source isn't read from.
 *
 * Knows no commands and no RESP. Time is an argument, in milliseconds of any clock that only grows. */
#ifndef LARDER_TESTS_RELAY_H
#define LARDER_TESTS_RELAY_H

#include "random.h"

#include <stddef.h>
#include <sys/queue.h>

#define RELAY_PIPE_MAX ((size_t)256 << 10)

enum relay_side { RELAY_NEAR, RELAY_FAR }; /* larder's, L2's */

struct relay_chunk {
    STAILQ_ENTRY(relay_chunk) link;
    int64_t due_ms;
    size_t len, sent;
    char data[];
};

struct relay_pipe {
    STAILQ_HEAD(, relay_chunk) chunks;
    size_t queued;       /* bytes not yet sent on */
    int64_t last_due_ms; /* of the last chunk: the next one is not due before */
    int64_t wait_ms;     /* nothing more goes on before this moment */
    size_t drip_left;    /* bytes that may go on before drip_until_ms */
    int64_t drip_until_ms;
    bool source_ended; /* by its peer, or by an error */
    bool passed_end;   /* the destination has been told */
    bool blocked;      /* the destination takes no more now */
};

struct relay_session;

/* What epoll's events point to. */
struct relay_end {
    struct relay_session *session;
    enum relay_side side;
    int fd;          /* -1: closed */
    uint32_t events; /* registered with epoll; 0: not in there */
};

struct relay_session {
    TAILQ_ENTRY(relay_session) link;
    struct relay_end ends[2];
    struct relay_pipe pipes[2]; /* by the side that they are read from */
    bool frozen;
    bool ends_when_sent; /* is closed as soon as the pipe from L2 is empty */
    bool dead;           /* closed; freed at the end of the turn */
};

TAILQ_HEAD(relay_sessions, relay_session);

/* What is in force; all zero: nothing. */
struct relay_faults {
    int64_t delay_ms, jitter_ms; /* of each chunk, each direction: delay + [0, jitter] */
    bool freezes_new;            /* sessions that begin now are frozen, too */
    size_t drip_bytes;           /* at most so many bytes go on within ... */
    int64_t drip_ms;             /* ... so many milliseconds; drip_bytes 0: all */
    size_t split_max;            /* pieces of 1 to so many bytes; 0: whole chunks */
    bool cuts_in_reply;          /* the next chunk of L2 is its session's last, and not whole */
    size_t cut_bytes;            /* so much of it goes on; 0: a random part */
};

struct relay {
    int epoll_fd;
    int far_port; /* L2, on 127.0.0.1 */
    struct random random;
    struct relay_faults faults;
    struct relay_sessions sessions;
    size_t n_sessions;
    uint64_t n_accepted;
    uint64_t n_bytes[2]; /* read from each side */
    size_t queued_max;   /* most bytes that a pipe has held */
};

/* An event's `data.ptr` is a struct relay_end for this. */
void relay_init(struct relay *relay, int epoll_fd, int far_port, uint64_t seed);
void relay_deinit(struct relay *relay);

/* Begins a session for a connection that was accepted (taken, non-blocking); connects to L2. */
void relay_accept(struct relay *relay, int fd, int64_t now_ms);

/* Handles an event of epoll for one end. */
void relay_on_event(struct relay *relay, struct relay_end *end, uint32_t events, int64_t now_ms);

/* Sends on what is due, tells epoll what is wanted, frees what is dead; at the end of each turn. Returns the
 * milliseconds until it must run again, -1: not before an event. */
int relay_run(struct relay *relay, int64_t now_ms);

/* Stops relaying in the sessions that there are; relay_thaw goes on in all, and in new ones. */
void relay_freeze(struct relay *relay);
void relay_thaw(struct relay *relay);

/* Closes all sessions; with `reset`, by RST instead of FIN. */
void relay_close_all(struct relay *relay, bool reset);

/* Puts n random bytes, none of which is ASCII, into the streams from L2 of all sessions. */
void relay_put_garbage(struct relay *relay, size_t n, int64_t now_ms);

#endif
