/* Entries that may be answered when they are no longer fresh, and what else a key's policy asks of a
 * lookup: observing, denying, early refreshes. Only for keys whose policy is special; for all others
 * a deadline and the generation of their database say everything.
 *
 *     now < fresh_until, and read on the link that is up        fresh
 *     so long after that, L2 can be asked     <= policy swr     answered, and fetched anew
 *     so long after that, L2 can't be asked   <= policy sie     answered
 *     otherwise                                                 as if it were not there
 *
 * A value that L2 says has changed, or that a client has overwritten, is never among them: it was
 * dropped. "After" counts from the moment when freshness ended, by time or by the loss of the link.
 *
 * Part of src/tier; nobody else includes this. */
#ifndef LARDER_TIER_STALE_H
#define LARDER_TIER_STALE_H

#include "tier/tier_internal.h"

/* What an entry is good for. */
enum verdict {
    VERDICT_FRESH,
    VERDICT_REFRESH, /* fresh or stale: answer it, and fetch it anew meanwhile */
    VERDICT_ERROR,   /* stale: answer it, as L2 can't be asked */
    VERDICT_USELESS,
};

/* Where L1 keeps what it knows of a key, and the key's policy. */
struct shelf {
    const struct policy *policy; /* borrowed until the table of policies changes */
    uint16_t policy_id;
    bool is_soft;
};

/* The shelf of a key. */
struct shelf stale_shelf(const struct tier *tier, struct bytes key);

/* What a soft entry is good for now. `can_ask`: L2 can be asked. Draws lots for an early refresh, so
 * two calls may differ between FRESH and REFRESH. */
enum verdict stale_judge(struct tier *tier, const struct entry_soft *soft,
                         const struct shelf *shelf, bool can_ask);

/* Counts `n` answers by their verdict. */
void stale_count(struct tier *tier, const struct entry_soft *soft, enum verdict verdict,
                 unsigned n);

/* Finds a string where some policy is special: tier_find and its kin. */
enum stale_use { STALE_FIND, STALE_FIND_UNTOUCHED, STALE_PEEK };
const struct entry *stale_find(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                               enum stale_use use);

/* The string that may be answered since the key's fetch has failed, or NULL. Counts it for `n`
 * readers. */
const struct entry *stale_rescue(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                                 unsigned n);

/* How many clients wait for a fetch: none for a refresh that nobody has joined. */
unsigned stale_readers(const struct fetch *fetch);

/* L2 has said what contradicts the key's entries of another kind (strings, or anchors of replies): those
 * of a soft shelf go that are no longer fresh, and were read where L2 would not have told of a change.
 * `store_db` is the database of the store. */
void stale_contradict(struct tier *tier, unsigned store_db, struct bytes key, uint64_t hash);

/* True for an error that means "not now": larder's own, or one of L2 that passes. */
bool stale_is_passing(struct bytes error);

/* What becomes of the answer to a refresh that nobody waits for: nothing, L1 has it. */
void stale_on_refreshed(void *ctx, enum tier_answer answer, struct bytes bytes);

/* The link is lost, or tracks otherwise: what was read on it is no longer fresh. */
void stale_on_link_down(struct tier *tier);

#endif
