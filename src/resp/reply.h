/* The reply writer: one function per RESP type, in RESP2 or RESP3 as the client asked for.
 *
 * Invariant: what is appended is well-formed, whatever bytes go in (line ends in statuses and
 * errors become blanks, as in Redis). When there is no memory, `failed` is set and nothing more is
 * written; whoever owns the connection closes it. */
#ifndef LARDER_RESP_REPLY_H
#define LARDER_RESP_REPLY_H

#include "base/buf.h"

struct reply {
    struct buf *out; /* borrowed */
    int proto;       /* 2 or 3 */
    bool failed;
};

/* Already serialised bytes, as they are. */
static inline void reply_raw(struct reply *reply, struct bytes raw)
{
    if (__builtin_expect(reply->failed || !buf_append(reply->out, raw.ptr, raw.len), 0))
        reply->failed = true;
}

/* "+text" */
void reply_status(struct reply *reply, const char *text);
static inline void reply_ok(struct reply *reply)
{
    reply_raw(reply, BYTES("+OK\r\n"));
}

/* "-text"; `format` begins with the code ("ERR ..."). Longer than 1 KiB is cut. */
void reply_error(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ":value" */
void reply_int(struct reply *reply, int64_t value);

/* "$len value"; of formatted text at most 1 KiB. */
void reply_bulk(struct reply *reply, struct bytes value);
void reply_bulk_str(struct reply *reply, const char *value);
void reply_bulk_i64(struct reply *reply, int64_t value);
void reply_bulk_printf(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Null: "$-1" or "_"; the null array: "*-1" or "_". */
void reply_null(struct reply *reply);
void reply_null_array(struct reply *reply);

/* "#t" or ":1". */
void reply_bool(struct reply *reply, bool value);

/* ",value" or a bulk string, as Redis 7.0's addReplyDouble ("inf", 17 significant digits). */
void reply_double(struct reply *reply, double value);

/* "=len txt:value" or a bulk string. */
void reply_verbatim(struct reply *reply, struct bytes value);

/* Headers; `n` elements, or pairs of a map, follow. A map is a flat array of 2n in RESP2, a set and
 * a push an array of n. */
void reply_array(struct reply *reply, size_t n);
void reply_map(struct reply *reply, size_t n);
void reply_set(struct reply *reply, size_t n);
void reply_push(struct reply *reply, size_t n);

#endif
