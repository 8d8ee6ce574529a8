/* Feeds arbitrary bytes, whole and in pieces, to hiredis's reader with the link's constructors:
 * what comes out must be the same well-formed RESP3 either way, stay within the bounds, be
 * translated into RESP2, and, where it is a push, be read as one.
 *
 * Input: a byte of switches (1: a small limit for a reply), two bytes that choose the pieces; the
 * rest is what L2 says. */
#include "fuzz.h"

#include "base/mem.h"
#include "resp/translate.h"
#include "resp/walk.h"
#include "upstream/link_internal.h"

#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#define SMALL_LIMIT 200

/* What came out of a stream. */
struct outcome {
    struct buf replies;
    struct buf keys; /* invalidated, each with its length before it */
    unsigned n_all;
    bool failed;
};

static void on_invalidate(void *ctx, struct bytes key)
{
    struct outcome *outcome = ctx;
    CHECK(buf_append(&outcome->keys, &key.len, sizeof(key.len)));
    CHECK(buf_append(&outcome->keys, key.ptr, key.len));
}

static void on_invalidate_all(void *ctx)
{
    ((struct outcome *)ctx)->n_all++;
}

/* Pieces of 1 to 16 bytes, now and then up to 4 KiB. */
static size_t next_piece(uint32_t *random)
{
    *random = *random * 1103515245u + 12345u;
    size_t value = *random >> 16;
    return value % 11 == 0 ? 1 + value % 4096 : 1 + value % 16;
}

static void check_translation(struct bytes reply)
{
    struct buf out;
    buf_init(&out);
    /* A push is an aggregate like any other here. */
    CHECK(translate_to_resp2(reply.ptr, reply.len, TRANSLATE_GENERIC, &out));
    CHECK(out.len > 0);
    buf_deinit(&out);
}

/* Takes one reply, in link->reply. Returns false when the link would go down. */
static bool take_reply(struct link *link, struct outcome *outcome)
{
    struct bytes reply = buf_bytes(&link->reply);
    size_t len = 0;
    if (link->too_deep) {
        link->too_deep = false; /* the link answers with an error instead */
        return true;
    }
    CHECK(walk_reply_len(reply.ptr, reply.len, WALK_DEPTH_MAX, &len) == WALK_OK);
    CHECK(len == reply.len);
    CHECK(reply.len <= 2 * link->options.max_reply_bytes + 100);
    CHECK(buf_append(&outcome->replies, reply.ptr, reply.len));
    check_translation(reply);
    return reply.ptr[0] != '>' || link_read_push(link);
}

static bool take_replies(struct link *link, redisReader *reader, struct outcome *outcome)
{
    for (;;) {
        void *token = NULL;
        if (redisReaderGetReply(reader, &token) != REDIS_OK)
            return false;
        if (token == NULL)
            return true;
        CHECK(token == link);
        if (!take_reply(link, outcome))
            return false;
        link->reply.len = 0;
    }
}

static void feed(size_t limit, const char *data, size_t len, uint32_t *random,
                 struct outcome *outcome)
{
    static const struct link_handlers handlers = {.on_invalidate = on_invalidate,
                                                  .on_invalidate_all = on_invalidate_all};
    struct link *link = mem_zalloc(sizeof(*link));
    redisReader *reader = redisReaderCreateWithFunctions(&link_reply_functions);
    redisContext redis = {.reader = reader}; /* for the depth that the reader is at */
    CHECK(reader != NULL);
    link->redis = &redis;
    memset(outcome, 0, sizeof(*outcome));
    link->options.max_reply_bytes = limit;
    link->handlers = &handlers;
    link->ctx = outcome;
    reader->privdata = link;
    reader->maxelements = 1 << 20;
    for (size_t pos = 0; pos < len && !outcome->failed;) {
        size_t piece = random == NULL ? len : next_piece(random);
        if (piece > len - pos)
            piece = len - pos;
        CHECK(redisReaderFeed(reader, data + pos, piece) == REDIS_OK);
        pos += piece;
        outcome->failed = !take_replies(link, reader, outcome);
    }
    redisReaderFree(reader);
    buf_deinit(&link->reply);
    mem_free(link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct outcome whole;
    struct outcome pieces;
    if (n_bytes < 3)
        return 0;
    size_t limit = data[0] & 1 ? SMALL_LIMIT : 1u << 20;
    uint32_t random = data[1] * 256u + data[2];
    feed(limit, (const char *)data + 3, n_bytes - 3, NULL, &whole);
    feed(limit, (const char *)data + 3, n_bytes - 3, &random, &pieces);
    CHECK(whole.failed == pieces.failed && whole.n_all == pieces.n_all);
    CHECK(bytes_equal(buf_bytes(&whole.replies), buf_bytes(&pieces.replies)));
    CHECK(bytes_equal(buf_bytes(&whole.keys), buf_bytes(&pieces.keys)));
    buf_deinit(&whole.replies);
    buf_deinit(&whole.keys);
    buf_deinit(&pieces.replies);
    buf_deinit(&pieces.keys);
    return 0;
}
