/* Micro-benchmark of the reply writer: ns per reply for the ones that hits are made of, appended to
 * one buffer in batches.
 *
 *     micro_reply [rounds]     default: 2000
 *
 * Each figure is the best of all rounds, to be compared on an idle machine only. */
#include "base/clock.h"
#include "resp/reply.h"

#include <stdio.h>
#include <stdlib.h>

/* Replies in one write, as for a client that pipelines 100 commands. */
#define BATCH 100u
#define PASSES 20u

typedef void write_fn(struct reply *reply, unsigned i);

static char value[4096];

static void write_ok(struct reply *reply, unsigned i)
{
    (void)i;
    reply_ok(reply);
}

static void write_int(struct reply *reply, unsigned i)
{
    reply_int(reply, 1000 + i);
}

static void write_null(struct reply *reply, unsigned i)
{
    (void)i;
    reply_null(reply);
}

static void write_small_bulk(struct reply *reply, unsigned i)
{
    reply_bulk(reply, bytes_of(value + i, 3));
}

static void write_bulk(struct reply *reply, unsigned i)
{
    reply_bulk(reply, bytes_of(value + i, 64));
}

static void write_large_bulk(struct reply *reply, unsigned i)
{
    reply_bulk(reply, bytes_of(value + i, 1024));
}

static void write_error(struct reply *reply, unsigned i)
{
    reply_error(reply, "ERR wrong number of arguments for '%s' command",
                i % 2 == 0 ? "get" : "set");
}

static void measure(struct reply *reply, unsigned rounds, const char *what, write_fn *fn)
{
    int64_t best = INT64_MAX;
    for (unsigned round = 0; round < rounds; round++) {
        int64_t start = clock_read_ns();
        for (unsigned pass = 0; pass < PASSES; pass++) {
            reply->out->len = 0;
            for (unsigned i = 0; i < BATCH; i++)
                fn(reply, i);
        }
        int64_t took = clock_read_ns() - start;
        if (took < best)
            best = took;
    }
    if (reply->failed || reply->out->len == 0) {
        fprintf(stderr, "micro_reply: %s: nothing was written\n", what);
        exit(1);
    }
    printf("  %-36s %6.1f ns a reply\n", what, (double)best / (PASSES * BATCH));
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 2000;
    struct buf out;
    struct reply reply = {.out = &out, .proto = 3};
    buf_init(&out);
    printf("reply writer, batches of %u:\n", BATCH);
    measure(&reply, rounds, "+OK", write_ok);
    measure(&reply, rounds, "null", write_null);
    measure(&reply, rounds, "integer of 4 digits", write_int);
    measure(&reply, rounds, "bulk of 3 bytes", write_small_bulk);
    measure(&reply, rounds, "bulk of 64 bytes", write_bulk);
    measure(&reply, rounds, "bulk of 1024 bytes", write_large_bulk);
    measure(&reply, rounds, "formatted error", write_error);
    buf_deinit(&out);
    return 0;
}
