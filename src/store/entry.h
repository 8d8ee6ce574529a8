/* An L1 entry: header, key and value in one allocation.
 *
 *      0               6       8        12       16        20   22     23      24     28
 *     +---------------+-------+--------+--------+---------+----+------+-------+------+-----+-------+
 *     | deadline, ms  | gene- | access | value  | key     | db | kind | flags | born | key | value |
 *     | (monotonic,   | ration| (policy| length | length  |    |      |       |      |     |       |
 *     |  0: none) 48 b| 16 b  |  word) |        |         |    |      |       |      |     |       |
 *     +---------------+-------+--------+--------+---------+----+------+-------+------+-----+-------+
 *
 * A soft entry has a struct entry_soft behind the value: it may be of use when it is no longer
 * fresh. Identity is (db, key). An entry whose generation is not its database's is dead: nothing finds it,
 * and the sweep frees it.
 *
 * Readers outside src/store use the accessors and never write. Knows no protocol. */
#ifndef LARDER_STORE_ENTRY_H
#define LARDER_STORE_ENTRY_H

#include "base/bytes.h"

#include <stddef.h>
#include <string.h>

/* What an entry says about its key. */
enum entry_kind {
    ENTRY_STRING, /* the value is what GET returns */
    ENTRY_ABSENT, /* the key does not exist; the value is empty */
    ENTRY_REPLY,  /* the value is a serialised RESP3 reply to one read-only command on the key */
};

enum entry_flag {
    ENTRY_CAPPED = 1,  /* the deadline is larder's own (l1-ttl); the key lives longer at L2 */
    ENTRY_PERSIST = 2, /* the key has no deadline at L2 (TTL is -1), whatever the entry's own is */
    ENTRY_SOFT = 4,    /* a struct entry_soft follows the value */
    ENTRY_HIT = 8,     /* the store's own: found since it was put, and since store_take_hit */
};

/* What the tier knows of an entry that may be answered when it is no longer fresh. The store only
 * keeps it. */
struct entry_soft {
    uint64_t fresh_until_ms : 48; /* monotonic; 0: as long as its link is trusted */
    uint64_t policy : 16;         /* id */
    uint32_t epoch;               /* of the link that it was read on */
    uint32_t cost_ms;             /* of reading it; 0: reading it early brings nothing */
};

struct entry {
    uint64_t deadline_ms : 48;
    uint64_t generation : 16;
    uint32_t access;
    uint32_t value_len;
    uint32_t key_len;
    uint16_t db;
    uint8_t kind;  /* enum entry_kind */
    uint8_t flags; /* enum entry_flag, or-ed */
    uint32_t born; /* when it was put, in steps of ENTRY_BORN_MS; wraps after two years */
    char data[];   /* key, then value, then struct entry_soft where the flag says so */
};

#define ENTRY_HEADER offsetof(struct entry, data)
#define ENTRY_BORN_MS 16

_Static_assert(ENTRY_HEADER == 28, "the drawing above");

/* The key, borrowed until the entry is changed or removed. */
static inline struct bytes entry_key(const struct entry *entry)
{
    return bytes_of(entry->data, entry->key_len);
}

/* The value, borrowed until the entry is changed or removed. */
static inline struct bytes entry_value(const struct entry *entry)
{
    return bytes_of(entry->data + entry->key_len, entry->value_len);
}

/* What follows the value of a soft entry. */
static inline struct entry_soft entry_soft_of(const struct entry *entry)
{
    struct entry_soft soft;
    memcpy(&soft, entry->data + entry->key_len + entry->value_len, sizeof(soft));
    return soft;
}

/* Milliseconds since the entry was put. */
static inline int64_t entry_age_ms(const struct entry *entry, int64_t now_ms)
{
    return (int64_t)((uint32_t)(now_ms / ENTRY_BORN_MS) - entry->born) * ENTRY_BORN_MS;
}

/* True when the entry has a deadline and it is not after now_ms (monotonic). */
static inline bool entry_is_expired(const struct entry *entry, int64_t now_ms)
{
    return entry->deadline_ms != 0 && (int64_t)entry->deadline_ms <= now_ms;
}

/* Bytes that the allocator holds for the entry. */
size_t entry_footprint(const struct entry *entry);

/* For src/store only. */

/* Longest key and longest value: Redis's largest string and room for what a serialised reply adds
 * to it. */
#define ENTRY_LEN_MAX (((uint32_t)512 << 20) + ((uint32_t)1 << 20))

/* Bytes that the allocator would hold for an entry of these lengths (each at most
 * ENTRY_LEN_MAX). */
size_t entry_class(size_t key_len, size_t value_len);

/* A new entry with copies of key and value (each at most ENTRY_LEN_MAX bytes) and room for `extra`
 * bytes behind them, everything else zero. Returns owned for entry_destroy, or NULL when there is no memory. */
struct entry *entry_create(struct bytes key, struct bytes value, size_t extra)
    __attribute__((warn_unused_result));

/* Frees an entry; the index must have forgotten it. */
void entry_destroy(struct entry *entry);

#endif
