/* What the files of the tier share; nobody else includes this.
 *
 *     tier.c        life cycle, L1 lookups, pass-through, invalidations
 *     tier_drop.c   dropping keys and databases from L1
 *     tier_fetch.c  fetches: single flight, doom, retries
 *     tier_fill.c   what of a fetch is kept, and how long
 *     tier_reply.c  cached replies to reads other than GET
 *     tier_write.c  writes
 *     stale.c       answers that are no longer fresh; see stale.h
 *     touch.c       what L1 was hit for, told to L2 */
#ifndef LARDER_TIER_TIER_INTERNAL_H
#define LARDER_TIER_TIER_INTERNAL_H

#include "tier/drops.h"
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
    int64_t sent_ms;    /* when it was given to the link last: its TTL counts from here */
    int64_t begun_us;   /* when it was given first: its deadline counts from here */
    int64_t ttl_cap_ms; /* of a warming; 0: none */
    unsigned db;
    bool in_table;
    bool doomed;
    bool retried;
    bool overtaken; /* by a write: sent again, it would read what came after it */
    bool lost;      /* the GET got no answer of L2 */
    bool
        has_value; /* the first of the two replies is there: a GET's in `value`, a PTTL's in `pttl` */
    enum tier_answer answer;
    struct buf value; /* the string, or the error reply */
    int64_t pttl;
    const char *missing;          /* RESP3 reply of a missing key, static; NULL: that of GET */
    tier_derive_fn *derive;       /* how a stale string answers the read; NULL: it does not */
    struct fetch_waiter first;    /* the waiter of most fetches */
    struct fetch_waiter *waiters; /* owned; the others */
    size_t n_waiters, waiters_cap;
    size_t key_len;
    size_t name_len; /* 0: of a GET */
    char key[];      /* and the name behind it */
};

LIST_HEAD(fetch_bucket, fetch);

/* Losses of the link whose times are remembered: what was read before them is not answered. */
#define TIER_EPOCHS 16

/* Retries that the budget may save up. */
#define RETRIES_MAX 100

/* In the place of a database: all of them. */
#define TIER_EVERY_DB UINT32_MAX

/* Buckets of the table of fetches; max_inflight of 65,536 makes chains of 8. */
#define FETCH_BUCKETS 8192

struct tier {
    struct loop *loop;
    struct store *store; /* owned */
    struct link *link;   /* owned; NULL: L1 alone */
    struct tier_options options;
    struct tier_counters counters;
    struct policy_table *policies; /* owned */
    bool has_soft;                 /* some entry was soft, ever */
    bool is_special;               /* lookups need policies; see stale.h */
    bool is_about_writes;          /* writes do */
    uint32_t epoch;                /* of the link: grows when it is lost */
    int64_t lost_ms[TIER_EPOCHS];  /* when the last epochs ended, by epoch */
    uint64_t random;
    unsigned retry_budget;        /* hundredths of retries */
    struct drops drops;           /* why keys left L1 */
    struct drop last_flush;       /* why all of it, or a database, did */
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

enum doom { DOOM_BY_WRITE, DOOM_BY_PUSH, DOOM_BY_LOSS, DOOM_BY_MODE };

/* Takes a key's fetch out of the table, so that it fills nothing and nobody joins it. A push dooms only those that have their value:
 * on the tracking link, a push before the value tells of a change that the value has seen already. Those of the broadcast mode, which
 * L2 collects until the end of its loop's turn, doom either way: that needs no order between pushes and replies. A change of the mode
 * dooms those that have their value, since L2's yes to it stands before what it tells of. */
void fetch_doom_key(struct tier *tier, unsigned db, struct bytes key, uint64_t hash, enum doom why);
void fetch_doom_key_everywhere(struct tier *tier, struct bytes key, uint64_t hash, enum doom why);
/* The same for all fetches of a database, or of all (db < 0). */
void fetch_doom_all(struct tier *tier, int db, enum doom why);

/* The fetch of a key under that name (empty: GET) that can be joined; NULL: there is none. */
struct fetch *fetch_find(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                         struct bytes name);
struct bytes fetch_name(const struct fetch *fetch);
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
/* What of a fetch is kept, and where. */
struct fill_plan {
    struct store_item item; /* deadline, flags, soft */
    struct entry_soft soft; /* what item.soft points to, for a soft shelf */
    int64_t fresh_until_ms; /* 0: as long as the link is trusted */
    bool is_soft;
};
/* In the place of a remaining time: L2 did not say. */
#define PTTL_UNKNOWN (-3)

/* Decides from L2's remaining time and the key's policy. `size`: of the value. False: nothing may be kept. */
bool fetch_plan(const struct fetch *fetch, int64_t pttl, size_t size, struct fill_plan *plan);
/* Keeps a string, or that there is none, as far as fetch_plan allows; drops what it takes the place of. */
void fetch_fill(struct fetch *fetch, int64_t pttl);
/* Sends the fetch's commands again when its link was lost, it was not retried before, no write of its key was given behind it, and
 * time and budget allow. */
bool fetch_retry(struct fetch *fetch, void (*send)(struct fetch *fetch));
/* Serves the waiters and ends the fetch. */
void fetch_finish(struct fetch *fetch, enum tier_answer answer, struct bytes bytes);

/* tier_drop.c: all that is known of a key, or of a database, goes; fetches are not looked at. They return how many entries went. */
unsigned tier_drop_key(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                       enum drop_reason why);
unsigned tier_drop_key_everywhere(struct tier *tier, struct bytes key, uint64_t hash);
void tier_flush_db(struct tier *tier, unsigned db);
size_t tier_flush_all(struct tier *tier, enum drop_reason why);
/* All but the soft entries. */
size_t tier_flush_hard(struct tier *tier);
void tier_note_flush(struct tier *tier, enum drop_reason why);

/* 64 random bits (splitmix64), for jitter and lots. */
static inline uint64_t tier_random(struct tier *tier)
{
    uint64_t z = tier->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Counts a lookup, and returns what it found. */
static inline const struct entry *tier_count(struct tier *tier, const struct entry *entry)
{
    if (entry == NULL) {
        tier->counters.misses++;
        return NULL;
    }
    tier->counters.hits++;
    tier->counters.negative_hits += entry->kind == ENTRY_ABSENT;
    return entry;
}

/* True when an anchor of cached replies says that there is no such key. */
bool tier_reply_is_absent(const struct entry *anchor);

#endif
