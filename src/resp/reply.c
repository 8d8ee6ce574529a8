/* The reply writer; see reply.h. */
#include "resp/reply.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define ERROR_TEXT_MAX 1024

/* Appends a type byte, a number and the line end. */
static void write_line(struct reply *reply, char type, int64_t value)
{
    char line[1 + BYTES_I64_MAX + 2];
    line[0] = type;
    size_t len = 1 + bytes_format_i64(value, line + 1);
    line[len++] = '\r';
    line[len++] = '\n';
    reply_raw(reply, bytes_of(line, len));
}

/* Appends a type byte, text without line ends, and the line end. */
static void write_text(struct reply *reply, char type, const char *text, size_t len)
{
    if (reply->failed || !buf_reserve(reply->out, len + 3)) {
        reply->failed = true;
        return;
    }
    char *out = reply->out->data + reply->out->len;
    *out++ = type;
    for (size_t i = 0; i < len; i++)
        *out++ = text[i] == '\r' || text[i] == '\n' ? ' ' : text[i];
    *out++ = '\r';
    *out++ = '\n';
    reply->out->len += len + 3;
}

void reply_status(struct reply *reply, const char *text)
{
    write_text(reply, '+', text, strlen(text));
}

void reply_error(struct reply *reply, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0)
        len = 0;
    write_text(reply, '-', text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

void reply_int(struct reply *reply, int64_t value)
{
    write_line(reply, ':', value);
}

void reply_bulk(struct reply *reply, struct bytes value)
{
    struct buf *out = reply->out;
    size_t room;
    if (reply->failed || __builtin_add_overflow(value.len, (size_t)1 + BYTES_I64_MAX + 4, &room) ||
        !buf_reserve(out, room)) {
        reply->failed = true;
        return;
    }
    char *p = out->data + out->len;
    *p++ = '$';
    p += bytes_format_i64((int64_t)value.len, p);
    *p++ = '\r';
    *p++ = '\n';
    if (value.len > 0)
        memcpy(p, value.ptr, value.len);
    p += value.len;
    *p++ = '\r';
    *p++ = '\n';
    out->len = (size_t)(p - out->data);
}

void reply_bulk_str(struct reply *reply, const char *value)
{
    reply_bulk(reply, bytes_of_str(value));
}

void reply_bulk_i64(struct reply *reply, int64_t value)
{
    char text[BYTES_I64_MAX];
    reply_bulk(reply, bytes_of(text, bytes_format_i64(value, text)));
}

void reply_bulk_printf(struct reply *reply, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len < 0)
        len = 0;
    reply_bulk(reply, bytes_of(text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1));
}

void reply_null(struct reply *reply)
{
    reply_raw(reply, reply->proto == 3 ? BYTES("_\r\n") : BYTES("$-1\r\n"));
}

void reply_null_array(struct reply *reply)
{
    reply_raw(reply, reply->proto == 3 ? BYTES("_\r\n") : BYTES("*-1\r\n"));
}

void reply_bool(struct reply *reply, bool value)
{
    if (reply->proto == 3)
        reply_raw(reply, value ? BYTES("#t\r\n") : BYTES("#f\r\n"));
    else
        reply_int(reply, value);
}

void reply_double(struct reply *reply, double value)
{
    char text[64];
    int len;
    if (isinf(value))
        len = snprintf(text, sizeof(text), "%s", value > 0 ? "inf" : "-inf");
    else
        len = snprintf(text, sizeof(text), "%.17g", value);
    if (reply->proto == 3)
        write_text(reply, ',', text, (size_t)len);
    else
        reply_bulk(reply, bytes_of(text, (size_t)len));
}

void reply_verbatim(struct reply *reply, struct bytes value)
{
    if (reply->proto != 3) {
        reply_bulk(reply, value);
        return;
    }
    write_line(reply, '=', (int64_t)value.len + 4);
    reply_raw(reply, BYTES("txt:"));
    reply_raw(reply, value);
    reply_raw(reply, BYTES("\r\n"));
}

void reply_array(struct reply *reply, size_t n)
{
    write_line(reply, '*', (int64_t)n);
}

void reply_map(struct reply *reply, size_t n)
{
    if (reply->proto == 3)
        write_line(reply, '%', (int64_t)n);
    else
        write_line(reply, '*', (int64_t)n * 2);
}

void reply_set(struct reply *reply, size_t n)
{
    write_line(reply, reply->proto == 3 ? '~' : '*', (int64_t)n);
}

void reply_push(struct reply *reply, size_t n)
{
    write_line(reply, reply->proto == 3 ? '>' : '*', (int64_t)n);
}
