/* A growable output buffer; see buf.h. */
#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define BUF_SMALLEST 256

void buf_init(struct buf *buf)
{
    buf->data = NULL;
    buf->len = 0;
    buf->cap = 0;
}

void buf_deinit(struct buf *buf)
{
    mem_free(buf->data);
    buf_init(buf);
}

void buf_trim(struct buf *buf, size_t keep)
{
    if (buf->len == 0 && buf->cap > keep)
        buf_deinit(buf);
}

bool buf_grow(struct buf *buf, size_t extra)
{
    size_t needed;
    if (__builtin_add_overflow(buf->len, extra, &needed))
        return false;
    size_t target = buf->cap < BUF_DOUBLE_MAX ? buf->cap * 2 : buf->cap + buf->cap / 4;
    if (target < BUF_SMALLEST)
        target = BUF_SMALLEST;
    if (target < needed)
        target = needed;
    char *data = mem_try_resize(buf->data, target);
    if (data == NULL && target > needed) {
        target = needed;
        data = mem_try_resize(buf->data, target);
    }
    if (data == NULL)
        return false;
    buf->data = data;
    buf->cap = target;
    return true;
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
    char small[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    if (len < 0)
        return false;
    if ((size_t)len < sizeof(small))
        return buf_append(buf, small, (size_t)len);
    if (!buf_reserve(buf, (size_t)len + 1))
        return false;
    va_start(args, format);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
    return true;
}
