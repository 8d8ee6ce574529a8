/* A reader over serialised RESP3: looks into replies where they lie, copies nothing, and allocates for the few only that are nested
 * deeper than WALK_LEVELS_SMALL.
 *
 * Must not know: commands, connections, what a reply is for.
 *
 * A walk is a cursor over borrowed bytes; items come in the order of the wire, an aggregate as its
 * header, followed by its values:
 *
 *     %1\r\n  $1\r\na\r\n  *2\r\n  :1\r\n  :2\r\n
 *     MAP(2)  BULK "a"     ARRAY(2) INTEGER INTEGER
 *
 * Invariants, on any bytes whatsoever: nothing outside [pos, end) is read; every step either stops
 * or moves forward by at least three bytes, so a declared count costs nothing until its values are
 * there; no function recurses. */
#ifndef LARDER_RESP_WALK_H
#define LARDER_RESP_WALK_H

#include "base/bytes.h"

/* Levels of nesting that larder follows. Redis's own replies have at most eight (COMMAND DOCS); a script's, 7,995 and an error inside
 * ("reached lua stack limit"); EXEC and the like add some. */
#define WALK_DEPTH_MAX 8192

/* Most elements (pairs, for a map) that a header may declare; hiredis's own default limit. */
#define WALK_COUNT_MAX UINT32_MAX

enum walk_status {
    WALK_OK,   /* done */
    WALK_MORE, /* the bytes end inside a value that is well-formed so far */
    WALK_BAD,  /* not RESP, or nested deeper than allowed */
};

/* What an item is, by its first byte. RESP3's streamed forms ("$?", "*?", "%?") and its blob error
 * ("!") are not known: Redis 7.0 sends none of them and hiredis refuses them. */
enum walk_type {
    WALK_STATUS = '+',
    WALK_ERROR = '-',
    WALK_INTEGER = ':',
    WALK_BULK = '$',
    WALK_NULL = '_', /* also RESP2's "$-1" and "*-1" */
    WALK_BOOL = '#',
    WALK_DOUBLE = ',',
    WALK_BIG_NUMBER = '(',
    WALK_VERBATIM = '=',
    WALK_ARRAY = '*',
    WALK_SET = '~',
    WALK_PUSH = '>',
    WALK_MAP = '%',
    WALK_ATTRIBUTE = '|', /* belongs to the value that follows its own values */
};

struct walk {
    const char *pos; /* next byte to read */
    const char *end;
};

struct walk_item {
    enum walk_type type;
    const char *start; /* its first byte, borrowed as the walk's bytes */
    /* Payload without first byte, length and line end: text of a status, error (with its code) or
     * number; "t" or "f"; contents of a bulk; of a verbatim with its prefix ("txt:"), so at least
     * four bytes. Empty for the others. Borrowed as the walk's bytes. */
    struct bytes text;
    size_t n_items; /* values that follow and belong to it; two for each pair of a map */
};

/* A walk over `len` bytes at `ptr` (NULL allowed when there are none), which it borrows. */
static inline struct walk walk_over(const char *ptr, size_t len)
{
    return (struct walk){ptr, len == 0 ? ptr : ptr + len};
}

/* Reads one item: a scalar whole, of an aggregate its header. The text of a number is not looked
 * at, but is not empty (bytes_parse_i64 reads an integer's). When not WALK_OK, the walk stays where
 * it was and `*item` is undefined. */
enum walk_status walk_next(struct walk *walk, struct walk_item *item)
    __attribute__((warn_unused_result));

/* As walk_next, but passes over attributes first. `max_depth` (0 to WALK_DEPTH_MAX) bounds the
 * nesting inside an attribute. */
enum walk_status walk_value(struct walk *walk, struct walk_item *item, unsigned max_depth)
    __attribute__((warn_unused_result));

/* Passes over the next `n_values` values whole, with their attributes. `max_depth` (0 to
 * WALK_DEPTH_MAX) is how many aggregates may lie inside each other; more are WALK_BAD. When not
 * WALK_OK, the walk stays where it was. */
enum walk_status walk_skip(struct walk *walk, size_t n_values, unsigned max_depth)
    __attribute__((warn_unused_result));

/* How many values are still to come at each level of a reply. */
#define WALK_LEVELS_SMALL 64
struct walk_levels {
    size_t *left;   /* `small`, or owned */
    unsigned depth; /* index of the innermost level */
    unsigned cap;   /* of `left` */
    size_t small[WALK_LEVELS_SMALL];
};

/* Begins at level 0 with `n_values`; ends (also after a failed push). */
void walk_levels_init(struct walk_levels *levels, size_t n_values);
void walk_levels_deinit(struct walk_levels *levels);

/* Goes one level down, to `n_values`. Returns false beyond `max_depth`, or when there is no memory. */
bool walk_levels_push(struct walk_levels *levels, size_t n_values, unsigned max_depth)
    __attribute__((warn_unused_result));

/* Goes up from levels that are finished. Returns false when all are. */
static inline bool walk_levels_next(struct walk_levels *levels)
{
    while (levels->left[levels->depth] == 0) {
        if (levels->depth == 0)
            return false;
        levels->depth--;
    }
    return true;
}

/* Measures the first reply of `len` bytes at `ptr`, with its attributes: `*reply_len` is its length
 * in bytes when WALK_OK, else untouched. `max_depth` as in walk_skip. */
enum walk_status walk_reply_len(const char *ptr, size_t len, unsigned max_depth, size_t *reply_len)
    __attribute__((warn_unused_result));

#endif
