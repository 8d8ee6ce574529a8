/* The event loop: epoll, timers, and what happens at the end of a turn.
 *
 * A turn: wait (until the earliest timer), read the clock, run the events, run the timers, run the
 * before-sleep hooks in the order of their registration (where clients and links write), free what
 * was retired. Nothing on the loop blocks.
 *
 * A watched descriptor may be removed inside any callback, its own included: events for it that the
 * kernel already reported are dropped. Memory that a callback of this turn might still see is freed
 * through loop_retire. */
#ifndef LARDER_NET_LOOP_H
#define LARDER_NET_LOOP_H

#include "base/clock.h"
#include "base/timer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct loop_watch;

/* LOOP_HANGUP: the peer has closed its sending side; for sockets that aren't read from meanwhile. */
enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };

/* `events` holds LOOP_READ and LOOP_WRITE; an error or a hang-up is reported as both. */
typedef void loop_watch_fn(struct loop *loop, struct loop_watch *watch, unsigned events);

/* Embedded in its owner. */
struct loop_watch {
    int fd;
    unsigned events;   /* registered with the kernel */
    bool is_first;     /* set by the owner: its events of a turn are reported before all others */
    loop_watch_fn *fn; /* NULL: not watched */
    void *ctx;         /* borrowed */
};

typedef void loop_hook_fn(struct loop *loop, void *ctx);
typedef void loop_free_fn(void *ptr);

#define LOOP_HOOKS_MAX 8

struct loop_retired {
    loop_free_fn *fn;
    void *ptr;
};

struct loop {
    int epoll_fd;
    struct clock clock; /* as of the start of the turn */
    struct timers timers;
    struct {
        loop_hook_fn *fn;
        void *ctx;
    } hooks[LOOP_HOOKS_MAX];
    size_t n_hooks;
    struct loop_retired *retired; /* owned array */
    size_t n_retired;
    size_t retired_cap;
    bool stop;
    bool again; /* somebody has more work: do not sleep in the next wait */
    uint64_t turns;
    int64_t longest_turn_us; /* since the last reset, waiting not counted */
};

/* Life cycle. Returns 0 or -errno. */
int loop_init(struct loop *loop) __attribute__((warn_unused_result));
/* Frees what is retired and closes the epoll descriptor; watched descriptors stay open and belong
 * to their owners. */
void loop_deinit(struct loop *loop);

/* Registers a function that runs at the end of every turn, before the loop sleeps. At most
 * LOOP_HOOKS_MAX. */
void loop_add_hook(struct loop *loop, loop_hook_fn *fn, void *ctx);

/* Runs turns until loop_stop. */
void loop_run(struct loop *loop);

/* Runs one turn that waits at most max_wait_ms (-1: until something happens). For tests and for the
 * last turns of a shutdown. */
void loop_turn(struct loop *loop, int max_wait_ms);

/* Ends loop_run after this turn. */
static inline void loop_stop(struct loop *loop)
{
    loop->stop = true;
}

/* Asks for the next turn without waiting; for work that goes on in slices. */
static inline void loop_again(struct loop *loop)
{
    loop->again = true;
}

/* Watched descriptors */

/* Starts to watch `fd`; the watch is borrowed until loop_unwatch. Returns 0 or -errno. */
int loop_watch(struct loop *loop, struct loop_watch *watch, int fd, unsigned events,
               loop_watch_fn *fn, void *ctx) __attribute__((warn_unused_result));

/* Changes the events; 0 keeps only errors and hang-ups. No system call when nothing changes. */
void loop_rewatch(struct loop *loop, struct loop_watch *watch, unsigned events);

/* Stops watching (before the descriptor is closed). No effect when it is not watched. */
void loop_unwatch(struct loop *loop, struct loop_watch *watch);

/* Calls fn(ptr) when the turn has ended and no callback can hold it any more. */
void loop_retire(struct loop *loop, loop_free_fn *fn, void *ptr);

/* Frees what is retired now, when no turn is under way: for what needs others that are about to be
 * destroyed. */
void loop_free_retired(struct loop *loop);

#endif
