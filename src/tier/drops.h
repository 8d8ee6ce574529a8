/* Why keys left L1 last, for CACHE EXPLAIN: a table of fixed size, in which a later key takes the
 * place of an earlier one of the same slot. Knows hashes, not keys. */
#ifndef LARDER_TIER_DROPS_H
#define LARDER_TIER_DROPS_H

#include <stdbool.h>
#include <stdint.h>

enum drop_reason {
    DROP_NONE,         /* not known */
    DROP_WRITE,        /* a write through larder */
    DROP_INVALIDATION, /* L2 said that it has changed */
    DROP_COMMAND,      /* CACHE INVALIDATE or CACHE POLICY */
    DROP_FLUSH, /* with its whole database: FLUSHDB, FLUSHALL, SWAPDB, CACHE FLUSH, a write of unknown keys */
    DROP_LINK, /* the link that it was read on was lost, or tracks otherwise */
};

#define DROPS_SLOTS 4096

struct drop {
    uint64_t hash; /* of the key */
    uint32_t db;
    uint8_t reason; /* enum drop_reason */
    int64_t at_ms;
};

struct drops {
    struct drop slots[DROPS_SLOTS];
};

/* Remembers that a key of a database was dropped. */
static inline void drops_note(struct drops *drops, unsigned db, uint64_t hash,
                              enum drop_reason reason, int64_t now_ms)
{
    drops->slots[(hash >> 32) % DROPS_SLOTS] =
        (struct drop){.hash = hash, .db = db, .reason = (uint8_t)reason, .at_ms = now_ms};
}

/* The last known drop of a key, borrowed until the next note; NULL: none is known. */
static inline const struct drop *drops_find(const struct drops *drops, unsigned db, uint64_t hash)
{
    const struct drop *drop = &drops->slots[(hash >> 32) % DROPS_SLOTS];
    return drop->reason != DROP_NONE && drop->hash == hash && drop->db == db ? drop : 0;
}

#endif
