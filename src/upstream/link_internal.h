/* What the files of the link share; nobody else includes this.
 *
 *     link.c            giving commands, life cycle, looking in
 *     link_connect.c    connecting, coming up, going down
 *     link_handshake.c  what is said first, and what the answers mean
 *     link_io.c         reading and writing
 *     link_ops.c        the queue of operations, and how they fail
 *     link_time.c       deadlines and pings
 *     link_tracking.c   tracking while the link is READY: steps down and up, checks
 *     link_breaker.c    the circuit breaker: failures, probes, refusals
 *     link_busy.c       L2 is busy with a script
 *     link_role.c       L2 is a primary, or not any more
 *     link_reply.c      constructors for hiredis's reader: replies as RESP3 bytes */
#ifndef LARDER_UPSTREAM_LINK_INTERNAL_H
#define LARDER_UPSTREAM_LINK_INTERNAL_H

#include "upstream/link.h"
#include "upstream/resolve.h"

#include <hiredis/hiredis.h>

/* Nesting that a reply may have; room below WALK_DEPTH_MAX for what larder puts around it. */
#define LINK_DEPTH_MAX 8190

enum link_op_flag {
    OP_WRITE = 1,     /* wants LINK_LATE */
    OP_ABANDONED = 2, /* its deadline passed; the reply is dropped */
    OP_UNBOUNDED = 8, /* has no deadline */
    OP_INTERNAL = 4,  /* SELECT or PING of the link itself */
    OP_PROBE = 64,    /* of these: the circuit breaker's */
    OP_SCRIPT = 16,   /* may keep L2 busy */
    OP_OWN = 32,      /* the link's own, also while L2 is busy */
    OP_READ = 128,    /* of link_send_read, or SELECT for one */
    OP_CHECK = 256,   /* of these: CLIENT TRACKINGINFO, in the place of a PING */
};

struct link_op {
    link_reply_fn *fn; /* NULL: nobody waits */
    void *ctx;
    int64_t sent_us;
    uint64_t end; /* bytes of all commands up to this one's end, since the last loss */
    unsigned flags;
};

/* A ring of operations in the order of their commands. */
struct link_ops {
    struct link_op *ring; /* owned */
    size_t cap;           /* a power of two, or 0 */
    size_t head;
    size_t n;
    size_t
        n_abandoned; /* from the head on, how many were abandoned; the head may only be set aside */
};

/* An operation that failed at once and whose callback comes at the end of the turn. */
struct link_reject {
    link_reply_fn *fn;
    void *ctx;
    bool is_busy; /* L2 was, which is why */
};

enum handshake_step {
    STEP_HELLO,
    STEP_AUTH,
    STEP_IGNORE,
    STEP_TRACKING,
    STEP_DATABASES,
    STEP_POLICY,
    STEP_COMMAND,
    STEP_END
};
/* Said in RESP3, and once more in RESP2. */
#define HANDSHAKE_STEPS_MAX 16

struct link {
    struct loop *loop;
    struct link_options options;
    const struct link_handlers *handlers;
    void *ctx;
    char name[ADDRESS_TEXT_MAX];

    struct resolver *resolver; /* owned; NULL for a unix socket */
    uint64_t resolve_token;    /* 0: no lookup under way */
    redisContext *redis;       /* owned; NULL while DOWN and while resolving */
    struct loop_watch watch;
    struct timer retry; /* end of the back-off */
    struct timer tick;  /* deadlines, pings, the connect time-out */

    struct link_ops ops;
    struct buf backlog; /* commands given while on the way up */
    uint64_t given;     /* bytes of commands since the last loss */
    uint64_t written;   /* of these, what the socket has taken */
    uint64_t answered;  /* of these, what has been answered */
    struct breaker breaker;
    bool was_primary;            /* at some login */
    int64_t lookup_at_ms;        /* not sooner for READONLY again */
    int64_t lookup_wait_ms;      /* of the last time; 0: it is a primary */
    const char *refusal;         /* why a constructor refused a reply; static, NULL: it did not */
    struct link_reject *rejects; /* owned */
    size_t n_rejects, rejects_cap;
    unsigned db;    /* selected when all commands given so far have run */
    bool rejecting; /* the last attempt failed: operations fail at once until READY */
    bool broken;    /* to be taken down at the end of the turn */
    bool ping_sent;
    bool login_refused; /* by wrong credentials: retried slowly */
    bool retry_soon;    /* the last attempt failed by what passes (BUSY, LOADING) */
    bool use_resp2;     /* this L2 knows no HELLO 3 */
    bool is_busy;       /* L2 runs a script, as `busy` says */
    bool db_refused;    /* SELECT was, by a busy L2: what was sent behind it must have been, too */
    bool gave;          /* the last command given is in the queue */
    int64_t busy_ms;    /* when L2 was last seen to be, or to have stopped being, busy */
    enum link_tracking asked;   /* what L2 was asked for last */
    enum link_tracking settled; /* what it came to last; steps count from here */
    unsigned n_asked;           /* questions without an answer; only the last one counts */
    bool must_switch;           /* the options have changed during the handshake */
    bool is_proven;             /* L2 has confirmed that it tracks, since it said so */
    bool is_unprovable;         /* it doesn't answer CLIENT TRACKINGINFO */
    int64_t check_at_ms;        /* next CLIENT TRACKINGINFO */
    int64_t step_up_at_ms;      /* next attempt at the wanted mode; 0: none */
    int64_t step_up_wait_ms;
    char refused[104]; /* why not a better one */
    int64_t last_read_ms;
    /* Everything that L2 said before this moment has been read: it has answered what was sent then. */
    int64_t proven_us;
    int64_t attempt_until_ms; /* connect time-out */
    int64_t backoff_ms;       /* of the next attempt */
    uint64_t jitter;          /* state of a small generator */

    enum handshake_step steps[HANDSHAKE_STEPS_MAX];
    unsigned n_steps, step;

    bool too_deep;    /* the reply that is being read is thrown away: an error takes its place */
    struct buf reply; /* the reply that is being read, as RESP3 bytes */
    struct buf command_table;
    struct buf busy; /* L2's words */
    unsigned databases;
    int64_t client_id;
    char policy[32]; /* L2's maxmemory-policy */
    char version[32];
    struct link_figures figures;
};

/* link_ops.c */
void link_ops_push(struct link_ops *ops, struct link_op op);
/* Takes the oldest; there must be one. */
struct link_op link_ops_pop(struct link_ops *ops);
static inline struct link_op *link_ops_at(const struct link_ops *ops, size_t i)
{
    return &ops->ring[(ops->head + i) & (ops->cap - 1)];
}

/* link_reply.c: the constructors; their reader's privdata is the link. */
extern redisReplyObjectFunctions link_reply_functions;
/* Reads an invalidation push in link->reply. Returns false when it is malformed. */
bool link_read_push(struct link *link);

/* link_handshake.c */
/* Appends the first commands to the output. Returns false when there is no memory. */
bool link_handshake_start(struct link *link);
/* Takes the answer to the current step (link->reply). Returns false when the link can't be used;
 * why is in last_error. */
bool link_handshake_reply(struct link *link);

/* Queues an operation and appends its command to the output, or to the backlog. Returns false when
 * there is no memory: then nothing more may be sent. */
bool link_put(struct link *link, struct bytes raw, struct link_op op);
/* Fails all operations; why is in last_error. Callbacks run inside. */
void link_fail_all(struct link *link, enum link_outcome outcome);
/* The same in two steps: what is in flight leaves the link; then it fails. */
struct link_ops link_ops_take(struct link *link);
void link_fail_ops(struct link *link, struct link_ops ops, enum link_outcome outcome);
/* Fails one operation, which never was in the queue, at the end of the turn. */
void link_reject(struct link *link, link_reply_fn *fn, void *ctx);
void link_run_rejects(struct link *link);

/* link_connect.c */
void link_close_socket(struct link *link);
/* Ends the connection, or the attempt; last_error says why. */
void link_take_down(struct link *link);
/* All of the handshake is answered. */
void link_come_up(struct link *link);
void link_on_retry(struct timer *timer, void *ctx);

/* link_io.c */
/* Bytes read at once: larger than a turn's replies to 50 clients that pipeline 16 GETs of 64
 * bytes. */
#define LINK_READ_BYTES (128 * 1024)
/* Memory that the reader and the reply keep when they are empty. */
#define LINK_READER_KEEP (256 * 1024)
/* Appends a command to the output. Returns false when there is no memory. */
bool link_append(struct link *link, const char *raw, size_t len);
/* Read, and write, what the socket takes. Return false when the link must go down; why is in
 * last_error. */
bool link_read_some(struct link *link);
bool link_write_some(struct link *link);

/* link_time.c */
/* Arms the tick for what comes first: the connect time-out, an operation's deadline, or the time
 * for a ping. */
void link_arm_tick(struct link *link);
void link_on_tick(struct timer *timer, void *ctx);

/* link_tracking.c */
/* CLIENT TRACKING ON for the mode that was asked for. Returns argc; borrowed as the options. */
#define LINK_TRACKING_ARGS (4 + 2 * LINK_PREFIXES_MAX)
size_t link_tracking_command(const struct link *link, struct bytes argv[LINK_TRACKING_ARGS]);
/* L2 can't, or won't, do what it was asked for: `asked` becomes the next lower mode. */
void link_tracking_refused(struct link *link, struct bytes why);
/* The link is READY; or its options have changed (`changed`: those of tracking). */
void link_tracking_up(struct link *link);
void link_tracking_configured(struct link *link, bool changed);
/* When the next step up is to be tried, or INT64_MAX; tries it when it is due. */
int64_t link_tracking_due_ms(const struct link *link);
void link_tracking_tick(struct link *link);
/* True when a PING should be the question whether L2 still tracks; takes the answer. */
bool link_tracking_is_checked(const struct link *link);
void link_tracking_checked(struct link *link);

/* link_breaker.c */
/* An operation was not answered in time. */
void link_count_failure(struct link *link);
/* When a probe of a READY link is due, or INT64_MAX; and sends it if it is. */
int64_t link_probe_due_ms(const struct link *link);
void link_probe(struct link *link);
void link_end_probe(struct link *link, bool answered);
/* Writes the error with which an operation is refused now. Returns as snprintf. */
int link_refusal_text(const struct link *link, char *text, size_t size);

/* link_role.c */
/* Takes the role of HELLO's reply ("master", "replica"). */
void link_take_role(struct link *link, struct bytes role);
/* Counts L2's error reply (link->reply) to a command; READONLY may take the link down at the end of the turn. */
void link_note_error_reply(struct link *link);

/* link_busy.c */
/* True for an operation that may be the reason of L2's silence. */
bool link_may_be_busy_with(const struct link *link, const struct link_op *op);
/* True when the oldest operation has passed its deadline and may still be answered: it is counted in n_abandoned and is not. */
static inline bool link_head_is_set_aside(const struct link_ops *ops)
{
    return ops->n > 0 && ops->n_abandoned > 0 && !(link_ops_at(ops, 0)->flags & OP_ABANDONED);
}
/* When (monotonic) the operation that is set aside is given up. */
int64_t link_head_due_ms(const struct link *link);
/* Takes L2's error to SELECT. Returns false when the link must go down. */
bool link_take_refused_db(struct link *link);
/* Looks at L2's reply to the oldest operation, whose database was not selected. Returns false when the link must go down. */
bool link_check_refused_db(struct link *link);

/* link.c */
void link_set_error(struct link *link, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void link_set_state(struct link *link, enum link_state state);
/* True for an error that will come again: L2 doesn't know the command, or doesn't allow it. BUSY,
 * LOADING and the like pass; a link that went on without tracking because of them would serve stale
 * values. */
static inline bool link_is_final(struct bytes error)
{
    return bytes_starts_with(error, BYTES("ERR")) || bytes_starts_with(error, BYTES("NOPERM"));
}
/* Any number up to `max`, to keep instances apart. */
static inline int64_t link_random(struct link *link, int64_t max)
{
    link->jitter = link->jitter * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((link->jitter >> 33) % (uint64_t)(max + 1));
}
static inline int64_t link_now_ms(const struct link *link)
{
    return link->loop->clock.mono_ms;
}

#endif
