/* Quantities as people write them; see units.h. */
#include "base/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Digits of which every number is exact as a double, as is the power of ten that divides it: the
 * quotient is then rounded once, as by strtod. */
#define DECIMAL_DIGITS 15

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit sizes[] = {
    {"", 1},        {"b", 1},        {"k", 1000},       {"kb", 1 << 10},
    {"m", 1000000}, {"mb", 1 << 20}, {"g", 1000000000}, {"gb", 1 << 30},
};

static const struct unit times[] = {
    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};

#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define N_TIMES (sizeof(times) / sizeof(times[0]))

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Unlike memtoull, a text without a digit is none, and one that does not fit is out of range
 * instead of wrapped. */
static int parse(struct bytes text, const struct unit *units, size_t n_units, int64_t *value)
{
    size_t n_digits = 0;
    int64_t number = 0;
    bool overflow = false;
    for (; n_digits < text.len && is_digit(text.ptr[n_digits]); n_digits++)
        overflow |= __builtin_mul_overflow(number, 10, &number) ||
                    __builtin_add_overflow(number, text.ptr[n_digits] - '0', &number);
    if (n_digits == 0)
        return -EINVAL;
    struct bytes name = bytes_of(text.ptr + n_digits, text.len - n_digits);
    for (size_t i = 0; i < n_units; i++) {
        if (!bytes_is(name, units[i].name))
            continue;
        overflow |= __builtin_mul_overflow(number, units[i].factor, &number);
        if (overflow)
            return -ERANGE;
        *value = number;
        return 0;
    }
    return -EINVAL;
}

int units_parse_size(struct bytes text, int64_t *size_bytes)
{
    return parse(text, sizes, N_SIZES, size_bytes);
}

int units_parse_time(struct bytes text, int64_t *time_ms)
{
    return parse(text, times, N_TIMES, time_ms);
}

int units_parse_decimal(struct bytes text, double *value)
{
    int64_t number = 0;
    int64_t divisor = 1;
    size_t n_digits = 0;
    bool behind_point = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' && !behind_point && n_digits > 0) {
            behind_point = true;
            continue;
        }
        if (!is_digit(c))
            return -EINVAL;
        if (++n_digits > DECIMAL_DIGITS)
            return -ERANGE;
        number = number * 10 + (c - '0');
        divisor *= behind_point ? 10 : 1;
    }
    if (n_digits == 0 || !is_digit(text.ptr[text.len - 1]))
        return -EINVAL;
    *value = (double)number / (double)divisor;
    return 0;
}

size_t units_format_size(int64_t size_bytes, char out[UNITS_TEXT_MAX])
{
    static const char *const names[] = {"", "kb", "mb", "gb"};
    unsigned unit = 0;
    while (size_bytes != 0 && size_bytes % 1024 == 0 && unit < 3) {
        size_bytes /= 1024;
        unit++;
    }
    return (size_t)snprintf(out, UNITS_TEXT_MAX, "%" PRId64 "%s", size_bytes, names[unit]);
}

size_t units_format_time(int64_t time_ms, char out[UNITS_TEXT_MAX])
{
    size_t i = N_TIMES - 1;
    if (time_ms == 0)
        return (size_t)snprintf(out, UNITS_TEXT_MAX, "0");
    while (time_ms % times[i].factor != 0)
        i--; /* to "ms", which divides all */
    return (size_t)snprintf(out, UNITS_TEXT_MAX, "%" PRId64 "%s", time_ms / times[i].factor,
                            times[i].name);
}

size_t units_format_decimal(double value, char out[UNITS_TEXT_MAX])
{
    int n_whole = 1;
    for (double rest = value; rest >= 10 && n_whole < DECIMAL_DIGITS; rest /= 10)
        n_whole++;
    size_t len = (size_t)snprintf(out, UNITS_TEXT_MAX, "%.*f", DECIMAL_DIGITS - n_whole, value);
    if (memchr(out, '.', len) == NULL)
        return len;
    while (out[len - 1] == '0')
        len--;
    if (out[len - 1] == '.')
        len--;
    out[len] = '\0';
    return len;
}
