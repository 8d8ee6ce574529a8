/* The request parser; see request.h. */
#include "resp/request.h"

#include "base/mem.h"
#include "resp/inline.h"

#include <stdio.h>

/* Limits before AUTH, as Redis 7.0. */
#define UNAUTHENTICATED_ARGS 10
#define UNAUTHENTICATED_BULK 16384

void request_args_deinit(struct request_args *args)
{
    mem_free(args->items);
    memset(args, 0, sizeof(*args));
}

void request_parser_init(struct request_parser *parser)
{
    memset(parser, 0, sizeof(*parser));
    parser->bulk_len = -1;
    buf_init(&parser->line);
}

void request_parser_deinit(struct request_parser *parser)
{
    request_args_deinit(&parser->held);
    buf_deinit(&parser->line);
}

void request_parser_rewind(struct request_parser *parser)
{
    parser->in_array = false;
    parser->args_left = 0;
    parser->bulk_len = -1;
    parser->pos = 0;
    parser->scanned = 0;
}

static bool grow_args(struct request_args *args, size_t extra)
{
    size_t cap = args->cap == 0 ? 64 : args->cap * 2;
    if (cap < args->n + extra)
        cap = args->n + extra;
    struct bytes *items = mem_try_resize(args->items, cap * sizeof(*items));
    if (items == NULL)
        return false;
    args->items = items;
    args->cap = cap;
    return true;
}

static inline bool push_arg(struct request_args *args, size_t offset, size_t len)
{
    if (__builtin_expect(args->n == args->cap, 0) && !grow_args(args, 1))
        return false;
    args->items[args->n++] = bytes_of((const char *)(uintptr_t)offset, len); /* NOLINT: an offset until the request is whole */
    return true;
}

static enum request_status bad(struct request_parser *parser, const char *error)
{
    snprintf(parser->error, sizeof(parser->error), "%s", error);
    return REQUEST_BAD;
}

/* Finds the "\r" that ends the line at parser->pos, with one byte behind it. */
static enum request_status find_line(struct request_parser *parser, const char *data, size_t len, const char *too_big,
                                     size_t *line_len)
{
    size_t from = parser->scanned > parser->pos ? parser->scanned : parser->pos;
    const char *cr = from < len ? memchr(data + from, '\r', len - from) : NULL;
    if (cr == NULL) {
        parser->scanned = len;
        return len - parser->pos > REQUEST_LINE_MAX ? bad(parser, too_big) : REQUEST_MORE;
    }
    if ((size_t)(cr - data) + 1 >= len) {
        parser->scanned = (size_t)(cr - data);
        return REQUEST_MORE;
    }
    if (cr[1] != '\n')
        parser->canonical = false;
    *line_len = (size_t)(cr - data) - parser->pos;
    return REQUEST_OK;
}

/* Reads the "*count" line. */
static enum request_status parse_count(struct request_parser *parser, const struct request_limits *limits, const char *data,
                                       size_t len)
{
    size_t line_len;
    enum request_status status = find_line(parser, data, len, "too big mbulk count string", &line_len);
    if (status != REQUEST_OK)
        return status;
    int64_t count;
    if (!bytes_parse_range(bytes_of(data + 1, line_len - 1), INT64_MIN, INT32_MAX, &count))
        return bad(parser, "invalid multibulk length");
    if (count > UNAUTHENTICATED_ARGS && limits->unauthenticated)
        return bad(parser, "unauthenticated multibulk length");
    parser->pos += line_len + 2;
    parser->in_array = true;
    parser->args_left = count > 0 ? count : 0;
    return REQUEST_OK;
}

/* Reads a "$length" line. */
static enum request_status parse_length(struct request_parser *parser, const struct request_limits *limits, const char *data,
                                        size_t len)
{
    size_t line_len;
    enum request_status status = find_line(parser, data, len, "too big bulk count string", &line_len);
    if (status != REQUEST_OK)
        return status;
    const char *line = data + parser->pos;
    if (*line != '$') {
        char shown = *line == '\r' || *line == '\n' ? ' ' : *line;
        snprintf(parser->error, sizeof(parser->error), "expected '$', got '%c'", shown);
        return REQUEST_BAD;
    }
    int64_t bulk_len;
    if (!bytes_parse_range(bytes_of(line + 1, line_len - 1), 0, INT64_MAX, &bulk_len) ||
        (uint64_t)bulk_len > limits->max_bulk_bytes)
        return bad(parser, "invalid bulk length");
    if (bulk_len > UNAUTHENTICATED_BULK && limits->unauthenticated)
        return bad(parser, "unauthenticated bulk length");
    parser->pos += line_len + 2;
    parser->bulk_len = bulk_len;
    return REQUEST_OK;
}

/* Reads arguments until the array is whole. */
static enum request_status parse_args(struct request_parser *parser, const struct request_limits *limits, const char *data,
                                      size_t len, struct request_args *args)
{
    size_t start = args == &parser->held ? 0 : args->n;
    while (parser->args_left > 0) {
        if (parser->bulk_len < 0) {
            enum request_status status =
                parser->pos < len ? parse_length(parser, limits, data, len) : REQUEST_MORE;
            if (status != REQUEST_OK)
                return status;
        }
        size_t bulk_len = (size_t)parser->bulk_len;
        if (len - parser->pos < bulk_len + 2)
            return REQUEST_MORE;
        if (args->n - start >= REQUEST_ARGS_MAX)
            return bad(parser, "invalid multibulk length");
        if (!push_arg(args, parser->pos, bulk_len))
            return REQUEST_NO_MEMORY;
        parser->pos += bulk_len;
        /* Redis does not look at the two bytes behind an argument; only well-formed ones are sent on as they are. */
        if (data[parser->pos] != '\r' || data[parser->pos + 1] != '\n')
            parser->canonical = false;
        parser->pos += 2;
        parser->bulk_len = -1;
        parser->args_left--;
    }
    return REQUEST_OK;
}

/* Moves the arguments of an unfinished request into the parser. */
static enum request_status hold(struct request_parser *parser, struct request_args *args, size_t first)
{
    size_t n = args->n - first;
    parser->held.n = 0;
    if (n > parser->held.cap && !grow_args(&parser->held, n))
        return REQUEST_NO_MEMORY;
    if (n > 0)
        memcpy(parser->held.items, args->items + first, n * sizeof(struct bytes));
    parser->held.n = n;
    args->n = first;
    return REQUEST_MORE;
}

static void finish(struct request_parser *parser, const char *data, struct request *request)
{
    struct bytes *args = request->args->items + request->first;
    for (size_t i = 0; i < request->argc; i++)
        args[i].ptr = data + (uintptr_t)args[i].ptr;
    request->raw = bytes_of(data, parser->pos);
    request->canonical = parser->canonical;
    parser->in_array = false;
    parser->pos = 0;
    parser->scanned = 0;
}

static enum request_status parse_inline(struct request_parser *parser, const char *data, size_t len, struct request *request,
                                        size_t *consumed)
{
    size_t from = parser->scanned;
    const char *end = from < len ? memchr(data + from, '\n', len - from) : NULL;
    if (end == NULL) {
        parser->scanned = len;
        return len > REQUEST_LINE_MAX ? bad(parser, "too big inline request") : REQUEST_MORE;
    }
    size_t line_len = (size_t)(end - data);
    *consumed = line_len + 1;
    parser->scanned = 0;
    if (line_len > 0 && data[line_len - 1] == '\r')
        line_len--;
    parser->held.n = 0;
    switch (inline_split(bytes_of(data, line_len), &parser->line, &parser->held)) {
    case INLINE_OK:
        break;
    case INLINE_UNBALANCED:
        return bad(parser, "unbalanced quotes in request");
    case INLINE_NO_MEMORY:
        return REQUEST_NO_MEMORY;
    }
    *request = (struct request){&parser->held, 0, parser->held.n, bytes_of(data, *consumed), false, true};
    return REQUEST_OK;
}

enum request_status request_parse(struct request_parser *parser, const struct request_limits *limits, const char *data,
                                  size_t len, struct request_args *scratch, struct request *request, size_t *consumed)
{
    bool resumed = parser->in_array;
    struct request_args *args = resumed ? &parser->held : scratch;
    size_t first = resumed ? 0 : args->n;
    enum request_status status = REQUEST_OK;
    if (!resumed) {
        if (len == 0)
            return REQUEST_MORE;
        if (data[0] != '*')
            return parse_inline(parser, data, len, request, consumed);
        parser->canonical = true;
        status = parse_count(parser, limits, data, len);
    }
    if (status == REQUEST_OK)
        status = parse_args(parser, limits, data, len, args);
    if (status == REQUEST_MORE && parser->in_array && !resumed)
        return hold(parser, args, first);
    if (status != REQUEST_OK)
        return status;
    *request = (struct request){.args = args, .first = first, .argc = args->n - first, .alone = resumed};
    *consumed = parser->pos;
    finish(parser, data, request);
    return REQUEST_OK;
}

bool request_encode(const struct bytes *argv, size_t argc, struct buf *out)
{
    size_t start = out->len;
    bool ok = buf_printf(out, "*%zu\r\n", argc);
    for (size_t i = 0; ok && i < argc; i++)
        ok = buf_printf(out, "$%zu\r\n", argv[i].len) && buf_append(out, argv[i].ptr, argv[i].len) &&
             buf_append(out, "\r\n", 2);
    if (!ok)
        out->len = start;
    return ok;
}
