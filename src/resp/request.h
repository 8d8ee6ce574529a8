/* The request parser: RESP arrays of bulk strings and inline commands, incremental, without
 * copying.
 *
 * The caller keeps the bytes of an unfinished request and offers them again with more behind them;
 * the parser remembers how far it came, so nothing is scanned twice. Arguments of a finished
 * request are slices of the offered bytes (of a text owned by the parser for inline commands).
 *
 *     *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhel          REQUEST_MORE, position behind "$5\r\n"
 *     *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n    REQUEST_OK, consumed is all
 *
 * Limits and error texts are those of Redis 7.0's networking.c, seen on redis-server 7.0.15.
 * Nothing is allocated on a declared length alone. Knows no commands. */
#ifndef LARDER_RESP_REQUEST_H
#define LARDER_RESP_REQUEST_H

#include "base/buf.h"

/* Longest inline command and longest count line, as Redis's PROTO_INLINE_MAX_SIZE. */
#define REQUEST_LINE_MAX (64 * 1024)

/* Most arguments of one command. Redis 7.0 has no limit of its own below 2^31; see
 * doc/protocol.md. */
#define REQUEST_ARGS_MAX (1024 * 1024)

/* A growable array of arguments. */
struct request_args {
    struct bytes *items; /* owned */
    size_t n;
    size_t cap;
};

void request_args_deinit(struct request_args *args);

struct request_limits {
    size_t max_bulk_bytes; /* proto-max-bulk-len */
    bool unauthenticated;  /* 10 arguments of 16 KiB at most, as Redis before AUTH */
};

/* A finished request. Valid until the offered bytes, `args` or the parser change. */
struct request {
    struct request_args *args; /* borrowed: where the arguments are */
    size_t first;              /* index of the first one */
    size_t argc;      /* 0: an empty request (a blank line, "*0"), to be skipped without a reply */
    struct bytes raw; /* the request's own bytes */
    bool canonical;   /* raw is a strictly well-formed RESP array, fit to be sent on as it is */
    bool alone;       /* its arguments are in the parser: execute it before parsing on */
};

static inline const struct bytes *request_argv(const struct request *request)
{
    return request->args->items + request->first;
}

enum request_status {
    REQUEST_OK,
    REQUEST_MORE,      /* the bytes end inside a request */
    REQUEST_BAD,       /* protocol error; `error` tells which, the connection is to be closed */
    REQUEST_NO_MEMORY, /* the arguments could not be kept; the connection is to be closed */
};

struct request_parser {
    bool in_array; /* the count line of an array has been read */
    bool canonical;
    int64_t args_left; /* of the array */
    int64_t bulk_len;  /* of the argument whose bytes come next; -1: its length line comes next */
    size_t pos;        /* of the first byte not parsed, from the start of the request */
    size_t scanned;    /* up to here no line end was found */
    struct request_args
        held;        /* of an unfinished request; offsets from its start instead of pointers */
    struct buf line; /* the decoded arguments of an inline command */
    char error[64];
};

void request_parser_init(struct request_parser *parser);
void request_parser_deinit(struct request_parser *parser);

/* Forgets an unfinished request, whose bytes will be offered again from its start. */
void request_parser_rewind(struct request_parser *parser);

/* True when the parser is inside a request. */
static inline bool request_parser_is_busy(const struct request_parser *parser)
{
    return parser->in_array || parser->scanned > 0;
}

/* Parses one request from the start of `data` (the start of the unfinished request when the last
 * call said REQUEST_MORE). Arguments are appended to `scratch`. On REQUEST_OK `*consumed` (> 0) is
 * the length of the request. On REQUEST_BAD the error, without code and line end, is
 * parser->error. */
enum request_status request_parse(struct request_parser *parser,
                                  const struct request_limits *limits, const char *data, size_t len,
                                  struct request_args *scratch, struct request *request,
                                  size_t *consumed) __attribute__((warn_unused_result));

/* Appends a command as a RESP array. Returns false when there is no memory (out is as it was). */
bool request_encode(const struct bytes *argv, size_t argc, struct buf *out)
    __attribute__((warn_unused_result));

#endif
