/* The index of L1; see index.h. Splits and merges move entries between chains and reuse the
 * overflow buckets that fall free. */
#include "store/index.h"

#include "base/mem.h"

#include <stdlib.h>

/* One slot's content on its way between buckets. */
struct item {
    uint64_t tag; /* 1 to 255 */
    struct entry *entry;
    bool is_volatile;
};

static void store_pointer(unsigned char *bytes, const struct entry *entry)
{
    uint64_t word = (uint64_t)(uintptr_t)entry;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word <<= 64 - INDEX_POINTER_BITS;
#endif
    memcpy(bytes, &word, INDEX_POINTER_BYTES);
}

static void set_link(struct index_bucket *bucket, const struct index_bucket *next)
{
    bucket->link = (bucket->link & ~INDEX_POINTER_MASK) | (uint64_t)(uintptr_t)next;
}

static void set_volatile(struct index_bucket *bucket, unsigned slot, bool is_volatile)
{
    uint64_t bit = (uint64_t)1 << (INDEX_POINTER_BITS + slot);
    bucket->link = is_volatile ? bucket->link | bit : bucket->link & ~bit;
}

static struct item get_item(const struct index_bucket *bucket, unsigned slot)
{
    return (struct item){bucket->tags >> (8 * slot) & 0xff, index_slot_entry(bucket, slot),
                         (index_volatile_slots(bucket) >> slot & 1) != 0};
}

static void set_item(struct index_bucket *bucket, unsigned slot, const struct item *item)
{
    unsigned shift = 8 * slot;
    bucket->tags = (bucket->tags & ~((uint64_t)0xff << shift)) | item->tag << shift;
    store_pointer(bucket->entries + slot * INDEX_POINTER_BYTES, item->entry);
    set_volatile(bucket, slot, item->is_volatile);
}

static void clear_item(struct index_bucket *bucket, unsigned slot)
{
    bucket->tags &= ~((uint64_t)0xff << (8 * slot));
    set_volatile(bucket, slot, false);
}

static void clear_bucket(struct index_bucket *bucket)
{
    bucket->tags = 0;
    bucket->link = 0;
}

/* Overflow buckets */

static struct index_bucket *create_overflow(struct index *index)
{
    struct index_bucket *bucket = mem_try(sizeof(*bucket));
    if (bucket == NULL)
        return NULL;
    if ((uintptr_t)bucket >> INDEX_POINTER_BITS != 0)
        abort(); /* no system that larder runs on gives such addresses unasked */
    clear_bucket(bucket);
    index->n_overflow++;
    index->bytes += mem_class(sizeof(*bucket));
    return bucket;
}

static void destroy_overflow(struct index *index, struct index_bucket *bucket)
{
    index->n_overflow--;
    index->bytes -= mem_class(sizeof(*bucket));
    mem_free(bucket);
}

/* A list of unused overflow buckets, through their links. */
static void push_spare(struct index_bucket **spares, struct index_bucket *bucket)
{
    clear_bucket(bucket);
    set_link(bucket, *spares);
    *spares = bucket;
}

static struct index_bucket *pop_spare(struct index_bucket **spares)
{
    struct index_bucket *bucket = *spares;
    if (bucket == NULL)
        abort(); /* the callers have counted */
    *spares = index_next_bucket(bucket);
    clear_bucket(bucket);
    return bucket;
}

static struct index_bucket *last_bucket(struct index_bucket *bucket)
{
    for (struct index_bucket *next; (next = index_next_bucket(bucket)) != NULL;)
        bucket = next;
    return bucket;
}

/* Appends to the chain that ends in `*tail`; a spare is taken when it is full. */
static void append(struct index_bucket **tail, const struct item *item,
                   struct index_bucket **spares)
{
    unsigned count = index_bucket_count(*tail);
    if (count == INDEX_SLOTS) {
        struct index_bucket *bucket = pop_spare(spares);
        set_link(*tail, bucket);
        *tail = bucket;
        count = 0;
    }
    set_item(*tail, count, item);
}

/* Segments */

static size_t segment_class(size_t n_buckets)
{
    return mem_class(n_buckets * sizeof(struct index_bucket));
}

static bool grow_first_segment(struct index *index)
{
    size_t cap = index->cap_first * 2;
    struct index_bucket *segment = mem_try_resize(index->segments[0], cap * sizeof(*segment));
    if (segment == NULL)
        return false;
    index->segments[0] = segment;
    index->bytes += segment_class(cap) - segment_class(index->cap_first);
    index->cap_first = cap;
    return true;
}

static size_t directory_class(size_t cap)
{
    return mem_class(cap * sizeof(struct index_bucket *));
}

static bool grow_directory(struct index *index)
{
    size_t cap = index->cap_segments * 2;
    struct index_bucket **segments =
        mem_try_resize(index->segments, cap * sizeof(struct index_bucket *));
    if (segments == NULL)
        return false;
    index->bytes += directory_class(cap) - directory_class(index->cap_segments);
    index->segments = segments;
    index->cap_segments = cap;
    return true;
}

/* Makes room for bucket number n_buckets. */
static bool reserve_bucket(struct index *index)
{
    size_t no = index->n_buckets;
    if (no < INDEX_SEGMENT_BUCKETS)
        return no < index->cap_first || grow_first_segment(index);
    if ((no & (INDEX_SEGMENT_BUCKETS - 1)) != 0)
        return true;
    size_t segment_no = no >> INDEX_SEGMENT_BITS;
    if (segment_no == index->cap_segments && !grow_directory(index))
        return false;
    index->segments[segment_no] = mem_try(INDEX_SEGMENT_BUCKETS * sizeof(struct index_bucket));
    if (index->segments[segment_no] == NULL)
        return false;
    index->bytes += segment_class(INDEX_SEGMENT_BUCKETS);
    return true;
}

/* Gives back the segment behind the last bucket, if that was its first. The first segment stays. */
static void release_bucket(struct index *index)
{
    size_t no = index->n_buckets;
    if (no < INDEX_SEGMENT_BUCKETS || (no & (INDEX_SEGMENT_BUCKETS - 1)) != 0)
        return;
    mem_free(index->segments[no >> INDEX_SEGMENT_BITS]);
    index->bytes -= segment_class(INDEX_SEGMENT_BUCKETS);
}

/* Life cycle */

void index_init(struct index *index, const struct hash_key *key)
{
    memset(index, 0, sizeof(*index));
    index->hash_key = *key;
    index->cap_segments = INDEX_FIRST_SEGMENTS;
    index->cap_first = INDEX_FIRST_BUCKETS;
    index->segments = mem_alloc(INDEX_FIRST_SEGMENTS * sizeof(struct index_bucket *));
    index->segments[0] = mem_alloc(INDEX_FIRST_BUCKETS * sizeof(struct index_bucket));
    index->n_buckets = INDEX_FIRST_BUCKETS;
    index->mask = INDEX_FIRST_BUCKETS - 1;
    for (size_t i = 0; i < INDEX_FIRST_BUCKETS; i++)
        clear_bucket(&index->segments[0][i]);
    index->bytes = directory_class(INDEX_FIRST_SEGMENTS) + segment_class(INDEX_FIRST_BUCKETS);
}

void index_deinit(struct index *index)
{
    for (size_t no = 0; no < index->n_buckets; no++) {
        struct index_bucket *bucket = index_next_bucket(index_bucket(index, no));
        while (bucket != NULL) {
            struct index_bucket *next = index_next_bucket(bucket);
            mem_free(bucket);
            bucket = next;
        }
    }
    size_t last_segment = (index->n_buckets - 1) >> INDEX_SEGMENT_BITS;
    for (size_t i = 0; i <= last_segment; i++)
        mem_free(index->segments[i]);
    mem_free(index->segments);
    memset(index, 0, sizeof(*index));
}

/* Growth */

static uint64_t rehash(const struct index *index, const struct entry *entry)
{
    return index_hash(hash_bytes(&index->hash_key, entry->data, entry->key_len), entry->db);
}

static void prefetch_chain(const struct index_bucket *bucket)
{
    for (; bucket != NULL; bucket = index_next_bucket(bucket))
        index_prefetch_entries(bucket);
}

/* Adds one bucket and moves to it what belongs there. Needs no memory but the bucket itself: the
 * overflow buckets of the old chain, each of which is free once it was read, are always enough for
 * the two new chains. */
static void split(struct index *index)
{
    if (!reserve_bucket(index))
        return;
    size_t no = index->n_buckets++;
    if (no > index->mask)
        index->mask = index->mask * 2 + 1;
    struct index_bucket *tails[2] = {index_bucket(index, no & (index->mask >> 1)),
                                     index_bucket(index, no)};
    prefetch_chain(tails[0]);
    struct index_bucket source = *tails[0];
    struct index_bucket *spares = NULL;
    clear_bucket(tails[0]);
    clear_bucket(tails[1]);
    for (;;) {
        unsigned count = index_bucket_count(&source);
        for (unsigned i = 0; i < count; i++) {
            struct item item = get_item(&source, i);
            append(&tails[(rehash(index, item.entry) & index->mask) == no], &item, &spares);
        }
        struct index_bucket *next = index_next_bucket(&source);
        if (next == NULL)
            break;
        source = *next;
        push_spare(&spares, next);
    }
    while (spares != NULL)
        destroy_overflow(index, pop_spare(&spares));
}

/* The first bucket's entries need one more bucket at most, and each overflow bucket is free for its
 * own. */
bool index_shrink(struct index *index)
{
    if (index->n_buckets <= INDEX_FIRST_BUCKETS)
        return false;
    size_t no = index->n_buckets - 1;
    struct index_bucket *into = index_bucket(index, no & (index->mask >> 1));
    struct index_bucket source = *index_bucket(index, no);
    struct index_bucket *spares = NULL;
    struct index_bucket *tail = last_bucket(into);
    if (index_bucket_count(tail) + index_bucket_count(&source) > INDEX_SLOTS &&
        (spares = create_overflow(index)) == NULL)
        return false;
    for (;;) {
        struct index_bucket *next = index_next_bucket(&source);
        unsigned count = index_bucket_count(&source);
        for (unsigned i = 0; i < count; i++) {
            struct item item = get_item(&source, i);
            append(&tail, &item, &spares);
        }
        if (next == NULL)
            break;
        source = *next;
        push_spare(&spares, next);
    }
    while (spares != NULL)
        destroy_overflow(index, pop_spare(&spares));
    index->n_buckets = no;
    if (no == (index->mask >> 1) + 1)
        index->mask >>= 1;
    release_bucket(index);
    return true;
}

/* Lookup and changes */

struct entry *index_locate(const struct index *index, unsigned db, struct bytes key, uint64_t hash,
                           struct index_at *at)
{
    uint64_t wanted = index_tags_of(hash);
    at->bucket_no = index_bucket_no(index, hash);
    at->bucket = index_bucket(index, at->bucket_no);
    for (; at->bucket != NULL; at->bucket = index_next_bucket(at->bucket)) {
        for (uint64_t hits = index_match(at->bucket->tags, wanted); hits != 0; hits &= hits - 1) {
            at->slot = (unsigned)__builtin_ctzll(hits) >> 3;
            struct entry *entry = index_slot_entry(at->bucket, at->slot);
            if (index_entry_is(entry, db, key))
                return entry;
        }
    }
    return NULL;
}

bool index_locate_entry(const struct index *index, size_t bucket_no, const struct entry *entry,
                        struct index_at *at)
{
    if (bucket_no >= index->n_buckets)
        return false;
    for (bool more = index_first(index, bucket_no, at); more; more = index_advance(at))
        if (index_entry_at(at) == entry)
            return true;
    return false;
}

bool index_insert(struct index *index, struct entry *entry, uint64_t hash, bool is_volatile)
{
    if ((uintptr_t)entry >> INDEX_POINTER_BITS != 0)
        abort(); /* no system that larder runs on gives such addresses unasked */
    struct index_bucket *tail = last_bucket(index_bucket(index, index_bucket_no(index, hash)));
    struct index_bucket *spares = NULL;
    if (index_bucket_count(tail) == INDEX_SLOTS && (spares = create_overflow(index)) == NULL)
        return false;
    struct item item = {index_tags_of(hash) & 0xff, entry, is_volatile};
    append(&tail, &item, &spares);
    index->n_entries++;
    if (index->n_entries * 100 > index->n_buckets * INDEX_SLOTS * INDEX_LOAD_PERCENT)
        split(index);
    return true;
}

void index_replace(const struct index_at *at, struct entry *entry, bool is_volatile)
{
    store_pointer(at->bucket->entries + at->slot * INDEX_POINTER_BYTES, entry);
    set_volatile(at->bucket, at->slot, is_volatile);
}

void index_mark(const struct index_at *at, bool is_volatile)
{
    set_volatile(at->bucket, at->slot, is_volatile);
}

bool index_remove(struct index *index, const struct index_at *at)
{
    struct index_bucket *before = NULL;
    struct index_bucket *tail = index_bucket(index, at->bucket_no);
    for (struct index_bucket *next; (next = index_next_bucket(tail)) != NULL; tail = next)
        before = tail;
    unsigned last = index_bucket_count(tail) - 1;
    bool moved = tail != at->bucket || last != at->slot;
    if (moved) {
        struct item item = get_item(tail, last);
        set_item(at->bucket, at->slot, &item);
    }
    clear_item(tail, last);
    if (last == 0 && before != NULL) {
        set_link(before, NULL);
        destroy_overflow(index, tail);
    }
    index->n_entries--;
    return moved;
}

/* Walking */

bool index_first(const struct index *index, size_t bucket_no, struct index_at *at)
{
    at->bucket_no = bucket_no;
    at->bucket = index_bucket(index, bucket_no);
    at->slot = 0;
    return at->bucket->tags != 0;
}

bool index_advance(struct index_at *at)
{
    if (at->slot + 1 < index_bucket_count(at->bucket)) {
        at->slot++;
        return true;
    }
    at->bucket = index_next_bucket(at->bucket);
    at->slot = 0;
    return at->bucket != NULL;
}

unsigned index_collect(const struct index *index, size_t bucket_no, bool volatile_only,
                       struct entry **entries, unsigned max)
{
    unsigned n = 0;
    const struct index_bucket *bucket = index_bucket(index, bucket_no);
    for (; bucket != NULL && n < max; bucket = index_next_bucket(bucket)) {
        unsigned slots = (1u << index_bucket_count(bucket)) - 1;
        if (volatile_only)
            slots &= index_volatile_slots(bucket);
        for (; slots != 0 && n < max; slots &= slots - 1)
            entries[n++] = index_slot_entry(bucket, (unsigned)__builtin_ctz(slots));
    }
    return n;
}

static uint64_t reverse_bits(uint64_t x)
{
    x = (x >> 1 & 0x5555555555555555u) | (x & 0x5555555555555555u) << 1;
    x = (x >> 2 & 0x3333333333333333u) | (x & 0x3333333333333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0f0f0f0f0fu) | (x & 0x0f0f0f0f0f0f0f0fu) << 4;
    return __builtin_bswap64(x);
}

uint64_t index_scan(const struct index *index, uint64_t cursor, size_t *bucket_no)
{
    /* A bucket holds the hashes that agree with its number in the lowest bits; reversed, that is
     * one interval. */
    *bucket_no = index_bucket_no(index, cursor);
    uint64_t upper = index->mask & ~(index->mask >> 1);
    bool is_split = *bucket_no >= upper || (*bucket_no | upper) < index->n_buckets;
    uint64_t covered = is_split ? index->mask : index->mask >> 1;
    /* Adding 1 to the reversed lowest bits, with the bits above them all set, carries into the next
     * interval. */
    return reverse_bits(reverse_bits(cursor | ~covered) + 1);
}
