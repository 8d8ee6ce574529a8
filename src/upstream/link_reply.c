/* Constructors for hiredis's reader: each reply is written as RESP3 bytes into link->reply instead
 * of a tree of objects, and invalidations are read from there. Bounds what L2 may send: depth, and
 * size in all.
 *
 * hiredis frees nothing of ours: an "object" is the link itself, as a non-NULL token. Returning
 * NULL makes the reader fail, which takes the link down. */
#include "upstream/link_internal.h"

#include "resp/walk.h"

#include <stdio.h>

/* Room for a type byte, a 64-bit number, and two line ends. */
#define HEADER_MAX 32

static void *refuse(struct link *link, const char *why)
{
    link->refusal = why;
    return NULL;
}

/* Makes room for a line and `len` bytes. False: the reply would be too big, or there is no
 * memory. */
static bool make_room(struct link *link, size_t len)
{
    size_t max = link->options.max_reply_bytes;
    if (link->reply.len > max || len > max - link->reply.len)
        return refuse(link, "a reply above the limit") != NULL;
    return buf_reserve(&link->reply, len + HEADER_MAX) || refuse(link, "out of memory") != NULL;
}

static void *put_header(struct link *link, char type, int64_t number, size_t payload)
{
    struct buf *out = &link->reply;
    if (link->too_deep)
        return link;
    if (!make_room(link, payload))
        return NULL;
    out->data[out->len++] = type;
    out->len += bytes_format_i64(number, out->data + out->len);
    memcpy(out->data + out->len, "\r\n", 2);
    out->len += 2;
    return link;
}

static void put_payload(struct buf *out, const char *str, size_t len)
{
    /* make_room was called before. */
    if (len > 0)
        memcpy(out->data + out->len, str, len);
    memcpy(out->data + out->len + len, "\r\n", 2);
    out->len += len + 2;
}

static void *put_line(struct link *link, char type, const char *str, size_t len)
{
    if (link->too_deep)
        return link;
    if (!make_room(link, len))
        return NULL;
    link->reply.data[link->reply.len++] = type;
    put_payload(&link->reply, str, len);
    return link;
}

static void *create_string(const redisReadTask *task, char *str, size_t len)
{
    struct link *link = task->privdata;
    if (link->too_deep)
        return link;
    switch (task->type) {
    case REDIS_REPLY_STATUS: return put_line(link, '+', str, len);
    case REDIS_REPLY_ERROR: return put_line(link, '-', str, len);
    case REDIS_REPLY_BIGNUM:
        return len > 0 ? put_line(link, '(', str, len) : refuse(link, "a number without digits");
    default:
        if (memcmp(str + len, "\r\n", 2) != 0) /* which the reader has, and skips unseen */
            return refuse(link, "a string without its end");
        if (put_header(link, task->type == REDIS_REPLY_VERB ? '=' : '$', (int64_t)len, len) == NULL)
            return NULL;
        put_payload(&link->reply, str, len);
        return link;
    }
}

static void *create_array(const redisReadTask *task, size_t elements)
{
    struct link *link = task->privdata;
    int depth = link->redis->reader->ridx; /* of the innermost level, from 0 on */
    if (depth >= 2 * LINK_DEPTH_MAX)
        return refuse(link,
                      "a reply nested too deep"); /* hiredis's memory for levels has no limit */
    if (link->too_deep)
        return link;
    if (depth >= LINK_DEPTH_MAX) {
        /* It is read to its end, so that only the client pays for it that has asked. */
        link->too_deep = true;
        return link;
    }
    switch (task->type) {
    case REDIS_REPLY_MAP: return put_header(link, '%', (int64_t)(elements / 2), 0);
    case REDIS_REPLY_ATTR: return put_header(link, '|', (int64_t)(elements / 2), 0);
    case REDIS_REPLY_SET: return put_header(link, '~', (int64_t)elements, 0);
    case REDIS_REPLY_PUSH: return put_header(link, '>', (int64_t)elements, 0);
    default: return put_header(link, '*', (int64_t)elements, 0);
    }
}

static void *create_integer(const redisReadTask *task, long long value)
{
    return put_header(task->privdata, ':', value, 0);
}

static void *create_double(const redisReadTask *task, double value, char *str, size_t len)
{
    (void)value; /* the text is what L2 said */
    return put_line(task->privdata, ',', str, len);
}

static void *create_nil(const redisReadTask *task)
{
    return put_line(task->privdata, '_', "", 0);
}

static void *create_bool(const redisReadTask *task, int value)
{
    return put_line(task->privdata, '#', value ? "t" : "f", 1);
}

static void free_object(void *object)
{
    (void)object;
}

redisReplyObjectFunctions link_reply_functions = {
    create_string, create_array, create_integer, create_double,
    create_nil,    create_bool,  free_object,
};

bool link_read_push(struct link *link)
{
    struct walk walk = walk_over(link->reply.data, link->reply.len);
    struct walk_item item;
    if (walk_next(&walk, &item) != WALK_OK || item.n_items < 1)
        return false;
    size_t n_items = item.n_items;
    if (walk_next(&walk, &item) != WALK_OK)
        return false;
    if (n_items != 2 || !bytes_is(item.text, "invalidate")) {
        if (link->handlers->on_push != NULL)
            link->handlers->on_push(link->ctx, buf_bytes(&link->reply));
        return true;
    }
    if (walk_next(&walk, &item) != WALK_OK)
        return false;
    if (item.type == WALK_NULL) {
        link->figures.invalidations_all++;
        link->handlers->on_invalidate_all(link->ctx);
        return true;
    }
    if (item.type != WALK_ARRAY)
        return false;
    for (size_t n = item.n_items; n > 0; n--) {
        if (walk_next(&walk, &item) != WALK_OK || item.type != WALK_BULK)
            return false;
        link->figures.invalidations++;
        link->handlers->on_invalidate(link->ctx, item.text);
    }
    return true;
}
