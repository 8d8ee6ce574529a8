/* The request parser; see request.h. */
#include "resp/request.h"

#include "base/mem.h"
#include "resp/inline.h"

#include <stdio.h>

/* Limits before AUTH, as Redis 7.0. */
#define UNAUTHENTICATED_ARGS 10
#define UNAUTHENTICATED_BULK 16384

/* Memory for arguments and for text that the parser keeps from one request to the next. */
#define KEEP_ARGS 1024
#define KEEP_LINE 4096

/* Digits and line end of a number that is read without looking for the line's end first. */
#define SHORT_LINE 9

/* A line that has not ended after this many bytes is too big, however they arrived. */
#define LINE_TOO_BIG (REQUEST_LINE_MAX + 1)

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
    args->items[args->n++] = bytes_of((const char *)(uintptr_t)offset,
                                      len); /* NOLINT: an offset until the request is whole */
    return true;
}

static enum request_status bad(struct request_parser *parser, const char *error)
{
    snprintf(parser->error, sizeof(parser->error), "%s", error);
    return REQUEST_BAD;
}

/* Reads "digits\r\n" of at most SHORT_LINE bytes without a leading zero, as nearly every count and
 * length is. Returns what is behind it, or NULL: then find_line and the strict integer parser
 * decide. */
static inline const char *read_short_line(const char *p, const char *end, int64_t *value)
{
    const char *start = p;
    int64_t number = 0;
    if (end - p > SHORT_LINE)
        end = p + SHORT_LINE;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        number = number * 10 + (*p - '0');
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n' || p == start ||
        (*start == '0' && p > start + 1))
        return NULL;
    *value = number;
    return p + 2;
}

/* Finds the "\r" that ends the line at parser->pos, with one byte behind it. A line with a NUL
 * never ends, since Redis looks for its end with strchr. */
static enum request_status find_line(struct request_parser *parser, const char *data, size_t len,
                                     const char *too_big, size_t *line_len)
{
    const char *line = data + parser->pos;
    size_t from = parser->scanned > parser->pos ? parser->scanned : parser->pos;
    const char *cr = from < len ? memchr(data + from, '\r', len - from) : NULL;
    if (cr != NULL && memchr(line, '\0', (size_t)(cr - line)) != NULL)
        cr = NULL;
    if ((cr != NULL ? (size_t)(cr - line) : len - parser->pos) >= LINE_TOO_BIG)
        return bad(parser, too_big);
    if (cr == NULL || cr + 1 == data + len) {
        parser->scanned = cr == NULL ? len : (size_t)(cr - data);
        return REQUEST_MORE;
    }
    if (cr[1] != '\n')
        parser->canonical = false;
    *line_len = (size_t)(cr - line);
    return REQUEST_OK;
}

/* Reads the "*count" line. */
static enum request_status parse_count(struct request_parser *parser,
                                       const struct request_limits *limits, const char *data,
                                       size_t len)
{
    int64_t count;
    const char *next = read_short_line(data + 1, data + len, &count);
    if (next == NULL) {
        size_t line_len;
        enum request_status status =
            find_line(parser, data, len, "too big mbulk count string", &line_len);
        if (status != REQUEST_OK)
            return status;
        if (!bytes_parse_range(bytes_of(data + 1, line_len - 1), INT64_MIN, INT32_MAX, &count))
            return bad(parser, "invalid multibulk length");
        next = data + line_len + 2;
    }
    if (count > UNAUTHENTICATED_ARGS && limits->unauthenticated)
        return bad(parser, "unauthenticated multibulk length");
    parser->pos = (size_t)(next - data);
    parser->in_array = true;
    parser->args_left = count > 0 ? count : 0;
    return REQUEST_OK;
}

/* Reads a "$length" line that read_short_line did not take. */
static enum request_status parse_odd_length(struct request_parser *parser, const char *data,
                                            size_t len, int64_t *bulk_len)
{
    size_t line_len;
    if (parser->pos == len)
        return REQUEST_MORE;
    enum request_status status =
        find_line(parser, data, len, "too big bulk count string", &line_len);
    if (status != REQUEST_OK)
        return status;
    const char *line = data + parser->pos;
    if (*line != '$') {
        char shown = *line == '\r' || *line == '\n' ? ' ' : *line;
        snprintf(parser->error, sizeof(parser->error), "expected '$', got '%c'", shown);
        return REQUEST_BAD;
    }
    if (!bytes_parse_range(bytes_of(line + 1, line_len - 1), 0, INT64_MAX, bulk_len))
        return bad(parser, "invalid bulk length");
    parser->pos += line_len + 2;
    return REQUEST_OK;
}

/* Reads a "$length" line. */
static inline enum request_status parse_length(struct request_parser *parser,
                                               const struct request_limits *limits,
                                               const char *data, size_t len)
{
    const char *line = data + parser->pos;
    int64_t bulk_len;
    const char *next = NULL;
    if (parser->pos < len && *line == '$')
        next = read_short_line(line + 1, data + len, &bulk_len);
    if (__builtin_expect(next != NULL, 1)) {
        parser->pos = (size_t)(next - data);
    } else {
        enum request_status status = parse_odd_length(parser, data, len, &bulk_len);
        if (status != REQUEST_OK)
            return status;
    }
    if ((uint64_t)bulk_len > limits->max_bulk_bytes)
        return bad(parser, "invalid bulk length");
    if (bulk_len > UNAUTHENTICATED_BULK && limits->unauthenticated)
        return bad(parser, "unauthenticated bulk length");
    parser->bulk_len = bulk_len;
    return REQUEST_OK;
}

/* Reads arguments until the array is whole. */
static enum request_status parse_args(struct request_parser *parser,
                                      const struct request_limits *limits, const char *data,
                                      size_t len, struct request_args *args)
{
    size_t start = args == &parser->held ? 0 : args->n;
    while (parser->args_left > 0) {
        if (parser->bulk_len < 0) {
            enum request_status status = parse_length(parser, limits, data, len);
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
        /* Redis does not look at the two bytes behind an argument; only well-formed ones are sent
         * on as they are. */
        if (data[parser->pos] != '\r' || data[parser->pos + 1] != '\n')
            parser->canonical = false;
        parser->pos += 2;
        parser->bulk_len = -1;
        parser->args_left--;
    }
    return REQUEST_OK;
}

/* Moves the arguments of an unfinished request into the parser. */
static enum request_status hold(struct request_parser *parser, struct request_args *args,
                                size_t first)
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
    for (size_t i = 0; i < request->argc; i++) {
        struct bytes *arg = &request->args->items[request->first + i];
        arg->ptr = data + (uintptr_t)arg->ptr;
    }
    request->raw = bytes_of(data, parser->pos);
    request->canonical = parser->canonical;
    parser->in_array = false;
    parser->pos = 0;
    parser->scanned = 0;
}

static enum request_status parse_inline(struct request_parser *parser, const char *data, size_t len,
                                        struct request *request, size_t *consumed)
{
    size_t from = parser->scanned;
    const char *end = from < len ? memchr(data + from, '\n', len - from) : NULL;
    if (end != NULL && memchr(data, '\0', (size_t)(end - data)) != NULL)
        end = NULL; /* as in find_line */
    if ((end != NULL ? (size_t)(end - data) : len) >= LINE_TOO_BIG)
        return bad(parser, "too big inline request");
    if (end == NULL) {
        parser->scanned = len;
        return REQUEST_MORE;
    }
    size_t line_len = (size_t)(end - data);
    *consumed = line_len + 1;
    parser->scanned = 0;
    if (line_len > 0 && data[line_len - 1] == '\r')
        line_len--;
    parser->held.n = 0;
    switch (inline_split(bytes_of(data, line_len), &parser->line, &parser->held)) {
    case INLINE_OK: break;
    case INLINE_UNBALANCED: return bad(parser, "unbalanced quotes in request");
    case INLINE_NO_MEMORY: return REQUEST_NO_MEMORY;
    }
    *request =
        (struct request){&parser->held, 0, parser->held.n, bytes_of(data, *consumed), false, true};
    return REQUEST_OK;
}

/* Gives back what the arguments of a huge request took, once they are not needed any more. */
static void trim(struct request_parser *parser)
{
    if (parser->held.cap > KEEP_ARGS)
        request_args_deinit(&parser->held);
    parser->line.len = 0;
    buf_trim(&parser->line, KEEP_LINE);
}

enum request_status request_parse(struct request_parser *parser,
                                  const struct request_limits *limits, const char *data, size_t len,
                                  struct request_args *scratch, struct request *request,
                                  size_t *consumed)
{
    bool resumed = parser->in_array;
    struct request_args *args = resumed ? &parser->held : scratch;
    size_t first = resumed ? 0 : args->n;
    enum request_status status = REQUEST_OK;
    if (!resumed) {
        if (__builtin_expect(parser->held.cap > KEEP_ARGS || parser->line.cap > KEEP_LINE, 0))
            trim(parser);
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
    *request =
        (struct request){.args = args, .first = first, .argc = args->n - first, .alone = resumed};
    *consumed = parser->pos;
    finish(parser, data, request);
    return REQUEST_OK;
}

/* Appends "*n\r\n" or "$n\r\n". */
static bool put_line(struct buf *out, char type, size_t n)
{
    char line[1 + BYTES_I64_MAX + 2];
    line[0] = type;
    size_t len = 1 + bytes_format_i64((int64_t)n, line + 1);
    line[len++] = '\r';
    line[len++] = '\n';
    return buf_append(out, line, len);
}

bool request_encode(const struct bytes *argv, size_t argc, struct buf *out)
{
    size_t start = out->len;
    bool ok = put_line(out, '*', argc);
    for (size_t i = 0; ok && i < argc; i++)
        ok = put_line(out, '$', argv[i].len) && buf_append(out, argv[i].ptr, argv[i].len) &&
             buf_append(out, "\r\n", 2);
    if (!ok)
        out->len = start;
    return ok;
}
