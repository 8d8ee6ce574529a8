/* What the files of the tier share; nobody else includes this.
 *
 *     tier.c        life cycle, L1 lookups, pass-through, writes, invalidations
 *     tier_fetch.c  fetches: single flight, filling L1, doom */
#ifndef LARDER_TIER_TIER_INTERNAL_H
#define LARDER_TIER_TIER_INTERNAL_H

#include "tier/tier.h"

#include <sys/queue.h>

struct fetch_waiter {
    tier_fetch_fn *fn;
    void *ctx;
};

/* One "GET key, PTTL key" under way.
 *
 *     in the table: joinable ---doomed---> out of the table, waiters still served, nothing kept
 */
struct fetch {
    LIST_ENTRY(fetch) bucket_link;
    struct tier *tier;
    uint64_t hash;
    int64_t sent_ms;       /* when it was given to the link: its TTL counts from here */
    int64_t ttl_cap_ms;    /* of a warming; 0: none */
    unsigned db;
    bool in_table;
    bool doomed;
    bool has_value;        /* the reply to GET is in `value` */
    enum tier_answer answer;
    struct buf value;      /* the string, or the error reply */
    struct fetch_waiter first;    /* the waiter of most fetches */
    struct fetch_waiter *waiters; /* owned; the others */
    size_t n_waiters, waiters_cap;
    size_t key_len;
    char key[];
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
    void (*on_up)(void *ctx);
    void *on_up_ctx;
};

enum doom { DOOM_BY_WRITE, DOOM_BY_PUSH, DOOM_BY_LOSS };

/* Takes a key's fetch out of the table, so that it fills nothing and nobody joins it. A push dooms only those that have their value:
 * on the tracking link, a push before the value tells of a change that the value has seen already. */
void fetch_doom_key(struct tier *tier, unsigned db, struct bytes key, uint64_t hash, enum doom why);
void fetch_doom_key_everywhere(struct tier *tier, struct bytes key, uint64_t hash, enum doom why);
/* The same for all fetches of a database, or of all (db < 0). */
void fetch_doom_all(struct tier *tier, int db, enum doom why);

#endif
