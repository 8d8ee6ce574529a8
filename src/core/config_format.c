/* Values of directives as text; see config_format.h. */
#include "core/config_format.h"

#include "base/units.h"
#include "core/config_policy.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Input in messages is cut to this many bytes. */
#define SHOWN_MAX 64

void config_format_text(struct bytes text, struct buf *out)
{
    if (!buf_append(out, text.ptr, text.len))
        abort();
}

void config_format_print(struct buf *out, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof(line))
        abort(); /* callers print bounded things; texts go through config_format_text */
    config_format_text(bytes_of(line, (size_t)len), out);
}

static void add_word(const char *word, struct buf *out)
{
    config_format_text(bytes_of_str(word), out);
}

/* Values */

void config_format_size(int64_t size, struct buf *out)
{
    char text[UNITS_TEXT_MAX];
    size_t len = units_format_size(size, text);
    config_format_text(bytes_of(text, len), out);
}

void config_format_number(const struct config_row *row, int64_t number, struct buf *out)
{
    if (row->type == CONFIG_MEMORY)
        config_format_size(number, out);
    else if (row->type == CONFIG_OCTAL)
        config_format_print(out, "%" PRIo64, (uint64_t)number);
    else
        config_format_print(out, "%" PRId64, number);
}

static const char *choice_name(const struct config_row *row, int value)
{
    const struct config_choice *choice = row->choices;
    while (choice->name != NULL && choice->value != value)
        choice++;
    return choice->name != NULL ? choice->name : "";
}

static void add_list(const struct config_list *list, struct buf *out)
{
    for (size_t i = 0; i < list->n; i++) {
        if (i > 0)
            add_word(" ", out);
        add_word(list->items[i], out);
    }
}

/* Redis 7.0 shows the class of replicas by its old name, and so do its clients' tests. */
static const char *const class_names[CONFIG_CLIENT_CLASSES] = {
    [CONFIG_CLASS_NORMAL] = "normal",
    [CONFIG_CLASS_REPLICA] = "slave",
    [CONFIG_CLASS_PUBSUB] = "pubsub",
};

static void add_limits(const struct config_output_limit *limits, struct buf *out)
{
    for (unsigned i = 0; i < CONFIG_CLIENT_CLASSES; i++)
        config_format_print(out, "%s%s %" PRId64 " %" PRId64 " %" PRId64, i > 0 ? " " : "",
                            class_names[i], limits[i].hard_bytes, limits[i].soft_bytes,
                            limits[i].soft_s);
}

static void add_limit_line(const struct config_output_limit *limits, unsigned class,
                           struct buf *out)
{
    const struct config_output_limit *limit = &limits[class];
    add_word(class == CONFIG_CLASS_REPLICA ? "replica" : class_names[class], out);
    add_word(" ", out);
    config_format_size(limit->hard_bytes, out);
    add_word(" ", out);
    config_format_size(limit->soft_bytes, out);
    config_format_print(out, " %" PRId64, limit->soft_s);
}

static void add_decimal(double value, struct buf *out)
{
    char text[UNITS_TEXT_MAX];
    size_t len = units_format_decimal(value, text);
    config_format_text(bytes_of(text, len), out);
}

static void add_text(const struct config_row *row, const char *text, struct buf *out)
{
    if ((row->flags & CONFIG_SECRET) != 0)
        add_word(*text == '\0' ? "" : "***", out);
    else if ((row->flags & CONFIG_URL) != 0)
        config_format_masked(bytes_of_str(text), out);
    else
        add_word(text, out);
}

void config_format_value(const struct config_row *row, const union config_value *value,
                         struct buf *out)
{
    switch (row->type) {
    case CONFIG_BOOL: add_word(value->yes ? "yes" : "no", out); break;
    case CONFIG_INTEGER:
    case CONFIG_MEMORY: config_format_print(out, "%" PRId64, value->number); break;
    case CONFIG_OCTAL: config_format_print(out, "%" PRIo64, (uint64_t)value->number); break;
    case CONFIG_CHOICE: add_word(choice_name(row, value->choice), out); break;
    case CONFIG_TEXT: add_text(row, value->text, out); break;
    case CONFIG_ADDRESSES:
    case CONFIG_PREFIXES: add_list(&value->list, out); break;
    case CONFIG_OUTPUT_LIMIT: add_limits(value->limits, out); break;
    case CONFIG_DECIMAL: add_decimal(value->decimal, out); break;
    case CONFIG_POLICIES: config_policy_lines(value->policies, out); break;
    case CONFIG_FIXED:
        add_word(strcmp(row->standard, "\"\"") == 0 ? "" : row->standard, out);
        break;
    }
}

void config_format_file(const struct config_row *row, const union config_value *value,
                        unsigned part, struct buf *out)
{
    switch (row->type) {
    case CONFIG_MEMORY: config_format_size(value->number, out); break;
    case CONFIG_TEXT: config_format_quoted(bytes_of_str(value->text), out); break;
    case CONFIG_ADDRESSES:
        if (value->list.n == 0)
            add_word("\"\"", out);
        else
            add_list(&value->list, out);
        break;
    case CONFIG_PREFIXES:
        for (size_t i = 0; i < value->list.n; i++) {
            add_word(i > 0 ? " " : "", out);
            config_format_quoted(bytes_of_str(value->list.items[i]), out);
        }
        add_word(value->list.n == 0 ? "\"\"" : "", out);
        break;
    case CONFIG_OUTPUT_LIMIT: add_limit_line(value->limits, part, out); break;
    case CONFIG_POLICIES: config_policy_line(value->policies, part, out); break;
    default: config_format_value(row, value, out);
    }
}

/* Texts */

static void add_escaped(struct bytes text, struct buf *out)
{
    static const char special[] = "\n\r\t\a\b";
    static const char letters[] = "nrtab";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        const char *found = c != '\0' ? strchr(special, c) : NULL;
        if (found != NULL)
            config_format_print(out, "\\%c", letters[found - special]);
        else if (c == '\\' || c == '"')
            config_format_print(out, "\\%c", c);
        else if (c >= 0x20 && c < 0x7f)
            config_format_text(bytes_of(&c, 1), out);
        else
            config_format_print(out, "\\x%02x", (unsigned)(unsigned char)c);
    }
}

void config_format_quoted(struct bytes text, struct buf *out)
{
    add_word("\"", out);
    add_escaped(text, out);
    add_word("\"", out);
}

/* The last place of `c` before `end`, or NULL. */
static const char *last_of(const char *start, const char *end, char c)
{
    for (const char *p = end; p > start; p--)
        if (p[-1] == c)
            return p - 1;
    return NULL;
}

void config_format_masked(struct bytes url, struct buf *out)
{
    const char *start = url.len > 0 ? url.ptr : "";
    const char *end = start + url.len;
    const char *at = last_of(start, end, '@');
    if (at == NULL || bytes_starts_with(url, BYTES("unix:"))) {
        config_format_text(url, out);
        return;
    }
    /* A password may hold anything, even "://" or '@', when its owner forgot to encode it: all from
     * the first colon behind the first "//" to the last '@' goes. */
    const char *user = url.ptr;
    const char *slashes = memmem(url.ptr, (size_t)(at - url.ptr), "://", 3);
    if (slashes != NULL)
        user = slashes + 3;
    const char *colon = memchr(user, ':', (size_t)(at - user));
    config_format_text(bytes_of(url.ptr, (size_t)((colon != NULL ? colon : at) - url.ptr)), out);
    config_format_text(bytes_of(at, (size_t)(end - at)), out);
}

void config_format_shown(struct bytes text, struct buf *out)
{
    struct buf masked;
    buf_init(&masked);
    config_format_masked(text, &masked);
    struct bytes shown = buf_bytes(&masked);
    bool cut = shown.len > SHOWN_MAX;
    if (cut)
        shown.len = SHOWN_MAX;
    add_word("\"", out);
    add_escaped(shown, out);
    add_word(cut ? "...\"" : "\"", out);
    buf_deinit(&masked);
}
