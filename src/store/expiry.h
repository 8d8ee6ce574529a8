/* Expiry: the sweep that frees what no lookup meets: expired entries, and dead ones of flushed
 * generations.
 *
 * It passes the buckets in order. In peace one pass takes EXPIRY_PASS_MIN_MS to EXPIRY_PASS_MS by size, spread evenly over the
 * calls. It goes as fast as its slices allow while more than 5 % of the entries with a deadline
 * that it meets are expired, and while there are dead entries. Entries without a deadline are
 * skipped without being touched, by the index's marks. */
#ifndef LARDER_STORE_EXPIRY_H
#define LARDER_STORE_EXPIRY_H

#include "store/entry.h"

#define EXPIRY_PASS_MS 60000
#define EXPIRY_PASS_MIN_MS 1000

struct expiry_tally {
    unsigned n_looked;  /* entries with a deadline */
    unsigned n_expired; /* of these, dropped */
    unsigned n_dropped; /* expired or dead */
};

struct expiry {
    size_t hand;               /* next bucket */
    int64_t last_ms;           /* of the last slice; 0: none yet */
    uint64_t owed;             /* buckets times EXPIRY_PASS_MS that the pace demands */
    bool hurries;              /* the last window had more than 5 % expired */
    unsigned window;           /* buckets swept in this window */
    struct expiry_tally tally; /* of this window */
};

struct store;

/* Frees what is gone in the next bucket, except `keep` (borrowed, NULL: none), and adds to the
 * tally. */
void expiry_sweep_bucket(struct store *store, const struct entry *keep, int64_t now_ms,
                         struct expiry_tally *tally);

/* Frees every entry of a slot, live or dead, at once, counted as reclaimed. */
void expiry_purge_slot(struct store *store, unsigned slot);

/* One slice; ends after end_ns (clock_read_ns). Returns true when there is work left. */
bool expiry_cycle(struct store *store, int64_t now_ms, int64_t end_ns);

#endif
