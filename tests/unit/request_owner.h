/* An owner of a connection for the tests of the request parser: it keeps what the parser has not
 * taken and offers it again, always with an unreadable page behind it, and writes down what came
 * out, in one line: a request is [a|b] when its bytes may be sent on as they are and (a|b)
 * otherwise, an empty one is ".", an unfinished rest "~", and a protocol error "!text". */
#ifndef LARDER_TESTS_REQUEST_OWNER_H
#define LARDER_TESTS_REQUEST_OWNER_H

#include "guard.h"
#include "resp/request.h"

#include <check.h>

struct owner {
    const struct guard *guard;
    struct request_parser parser;
    struct request_args scratch;
    const struct request_limits *limits;
    struct buf written;
    bool ended; /* by an error */
};

static inline void owner_init(struct owner *owner, const struct guard *guard,
                              const struct request_limits *limits)
{
    memset(owner, 0, sizeof(*owner));
    request_parser_init(&owner->parser);
    buf_init(&owner->written);
    owner->limits = limits;
    owner->guard = guard;
}

static inline void owner_deinit(struct owner *owner)
{
    request_parser_deinit(&owner->parser);
    request_args_deinit(&owner->scratch);
    buf_deinit(&owner->written);
}

static inline void write_down(struct owner *owner, const char *text, size_t len)
{
    if (!buf_append(&owner->written, text, len)) /* ck_assert costs a system call */
        ck_abort();
}

static inline void write_request(struct owner *owner, const struct request *request)
{
    if (request->argc == 0) {
        write_down(owner, ".", 1);
        return;
    }
    write_down(owner, request->canonical ? "[" : "(", 1);
    for (size_t i = 0; i < request->argc; i++) {
        if (i > 0)
            write_down(owner, "|", 1);
        write_down(owner, request_argv(request)[i].ptr, request_argv(request)[i].len);
    }
    write_down(owner, request->canonical ? "]" : ")", 1);
}

/* Offers input[start..end), as a read would have brought it. Returns where the unfinished rest
 * starts. */
static inline size_t offer(struct owner *owner, const char *input, size_t start, size_t end)
{
    const char *data = guard_put(owner->guard, input + start, end - start);
    size_t len = end - start;
    while (!owner->ended) {
        struct request request;
        size_t consumed = 0;
        owner->scratch.n = 0;
        enum request_status status = request_parse(&owner->parser, owner->limits, data, len,
                                                   &owner->scratch, &request, &consumed);
        if (status == REQUEST_MORE)
            break;
        if (status != REQUEST_OK) {
            ck_assert_int_eq(status, REQUEST_BAD);
            write_down(owner, "!", 1);
            write_down(owner, owner->parser.error, strlen(owner->parser.error));
            owner->ended = true;
            break;
        }
        ck_assert_uint_gt(consumed, 0);
        ck_assert_uint_le(consumed, len);
        ck_assert_ptr_eq(request.raw.ptr, data);
        ck_assert_uint_eq(request.raw.len, consumed);
        ck_assert(!request_parser_is_busy(&owner->parser));
        write_request(owner, &request);
        data += consumed;
        len -= consumed;
    }
    return end - len;
}

/* Ends the input and returns what was written down, borrowed. */
static inline struct bytes finish(struct owner *owner, size_t rest)
{
    if (!owner->ended && rest > 0)
        write_down(owner, "~", 1);
    ck_assert(owner->ended || request_parser_is_busy(&owner->parser) == (rest > 0));
    return buf_bytes(&owner->written);
}

/* Offers the first `first` bytes and then `step` bytes at a time. */
static inline void check_steps(const struct guard *guard, const struct request_limits *limits,
                               struct bytes input, size_t first, size_t step, struct bytes expected)
{
    struct owner owner;
    owner_init(&owner, guard, limits);
    size_t rest = 0;
    for (size_t end = first; !owner.ended; end = end + step < input.len ? end + step : input.len) {
        rest = offer(&owner, input.ptr, rest, end);
        if (end == input.len)
            break;
    }
    struct bytes got = finish(&owner, input.len - rest);
    ck_assert_msg(bytes_equal(got, expected), "%zu, %zu: %.60s: got %.*s", first, step, input.ptr,
                  (int)got.len, got.ptr);
    owner_deinit(&owner);
}

static inline void check_all_ways(const struct guard *guard, const struct request_limits *limits,
                                  struct bytes input, struct bytes expected)
{
    check_steps(guard, limits, input, input.len, 1, expected);
    check_steps(guard, limits, input, 0, 1, expected);
    for (size_t cut = 0; cut < input.len; cut++)
        check_steps(guard, limits, input, cut, input.len, expected);
}

#endif
