/* The index of L1: linear hashing over buckets of one cache line, from a hash to the entry of (db,
 * key).
 *
 * A bucket, 64 bytes (a cache line under jemalloc, which aligns such sizes to it):
 *
 *      0          8            14        20             50           56
 *     +----------+------------+---------+---- … ----+------------+-----------------------------+
 *     | 8 tags,  | entry 0,   | entry 1 |           | entry 7    | link: 48 b overflow bucket, |
 *     | 8 b each,| 48 b       |         |           |            | or 0; 8 b "slot i has a     |
 *     | 0: free  |            |         |           |            | deadline"; 8 b unused       |
 *     +----------+------------+---------+---- … ----+------------+-----------------------------+
 *
 * A tag is the hash's top byte, so a lookup compares eight candidates in one word and touches an
 * entry only when the tag agrees (a false one in 32 lookups at full load). A full bucket continues
 * in an overflow bucket.
 *
 * The table grows by one bucket at a time: bucket n - 2^k is split in two when the load passes
 * INDEX_LOAD_PERCENT, and merged back by index_shrink. There is no doubled table and no pause.
 * Buckets live in segments of 64 KiB, found through a directory; the first segment starts small and
 * doubles.
 *
 * Invariants: the entries of a chain fill it without gaps (only the last bucket may have free
 * slots, at its end); an overflow bucket is never empty; mask + 1 is the lowest power of two
 * that is not below n_buckets.
 *
 * Of an entry it knows the key, the database (for the hash on a split, and the comparison) and
 * nothing else. It does not own entries. Must not know: time, policies, budgets. */
#ifndef LARDER_STORE_INDEX_H
#define LARDER_STORE_INDEX_H

#include "base/bytes.h"
#include "base/hash.h"
#include "store/entry.h"

#define INDEX_SLOTS 8u
#define INDEX_SEGMENT_BITS 10
#define INDEX_SEGMENT_BUCKETS ((size_t)1 << INDEX_SEGMENT_BITS)
#define INDEX_FIRST_BUCKETS ((size_t)16)
#define INDEX_FIRST_SEGMENTS ((size_t)8) /* room in the first directory */

/* Split above this many entries in a hundred slots of first-line buckets. */
#define INDEX_LOAD_PERCENT 70

#define INDEX_POINTER_BITS 48
#define INDEX_POINTER_MASK (((uint64_t)1 << INDEX_POINTER_BITS) - 1)
#define INDEX_POINTER_BYTES ((size_t)6)

struct index_bucket {
    uint64_t tags; /* slot i in bits 8 i to 8 i + 7 */
    unsigned char entries[INDEX_SLOTS * INDEX_POINTER_BYTES];
    uint64_t link;
};

_Static_assert(sizeof(struct index_bucket) == 64, "one cache line");
_Static_assert(sizeof(void *) == 8, "48-bit pointers in 64-bit words");

struct index {
    struct index_bucket **segments; /* owned directory of owned segments */
    uint64_t mask;
    size_t n_buckets;
    size_t n_entries;
    size_t cap_segments;
    size_t cap_first; /* buckets that the first segment has room for */
    size_t n_overflow;
    size_t bytes; /* that the allocator holds for segments, directory and overflow buckets */
    struct hash_key hash_key;
};

/* A place in the index; any change of the index but index_mark and index_replace makes it invalid,
 * unless said otherwise. */
struct index_at {
    size_t bucket_no;
    struct index_bucket *bucket; /* of the chain of bucket_no */
    unsigned slot;
};

/* Life cycle */

/* An empty index that hashes under `key`; aborts when there is no memory. */
void index_init(struct index *index, const struct hash_key *key);

/* Frees the index; entries in it are not freed. */
void index_deinit(struct index *index);

/* Hashes */

/* The hash that the index works with: of the key and its database. */
static inline uint64_t index_hash(uint64_t key_hash, unsigned db)
{
    return key_hash ^
           (db * (uint64_t)0x9e3779b97f4a7c15u); /* 2^64 / golden ratio: changes bucket and tag */
}

/* The bucket that holds the entries of a hash. */
static inline size_t index_bucket_no(const struct index *index, uint64_t hash)
{
    uint64_t no = hash & index->mask;
    return no & (index->mask >> (no >= index->n_buckets)); /* no branch: it would be a coin toss */
}

static inline struct index_bucket *index_bucket(const struct index *index, size_t no)
{
    return &index->segments[no >> INDEX_SEGMENT_BITS][no & (INDEX_SEGMENT_BUCKETS - 1)];
}

/* Inside a bucket */

static inline uint64_t index_load_pointer(const void *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return word >> (64 - INDEX_POINTER_BITS);
#else
    return word & INDEX_POINTER_MASK;
#endif
}

/* The entry of an occupied slot. The load of eight bytes ends inside the link for the last slot. */
static inline struct entry *index_slot_entry(const struct index_bucket *bucket, unsigned slot)
{
    const unsigned char *line = (const unsigned char *)bucket;
    return (struct entry *)(uintptr_t)index_load_pointer(line + sizeof(uint64_t) +
                                                         slot * INDEX_POINTER_BYTES);
}

static inline struct index_bucket *index_next_bucket(const struct index_bucket *bucket)
{
    return (struct index_bucket *)(uintptr_t)(bucket->link & INDEX_POINTER_MASK);
}

/* Occupied slots, which are the first ones. */
static inline unsigned index_bucket_count(const struct index_bucket *bucket)
{
    return bucket->tags == 0 ? 0 : INDEX_SLOTS - ((unsigned)__builtin_clzll(bucket->tags) >> 3);
}

/* Bit i is set when the entry in slot i has a deadline. */
static inline unsigned index_volatile_slots(const struct index_bucket *bucket)
{
    return (unsigned)(bucket->link >> INDEX_POINTER_BITS) & 0xff;
}

/* Brings the entries of one bucket into the processor's cache. */
static inline void index_prefetch_entries(const struct index_bucket *bucket)
{
    unsigned count = index_bucket_count(bucket);
    for (unsigned i = 0; i < count; i++)
        __builtin_prefetch(index_slot_entry(bucket, i));
    /* gcc takes a function that does nothing but prefetch for one without effect, and drops the
     * calls. */
    __asm__ volatile("");
}

#define INDEX_EACH_BYTE (~(uint64_t)0 / 255)

/* The tag of a hash in each byte; never 0. */
static inline uint64_t index_tags_of(uint64_t hash)
{
    uint64_t tag = hash >> 56;
    return (tag + (tag == 0)) * INDEX_EACH_BYTE;
}

/* The high bit of each byte in which `tags` and `wanted` agree; exact, without false bytes. */
static inline uint64_t index_match(uint64_t tags, uint64_t wanted)
{
    const uint64_t low7 = INDEX_EACH_BYTE * 0x7f;
    uint64_t difference = tags ^ wanted;
    return ~(((difference & low7) + low7) | difference | low7);
}

static inline uint64_t index_load_word(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* memcmp(...) == 0; inline for keys of 8 to 64 bytes, which saves a hit some 4 ns. */
static inline bool index_same(const char *a, const char *b, size_t len)
{
    if (len - 8 > 64 - 8)
        return len == 0 || memcmp(a, b, len) == 0;
    uint64_t difference = index_load_word(a + len - 8) ^ index_load_word(b + len - 8);
    for (size_t i = 0; i + 8 < len; i += 8)
        difference |= index_load_word(a + i) ^ index_load_word(b + i);
    return difference == 0;
}

static inline bool index_entry_is(const struct entry *entry, unsigned db, struct bytes key)
{
    return entry->key_len == key.len && entry->db == db &&
           index_same(entry->data, key.ptr, key.len);
}

/* Lookup */

/* The entry of (db, key), or NULL; `hash` is of index_hash. */
static inline struct entry *index_find(const struct index *index, unsigned db, struct bytes key,
                                       uint64_t hash)
{
    const struct index_bucket *bucket = index_bucket(index, index_bucket_no(index, hash));
    uint64_t wanted = index_tags_of(hash);
    do {
        for (uint64_t hits = index_match(bucket->tags, wanted); hits != 0; hits &= hits - 1) {
            struct entry *entry = index_slot_entry(bucket, (unsigned)__builtin_ctzll(hits) >> 3);
            if (__builtin_expect(index_entry_is(entry, db, key), 1))
                return entry;
        }
        bucket = index_next_bucket(bucket);
    } while (__builtin_expect(bucket != NULL, 0));
    return NULL;
}

/* As index_find, and says where. */
struct entry *index_locate(const struct index *index, unsigned db, struct bytes key, uint64_t hash,
                           struct index_at *at);

/* Finds an entry by its address in the chain of a bucket; false when it isn't there. Doesn't look
 * into the entry, which may be freed memory then. */
bool index_locate_entry(const struct index *index, size_t bucket_no, const struct entry *entry,
                        struct index_at *at);

/* Changes */

/* Adds an entry whose (db, key) is not there, and splits a bucket when the load asks for it
 * (without memory for that, it is left for later). Returns false, with nothing changed, when there
 * is no memory. */
bool index_insert(struct index *index, struct entry *entry, uint64_t hash, bool is_volatile)
    __attribute__((warn_unused_result));

/* Puts another entry of the same (db, key) in a place. */
void index_replace(const struct index_at *at, struct entry *entry, bool is_volatile);

/* Says whether the entry in a place has a deadline. */
void index_mark(const struct index_at *at, bool is_volatile);

/* Removes the entry in a place. Returns true when another entry of the chain, one from behind it,
 * has moved to this place, false when it was the chain's last. */
bool index_remove(struct index *index, const struct index_at *at);

/* True when there are fewer entries than `percent` of the slots, and the table can shrink. */
static inline bool index_load_is_below(const struct index *index, unsigned percent)
{
    return index->n_buckets > INDEX_FIRST_BUCKETS &&
           index->n_entries * 100 < index->n_buckets * INDEX_SLOTS * percent;
}

/* Merges the last bucket into its partner. Returns false when there is no memory, or one bucket is
 * left. */
bool index_shrink(struct index *index);

/* Walking */

/* The first entry of a bucket's chain; false when it is empty. */
bool index_first(const struct index *index, size_t bucket_no, struct index_at *at);

/* The next entry of the chain; false after the last. */
bool index_advance(struct index_at *at);

static inline struct entry *index_entry_at(const struct index_at *at)
{
    return index_slot_entry(at->bucket, at->slot);
}

static inline bool index_is_volatile_at(const struct index_at *at)
{
    return (index_volatile_slots(at->bucket) >> at->slot & 1) != 0;
}

/* Collects the entries of a bucket's chain (only those with a deadline when `volatile_only`), at
 * most `max`, without touching them. Returns how many. */
unsigned index_collect(const struct index *index, size_t bucket_no, bool volatile_only,
                       struct entry **entries, unsigned max);

/* The scan's order: by the bits of the hash reversed, so that splits and merges only refine or join
 * what is still to come. Sets the bucket that a cursor stands at, and returns the next cursor, 0 at
 * the end. Any cursor is valid. */
uint64_t index_scan(const struct index *index, uint64_t cursor, size_t *bucket_no);

#endif
