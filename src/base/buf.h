/* A growable output buffer. Invariant: len <= cap; data is NULL exactly when cap is 0. Not NUL-terminated.
 *
 * Growth doubles up to BUF_DOUBLE_MAX, then adds a quarter, so that a reply of hundreds of megabytes does not
 * hold twice its size. */
#ifndef LARDER_BASE_BUF_H
#define LARDER_BASE_BUF_H

#include "base/bytes.h"

#define BUF_DOUBLE_MAX ((size_t)64 << 20)

struct buf {
    char *data; /* owned */
    size_t len;
    size_t cap;
};

/* Life cycle */

/* An empty buffer; allocates nothing. */
void buf_init(struct buf *buf);

/* Frees the bytes; the buffer is empty and usable afterwards. */
void buf_deinit(struct buf *buf);

/* Gives back memory above `keep` bytes of capacity when the buffer is empty. */
void buf_trim(struct buf *buf, size_t keep);

/* Room and appending */

/* The slow half of buf_reserve. */
bool buf_grow(struct buf *buf, size_t extra) __attribute__((warn_unused_result, noinline));

/* Makes room for `extra` more bytes. Returns false when there is no memory (the buffer is as it was). */
static inline bool buf_reserve(struct buf *buf, size_t extra)
{
    return __builtin_expect(buf->cap - buf->len >= extra, 1) ? true : buf_grow(buf, extra);
}

/* Appends `len` bytes. Returns false when there is no memory (the buffer is as it was). */
static inline bool buf_append(struct buf *buf, const void *src, size_t len)
{
    if (!buf_reserve(buf, len))
        return false;
    if (len > 0)
        memcpy(buf->data + buf->len, src, len);
    buf->len += len;
    return true;
}

/* Appends formatted text. Returns false when there is no memory. */
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What it holds, borrowed until the next change. */
static inline struct bytes buf_bytes(const struct buf *buf)
{
    return bytes_of(buf->data, buf->len);
}

#endif
