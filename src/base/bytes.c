/* Byte slices and strict number parsing; see bytes.h. */
#include "base/bytes.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* Longest text taken for a floating-point number; Redis 7.0 refuses more than MAX_LONG_DOUBLE_CHARS. */
#define LD_TEXT_MAX 5120

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (bytes_lower(a.ptr[i]) != bytes_lower(b.ptr[i]))
            return false;
    return true;
}

bool bytes_is(struct bytes slice, const char *word)
{
    return bytes_equal_nocase(slice, bytes_of_str(word));
}

bool bytes_starts_with(struct bytes slice, struct bytes prefix)
{
    return slice.len >= prefix.len &&
           (prefix.len == 0 || memcmp(slice.ptr, prefix.ptr, prefix.len) == 0);
}

bool bytes_parse_i64(struct bytes slice, int64_t *value)
{
    const char *p = slice.ptr;
    const char *end = p + slice.len;
    if (slice.len == 0 || slice.len > BYTES_I64_MAX)
        return false;
    if (slice.len == 1 && *p == '0') {
        *value = 0;
        return true;
    }
    bool negative = *p == '-';
    if (negative)
        p++;
    if (p == end || *p < '1' || *p > '9')
        return false;
    uint64_t magnitude = 0;
    for (; p < end; p++) {
        if (*p < '0' || *p > '9')
            return false;
        if (__builtin_mul_overflow(magnitude, 10u, &magnitude) ||
            __builtin_add_overflow(magnitude, (uint64_t)(*p - '0'), &magnitude))
            return false;
    }
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    if (magnitude > limit)
        return false;
    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool bytes_parse_range(struct bytes slice, int64_t min, int64_t max, int64_t *value)
{
    int64_t parsed;
    if (!bytes_parse_i64(slice, &parsed) || parsed < min || parsed > max)
        return false;
    *value = parsed;
    return true;
}

bool bytes_parse_ld(struct bytes slice, long double *value)
{
    char text[LD_TEXT_MAX];
    if (slice.len == 0 || slice.len >= sizeof(text))
        return false;
    memcpy(text, slice.ptr, slice.len);
    text[slice.len] = '\0';
    char first = text[0];
    if (first == ' ' || (first >= '\t' && first <= '\r'))
        return false;
    char *end;
    errno = 0;
    long double parsed = strtold(text, &end);
    if ((size_t)(end - text) != slice.len || isnan(parsed))
        return false;
    if (errno == ERANGE && (isinf(parsed) || parsed == 0))
        return false;
    *value = parsed;
    return true;
}

size_t bytes_format_i64(int64_t value, char *out)
{
    char digits[BYTES_I64_MAX];
    size_t n = 0;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[n++] = (char)('0' + magnitude % 10);
        magnitude /= 10;
    } while (magnitude != 0);
    size_t len = 0;
    if (value < 0)
        out[len++] = '-';
    while (n > 0)
        out[len++] = digits[--n];
    return len;
}

bool bytes_equal_constant_time(struct bytes given, struct bytes secret)
{
    unsigned difference = given.len == secret.len ? 0 : 1;
    for (size_t i = 0; i < given.len; i++) {
        char other = secret.len == 0 ? 0 : secret.ptr[i % secret.len];
        difference |= (unsigned char)(given.ptr[i] ^ other);
    }
    return difference == 0;
}
