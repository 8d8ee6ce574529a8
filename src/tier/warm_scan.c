/* MATCH: the keys of L2 by SCAN, in pieces; see warm_source.h. */
#include "tier/warm_source.h"

#include "resp/walk.h"

#include <inttypes.h>
#include <stdio.h>

/* A cursor is an unsigned number of up to 64 bits. */
static bool parse_cursor(struct bytes text, uint64_t *cursor)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *cursor = value;
    return text.len > 0;
}

/* The part of the hash table that a cursor has behind it. Redis increments cursors from their
 * highest bit down, so the reversed bits are a binary fraction, whatever the table's size. */
static double cursor_position(uint64_t cursor)
{
    double position = 0;
    double weight = 0.5;
    for (; cursor != 0; cursor >>= 1, weight /= 2)
        if (cursor & 1)
            position += weight;
    return position;
}

bool warm_scan_request(const struct warm_source *source, struct buf *out)
{
    char cursor[24];
    int cursor_len = snprintf(cursor, sizeof(cursor), "%" PRIu64, source->cursor);
    char count[12];
    int count_len = snprintf(count, sizeof(count), "%u", source->count);
    size_t start = out->len;
    if (buf_printf(out, "*%d\r\n$4\r\nSCAN\r\n$%d\r\n%s\r\n$5\r\nCOUNT\r\n$%d\r\n%s\r\n",
                   source->is_untyped ? 6 : 8, cursor_len, cursor, count_len, count) &&
        (source->is_untyped || buf_printf(out, "$4\r\nTYPE\r\n$6\r\nstring\r\n")) &&
        buf_printf(out, "$5\r\nMATCH\r\n$%zu\r\n", source->text.len) &&
        buf_append(out, source->text.data, source->text.len) && buf_append(out, "\r\n", 2))
        return true;
    out->len = start;
    return false;
}

/* The next COUNT: larger where few keys matched, so that a rare pattern does not take a round trip
 * per hundred buckets. */
static unsigned next_count(unsigned count, uint64_t n_keys)
{
    if (n_keys < count / 10)
        return count * 2 < WARM_SCAN_COUNT_MAX ? count * 2 : WARM_SCAN_COUNT_MAX;
    if (n_keys > count / 2)
        return count / 2 > WARM_SCAN_COUNT_MIN ? count / 2 : WARM_SCAN_COUNT_MIN;
    return count;
}

bool warm_scan_accept(struct warm_source *source, struct bytes reply, char *error)
{
    struct walk walk = walk_over(reply.ptr, reply.len);
    struct walk_item pair, cursor, keys;
    uint64_t position;
    if (walk_value(&walk, &pair, WALK_DEPTH_MAX) != WALK_OK || pair.type != WALK_ARRAY ||
        pair.n_items != 2 || walk_value(&walk, &cursor, WALK_DEPTH_MAX) != WALK_OK ||
        cursor.type != WALK_BULK || !parse_cursor(cursor.text, &position) ||
        walk_value(&walk, &keys, WALK_DEPTH_MAX) != WALK_OK || keys.type != WALK_ARRAY) {
        snprintf(error, WARM_ERROR_SIZE, "L2's reply to SCAN can't be understood");
        return false;
    }
    source->bytes.len = 0;
    source->pos = 0;
    buf_trim(&source->bytes, WARM_FILE_PIECE);
    if (!buf_append(&source->bytes, walk.pos, (size_t)(walk.end - walk.pos))) {
        snprintf(error, WARM_ERROR_SIZE, "out of memory for a reply to SCAN");
        return false;
    }
    source->n_total = keys.n_items;
    source->n_taken = 0;
    source->cursor = position;
    source->count = next_count(source->count, keys.n_items);
    source->is_complete = position == 0;
    source->before = source->after;
    source->after = position == 0 ? 1 : cursor_position(position);
    return true;
}

bool warm_scan_untype(struct warm_source *source)
{
    if (source->is_untyped)
        return false;
    source->is_untyped = true;
    return true;
}

enum warm_next warm_scan_next(struct warm_source *source, struct bytes *key, char *error)
{
    if (source->n_taken == source->n_total)
        return source->is_complete ? WARM_NEXT_END : WARM_NEXT_MORE;
    size_t left = source->bytes.len - source->pos;
    struct walk walk = walk_over(left == 0 ? NULL : source->bytes.data + source->pos, left);
    struct walk_item item;
    if (walk_value(&walk, &item, WALK_DEPTH_MAX) != WALK_OK || item.type != WALK_BULK) {
        snprintf(error, WARM_ERROR_SIZE, "L2's reply to SCAN can't be understood");
        return WARM_NEXT_FAIL;
    }
    source->pos = (size_t)(walk.pos - source->bytes.data);
    source->n_taken++;
    *key = item.text;
    return WARM_NEXT_KEY;
}
