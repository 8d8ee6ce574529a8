/* What the handlers of L1 alone share: reading and writing a key's value in the store as Redis
 * reads and writes its database, and the replies to what goes wrong.
 *
 * Without an upstream the store is the database: every entry is a string, and its deadline is the
 * key's own. A handler's deadlines are wall-clock milliseconds where Redis's are, and monotonic
 * ones where the store's are; the two functions that convert are here.
 *
 * Entries are borrowed until the next call that puts or removes one. (Finding one frees nothing but
 * what has expired, and time stands still during a call.)
 *
 * Must not know: single commands. */
#ifndef LARDER_COMMAND_ALONE_H
#define LARDER_COMMAND_ALONE_H

#include "core/larder.h"

/* How Redis would have encoded the value where its bytes don't tell, for OBJECT ENCODING. Kept in
 * the entry's flags, where L1 alone has no use for those of enum entry_flag. */
enum alone_flag {
    ALONE_RAW = 1 << 7,    /* was changed in place (APPEND, SETRANGE, SETBIT ...): "raw" */
    ALONE_STRING = 1 << 6, /* looks like an integer and is none (INCRBYFLOAT): "embstr" */
};

/* The longest value that Redis keeps beside its header ("embstr"), in bytes. */
#define ALONE_EMBSTR_MAX 44

/* Reading; argv[i] is the key, in the client's database */

/* Finds the live entry and counts the access for eviction, but neither hit nor miss, as Redis's
 * lookupKeyWrite. NULL: no such key. */
const struct entry *alone_find(struct call *call, size_t i);

/* As alone_find in another database (below the store's number of databases). */
const struct entry *alone_find_in(struct call *call, unsigned db, size_t i);

/* As alone_find, and counts a hit or a miss, as Redis's lookupKeyRead. */
const struct entry *alone_read(struct call *call, size_t i);

/* As alone_read without counting the access for eviction (TTL, EXISTS, TYPE, OBJECT), as Redis's
 * LOOKUP_NOTOUCH. */
const struct entry *alone_look(struct call *call, size_t i);

/* The value of an entry; empty for NULL. */
static inline struct bytes alone_value(const struct entry *entry)
{
    return entry != NULL ? entry_value(entry) : BYTES("");
}

/* True when Redis would call the encoding of the entry's value "raw". */
bool alone_is_raw(const struct entry *entry);

/* Appends the entry's value (none for NULL), cut or padded with zero bytes to `size`, to an empty
 * buffer. Returns false when there is no memory. */
bool alone_copy_value(const struct entry *entry, size_t size, struct buf *copy)
    __attribute__((warn_unused_result));

/* Writing */

/* What a key is given. */
struct alone_item {
    struct bytes value;  /* borrowed for the call; may be an entry's */
    int64_t deadline_ms; /* monotonic; 0: none; when it has passed, the key is removed */
    unsigned flags;      /* enum alone_flag */
};

/* Puts a value under argv[i]. The caller answers a result other than STORE_OK with alone_refuse. */
enum store_result alone_put(struct call *call, size_t i, const struct alone_item *item)
    __attribute__((warn_unused_result));
enum store_result alone_put_in(struct call *call, unsigned db, size_t i,
                               const struct alone_item *item) __attribute__((warn_unused_result));

/* As alone_put, and answers what goes wrong: nothing more is to be replied after false. */
bool alone_store(struct call *call, size_t i, const struct alone_item *item)
    __attribute__((warn_unused_result));

/* Removes argv[i]. Returns true when the key was there. */
bool alone_remove(struct call *call, size_t i);

/* Deadlines */

/* Wall-clock milliseconds at which the entry expires; -1: never. */
int64_t alone_expires_at(const struct call *call, const struct entry *entry);

/* The store's deadline for a moment on the wall clock (any number; one that has passed gives one
 * that has passed, never 0). The store cuts what is more than 8,900 years away. */
int64_t alone_deadline(const struct call *call, int64_t wall_ms);

/* The entry's deadline, to be given to its successor; 0 for NULL and for an entry without one. */
static inline int64_t alone_keep_deadline(const struct entry *entry)
{
    return entry != NULL ? (int64_t)entry->deadline_ms : 0;
}

/* Arguments: each writes Redis's error and returns false when argv[i] isn't one */

/* Any 64-bit integer. */
bool alone_parse_integer(struct call *call, size_t i, int64_t *value)
    __attribute__((warn_unused_result));

/* A 32-bit integer. `error` is the whole error to be written; NULL: Redis's usual words. */
bool alone_parse_int(struct call *call, size_t i, const char *error, int *value)
    __attribute__((warn_unused_result));

/* Writes an error and returns false when `number` is no database's. */
bool alone_check_db(struct call *call, int number) __attribute__((warn_unused_result));

/* Replies */

/* Where the call's reply begins, so that it can be taken back: to be asked before it is written. */
static inline size_t alone_mark(const struct call *call)
{
    return call->reply.out->len;
}

/* Takes back what was replied since the mark. */
void alone_rewind(struct call *call, size_t mark);

/* Writes the error for a put that failed. */
void alone_refuse(struct call *call, enum store_result result);

/* Checks the length that a value would get, as Redis's checkStringLength: writes the error and
 * returns false when `size` and `more` together pass proto-max-bulk-len. Both at least 0. */
bool alone_check_length(struct call *call, int64_t size, int64_t more)
    __attribute__((warn_unused_result));

/* Writes "invalid expire time in '...' command". */
void alone_bad_expire_time(struct call *call);

#endif
