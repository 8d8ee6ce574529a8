/* What the files of client tracking share; nobody else includes this.
 *
 *     tracking.c        clients, invalidations, what is sent
 *     tracking_notes.c  which keys a command reads, and when that counts
 *     tracking_bcast.c  the link of BCAST */
#ifndef LARDER_CORE_TRACKING_INTERNAL_H
#define LARDER_CORE_TRACKING_INTERNAL_H

#include "core/larder.h"
#include "core/tracking.h"

TAILQ_HEAD(tracker_list, tracker);

enum tracking_mode { TRACKING_KEYS, TRACKING_BCAST };
#define TRACKING_MODES 2

/* The keys of one command under way. */
struct tracked {
    struct tracking *tracking;
    struct tracker *tracker; /* a reference */
    uint64_t epoch;          /* tracking->epoch when the command was executed */
    struct buf keys;         /* records of length and bytes */
    size_t n;
    bool is_elsewhere; /* read on a link of its own, where L2 does not track */
    bool is_write;     /* these are the keys that a NOLOOP client writes */
    bool has_changed;  /* ... and L2's reply says that it did */
};

struct tracking {
    struct larder *larder;
    tracking_link_options_fn *link_options;
    struct tracking_table table;
    struct tracker_list lists[TRACKING_MODES]; /* clients that are on */
    size_t n_on[TRACKING_MODES];
    size_t n_prefixes;
    uint64_t epoch; /* how often changes may have been missed */
    struct tracked
        *own; /* owned; the last write of a NOLOOP client, while nothing came behind its reply */
    uint64_t own_replies; /* the link's figures then */
    uint64_t own_reads;
    struct buf scratch;
    struct link *bcast; /* owned; NULL: nobody broadcasts */
    struct buf changed; /* keys that it told of in this turn: records of length and bytes */
    size_t n_changed;
    size_t n_starting; /* commands that wait for it */
    bool has_missed;   /* it was lost: when it is back, clients are told to drop all */
};

/* The next record of tracked->keys, from *offset on; false at the end. */
bool tracked_next_key(const struct tracked *tracked, size_t *offset, struct bytes *key);
void tracked_free(struct tracked *tracked);

/* Tells a tracker's client of a change of `n` keys; NULL: of all keys. */
void tracking_send(struct tracking *tracking, struct tracker *tracker, const struct bytes *keys,
                   size_t n);

/* Tells all clients of a mode to drop all. */
void tracking_send_all(struct tracking *tracking, enum tracking_mode mode);

/* Forgets all keys, and tells the clients of the default mode to drop all (ctx is the tracking). */
void tracking_lose_all(void *ctx);

/* Notes that a client has read a key; evicts others beyond the limit. */
void tracking_add(struct tracking *tracking, struct tracker *tracker, struct bytes key);

/* Forgets some of the keys beyond a limit that was lowered; asks for another turn when there are more. */
void tracking_trim(struct tracking *tracking);

/* True when L2 tells of a change of this key, if it is read now. */
bool tracking_is_told(const struct tracking *tracking, struct bytes key);

#endif
