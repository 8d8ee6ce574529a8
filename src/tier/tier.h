/* Where L1 and L2 meet: read-through, write-through, single flight, coherence.
 *
 *     get      L1 hit -> value;  miss -> join or start the key's fetch -> "GET k, PTTL k" down the link -> L1, waiters
 *     write    drop keys from L1, doom their fetches -> L2 -> drop again -> reply
 *     pass     L2, nothing kept
 *
 * Coherence rules (doc/design.md proves them): all fills travel on the one tracking link, in order with the invalidations.
 *  - A push that comes between a fetch's value and its PTTL dooms the fetch: its value goes to the waiters, not into L1. A push
 *    before the value is older than the value, but in the broadcast mode it dooms the fetch all the same.
 *  - What was read before a change of the mode of coherence goes with it: nobody may tell of its changes.
 *  - A write dooms the fetches that were sent before it; a read after it starts a new one behind it on the link.
 *  - The loss of the link makes every entry unreachable before anything else is served.
 *  - A fill's deadline counts from the moment the fetch was given to the link, so that it is never late.
 *
 * Knows no clients and no commands. Values and errors are handed over as bytes. */
#ifndef LARDER_TIER_TIER_H
#define LARDER_TIER_TIER_H

#include "base/buf.h"
#include "net/loop.h"
#include "resp/reply.h"
#include "store/store.h"
#include "tier/drops.h"
#include "tier/policy.h"
#include "upstream/link.h"

enum tier_answer {
    TIER_STRING, /* bytes is the value */
    TIER_REPLY,  /* bytes is a whole RESP3 reply; of tier_reply_fetch only */
    TIER_ABSENT, /* the key does not exist; of tier_reply_fetch, bytes is the reply */
    TIER_ERROR, /* bytes is an error reply, whole line ("-WRONGTYPE ...\r\n" of L2, "-UPSTREAM ...\r\n" of larder) */
};

/* Runs once per waiter. `bytes` is borrowed for the call. */
typedef void tier_fetch_fn(void *ctx, enum tier_answer answer, struct bytes bytes);

/* `reply` is a whole RESP3 reply of L2, or an error of larder. */
typedef void tier_reply_fn(void *ctx, struct bytes reply);

/* What reads are answered with when L2 can't be asked, and no stale value may be. */
enum tier_fail_mode {
    TIER_FAIL_ERROR, /* an error */
    TIER_FAIL_MISS,  /* as if the key did not exist */
};

struct tier_options {
    bool l1_enabled;
    struct policy policy; /* of keys that no other policy is for */
    enum tier_fail_mode fail_mode;
    unsigned
        retry_percent; /* fetches that may be sent once more after the link was lost, of all; 0: none */
    unsigned n_dbs; /* of clients; the store has reply_dbs_total of it, else no replies are kept */
    unsigned max_variants; /* cached replies of one key; 0: none are kept */
};

struct tier_counters {
    uint64_t hits;          /* answered from L1 (absent ones included) */
    uint64_t negative_hits; /* of these: absent */
    uint64_t misses;
    uint64_t fetches; /* sent to L2 */
    uint64_t joins;   /* misses that waited for another's fetch */
    uint64_t fetch_errors;
    uint64_t l2_found; /* fetches that brought a value */
    uint64_t l2_absent;
    uint64_t fills; /* put into L1 */
    uint64_t fills_doomed_by_write;
    uint64_t fills_doomed_by_push;
    uint64_t fills_refused;          /* too big, or no room */
    uint64_t fills_allocated;        /* of fills: values of writes */
    uint64_t stale_while_revalidate; /* of hits: answered while they were fetched anew */
    uint64_t stale_if_error;         /* answered because L2 could not be asked */
    uint64_t failed_as_missing;      /* answered as missing for the same reason */
    uint64_t early_refreshes;
    uint64_t observed_hits; /* hits that `mode=observe` did not use */
    uint64_t denied;        /* reads under `mode=deny` */
    uint64_t retries;       /* fetches that were sent a second time */
    uint64_t reply_hits;    /* of hits: cached replies */
    uint64_t reply_fills;   /* of fills: cached replies */
    uint64_t reply_resets;  /* times that a key had max_variants replies, and all of them went */
    uint64_t writes;
    uint64_t passes;
    uint64_t invalidated; /* entries dropped by pushes */
    uint64_t dropped_by_write;
    uint64_t flushes_link;  /* whole L1, by the loss of the link */
    uint64_t flushes_push;  /* by FLUSHALL or FLUSHDB at L2 */
    uint64_t flushes_mode;  /* because the mode of coherence changed */
    uint64_t flushes_write; /* by a write with unknown keys, or of a whole database */
    uint64_t touches;       /* keys named to L2 because L1 was hit for them; see touch.h */
    uint64_t touch_commands;
    uint64_t touch_errors; /* of these: not answered, or with an error */
    uint64_t touch_rounds; /* complete ones */
};

struct tier;

/* Creates a tier over `store` and the link that `link_options` describe (both taken; link_options NULL: L1 alone).
 * Registers its hook with the loop. Returns owned. */
struct tier *tier_create(struct loop *loop, struct store *store, struct link_options *link_options,
                         const struct tier_options *options) __attribute__((returns_nonnull));
void tier_destroy(struct tier *tier);
void tier_configure(struct tier *tier, const struct tier_options *options);

/* The policies of prefixes, for reading and changing; a change wants tier_policies_changed. Borrowed. */
struct policy_table *tier_policies(struct tier *tier);
void tier_policies_changed(struct tier *tier);

/* The policy of a key for writes; NULL: no policy is about writes. Borrowed until policies change. */
const struct policy *tier_write_policy(const struct tier *tier, struct bytes key);

struct store *tier_store(struct tier *tier);
struct link *tier_link(struct tier *tier); /* NULL: L1 alone */

/* Called (with ctx) when the link has come up; one observer. */
void tier_on_up(struct tier *tier, void (*fn)(void *ctx), void *ctx);

/* Called, after L1 has dropped it, for each key that L2 says has changed (`key` is borrowed for the call), and when all may have:
 * L2 was flushed, the link is lost, or the mode of coherence has changed. One observer. */
void tier_on_invalidate(struct tier *tier, void (*fn)(void *ctx, struct bytes key),
                        void (*fn_all)(void *ctx), void *ctx);

/* Reads */

/* The key's entry when L1 may answer, else NULL. Counts a hit or a miss. */
const struct entry *tier_find(struct tier *tier, unsigned db, struct bytes key, uint64_t hash);

/* As tier_find, without touching the access history (for TTL and the like). */
const struct entry *tier_find_untouched(struct tier *tier, unsigned db, struct bytes key,
                                        uint64_t hash);

/* As tier_find without counting and without touching the access history. */
const struct entry *tier_peek(struct tier *tier, unsigned db, struct bytes key, uint64_t hash);

/* Fetches a key's string value through single flight, and fills L1. */
void tier_fetch(struct tier *tier, unsigned db, struct bytes key, uint64_t hash, tier_fetch_fn *fn,
                void *ctx);

/* As tier_fetch for warming: the entry lives at most ttl_cap_ms (0: only l1-ttl caps it). Where the key's fetch is under way
 * already, it is joined as it is. */
void tier_fetch_warm(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                     int64_t ttl_cap_ms, tier_fetch_fn *fn, void *ctx);

/* Replies to other reads of one key (doc/design.md, "Cached replies") */

/* Writes what a read answers when the key has this string, or is absent; `args` are those of the read. */
typedef void tier_derive_fn(struct reply *reply, const struct entry *entry,
                            const struct bytes *args);

/* A read whose reply depends on nothing but the key and the arguments. All is borrowed for the call. */
struct tier_read {
    unsigned db;
    struct bytes key;
    uint64_t hash;            /* store_hash of the key */
    struct bytes name;        /* of the command, always in the same spelling; without NUL */
    const struct bytes *args; /* behind the key */
    size_t n_args;
    struct bytes raw;       /* the whole command, a RESP array */
    const char *missing;    /* what a missing key's reply is, in RESP3; static; NULL: not known */
    tier_derive_fn *derive; /* how a stale string answers it; NULL: it does not */
};

/* A reply from L1. */
struct tier_reply {
    struct bytes resp3; /* borrowed until the next call that takes the tier or the store */
    bool is_absent;     /* the key does not exist */
};

/* The store's database in which a reply is looked for first, by its key, for prefetching; `db` itself where none are kept. */
unsigned tier_reply_db(const struct tier *tier, unsigned db);

/* Finds a read's reply in L1; false: it is not there. Counts a hit or a miss. */
bool tier_reply_find(struct tier *tier, const struct tier_read *read, struct tier_reply *reply);

/* Sends the read through single flight and keeps its reply; `fn` gets TIER_REPLY, TIER_ABSENT or TIER_ERROR. Coherent by the same
 * rules as tier_fetch: whatever drops the key, or dooms its fetch, does so for all its replies. */
void tier_reply_fetch(struct tier *tier, const struct tier_read *read, tier_fetch_fn *fn,
                      void *ctx);

/* How many replies of a key were kept since its last change, in `*n`, and its anchor, whose deadline and flags are those of the
 * replies; NULL: none. Leaves no trace, as tier_peek. */
const struct entry *tier_reply_peek(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                                    unsigned *n, bool *is_absent);

/* Sends a serialised command (RESP array) that reads, or touches no key. */
void tier_pass(struct tier *tier, unsigned db, struct bytes raw, tier_reply_fn *fn, void *ctx);

/* Writes */

enum tier_scope {
    TIER_KEYS,     /* the keys given */
    TIER_DATABASE, /* every key of the database */
    TIER_ALL,      /* every key of every database */
};

/* Sends a serialised command that may change `keys` (borrowed for the call; for TIER_KEYS) or more, by `scope`. */
void tier_write(struct tier *tier, unsigned db, struct bytes raw, enum tier_scope scope,
                const struct bytes *keys, size_t n_keys, tier_reply_fn *fn, void *ctx);

/* As tier_write for a command that gives one key a string, which L1 has, if it may, when `fn` gets the reply. */
void tier_write_allocate(struct tier *tier, unsigned db, struct bytes raw, struct bytes key,
                         uint64_t hash, tier_reply_fn *fn, void *ctx);

/* The same protection for a write that is sent on another link than the tracking one: between begin and end, what it touches
 * may be read before or after it. `begin` (before it is sent) drops the keys and dooms their fetches; `end` (when its reply is there,
 * or the link is lost) does so again, since a fetch meanwhile may have been ahead of the write, and frees the guard. */
struct tier_guard;
struct tier_guard *tier_guard_begin(struct tier *tier, unsigned db, enum tier_scope scope,
                                    const struct bytes *keys, size_t n_keys)
    __attribute__((returns_nonnull));
void tier_guard_end(struct tier_guard *guard);

/* L1 only */

/* Drops a key in one database (and dooms its fetch). Returns true when an entry was there. */
bool tier_drop(struct tier *tier, unsigned db, struct bytes key);
/* Drops a key in all databases and dooms its fetches: it has changed, as another link than the tracking one tells. */
void tier_drop_everywhere(struct tier *tier, struct bytes key);
/* Dooms every fetch under way: its waiters are served, L1 keeps nothing of it. */
void tier_doom_fetches(struct tier *tier);
/* Drops everything. Returns how many entries there were. */
size_t tier_drop_all(struct tier *tier);

/* Why a key left L1 last, and why a database or all of it did last; borrowed until the tier changes, NULL: not known. */
const struct drop *tier_last_drop(const struct tier *tier, unsigned db, uint64_t hash);
const struct drop *tier_last_flush(const struct tier *tier);

/* What L1 holds of a key, fresh or not, for looking at. */
struct tier_explanation {
    /* The string, else the anchor of the replies; NULL: nothing. Borrowed as store_peek's. */
    const struct entry *entry;
    unsigned n_replies;
    bool is_absent;              /* the key does not exist */
    bool is_fresh;               /* read on the link that is up, and its time is not over */
    bool is_answered;            /* a read would get it now */
    int64_t fresh_ms;            /* until its time is over, 0: it is; -1: it has none */
    uint32_t epoch;              /* of the link that it was read on */
    const struct policy *policy; /* the key's; borrowed until policies change */
};
void tier_explain(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                  struct tier_explanation *explanation);

/* Grows whenever the link is lost. */
uint32_t tier_epoch(const struct tier *tier);

void tier_read_counters(const struct tier *tier, struct tier_counters *counters);
void tier_reset_counters(struct tier *tier);
size_t tier_fetches_in_flight(const struct tier *tier);

#endif
