/* INCR and its relatives, and INCRBYFLOAT, of L1 alone: values that are numbers. */
#include "command/alone.h"
#include "command/string_handlers.h"

#include <math.h>
#include <stdio.h>

/* Longest text of a long double in %.17Lf; Redis's MAX_LONG_DOUBLE_CHARS. */
#define FLOAT_TEXT_MAX (5 * 1024)

static void add(struct call *call, int64_t increment)
{
    const struct entry *old = alone_find(call, 1);
    int64_t value = 0;
    if (old != NULL && !bytes_parse_i64(entry_value(old), &value)) {
        reply_error(&call->reply, "ERR value is not an integer or out of range");
        return;
    }
    if (__builtin_add_overflow(value, increment, &value)) {
        reply_error(&call->reply, "ERR increment or decrement would overflow");
        return;
    }
    char text[BYTES_I64_MAX];
    struct alone_item item = {
        .value = bytes_of(text, bytes_format_i64(value, text)),
        .deadline_ms = alone_keep_deadline(old),
    };
    if (alone_store(call, 1, &item))
        reply_int(&call->reply, value);
}

void string_number_incr(struct call *call)
{
    add(call, 1);
}

void string_number_decr(struct call *call)
{
    add(call, -1);
}

void string_number_incrby(struct call *call)
{
    int64_t increment;
    if (alone_parse_integer(call, 2, &increment))
        add(call, increment);
}

void string_number_decrby(struct call *call)
{
    int64_t decrement;
    if (!alone_parse_integer(call, 2, &decrement))
        return;
    if (decrement == INT64_MIN)
        reply_error(&call->reply, "ERR decrement would overflow");
    else
        add(call, -decrement);
}

/* Writes a number as Redis does for people: 17 digits behind the point, without zeros at the end.
 * Returns its length. */
static size_t format_float(long double value, char text[FLOAT_TEXT_MAX])
{
    int written = snprintf(text, FLOAT_TEXT_MAX, "%.17Lf", value);
    size_t len = written > 0 ? (size_t)written : 0;
    if (len >= FLOAT_TEXT_MAX)
        len = FLOAT_TEXT_MAX - 1;
    while (len > 0 && text[len - 1] == '0')
        len--;
    if (len > 0 && text[len - 1] == '.')
        len--;
    if (len == 2 && text[0] == '-' && text[1] == '0') {
        text[0] = '0';
        len = 1;
    }
    return len;
}

void string_number_incrbyfloat(struct call *call)
{
    const struct entry *old = alone_find(call, 1);
    long double value = 0, increment;
    if ((old != NULL && !bytes_parse_ld(entry_value(old), &value)) ||
        !bytes_parse_ld(call->argv[2], &increment)) {
        reply_error(&call->reply, "ERR value is not a valid float");
        return;
    }
    value += increment;
    if (isnan(value) || isinf(value)) {
        reply_error(&call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    char text[FLOAT_TEXT_MAX];
    struct alone_item item = {
        .value = bytes_of(text, format_float(value, text)),
        .deadline_ms = alone_keep_deadline(old),
        .flags = ALONE_STRING,
    };
    if (alone_store(call, 1, &item))
        reply_bulk(&call->reply, item.value);
}
