/* Byte slices and strict number parsing. Owns nothing: a slice borrows memory and is never NUL-terminated by contract.
 *
 * Must not know: protocols, allocation, anything above src/base. */
#ifndef LARDER_BASE_BYTES_H
#define LARDER_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A borrowed run of bytes; valid as long as the memory it was cut from. */
struct bytes {
    const char *ptr;
    size_t len;
};

/* A slice over a string literal, counted by the compiler. */
#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

/* Longest decimal text of an int64_t ("-9223372036854775808"). */
#define BYTES_I64_MAX 20

static inline struct bytes bytes_of(const char *ptr, size_t len)
{
    return (struct bytes){ptr, len};
}

/* A slice over a NUL-terminated string of our own (never of input). */
static inline struct bytes bytes_of_str(const char *str)
{
    return (struct bytes){str, strlen(str)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline char bytes_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* True when the slices are equal without regard to ASCII case. */
bool bytes_equal_nocase(struct bytes a, struct bytes b);

/* True when `slice` equals the NUL-terminated `word` of our own without regard to ASCII case. */
bool bytes_is(struct bytes slice, const char *word);

/* True when `slice` begins with `prefix`. */
bool bytes_starts_with(struct bytes slice, struct bytes prefix);

/* Parses a whole slice as a decimal integer, as Redis 7.0's string2ll: an optional minus, no leading zeros, no blanks.
 * Returns false when it is anything else or out of range; `*value` is then untouched. */
bool bytes_parse_i64(struct bytes slice, int64_t *value);

/* Parses a whole slice as a decimal integer in [min, max]; rules of bytes_parse_i64. */
bool bytes_parse_range(struct bytes slice, int64_t min, int64_t max, int64_t *value);

/* Parses a whole slice as a long double, as Redis 7.0's string2ld: no blanks, no NaN, below 5 KiB. Infinities are accepted. */
bool bytes_parse_ld(struct bytes slice, long double *value);

/* Writes `value` in decimal into `out` (at least BYTES_I64_MAX bytes, no NUL). Returns the number of bytes. */
size_t bytes_format_i64(int64_t value, char *out);

/* Compares two slices in a time that depends only on the length of `given` (for passwords). */
bool bytes_equal_constant_time(struct bytes given, struct bytes secret);

#endif
