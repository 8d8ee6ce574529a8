/* What the files of the tier share; nobody else includes this.
 *
 *     tier.c        life cycle, L1 lookups, pass-through, writes, invalidations
 *     tier_fetch.c  fetches: single flight, filling L1, doom
 *     tier_reply.c  cached replies to reads other than GET
 *     tier_write.c  writes */
#ifndef LARDER_TIER_TIER_INTERNAL_H
#define LARDER_TIER_TIER_INTERNAL_H

#include "tier/tier.h"

#include <sys/queue.h>

struct fetch_waiter {
    tier_fetch_fn *fn;
    void *ctx;
};

/* One "GET key, PTTL key" under way; or, with a name, "PTTL key" and another read of it (tier_reply.c).
 *
 *     in the table: joinable ---doomed---> out of the table, waiters still served, nothing kept
 */
struct fetch {
    LIST_ENTRY(fetch) bucket_link;
    struct tier *tier;
    uint64_t hash;
    int64_t sent_ms;    /* when it was given to the link: its TTL counts from here */
    int64_t ttl_cap_ms; /* of a warming; 0: none */
    unsigned db;
    bool in_table;
    bool doomed;
    bool
        has_value; /* the first of the two replies is there: a GET's in `value`, a PTTL's in `pttl` */
    enum tier_answer answer;
    struct buf value; /* the string, or the error reply */
    int64_t pttl;
    struct fetch_waiter first;    /* the waiter of most fetches */
    struct fetch_waiter *waiters; /* owned; the others */
    size_t n_waiters, waiters_cap;
    size_t key_len;
    size_t name_len; /* 0: of a GET */
    char key[];      /* and the name behind it */
};

LIST_HEAD(fetch_bucket, fetch);

/* Buckets of the table of fetches; max_inflight of 65,536 makes chains of 8. */
#define FETCH_BUCKETS 8192

struct tier {
    struct loop *loop;
    struct store *store; /* owned */
    struct link *link;   /* owned; NULL: L1 alone */
    struct tier_options options;
    struct tier_counters counters;
    struct fetch_bucket *fetches; /* owned array */
    size_t n_fetches;             /* in the table */
    struct buf scratch;           /* the commands of a fetch */
    struct buf reply_name;        /* of the cached reply that is looked for */
    struct buf reply_value;       /* of the one that is put */
    struct buf reply_anchor;      /* the value of its anchor */
    uint64_t last_generation;     /* of anchors; none is used twice */
    unsigned n_dbs; /* of clients, where the store has those of cached replies, too; else 0 */
    void (*on_up)(void *ctx);
    void *on_up_ctx;
    void (*on_changed)(
        void *ctx, struct bytes key); /* of the observer of invalidations; NULL: there is none */
    void (*on_all_changed)(void *ctx);
    void *on_changed_ctx;
};

enum doom { DOOM_BY_WRITE, DOOM_BY_PUSH, DOOM_BY_LOSS };

/* Takes a key's fetch out of the table, so that it fills nothing and nobody joins it. A push dooms only those that have their value:
 * on the tracking link, a push before the value tells of a change that the value has seen already. */
void fetch_doom_key(struct tier *tier, unsigned db, struct bytes key, uint64_t hash, enum doom why);
void fetch_doom_key_everywhere(struct tier *tier, struct bytes key, uint64_t hash, enum doom why);
/* The same for all fetches of a database, or of all (db < 0). */
void fetch_doom_all(struct tier *tier, int db, enum doom why);

/* The fetch of a key under that name (empty: GET) that can be joined; NULL: there is none. */
struct fetch *fetch_find(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                         struct bytes name);
/* Adds a waiter. */
void fetch_join(struct fetch *fetch, tier_fetch_fn *fn, void *ctx);
/* A new fetch with its first waiter, to be sent at once. Without memory for key and name it is doomed from the start. */
struct fetch *fetch_open(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                         struct bytes name, tier_fetch_fn *fn, void *ctx);
/* Says that nobody may join it and nothing of it is kept. */
void fetch_forgo(struct fetch *fetch);
/* Sends PTTL for its key. */
void fetch_send_pttl(struct fetch *fetch, struct bytes key, link_reply_fn *fn);
/* Reads the reply to PTTL; false: it says nothing. What can't be one takes the link down. */
bool fetch_read_pttl(struct fetch *fetch, enum link_outcome outcome, struct bytes reply,
                     int64_t *pttl);
/* Deadline and flags of a fill, from L2's remaining time and larder's own cap. False: nothing may be kept. */
bool fetch_plan(const struct fetch *fetch, int64_t pttl, struct store_item *item);
/* Serves the waiters and ends the fetch. */
void fetch_finish(struct fetch *fetch, enum tier_answer answer, struct bytes bytes);

/* What drops a key, or a database, from L1 drops its cached replies by these, too. They return how many entries went. */
unsigned tier_reply_drop(struct tier *tier, unsigned db, struct bytes key, uint64_t hash);
size_t tier_reply_flush(struct tier *tier, unsigned db);

#endif
