/* A reader over serialised RESP3; see walk.h. */
#include "resp/walk.h"

#include "base/mem.h"

/* Reads "<digits>\r\n" at `*pos`, or "-1\r\n" where a null is allowed (then `*null`). One pass, no
 * more than eleven bytes: a longer number is beyond `max`, which is at most 2^63 - 1. */
static enum walk_status read_count(const char **pos, const char *end, uint64_t max, bool *null,
                                   uint64_t *count)
{
    const char *p = *pos;
    bool negative = false;
    if (p < end && *p == '-' && null != NULL) {
        negative = true;
        p++;
    }
    const char *first = p;
    uint64_t value = 0;
    while (p < end && *p >= '0' && *p <= '9') {
        if (p > first && *first == '0')
            return WALK_BAD;
        if (value > (max - (uint64_t)(*p - '0')) / 10)
            return WALK_BAD;
        value = value * 10 + (uint64_t)(*p - '0');
        p++;
    }
    if (p == end)
        return WALK_MORE;
    if (p == first || *p != '\r' || (negative && value != 1))
        return WALK_BAD;
    if (++p == end)
        return WALK_MORE;
    if (*p != '\n')
        return WALK_BAD;
    if (null != NULL)
        *null = negative;
    *count = value;
    *pos = p + 1;
    return WALK_OK;
}

/* Reads up to the line's end. A carriage return alone is part of the line, as for hiredis. */
static enum walk_status read_line(const char **pos, const char *end, struct bytes *text)
{
    const char *p = *pos;
    while (p < end) {
        const char *cr = memchr(p, '\r', (size_t)(end - p));
        if (cr == NULL || cr + 1 == end)
            return WALK_MORE;
        if (cr[1] == '\n') {
            *text = bytes_of(*pos, (size_t)(cr - *pos));
            *pos = cr + 2;
            return WALK_OK;
        }
        p = cr + 1;
    }
    return WALK_MORE;
}

static enum walk_status read_bulk(const char **pos, const char *end, struct walk_item *item)
{
    uint64_t len;
    bool null = false;
    bool verbatim = item->type == WALK_VERBATIM;
    enum walk_status status = read_count(pos, end, INT64_MAX, verbatim ? NULL : &null, &len);
    if (status != WALK_OK)
        return status;
    if (null) {
        item->type = WALK_NULL;
        return WALK_OK;
    }
    if (verbatim && len < 4)
        return WALK_BAD;
    const char *p = *pos;
    size_t left = (size_t)(end - p);
    if (verbatim && left >= 4 && p[3] != ':')
        return WALK_BAD;
    if (left < 2 || len > left - 2) {
        /* Told apart here, so that a wrong line end is known as soon as it is there. */
        return left > len && p[len] != '\r' ? WALK_BAD : WALK_MORE;
    }
    if (p[len] != '\r' || p[len + 1] != '\n')
        return WALK_BAD;
    item->text = bytes_of(p, (size_t)len);
    *pos = p + len + 2;
    return WALK_OK;
}

static enum walk_status read_header(const char **pos, const char *end, struct walk_item *item)
{
    uint64_t count;
    bool null = false;
    bool *null_allowed = item->type == WALK_ARRAY ? &null : NULL;
    enum walk_status status = read_count(pos, end, WALK_COUNT_MAX, null_allowed, &count);
    if (status != WALK_OK)
        return status;
    if (null)
        item->type = WALK_NULL;
    else
        item->n_items =
            (size_t)count * (item->type == WALK_MAP || item->type == WALK_ATTRIBUTE ? 2 : 1);
    return WALK_OK;
}

/* The line types; checks what a null, a boolean and a number must be. */
static enum walk_status read_scalar(const char **pos, const char *end, struct walk_item *item)
{
    enum walk_status status = read_line(pos, end, &item->text);
    if (status != WALK_OK)
        return status;
    size_t len = item->text.len;
    switch (item->type) {
    case WALK_NULL: return len == 0 ? WALK_OK : WALK_BAD;
    case WALK_BOOL:
        return len == 1 && (*item->text.ptr == 't' || *item->text.ptr == 'f') ? WALK_OK : WALK_BAD;
    case WALK_INTEGER:
    case WALK_DOUBLE:
    case WALK_BIG_NUMBER: return len > 0 ? WALK_OK : WALK_BAD;
    default: return WALK_OK;
    }
}

enum walk_status walk_next(struct walk *walk, struct walk_item *item)
{
    if (walk->pos == walk->end)
        return WALK_MORE;
    const char *pos = walk->pos + 1;
    enum walk_status status;
    item->start = walk->pos;
    item->type = (enum walk_type) * walk->pos;
    item->text = bytes_of(NULL, 0);
    item->n_items = 0;
    switch (item->type) {
    case WALK_BULK:
    case WALK_VERBATIM: status = read_bulk(&pos, walk->end, item); break;
    case WALK_ARRAY:
    case WALK_SET:
    case WALK_PUSH:
    case WALK_MAP:
    case WALK_ATTRIBUTE: status = read_header(&pos, walk->end, item); break;
    case WALK_STATUS:
    case WALK_ERROR:
    case WALK_INTEGER:
    case WALK_NULL:
    case WALK_BOOL:
    case WALK_DOUBLE:
    case WALK_BIG_NUMBER: status = read_scalar(&pos, walk->end, item); break;
    default: return WALK_BAD;
    }
    if (status == WALK_OK)
        walk->pos = pos;
    return status;
}

enum walk_status walk_value(struct walk *walk, struct walk_item *item, unsigned max_depth)
{
    struct walk ahead = *walk;
    for (;;) {
        enum walk_status status = walk_next(&ahead, item);
        if (status == WALK_OK && item->type == WALK_ATTRIBUTE) {
            if (item->n_items > 0 && max_depth == 0)
                return WALK_BAD;
            status = walk_skip(&ahead, item->n_items, max_depth - 1);
            if (status == WALK_OK)
                continue;
        }
        if (status == WALK_OK)
            *walk = ahead;
        return status;
    }
}

void walk_levels_init(struct walk_levels *levels, size_t n_values)
{
    levels->left = levels->small;
    levels->cap = WALK_LEVELS_SMALL;
    levels->depth = 0;
    levels->left[0] = n_values;
}

void walk_levels_deinit(struct walk_levels *levels)
{
    if (levels->left != levels->small)
        mem_free(levels->left);
}

bool walk_levels_push(struct walk_levels *levels, size_t n_values, unsigned max_depth)
{
    if (levels->depth >= max_depth || levels->depth >= WALK_DEPTH_MAX)
        return false;
    if (levels->depth + 1 == levels->cap) {
        unsigned cap = levels->cap * 2;
        bool is_small = levels->left == levels->small;
        size_t *more = mem_try_resize(is_small ? NULL : levels->left, cap * sizeof(*more));
        if (more == NULL)
            return false;
        if (is_small)
            memcpy(more, levels->small, sizeof(levels->small));
        levels->left = more;
        levels->cap = cap;
    }
    levels->left[++levels->depth] = n_values;
    return true;
}

enum walk_status walk_skip(struct walk *walk, size_t n_values, unsigned max_depth)
{
    struct walk_levels levels;
    struct walk ahead = *walk;
    enum walk_status status = WALK_OK;
    walk_levels_init(&levels, n_values);
    while (status == WALK_OK && walk_levels_next(&levels)) {
        struct walk_item item;
        status = walk_next(&ahead, &item);
        if (status != WALK_OK)
            break;
        /* An attribute stands before a value and takes nobody's place. */
        if (item.type != WALK_ATTRIBUTE)
            levels.left[levels.depth]--;
        if (item.n_items > 0 && !walk_levels_push(&levels, item.n_items, max_depth))
            status = WALK_BAD;
    }
    walk_levels_deinit(&levels);
    if (status == WALK_OK)
        *walk = ahead;
    return status;
}

enum walk_status walk_reply_len(const char *ptr, size_t len, unsigned max_depth, size_t *reply_len)
{
    struct walk walk = walk_over(ptr, len);
    enum walk_status status = walk_skip(&walk, 1, max_depth);
    if (status == WALK_OK)
        *reply_len = (size_t)(walk.pos - ptr);
    return status;
}
