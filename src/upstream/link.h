/* A multiplexed link to one Redis (L2): everybody's commands go down it in order, replies and
 * invalidations come up it in the server's own order.
 *
 *     DOWN --back-off over--> CONNECTING --connected--> HANDSHAKE --all answered--> READY --lost, silent, garbage--> DOWN
 *
 * Operations that are given while the link is on its way up wait in a backlog with their deadlines;
 * while it is DOWN they fail at once. Every operation's callback runs exactly once and never inside
 * the call that gave it. A reply whose deadline passed is read and dropped, so that the stream
 * stays aligned.
 *
 * Uses hiredis's non-blocking context and its reader with constructors of our own, which write each
 * reply as RESP3 bytes; doc/design.md says why not hiredis's asynchronous API. Knows nothing of L1:
 * it reports invalidations and its own loss. */
#ifndef LARDER_UPSTREAM_LINK_H
#define LARDER_UPSTREAM_LINK_H

#include "base/buf.h"
#include "net/loop.h"
#include "upstream/address.h"
#include "upstream/breaker.h"

/* What became of an operation. */
enum link_outcome {
    LINK_REPLY, /* `reply` is L2's own, as RESP3 bytes (an error reply of L2 included) */
    LINK_FAILED, /* `reply` is an error reply of larder ("-UPSTREAM ..."); the command may or may not have run */
    LINK_REFUSED, /* the same; the command certainly did not reach L2 */
    LINK_LATE, /* only for operations that asked for it: the reply came after the deadline and LINK_FAILED */
};

/* How L2 tells of changes; a larger one is better where it can be had. */
enum link_tracking {
    LINK_TRACKING_NONE,      /* not at all */
    LINK_TRACKING_KEYS,      /* of keys that were read on the link, once each: CLIENT TRACKING ON */
    LINK_TRACKING_BROADCAST, /* of all keys with one of the prefixes, always: BCAST */
};

/* Prefixes of LINK_TRACKING_BROADCAST; each costs a comparison for every value that L1 keeps. */
#define LINK_PREFIXES_MAX 64

/* `reply` is borrowed for the call and is whole lines. */
typedef void link_reply_fn(void *ctx, enum link_outcome outcome, struct bytes reply);

struct link_handlers {
    /* An invalidation of one key, in any database. `key` is borrowed for the call. */
    void (*on_invalidate)(void *ctx, struct bytes key);
    /* L2 dropped everything (FLUSHALL, FLUSHDB, SWAPDB through tracking). */
    void (*on_invalidate_all)(void *ctx);
    /* The link is READY. Replies to COMMAND and the number of databases are at hand in the link. */
    void (*on_up)(void *ctx);
    /* The link was READY and is lost: nothing that it tracked can be trusted. Of a link with
     * `once`: it is down for good. */
    void (*on_down)(void *ctx);
    /* Any other push, whole, such as a message of a subscription; NULL: nobody wants them. Borrowed
     * for the call. */
    void (*on_push)(void *ctx, struct bytes push);
    /* The mode of tracking has changed while the link is READY: what was read before is not tracked
     * any more. NULL: nobody wants to know. */
    void (*on_tracking)(void *ctx);
};

struct link_options {
    struct address address;      /* taken */
    char *username;              /* owned; NULL: as in address, else "default" */
    char *password;              /* owned; NULL: as in address */
    enum link_tracking tracking; /* where L2 can't, the next lower one that it can */
    char **prefixes;             /* owned, and its NUL-terminated texts; none: all keys */
    size_t n_prefixes;           /* at most LINK_PREFIXES_MAX */
    int64_t tracking_retry_ms;   /* from stepping down to trying again; 0: never */
    bool plain;                  /* only logs in: for links beside the main one */
    bool once;                   /* never connects a second time */
    bool held;                   /* does not connect before link_begin */
    int64_t timeout_ms;          /* of an operation */
    int64_t connect_timeout_ms;  /* to READY */
    int64_t ping_interval_ms;    /* a link that was silent that long is pinged */
    int64_t backoff_min_ms;
    int64_t backoff_max_ms;
    size_t max_inflight;            /* operations not yet answered */
    size_t max_reply_bytes;         /* of one reply */
    struct breaker_options breaker; /* all zero: only for lost connections */
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_HANDSHAKE, LINK_READY };

/* For INFO, UPSTREAM LIST and CACHE STATS L2; counters since link_reset_counters. */
struct link_figures {
    enum link_state state;
    enum link_tracking tracking;        /* in force on the link */
    enum link_tracking tracking_wanted; /* by the options */
    uint64_t step_downs;                /* from a mode that L2 can't do, or did not do */
    uint64_t step_ups;                  /* back */
    uint64_t tracking_losses;           /* times that L2 was found not to track any more */
    int64_t state_since_ms;             /* monotonic */
    char last_error[160];               /* why it went down last; never a secret */
    size_t inflight;
    uint64_t epoch; /* how often it came up */
    uint64_t commands;
    uint64_t replies;
    uint64_t errors; /* error replies of L2 */
    uint64_t timeouts;
    uint64_t failures; /* operations that failed otherwise */
    uint64_t connects_failed;
    uint64_t invalidations; /* keys */
    uint64_t invalidations_all;
    uint64_t bytes_out;
    uint64_t bytes_in;
    uint64_t reads; /* system calls */
    uint64_t writes;
    enum breaker_state breaker;
    uint64_t breaker_transitions;
    uint64_t breaker_opened;
    int64_t rtt_us; /* smoothed time from sending to reply (EWMA, 1/8) */
};

/* A deep copy, for another link to the same place; and its end (secrets are wiped). */
void link_options_copy(struct link_options *to, const struct link_options *from);
void link_options_deinit(struct link_options *options);

struct link;

/* Creates a link, DOWN, and starts to connect in the next turn. `handlers` and `ctx` are borrowed.
 * Returns owned. */
struct link *link_create(struct loop *loop, struct link_options *options,
                         const struct link_handlers *handlers, void *ctx)
    __attribute__((returns_nonnull));

/* Lets a link that was created `held` connect. What was given to it meanwhile waits. */
void link_begin(struct link *link);

/* Fails what is in flight (callbacks run inside, before it returns) and frees the link. */
void link_destroy(struct link *link);

/* The before-sleep hook: writes what was given in this turn (ctx is the link). */
void link_flush(struct loop *loop, void *ctx);

/* Gives one command, already serialised as a RESP array, for database `db`; `fn(ctx)` gets its
 * reply. `raw` is copied. */
void link_send(struct link *link, unsigned db, struct bytes raw, link_reply_fn *fn, void *ctx);

/* As link_send for a read, whose deadline counts from `since_us` (monotonic, not in the future): it may
 * be sent a second time. Its time may end while the link is on its way up, which others go on to wait
 * for; and it is never what keeps L2 busy, so reads that count from the same moment fail in their
 * order. */
void link_send_read(struct link *link, unsigned db, struct bytes raw, int64_t since_us,
                    link_reply_fn *fn, void *ctx);

/* The time that an operation has, in ms. */
int64_t link_get_timeout_ms(const struct link *link);

/* As link_send without a deadline, for a command that blocks at L2. Only on a link that carries
 * nothing else meanwhile: it is not pinged until the reply is there. */
void link_send_unbounded(struct link *link, unsigned db, struct bytes raw, link_reply_fn *fn,
                         void *ctx);

/* Gives a command that is answered by pushes only (SUBSCRIBE in RESP3). Returns false, with nothing
 * sent, when the link isn't READY. */
bool link_send_silent(struct link *link, struct bytes raw);

/* The link's own client id at L2, 0 when it is not READY. */
int64_t link_get_client_id(const struct link *link);

/* As link_send for a command to which it is all one which database is selected. */
void link_send_anywhere(struct link *link, struct bytes raw, link_reply_fn *fn, void *ctx);

/* Says that the operation given last runs a script: L2 may be silent for as long as its busy-reply-threshold before it says that it
 * is busy, so the operation is given up a second later than others. */
void link_note_script(struct link *link);

/* Says that L2 is busy with a script or a function that runs for too long, in L2's own words ("-BUSY ...\r\n", copied); empty: it is
 * not, or nobody knows. While it is, what is given is refused in these words, and the oldest operation in flight, which is what L2 is
 * busy with, has no deadline but `timeout_ms` after the last time that this was said. */
void link_set_busy(struct link *link, struct bytes words);

/* L2's words while it is busy, borrowed until link_set_busy or the link's next turn; else empty. */
struct bytes link_get_busy(const struct link *link);
bool link_is_busy(const struct link *link);

/* Since when (monotonic) L2 owes replies without a byte from it; 0: it owes none, or the link is not READY. */
int64_t link_silent_since_ms(const struct link *link);

/* Says that what was sent last may have changed the database: it is selected again before the next
 * command. */
void link_forget_db(struct link *link);

/* As link_send for an operation that must also hear of the reply that comes after its deadline
 * (LINK_LATE, a second call): for writes, whose effect on L1 must be undone whenever it happens.
 * When the link is lost first, the LINK_LATE call comes then. */
void link_send_write(struct link *link, unsigned db, struct bytes raw, link_reply_fn *fn,
                     void *ctx);

static inline bool link_state_is_up(enum link_state state)
{
    return state == LINK_READY;
}

enum link_state link_get_state(const struct link *link);

/* True when an operation given now is sent, or waits for the link that is on its way up; false: it is
 * refused, since the link is down or its circuit breaker is open. */
bool link_is_available(const struct link *link);

/* True when the link can't take another operation now; readers of clients should pause. */
bool link_is_full(const struct link *link);

/* "broadcast", "tracking", "ttl"; borrowed for ever. */
const char *link_tracking_name(enum link_tracking tracking);

/* The mode in force; LINK_TRACKING_NONE unless the link is READY. */
enum link_tracking link_get_tracking(const struct link *link);

/* True when L2 tells of changes of this key, if it is read now. */
bool link_tracks(const struct link *link, struct bytes key);

/* A place in the stream of replies, behind what has been read until now. */
struct link_fence {
    uint64_t epoch;
    uint64_t given;
};
struct link_fence link_set_fence(const struct link *link);
/* The same fence behind the command whose reply came last: what was given before is beyond it, too. */
struct link_fence link_set_fence_here(const struct link *link);
/* True when a command that was given after the fence was set has been answered (or the link was
 * lost): then all pushes have come that L2 had to send for what ran before the fence, those of
 * LINK_TRACKING_BROADCAST too, which it sends at the end of its loop's turn. */
bool link_is_past_fence(const struct link *link, struct link_fence fence);

/* Takes the link down at the end of the turn: a reply has come that its command can't have, so
 * replies and commands may be out of step. May be called from a callback. */
void link_distrust(struct link *link, const char *why);

/* Says that there was no memory to write a command: what is given in the rest of the turn is refused, and
 * at its end the link, or its attempt to come up, goes down. So the halves of what is said in several
 * commands fail together, and in their order. */
void link_refuse_output(struct link *link);

void link_read_figures(const struct link *link, struct link_figures *figures);
void link_reset_counters(struct link *link);

/* L2's reply to COMMAND at the last handshake as RESP3 bytes, borrowed until the link changes
 * state; empty before. */
struct bytes link_get_command_table(const struct link *link);

/* L2's number of databases as far as it told, else 0; L2's version ("7.0.15") or "". */
unsigned link_get_databases(const struct link *link);
const char *link_get_version(const struct link *link);

/* L2's maxmemory-policy as far as it told when it was asked last, else "". */
const char *link_get_policy(const struct link *link);

/* Asks for the policy again, which may be changed at any time; link_get_policy has it when the answer
 * is there. Does nothing where the link isn't READY, or L2 told none at the login. */
void link_ask_policy(struct link *link);

/* "host:port", borrowed as the link. */
const char *link_get_name(const struct link *link);

/* Takes over the options but the address, which stays as it is. Times and limits count from now,
 * tracking and prefixes (taken) for what is sent from now on, user name and password (taken) from
 * the next login. */
void link_configure(struct link *link, struct link_options *options);

#endif
