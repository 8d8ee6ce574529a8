/* Which client has read which key: the table behind CLIENT TRACKING's default mode.
 *
 *     key "user:1" --> [tracker, tracker]     key names without database, as Redis
 *
 * A tracker stands for a client and outlives it while keys, redirections or commands in flight
 * hold it: the end of a client costs nothing per key, and what it has read goes when the keys do.
 * Grows and shrinks a bucket at a time (linear hashing). Must not know: what is sent to whom. */
#ifndef LARDER_CORE_TRACKING_TABLE_H
#define LARDER_CORE_TRACKING_TABLE_H

#include "base/buf.h"
#include "base/hash.h"

#include <sys/queue.h>

struct client;

enum tracker_flag {
    TRACKER_ON = 1 << 0,
    TRACKER_BCAST = 1 << 1,
    TRACKER_OPTIN = 1 << 2,
    TRACKER_OPTOUT = 1 << 3,
    TRACKER_NOLOOP = 1 << 4,
    TRACKER_CACHING = 1 << 5, /* CLIENT CACHING was given for the next command */
    TRACKER_BROKEN = 1 << 6,  /* a message did not find the client that it is redirected to */
};

struct tracked;

struct tracker {
    TAILQ_ENTRY(tracker) link; /* of those that are on, by mode */
    struct client *client;     /* borrowed; NULL: it is gone */
    size_t n_refs;
    unsigned flags;           /* enum tracker_flag */
    uint64_t redirect_id;     /* 0: none */
    struct tracker *redirect; /* a reference; NULL: none */
    struct buf *prefixes;     /* owned array of BCAST, sorted; one empty prefix: all keys */
    size_t n_prefixes;
    struct tracked *pending; /* owned; of the command that is being executed */
};

struct tracked_key {
    struct tracked_key *next;
    uint64_t hash;
    struct tracker **trackers; /* owned array of references, sorted by address */
    size_t n, cap;
    size_t len;
    char key[];
};

struct tracking_table {
    struct hash_key hash_key;
    struct tracked_key **buckets; /* owned */
    size_t n_buckets, cap;        /* cap is a power of two; cap / 2 < n_buckets <= cap */
    size_t n_keys;
    size_t n_items;  /* pairs of key and tracker */
    uint64_t random; /* where the next victim is looked for */
};

void tracking_table_init(struct tracking_table *table);
void tracking_table_deinit(struct tracking_table *table);

/* A tracker with one reference, for the client. */
struct tracker *tracker_create(struct client *client) __attribute__((returns_nonnull));
struct tracker *tracker_ref(struct tracker *tracker) __attribute__((returns_nonnull));
void tracker_unref(struct tracker *tracker);

/* Adds a tracker to a key; no effect when it is there. Returns false without memory. */
bool tracking_table_add(struct tracking_table *table, struct bytes key, struct tracker *tracker)
    __attribute__((warn_unused_result));

/* Takes a key out of the table, or any one. Returns owned (for tracked_key_free), or NULL. */
struct tracked_key *tracking_table_take(struct tracking_table *table, struct bytes key);
struct tracked_key *tracking_table_take_any(struct tracking_table *table);

/* Takes all out. */
void tracking_table_clear(struct tracking_table *table);

void tracked_key_free(struct tracked_key *key);

#endif
