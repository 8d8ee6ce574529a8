/* Splitting of inline commands; see inline.h. */
#include "resp/inline.h"

#include "base/mem.h"
#include "resp/request.h"

struct splitter {
    const char *p;
    const char *end;
    char *out;
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* What ends a bare word; a vertical tab and a form feed do not. */
static bool ends_word(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = bytes_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char unescape(char c)
{
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
    }
}

/* Decodes up to the closing quote, which must be followed by a blank or the end. */
static bool split_quoted(struct splitter *s, char quote)
{
    while (s->p < s->end) {
        char c = *s->p;
        size_t left = (size_t)(s->end - s->p);
        if (c == quote) {
            s->p++;
            return s->p == s->end || is_blank(*s->p);
        }
        if (quote == '"' && c == '\\' && left >= 4 && s->p[1] == 'x' && hex_digit(s->p[2]) >= 0 &&
            hex_digit(s->p[3]) >= 0) {
            *s->out++ = (char)(hex_digit(s->p[2]) * 16 + hex_digit(s->p[3]));
            s->p += 4;
        } else if (quote == '"' && c == '\\' && left >= 2) {
            *s->out++ = unescape(s->p[1]);
            s->p += 2;
        } else if (quote == '\'' && c == '\\' && left >= 2 && s->p[1] == '\'') {
            *s->out++ = '\'';
            s->p += 2;
        } else {
            *s->out++ = c;
            s->p++;
        }
    }
    return false;
}

static bool split_one(struct splitter *s)
{
    while (s->p < s->end && !ends_word(*s->p)) {
        char c = *s->p++;
        if (c != '"' && c != '\'')
            *s->out++ = c;
        else
            return split_quoted(s, c);
    }
    return true;
}

static bool keep(struct request_args *args, const char *ptr, size_t len)
{
    if (args->n == args->cap) {
        size_t cap = args->cap == 0 ? 16 : args->cap * 2;
        struct bytes *items = mem_try_resize(args->items, cap * sizeof(*items));
        if (items == NULL)
            return false;
        args->items = items;
        args->cap = cap;
    }
    args->items[args->n++] = bytes_of(ptr, len);
    return true;
}

enum inline_status inline_split(struct bytes line, struct buf *text, struct request_args *args)
{
    const char *nul = line.len > 0 ? memchr(line.ptr, '\0', line.len) : NULL;
    if (nul != NULL)
        line.len = (size_t)(nul - line.ptr);
    text->len = 0;
    args->n = 0;
    if (!buf_reserve(text, line.len + 1)) /* decoding never makes it longer */
        return INLINE_NO_MEMORY;
    struct splitter s = {line.ptr, line.ptr + line.len, text->data};
    for (;;) {
        while (s.p < s.end && is_blank(*s.p))
            s.p++;
        if (s.p == s.end)
            break;
        char *start = s.out;
        if (!split_one(&s))
            return INLINE_UNBALANCED;
        if (!keep(args, start, (size_t)(s.out - start)))
            return INLINE_NO_MEMORY;
    }
    text->len = (size_t)(s.out - text->data);
    return INLINE_OK;
}
