/* What the two files of cached replies share; nobody else includes this.
 *
 *     tier_reply.c        names, anchors, finding and keeping replies
 *     tier_reply_fetch.c  fetching them, once more after a lost link, and what else may be answered */
#ifndef LARDER_TIER_TIER_REPLY_H
#define LARDER_TIER_TIER_REPLY_H

#include "tier/stale.h"
#include "tier/tier_internal.h"

/* The start of an anchor's value; the name of the first reply (without the key) and the reply
 * follow. */
struct anchor {
    uint64_t generation;
    int64_t first_deadline_ms; /* of the first reply; the entry's own is the latest of all */
    int64_t first_fresh_ms;    /* as entry_soft's fresh_until_ms, for the first reply */
    uint32_t n_replies;        /* kept since it has this generation */
    uint32_t first_name_len;   /* 0: there is no first reply */
    uint64_t is_absent;        /* the key does not exist */
};

/* A reply that was found. */
struct reply_found {
    struct anchor anchor;
    struct bytes resp3;
    struct entry_soft soft; /* for a soft shelf */
};

/* True when replies are kept. */
bool reply_is_on(const struct tier *tier);

/* Writes the name of a read's reply into tier->reply_name. Returns false when there is no memory or
 * the store would not take it. */
bool reply_make_name(struct tier *tier, const struct tier_read *read);

/* The part of a reply's name behind the key: the command's name with a NUL, and each argument with
 * its length (uint32_t) before it. */
struct bytes reply_name_behind_key(struct bytes name, size_t key_len);

/* Finds a read's reply on one of its key's shelves, whether it is still of use or not. */
bool reply_find(struct tier *tier, const struct tier_read *read, bool is_soft,
                struct reply_found *found);

/* Until when (monotonic ms) the first reply in an anchor is fresh. */
static inline uint64_t reply_first_fresh(const struct entry *entry)
{
    struct anchor anchor;
    memcpy(&anchor, entry_value(entry).ptr, sizeof(anchor));
    return (uint64_t)anchor.first_fresh_ms & ((UINT64_C(1) << 48) - 1);
}

/* Keeps a fetch's reply as far as fetch_plan allows; drops what it takes the place of. */
void reply_fill(struct fetch *fetch, struct bytes resp3);

/* L2 has answered, so what a soft shelf still has of the key is outdated for certain. */
void reply_forget(struct fetch *fetch);

#endif
