/* The instance: everything that one larder is made of. There are no mutable globals; a test can make two. */
#ifndef LARDER_CORE_LARDER_H
#define LARDER_CORE_LARDER_H

#include "core/client.h"
#include "core/command_table.h"
#include "core/config.h"
#include "core/errorstats.h"
#include "core/slowlog.h"
#include "net/conn.h"
#include "net/listener.h"
#include "net/loop.h"
#include "store/store.h"
#include "tier/pubsub.h"
#include "tier/tier.h"

/* Listeners: addresses of `bind`, and the unix socket. */
#define LARDER_LISTENERS_MAX 17

/* Counters of INFO that belong to no lower layer. */
struct larder_stats {
    uint64_t connections;
    uint64_t connections_refused;
    uint64_t commands;
    uint64_t protocol_errors;
    uint64_t error_replies;
    uint64_t auth_failures;
    uint64_t clients_closed_idle;
    uint64_t clients_closed_output;
    uint64_t clients_closed_query;
    uint64_t keyspace_hits; /* as clients saw it, by Redis's rules */
    uint64_t keyspace_misses;
    size_t peak_memory;
};

/* Operations per second and bytes per second, sampled ten times a second as Redis's instantaneous metrics. */
#define LARDER_RATE_SAMPLES 16
struct larder_rate {
    uint64_t last;
    int64_t last_ms;
    double samples[LARDER_RATE_SAMPLES];
    unsigned next;
};

struct prefix_walk;
struct warm_jobs;
struct busy_watch;
struct touch;
struct pinned_pool;
struct readonly_scripts;
struct tracking;

struct larder {
    struct loop loop;
    struct config config;
    struct conn_shared conns;
    struct tier *tier;                     /* owned; holds store and link */
    struct store *store;                   /* borrowed from tier */
    struct link *link;                     /* borrowed from tier; NULL: L1 alone */
    struct pinned_pool *pinned;            /* owned; NULL: L1 alone */
    struct busy_watch *busy_watch;         /* owned; NULL: L1 alone */
    struct command_table *commands;        /* owned */
    struct warm_jobs *warm_jobs;           /* owned */
    struct touch *touch;                   /* owned; tells L2 what L1 is hit for */
    LIST_HEAD(, prefix_walk) prefix_walks; /* CACHE INVALIDATE PREFIX, those under way */
    struct listener listeners[LARDER_LISTENERS_MAX];
    size_t n_listeners;
    struct client_list clients;
    size_t n_clients;
    size_t n_slots; /* reply slots of all clients, and of those that have left */
    struct client_list
        resumable; /* held-back clients to be looked at again at the end of the turn */
    struct client_list link_waiters; /* those that wait for room on the link, in their order */
    struct pubsub *pubsub;           /* owned; who listens to which channel */
    struct tracking *tracking;       /* owned; CLIENT TRACKING */
    struct client_list monitors;     /* clients in MONITOR */
    size_t n_monitors;
    uint64_t next_client_id;
    unsigned first_db;                         /* of new clients: from the upstream's address */
    struct request_args batch_args;            /* arguments of the commands that are parsed ahead */
    struct buf scratch;                        /* for one handler at a time: serialised commands */
    struct buf discard;                        /* replies that go nowhere */
    struct timer unpause;                      /* end of a CLIENT PAUSE */
    struct readonly_scripts *readonly_scripts; /* owned; what CLIENT PAUSE WRITE lets through */
    struct larder_stats stats;
    struct errorstats errorstats;
    struct slowlog slowlog;
    struct larder_rate rate_commands, rate_in, rate_out;
    struct timer cron;
    struct timer slice; /* of L1's background work */
    struct timer shutdown_timer;
    bool shutting_down;
    int64_t shutdown_by_ms;
    int64_t paused_until_ms; /* CLIENT PAUSE; 0: not paused */
    bool paused_writes_only;
    int64_t started_ms; /* monotonic */
    unsigned unstamped; /* hits since the last reading of the clock */
    int64_t stamp_ns;   /* end of the last command, start of the next in the same batch */
    bool learned;       /* L2's commands are known */
    char run_id[41];
};

/* Milliseconds (monotonic) of this turn. */
static inline int64_t larder_now_ms(const struct larder *larder)
{
    return larder->loop.clock.mono_ms;
}

/* Learns L2's commands; called when the link comes up (ctx is the larder). */
void larder_on_upstream_up(void *ctx);

/* Sends a call's command to L2 as one that reads, or as one that writes the keys of its row, and answers with L2's reply. */
void call_pass(struct call *call);
void call_write(struct call *call);

/* As call_write for a command that gives argv[1] a string: sends `raw` in its place; with `allocate`, L1 has the value then. */
void call_write_string(struct call *call, struct bytes raw, bool allocate);

/* Queues a call's command in its client's transaction, or says why not. */
void call_queue(struct call *call);

/* Executes a queued command that larder answers itself: `raw` is its RESP array; its reply goes to `reply`. */
void larder_execute_queued(struct larder *larder, struct client *client,
                           const struct command *command, struct bytes raw, struct reply *reply);

/* True when the call, which `fn` would serve, must wait (CLIENT PAUSE, no room on the link); its client will be looked at again when
 * that has changed. */
bool client_hold_call(struct call *call, command_fn *fn) __attribute__((warn_unused_result));

/* True when the call may write, as CLIENT PAUSE WRITE sees it (as Redis's is_may_replicate_command): EXEC counts by what was queued. */
bool call_may_write(const struct call *call);

/* Opens the slot of a call that is answered later. */
struct reply_slot *call_defer(struct call *call) __attribute__((returns_nonnull));

/* The hash of argv[i], taken from the call where it is known. */
uint64_t call_hash(const struct call *call, size_t i);

/* Writes "-ERR wrong number of arguments for 'name' command". */
void call_wrong_arity(struct call *call);

/* Writes Redis's "-ERR syntax error". */
void call_syntax_error(struct call *call);

/* A command that was parsed ahead, with what is known of it. */
struct parsed {
    struct request request;
    size_t end;                    /* of its bytes, from the start of the batch */
    const struct command *command; /* the row of its name; NULL: unknown */
    uint64_t hash;                 /* of argv[1] when has_hash */
    unsigned store_db;             /* where it will be looked for, when has_hash */
    bool has_hash;
};

/* Executes a request of a client: checks it, calls the handler, counts. Returns false when it must wait and was not executed. */
bool larder_execute(struct larder *larder, struct client *client, const struct parsed *parsed)
    __attribute__((warn_unused_result));

/* Counts the error replies in what was just written. */
void larder_count_error(struct larder *larder, struct bytes error_line);

/* A config_apply_fn (ctx is the larder): makes the change of configuration `groups` felt. */
bool larder_apply_config(void *ctx, uint32_t groups, char *error, size_t size);

#endif
