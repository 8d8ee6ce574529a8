/* The checker's connections: they ask at random moments, and enter what comes back into the record.
 *
 * One thread and one epoll set. A client asks in bursts, which are pipelined, and does not wait for replies
 * before its next one, up to a limit. Each third client of a place uses counters, in another database; each
 * second speaks RESP3. */
#ifndef LARDER_TESTS_HISTORY_CLIENTS_H
#define LARDER_TESTS_HISTORY_CLIENTS_H

#include "history_mix.h"

/* More that is on its way than this, and a client waits. */
#define CLIENT_PENDING_MAX 128

struct client {
    struct mix_client who;
    int port;
    int fd; /* -1: closed */
    redisReader *reader;
    struct buf out;                             /* not sent yet */
    struct pending pending[CLIENT_PENDING_MAX]; /* a ring */
    unsigned first, n_pending;
    unsigned n_greetings; /* replies that belong to no operation: HELLO, SELECT */
    bool wants_out;
    int64_t next_ns; /* when it asks again */
};

struct clients {
    struct history *history;
    struct mix *mix;
    int epoll_fd;
    unsigned n;
    struct client *items; /* owned */
    int64_t mean_gap_ns;  /* between two bursts of a client */
    unsigned burst_max;   /* verbs */
    uint64_t n_lost;      /* connections that were closed by the other side */
};

/* Sets up `n` clients; they connect in clients_connect. `rate` is of verbs a second, of all together. */
void clients_init(struct clients *clients, struct history *history, struct mix *mix, unsigned n,
                  unsigned rate, unsigned burst_max);
void clients_deinit(struct clients *clients);

/* Makes client `i` one of view `view`, at `port`. */
void clients_place(struct clients *clients, unsigned i, unsigned view, int port, bool counts);

/* Connects those that aren't. Returns 0 or -errno. */
int clients_connect(struct clients *clients);

/* Asks and listens until `until_ns`. */
void clients_run(struct clients *clients, int64_t until_ns);

/* Listens until all replies are there. Returns false when some are not by `until_ns`. */
bool clients_finish(struct clients *clients, int64_t until_ns);

#endif
