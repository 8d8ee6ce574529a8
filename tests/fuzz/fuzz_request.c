/* Feeds arbitrary bytes to the request parser, whole and in pieces: what comes out must be the
 * same, and every request must lie where it says. The unfinished rest moves in memory from call to
 * call, as it does between a connection's buffers.
 *
 * Input: a byte of switches (1: before AUTH, 2: small bulk limit), two bytes that choose the
 * pieces; the rest is the stream. */
#include "fuzz.h"

#include "base/mem.h"
#include "resp/request.h"

#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* What came out of a stream. */
struct outcome {
    struct buf written;
    enum request_status end;
    char error[64];
    size_t taken;
};

/* Pieces of 1 to 16 bytes, now and then up to 4 KiB. */
static size_t next_piece(uint32_t *random)
{
    *random = *random * 1103515245u + 12345u;
    size_t value = *random >> 16;
    return value % 11 == 0 ? 1 + value % 4096 : 1 + value % 16;
}

static void put(struct outcome *outcome, const void *bytes, size_t len)
{
    CHECK(buf_append(&outcome->written, bytes, len));
}

static void write_down(struct outcome *outcome, const struct request *request)
{
    put(outcome, request->canonical ? "*" : "+", 1);
    put(outcome, &request->argc, sizeof(request->argc));
    for (size_t i = 0; i < request->argc; i++) {
        struct bytes arg = request_argv(request)[i];
        put(outcome, &arg.len, sizeof(arg.len));
        put(outcome, arg.ptr, arg.len);
    }
}

/* What may be sent on as it is must be what request_encode makes of the arguments. */
static void check_canonical(const struct request *request)
{
    struct buf encoded;
    if (!request->canonical || request->argc == 0)
        return;
    buf_init(&encoded);
    CHECK(request_encode(request_argv(request), request->argc, &encoded));
    CHECK(bytes_equal(buf_bytes(&encoded), request->raw));
    buf_deinit(&encoded);
}

/* Parses what is whole in `len` bytes at `data`. Returns how many bytes were taken. */
static size_t offer(struct request_parser *parser, const struct request_limits *limits,
                    struct request_args *scratch, const char *data, size_t len,
                    struct outcome *outcome)
{
    size_t taken = 0;
    for (;;) {
        struct request request;
        size_t consumed = 0;
        scratch->n = 0;
        outcome->end =
            request_parse(parser, limits, data + taken, len - taken, scratch, &request, &consumed);
        if (outcome->end != REQUEST_OK)
            return taken;
        CHECK(consumed > 0 && consumed <= len - taken);
        CHECK(request.raw.ptr == data + taken && request.raw.len == consumed);
        write_down(outcome, &request);
        check_canonical(&request);
        taken += consumed;
    }
}

static void parse(const struct request_limits *limits, const char *data, size_t len,
                  uint32_t *random, struct outcome *outcome)
{
    struct request_parser parser;
    struct request_args scratch = {0};
    size_t end = 0;
    request_parser_init(&parser);
    buf_init(&outcome->written);
    outcome->end = REQUEST_MORE;
    outcome->taken = 0;
    do {
        end = random == NULL ? len : end + next_piece(random);
        end = end > len ? len : end;
        size_t offered = end - outcome->taken;
        char *copy = mem_alloc(offered + 1); /* its end is where reading must end */
        char *moved = copy + 1;
        if (offered > 0)
            memcpy(moved, data + outcome->taken, offered);
        outcome->taken += offer(&parser, limits, &scratch, moved, offered, outcome);
        mem_free(copy);
    } while (end < len && outcome->end == REQUEST_MORE);
    memcpy(outcome->error, parser.error, sizeof(outcome->error));
    request_args_deinit(&scratch);
    request_parser_deinit(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct outcome whole;
    struct outcome pieces;
    if (n_bytes < 3)
        return 0;
    struct request_limits limits = {data[0] & 2 ? 100 : 1u << 29, data[0] & 1};
    uint32_t random = data[1] * 256u + data[2];
    parse(&limits, (const char *)data + 3, n_bytes - 3, NULL, &whole);
    parse(&limits, (const char *)data + 3, n_bytes - 3, &random, &pieces);
    CHECK(whole.end == REQUEST_MORE || whole.end == REQUEST_BAD);
    CHECK(pieces.end == whole.end && pieces.taken == whole.taken);
    CHECK(whole.end == REQUEST_MORE || strcmp(whole.error, pieces.error) == 0);
    CHECK(bytes_equal(buf_bytes(&whole.written), buf_bytes(&pieces.written)));
    buf_deinit(&whole.written);
    buf_deinit(&pieces.written);
    return 0;
}
