/*
 * Feeds arbitrary bytes to the reader of RESP3 and to its translation into RESP2.
 *
 * Input: the rule's number, and for EXEC how many rules follow and these; the rest is the reply.
 */
#include "fuzz.h"

#include "resp/translate.h"
#include "resp/walk.h"

#include <stdlib.h>

#define N_RULES (TRANSLATE_EXEC + 1)
#define QUEUED_MAX 8

/* A rule may add a level or two, so only what stays this far below the limit must succeed. */
#define DEPTH_SURE (WALK_DEPTH_MAX - 4)

#define CHECK(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)

static bool is_whole(struct bytes reply, unsigned max_depth)
{
    size_t len;
    return walk_reply_len(reply.ptr, reply.len, max_depth, &len) == WALK_OK && len == reply.len;
}

/* True when the items are all of types that RESP2 has. */
static bool is_resp2(struct bytes reply)
{
    struct walk walk = walk_over(reply.ptr, reply.len);
    struct walk_item item;
    while (walk.pos < walk.end) {
        if (walk_next(&walk, &item) != WALK_OK || *item.start == 0 ||
            strchr("+-:$*", *item.start) == NULL)
            return false;
    }
    return true;
}

static void check_output(struct bytes reply, const struct buf *out, size_t len_before)
{
    struct bytes resp2 = bytes_of(out->data + len_before, out->len - len_before);
    struct buf again;
    CHECK(is_whole(reply, WALK_DEPTH_MAX));
    CHECK(is_resp2(resp2));
    if (!is_whole(reply, DEPTH_SURE))
        return;
    CHECK(is_whole(resp2, WALK_DEPTH_MAX));
    buf_init(&again);
    CHECK(translate_to_resp2(resp2.ptr, resp2.len, TRANSLATE_GENERIC, &again));
    CHECK(bytes_equal(resp2, buf_bytes(&again)));
    buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    enum translate_rule rules[QUEUED_MAX];
    size_t n_rules = 0;
    struct bytes before = BYTES("before");
    struct buf out;
    bool ok;

    if (n_bytes < 2)
        return 0;
    enum translate_rule rule = (enum translate_rule)(data[0] % N_RULES);
    size_t pos = 1;
    if (rule == TRANSLATE_EXEC) {
        n_rules = data[pos++] % (QUEUED_MAX + 1);
        if (n_rules > n_bytes - pos)
            return 0;
        for (size_t i = 0; i < n_rules; i++)
            rules[i] = (enum translate_rule)(data[pos++] % N_RULES);
    }
    struct bytes reply = bytes_of((const char *)data + pos, n_bytes - pos);

    buf_init(&out);
    CHECK(buf_append(&out, before.ptr, before.len));
    if (rule == TRANSLATE_EXEC)
        ok = translate_exec_to_resp2(reply.ptr, reply.len, rules, n_rules, &out);
    else
        ok = translate_to_resp2(reply.ptr, reply.len, rule, &out);
    CHECK(bytes_equal(bytes_of(out.data, before.len), before));
    if (ok)
        check_output(reply, &out, before.len);
    else
        CHECK(out.len == before.len && !is_whole(reply, DEPTH_SURE));
    buf_deinit(&out);
    return 0;
}
