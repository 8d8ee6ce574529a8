/* The properties of a policy as words; see policy_words.h. */
#include "tier/policy_words.h"

#include "base/nearest.h"
#include "base/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Ten years: beyond it a time is more likely a mistake than meant. */
#define TIME_MAX_MS ((int64_t)3650 * 86400000)

/* Bytes of input in a message, at most. */
#define SHOWN_MAX 64

enum kind {
    KIND_MODE,
    KIND_TIME,
    KIND_TIME_OR_NONE, /* -1: as another one */
    KIND_PERCENT,
    KIND_DECIMAL,
    KIND_SIZE,
    KIND_BOOL,
};

static const struct property {
    const char *name;
    enum kind kind;
    size_t offset; /* of the field in struct policy */
    size_t size;
    double min; /* of decimals */
    double max;
    const char *expected;
} properties[] = {
#define FIELD(field)                                                                               \
    .offset = offsetof(struct policy, field), .size = sizeof(((struct policy *)0)->field)
#define TIME "a time such as 500ms, 30s, 5m, 2h or 1d, up to 3650d"
    {"mode", KIND_MODE, FIELD(mode), .expected = "cache, observe or deny"},
    {"ttl", KIND_TIME, FIELD(ttl_ms), .expected = TIME "; 0: no cap"},
    {"ttl-jitter", KIND_PERCENT, FIELD(ttl_jitter), .expected = "a percentage from 0 to 100"},
    {"negative-ttl", KIND_TIME_OR_NONE, FIELD(negative_ttl_ms),
     .expected = TIME "; 0: not kept, -1: as ttl"},
    {"stale-while-revalidate", KIND_TIME, FIELD(swr_ms), .expected = TIME "; 0: never"},
    {"stale-if-error", KIND_TIME, FIELD(sie_ms), .expected = TIME "; 0: never"},
    {"early-refresh", KIND_DECIMAL, FIELD(early_refresh), .min = 0, .max = 100,
     .expected = "a decimal number from 0 to 100; 0: off"},
    {"max-item", KIND_SIZE, FIELD(max_item_bytes),
     .expected = "a size (bytes, or with kb mb gb); 0: no limit"},
    {"write-allocate", KIND_BOOL, FIELD(write_allocate), .expected = "yes or no"},
    {"l2-ttl-factor", KIND_DECIMAL, FIELD(l2_ttl_factor), .min = 1, .max = 1000,
     .expected = "a decimal number from 1 to 1000"},
#undef TIME
#undef FIELD
};

_Static_assert(sizeof(properties) / sizeof(properties[0]) == POLICY_PROPERTIES, "one row for each");

static const char *const modes[] = {
    [POLICY_CACHE] = "cache",
    [POLICY_OBSERVE] = "observe",
    [POLICY_DENY] = "deny",
};

const char *policy_words_name(unsigned i)
{
    return properties[i].name;
}

static void *field(struct policy *policy, const struct property *property)
{
    return (char *)policy + property->offset;
}

static const void *field_const(const struct policy *policy, const struct property *property)
{
    return (const char *)policy + property->offset;
}

/* Parsing */

static bool parse_mode(struct bytes text, enum policy_mode *mode)
{
    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (!bytes_is(text, modes[i]))
            continue;
        *mode = (enum policy_mode)i;
        return true;
    }
    return false;
}

static bool parse_time(struct bytes text, int64_t *time_ms)
{
    int64_t parsed;
    if (units_parse_time(text, &parsed) < 0 || parsed > TIME_MAX_MS)
        return false;
    *time_ms = parsed;
    return true;
}

static bool parse_percent(struct bytes text, unsigned *percent)
{
    int64_t parsed;
    if (!bytes_parse_range(text, 0, 100, &parsed))
        return false;
    *percent = (unsigned)parsed;
    return true;
}

static bool parse_decimal(struct bytes text, double min, double max, double *value)
{
    double parsed;
    if (units_parse_decimal(text, &parsed) < 0 || parsed < min || parsed > max)
        return false;
    *value = parsed;
    return true;
}

static bool parse_size(struct bytes text, size_t *size_bytes)
{
    int64_t parsed;
    if (units_parse_size(text, &parsed) < 0 || (uint64_t)parsed > SIZE_MAX)
        return false;
    *size_bytes = (size_t)parsed;
    return true;
}

static bool parse_bool(struct bytes text, bool *yes)
{
    if (!bytes_is(text, "yes") && !bytes_is(text, "no"))
        return false;
    *yes = bytes_is(text, "yes");
    return true;
}

static bool parse_value(const struct property *property, struct bytes text, struct policy *policy)
{
    void *value = field(policy, property);
    switch (property->kind) {
    case KIND_MODE: return parse_mode(text, value);
    case KIND_TIME: return parse_time(text, value);
    case KIND_TIME_OR_NONE:
        if (!bytes_equal(text, BYTES("-1")))
            return parse_time(text, value);
        *(int64_t *)value = -1;
        return true;
    case KIND_PERCENT: return parse_percent(text, value);
    case KIND_DECIMAL: return parse_decimal(text, property->min, property->max, value);
    case KIND_SIZE: return parse_size(text, value);
    case KIND_BOOL: return parse_bool(text, value);
    }
    return false;
}

/* Input for people: cut, and what is no printable ASCII replaced. */
static const char *shown(struct bytes text, char out[SHOWN_MAX + 4])
{
    size_t len = text.len < SHOWN_MAX ? text.len : SHOWN_MAX;
    for (size_t i = 0; i < len; i++)
        out[i] = text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f ? text.ptr[i] : '?';
    memcpy(out + len, text.len > SHOWN_MAX ? "..." : "", text.len > SHOWN_MAX ? 4 : 1);
    return out;
}

static const struct property *find_property(struct bytes name)
{
    for (unsigned i = 0; i < POLICY_PROPERTIES; i++)
        if (bytes_is(name, properties[i].name))
            return &properties[i];
    return NULL;
}

bool policy_words_is_word(struct bytes text)
{
    const char *equals = text.len > 0 ? memchr(text.ptr, '=', text.len) : NULL;
    return equals != NULL && find_property(bytes_of(text.ptr, (size_t)(equals - text.ptr))) != NULL;
}

static bool refuse_unknown(struct bytes name, char *error, size_t size)
{
    char text[SHOWN_MAX + 4];
    const struct property *nearest = NULL;
    size_t best = nearest_limit(name);
    for (unsigned i = 0; best > 0 && i < POLICY_PROPERTIES; i++) {
        size_t distance = nearest_distance(name, bytes_of_str(properties[i].name));
        if (distance >= best)
            continue;
        best = distance;
        nearest = &properties[i];
    }
    int len = snprintf(error, size, "unknown property '%s' of a policy", shown(name, text));
    if (nearest != NULL && len > 0 && (size_t)len < size)
        snprintf(error + len, size - (size_t)len, " (did you mean %s?)", nearest->name);
    return false;
}

/* Reads one word into `own`; `seen` are the properties that came before. */
static bool parse_word(struct policy_words *own, struct bytes word, unsigned *seen, char *error,
                       size_t size)
{
    char text[SHOWN_MAX + 4];
    const char *equals = word.len > 0 ? memchr(word.ptr, '=', word.len) : NULL;
    if (equals == NULL) {
        snprintf(error, size, "'%s' is not of the form name=value", shown(word, text));
        return false;
    }
    struct bytes name = bytes_of(word.ptr, (size_t)(equals - word.ptr));
    struct bytes value = bytes_of(equals + 1, word.len - name.len - 1);
    const struct property *property = find_property(name);
    if (property == NULL)
        return refuse_unknown(name, error, size);
    unsigned bit = 1u << (property - properties);
    if ((*seen & bit) != 0) {
        snprintf(error, size, "%s is given twice", property->name);
        return false;
    }
    *seen |= bit;
    if (bytes_is(value, "default")) {
        own->set &= ~bit;
        return true;
    }
    if (!parse_value(property, value, &own->values)) {
        snprintf(error, size, "%s must be %s; not '%s'", property->name, property->expected,
                 shown(value, text));
        return false;
    }
    own->set |= bit;
    return true;
}

bool policy_words_parse(struct policy_words *own, const struct bytes *words, size_t n_words,
                        char *error, size_t size)
{
    struct policy_words changed = *own;
    unsigned seen = 0;
    if (n_words == 0) {
        snprintf(error, size, "a policy needs at least one name=value");
        return false;
    }
    for (size_t i = 0; i < n_words; i++)
        if (!parse_word(&changed, words[i], &seen, error, size))
            return false;
    *own = changed;
    return true;
}

/* Values */

void policy_words_apply(const struct policy_words *own, struct policy *policy)
{
    for (unsigned i = 0; i < POLICY_PROPERTIES; i++)
        if ((own->set & 1u << i) != 0)
            memcpy(field(policy, &properties[i]), field_const(&own->values, &properties[i]),
                   properties[i].size);
}

bool policy_words_equal(const struct policy *a, const struct policy *b)
{
    for (unsigned i = 0; i < POLICY_PROPERTIES; i++)
        if (memcmp(field_const(a, &properties[i]), field_const(b, &properties[i]),
                   properties[i].size) != 0)
            return false;
    return true;
}

/* Printing */

static void add(struct buf *out, const char *text, size_t len)
{
    if (!buf_append(out, text, len))
        abort(); /* texts here are small */
}

static void add_str(struct buf *out, const char *text)
{
    add(out, text, strlen(text));
}

void policy_words_print_value(const struct policy *policy, unsigned i, struct buf *out)
{
    char text[UNITS_TEXT_MAX];
    size_t len = 0;
    const void *value = field_const(policy, &properties[i]);
    switch (properties[i].kind) {
    case KIND_MODE: add_str(out, modes[*(const enum policy_mode *)value]); return;
    case KIND_BOOL: add_str(out, *(const bool *)value ? "yes" : "no"); return;
    case KIND_TIME_OR_NONE:
    case KIND_TIME:
        len = *(const int64_t *)value < 0 ? bytes_format_i64(*(const int64_t *)value, text)
                                          : units_format_time(*(const int64_t *)value, text);
        break;
    case KIND_PERCENT: len = bytes_format_i64(*(const unsigned *)value, text); break;
    case KIND_DECIMAL: len = units_format_decimal(*(const double *)value, text); break;
    case KIND_SIZE: len = units_format_size((int64_t) * (const size_t *)value, text); break;
    }
    add(out, text, len);
}

void policy_words_print(const struct policy_words *own, struct buf *out)
{
    size_t start = out->len;
    for (unsigned i = 0; i < POLICY_PROPERTIES; i++) {
        if ((own->set & 1u << i) == 0)
            continue;
        if (out->len > start)
            add_str(out, " ");
        add_str(out, properties[i].name);
        add_str(out, "=");
        policy_words_print_value(&own->values, i, out);
    }
    if (out->len == start)
        add_str(out, "mode=default");
}
