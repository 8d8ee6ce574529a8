/* Which known name a misspelt one may have been meant for: Levenshtein's distance without regard to
 * case, and how much of it is near.
 *
 * Must not know: what the names are of. */
#ifndef LARDER_BASE_NEAREST_H
#define LARDER_BASE_NEAREST_H

#include "base/bytes.h"

/* Longer names are near to nothing. */
#define NEAREST_NAME_MAX 64

/* The least distance that is too far from `name`: a third of its letters (rounded up) may be wrong,
 * three at most. 0 for an empty name or one above NEAREST_NAME_MAX. */
size_t nearest_limit(struct bytes name);

/* How many letters have to be changed, added or taken away to make one of the other. `known` has
 * NEAREST_NAME_MAX bytes at most. */
size_t nearest_distance(struct bytes name, struct bytes known);

#endif
