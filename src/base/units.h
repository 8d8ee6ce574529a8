/* Quantities as people write them: sizes, times, decimal numbers; strictly parsed, by length, and
 * printed so that they are read as the same again.
 *
 * Parsers return 0, -EINVAL for what is no such quantity, or -ERANGE for one that doesn't fit; the
 * result is then untouched. Must not know: what the quantities are of. */
#ifndef LARDER_BASE_UNITS_H
#define LARDER_BASE_UNITS_H

#include "base/buf.h"

/* Room for any text that a function here writes, its NUL included. */
#define UNITS_TEXT_MAX 32

/* Digits and one of Redis's units (memtoull): b, k and m and g for thousands, kb and mb and gb for
 * 1024s, in any case; none: bytes. */
int units_parse_size(struct bytes text, int64_t *size_bytes) __attribute__((warn_unused_result));

/* Digits and ms, s, m (minutes), h or d, in any case; none: seconds. */
int units_parse_time(struct bytes text, int64_t *time_ms) __attribute__((warn_unused_result));

/* Digits, and a point with more digits or none, up to 15 digits together: no sign, no exponent. */
int units_parse_decimal(struct bytes text, double *value) __attribute__((warn_unused_result));

/* With the largest unit that divides it: "64mb", "1000". `size_bytes` is 0 or more. Returns the
 * length; `out` is NUL-terminated, here and below. */
size_t units_format_size(int64_t size_bytes, char out[UNITS_TEXT_MAX]);

/* With the largest unit that divides it: "90s", "1d", "0". `time_ms` is 0 or more. */
size_t units_format_time(int64_t time_ms, char out[UNITS_TEXT_MAX]);

/* Without trailing zeros: "1.5", "2". `value` is what units_parse_decimal gives. */
size_t units_format_decimal(double value, char out[UNITS_TEXT_MAX]);

#endif
