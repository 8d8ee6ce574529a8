/* Micro-benchmark of the request parser: ns per request for pipelines of small GETs and SETs,
 * parsed in batches as a busy client sends them, and for the same bytes offered in two halves.
 *
 *     micro_request [rounds]     default: 2000
 *
 * Each figure is the best of all rounds, to be compared on an idle machine only. */
#include "base/clock.h"
#include "resp/request.h"

#include <stdio.h>
#include <stdlib.h>

/* Requests in one buffer, as with redis-benchmark -P 100. */
#define BATCH 100u
#define PASSES 20u

struct bench {
    unsigned rounds;
    struct request_parser parser;
    struct request_args scratch;
    struct request_limits limits;
    struct buf input;
    size_t one_len; /* bytes of one request */
    uint64_t sum;   /* keeps the compiler from dropping the work */
};

static void fail(const char *why)
{
    fprintf(stderr, "micro_request: %s\n", why);
    exit(1);
}

static void fill(struct bench *bench, size_t argc, size_t value_len)
{
    char value[4096];
    memset(value, 'x', sizeof(value));
    bench->input.len = 0;
    for (unsigned i = 0; i < BATCH; i++) {
        char key[32];
        int key_len = snprintf(key, sizeof(key), "key:%012u", i * 7919u);
        struct bytes argv[] = {argc == 2 ? BYTES("GET") : BYTES("SET"),
                               bytes_of(key, (size_t)key_len), bytes_of(value, value_len)};
        if (!request_encode(argv, argc, &bench->input))
            fail("out of memory");
    }
    bench->one_len = bench->input.len / BATCH;
}

/* Parses all whole requests in `len` bytes at `data`. Returns the bytes taken. */
static size_t parse_all(struct bench *bench, const char *data, size_t len, unsigned *n)
{
    size_t taken = 0;
    bench->scratch.n = 0;
    while (taken < len) {
        struct request request;
        size_t consumed;
        enum request_status status =
            request_parse(&bench->parser, &bench->limits, data + taken, len - taken,
                          &bench->scratch, &request, &consumed);
        if (status == REQUEST_MORE)
            break;
        if (status != REQUEST_OK)
            fail(bench->parser.error);
        bench->sum += request_argv(&request)[1].len + request.argc;
        taken += consumed;
        (*n)++;
    }
    return taken;
}

static void parse_whole(struct bench *bench)
{
    unsigned n = 0;
    if (parse_all(bench, bench->input.data, bench->input.len, &n) != bench->input.len || n != BATCH)
        fail("requests are missing");
}

/* As when a read ends in the middle of a request. */
static void parse_halves(struct bench *bench)
{
    unsigned n = 0;
    size_t first_half = bench->input.len / 2 + bench->one_len / 2;
    size_t taken = parse_all(bench, bench->input.data, first_half, &n);
    taken += parse_all(bench, bench->input.data + taken, bench->input.len - taken, &n);
    if (taken != bench->input.len || n != BATCH)
        fail("requests are missing");
}

static void measure(struct bench *bench, const char *what, void (*pass)(struct bench *))
{
    int64_t best = INT64_MAX;
    for (unsigned round = 0; round < bench->rounds; round++) {
        int64_t start = clock_read_ns();
        for (unsigned i = 0; i < PASSES; i++)
            pass(bench);
        int64_t took = clock_read_ns() - start;
        if (took < best)
            best = took;
    }
    printf("  %-44s %6.1f ns a request\n", what, (double)best / (PASSES * BATCH));
}

int main(int argc, char **argv)
{
    struct bench bench = {.rounds = 2000, .limits = {512u << 20, false}};
    if (argc > 1)
        bench.rounds = (unsigned)atoi(argv[1]);
    request_parser_init(&bench.parser);
    buf_init(&bench.input);
    printf("request_parse, batches of %u:\n", BATCH);
    fill(&bench, 2, 0);
    measure(&bench, "GET, key of 16 bytes", parse_whole);
    measure(&bench, "GET, key of 16 bytes, in two halves", parse_halves);
    fill(&bench, 3, 3);
    measure(&bench, "SET, key of 16 bytes, value of 3", parse_whole);
    fill(&bench, 3, 64);
    measure(&bench, "SET, key of 16 bytes, value of 64", parse_whole);
    fill(&bench, 3, 1024);
    measure(&bench, "SET, key of 16 bytes, value of 1024", parse_whole);
    request_args_deinit(&bench.scratch);
    request_parser_deinit(&bench.parser);
    buf_deinit(&bench.input);
    return bench.sum == 0;
}
