/* A client of larder: connection, protocol version, database, and the ordered queue of its replies.
 *
 * Replies leave in the order of the commands, whatever is in flight:
 *
 *     slots:  [waiting for L2] [done: "+OK"] [waiting for L2]       conn.out: bytes of everything before the first slot
 *
 * A command that is answered at once writes to conn.out while there are no slots, else into a done slot at the tail. A command
 * that waits opens a slot (client_defer), keeps the pointer, and ends it once with slot_finish. A slot outlives its client: it is
 * then an orphan, whose reply goes nowhere, and is freed by slot_finish. So an asynchronous operation may hold a slot, never a
 * client.
 *
 * Back-pressure: a client with too many slots, or too much unread output, isn't parsed or read from until it has drained. */
#ifndef LARDER_CORE_CLIENT_H
#define LARDER_CORE_CLIENT_H

#include "net/conn.h"
#include "net/listener.h"
#include "resp/reply.h"
#include "resp/request.h"
#include "resp/translate.h"
#include "upstream/link.h"

struct larder;
struct client;
struct command;
struct transaction;
struct blocked;
struct pinned;
struct pubsub_subscriber;
struct tracked;
struct tracker;
struct tunnel;
struct config_output_limit;

struct reply_slot {
    TAILQ_ENTRY(reply_slot) link;
    struct client *client; /* borrowed; NULL: the client is gone */
    struct larder *larder; /* borrowed */
    struct buf data;       /* of a finished slot that waits for those before it */
    int proto;             /* the client's when the command came */
    enum translate_rule rule;
    const struct command *command; /* whose failure an error of L2 counts as; NULL: nobody's */
    bool done;
    bool is_script;    /* counted in client->n_scripts */
    bool is_elsewhere; /* of these: not on the shared link */
    bool is_blocking;  /* counted in client->n_blocking */
    bool muted;        /* CLIENT REPLY OFF or SKIP */
    struct tracked
        *tracked; /* owned; keys that its command reads, for CLIENT TRACKING; NULL: none */
};

TAILQ_HEAD(reply_slots, reply_slot);
TAILQ_HEAD(client_list, client);

struct client {
    struct conn conn; /* first: a conn of the client's conn_shared is a client */
    struct larder *larder;
    TAILQ_ENTRY(client) link;        /* larder->clients */
    TAILQ_ENTRY(client) resume_link; /* larder->resumable */
    TAILQ_ENTRY(client) link_wait;   /* larder->link_waiters */
    uint64_t id;
    unsigned db;
    int proto;
    struct request_parser parser;
    struct reply_slots slots;
    size_t n_slots;     /* waiting ones and those behind them */
    size_t n_blocking;  /* commands in flight that the next one must wait for */
    size_t n_scripts;   /* whose writes L1 may not know of yet, so that it isn't asked */
    bool awaits_pushes; /* one of these is answered, and the fence is behind it */
    struct link_fence script_fence; /* see client_has_unseen_scripts */
    size_t reply_start;             /* length of the buffer at client_begin_reply */
    size_t slot_bytes;              /* of finished replies that wait for those before them */
    struct blocked *blocked; /* borrowed; the command that it waits in, on a link of its own */
    struct pinned *watch;    /* owned; the link on which it watches keys */
    struct tunnel *tunnel;   /* owned; of a replica, see replica.h; NULL: it is none */
    struct pubsub_subscriber *pubsub; /* owned until pubsub_leave; NULL: it never subscribed */
    struct tracker *tracker;          /* a reference; of CLIENT TRACKING, NULL: it never tracked */
    TAILQ_ENTRY(client) monitor_link; /* larder->monitors, while is_monitor */
    struct transaction *multi;        /* owned; commands queued since MULTI, NULL: none open */
    const struct command *last_command;
    const struct command *cached_command; /* the row of cached_name; NULL after the table changed */
    size_t cached_name_len;
    char cached_name[24]; /* the last name looked up, as it was spelt */
    char *name;           /* owned, "" when none; of CLIENT SETNAME */
    char *lib_name;
    char *lib_version;
    char peer[NET_NAME_MAX];
    char local[NET_NAME_MAX];
    int64_t created_ms;
    int64_t active_ms;  /* last command, reply that it had waited for, or reading of large output */
    size_t output_seen; /* output pending at the last client_cron */
    int64_t over_soft_limit_since_ms; /* output above the soft limit; 0: it is not */
    uint64_t n_commands;
    uint64_t bytes_in;
    bool authenticated;
    bool reply_off;  /* CLIENT REPLY OFF */
    bool reply_skip; /* this command's reply is dropped */
    bool
        reply_skip_next; /* CLIENT REPLY SKIP: set by it; moves to reply_skip (which it overwrites) after each command */
    bool no_evict;
    bool no_touch;
    bool is_unix;
    bool is_watching; /* L2 has confirmed a WATCH on the link `watch` */
    bool is_monitor;  /* MONITOR: is shown what larder executes */
    bool
        held_back; /* has commands that wait for room (slots, output, L2's in-flight cap, CLIENT PAUSE) */
    bool is_paused;      /* held back by CLIENT PAUSE */
    bool is_resumable;   /* on larder->resumable */
    bool waits_for_link; /* on larder->link_waiters */
    bool is_next;        /* of the link_waiters: its turn has come */
    bool ending;         /* nothing more is executed; closes when its slots and output are gone */
};

/* Takes over an accepted socket and adds the client to larder. Answers and closes when there are too many (maxclients) or
 * protected mode forbids it. */
void client_accept(struct larder *larder, int fd, bool is_unix);

/* Ends a client: at once (client_close), or after the replies that it is owed (client_end). */
void client_close(struct client *client, const char *why);
void client_end(struct client *client);

/* True while it has subscriptions: it counts as Redis's class pubsub. */
bool client_is_subscriber(const struct client *client);

/* Ends all its subscriptions, without a word. */
void client_leave_pubsub(struct client *client);

/* The limit on its unread output, by its class. */
const struct config_output_limit *client_output_limit(const struct client *client);

/* Finds a client by id; NULL when there is none. */
struct client *client_find(struct larder *larder, uint64_t id);

/* The handlers for conn_shared_init. */
const struct conn_handlers *client_conn_handlers(void);

/* Holding back (client_hold.c says for which reasons) and going on */

/* True when the client must wait before its next command, whichever that is. */
bool client_must_wait(const struct client *client);

/* Reads and executes nothing more of the client until somebody has it looked at again. */
void client_hold_back(struct client *client);

/* Looks at a held-back client: goes on with what it has said, or holds it back again. From the end of a turn only. */
void client_go_on(struct client *client);

/* Takes the client off the lists of those that wait. */
void client_leave_lists(struct client *client);

/* Puts a held-back client on the list of those that are looked at again at the end of the turn. */
void client_resume_later(struct client *client);

/* The before-sleep hook: goes on with clients that had been held back (ctx is the larder). */
void client_resume_hook(struct loop *loop, void *ctx);

/* Looks again at every held-back client at the end of the turn (CLIENT UNPAUSE). */
void client_resume_all(struct larder *larder);

/* Periodic: closes idle clients (`timeout`) and those above their output limit. */
void client_cron(struct larder *larder);

/* Slots */

/* Opens a slot at the tail of the client's replies. Returns owned by the operation, which ends it with slot_finish. */
struct reply_slot *client_defer(struct client *client) __attribute__((returns_nonnull));

/* Frees the finished slots of a client that leaves; those that wait become orphans. */
void client_leave_slots(struct client *client);

/* A writer for the slot's reply, to be used between here and slot_finish in the same turn. */
struct reply slot_begin(struct reply_slot *slot);

/* Says that the slot's command may write keys that larder doesn't know: until it is finished, and what L2 has to say about it must
 * have come, its client's reads go to L2. */
void client_note_script(struct reply_slot *slot);

/* The slow half of client_passes_l1_by: looks whether they have come. */
bool client_has_unseen_scripts(struct client *client);

/* True while L1 may be behind what the client's own scripts wrote. */
static inline bool client_passes_l1_by(struct client *client)
{
    return __builtin_expect(client->n_scripts > 0, 0) && client_has_unseen_scripts(client);
}

/* Says that the client's next command must wait until the slot is finished. */
void client_block(struct reply_slot *slot);

/* Ends the slot: the reply is what was written since slot_begin. Frees the slot or leaves it to the client. */
void slot_finish(struct reply_slot *slot, const struct reply *reply);

/* Ends the slot with a serialised RESP3 reply, translated by slot->rule for a RESP2 client. */
void slot_finish_resp3(struct reply_slot *slot, struct bytes resp3);

/* Puts a finished reply behind a slot. May close the client (its output limit). */
void slot_insert_behind(struct reply_slot *slot, struct bytes raw);

/* A writer for what comes unasked (messages, invalidations, MONITOR lines): between two replies in RESP3, behind those that wait in
 * RESP2, where a client that gets such things has no others. Not from inside the handler of one of the client's own commands. */
struct reply client_begin_push(struct client *client);

/* Ends it, as client_end_reply. */
void client_end_push(struct client *client, const struct reply *reply);

/* A writer for a reply that is given at once: conn.out, or a done slot behind those that wait, or nowhere (CLIENT REPLY). */
struct reply client_begin_reply(struct client *client);

/* Ends it: marks the connection for writing, closes it when memory ran out. */
void client_end_reply(struct client *client, const struct reply *reply);

#endif
