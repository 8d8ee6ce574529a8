/* LCS of L1 alone: the longest common subsequence of two values, by the table of dynamic
 * programming, of which Redis defines the choice between equally long ones by walking it back from
 * its end.
 *
 *     length(i, j) = 0                                       i = 0 or j = 0
 *                    length(i-1, j-1) + 1                    a[i-1] = b[j-1]
 *                    max(length(i-1, j), length(i, j-1))     else
 *
 * The table takes 4 bytes per cell and is bounded by proto-max-bulk-len, as in Redis. */
#include "base/mem.h"
#include "command/alone.h"
#include "command/string_handlers.h"

struct lcs_options {
    bool len, idx, with_match_len;
    int64_t min_match_len;
};

struct lcs {
    struct bytes a, b;
    uint32_t *lengths; /* owned; (a.len + 1) rows of (b.len + 1) */
};

/* A run of equal bytes that ends before a_end and b_end. */
struct lcs_match {
    size_t a_end, b_end, len;
};

static uint32_t *cell(const struct lcs *lcs, size_t i, size_t j)
{
    return &lcs->lengths[i * (lcs->b.len + 1) + j];
}

static bool parse_options(struct call *call, struct lcs_options *options)
{
    *options = (struct lcs_options){0};
    for (size_t i = 3; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "IDX")) {
            options->idx = true;
        } else if (bytes_is(call->argv[i], "LEN")) {
            options->len = true;
        } else if (bytes_is(call->argv[i], "WITHMATCHLEN")) {
            options->with_match_len = true;
        } else if (bytes_is(call->argv[i], "MINMATCHLEN") && i + 1 < call->argc) {
            if (!alone_parse_integer(call, ++i, &options->min_match_len))
                return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    if (options->len && options->idx) {
        reply_error(&call->reply,
                    "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

/* Makes and fills the table. Returns false with the error written. */
static bool fill_table(struct call *call, struct lcs *lcs)
{
    size_t bytes;
    if (__builtin_mul_overflow(lcs->a.len + 1, lcs->b.len + 1, &bytes) ||
        __builtin_mul_overflow(bytes, sizeof(lcs->lengths[0]), &bytes) ||
        bytes > (size_t)call->larder->config.proto_max_bulk_len_bytes) {
        reply_error(&call->reply, "ERR Insufficient memory, transient memory for LCS exceeds "
                                  "proto-max-bulk-len");
        return false;
    }
    lcs->lengths = mem_try(bytes);
    if (lcs->lengths == NULL) {
        reply_error(&call->reply, "ERR Insufficient memory, failed allocating transient memory "
                                  "for LCS");
        return false;
    }
    memset(lcs->lengths, 0, (lcs->b.len + 1) * sizeof(lcs->lengths[0]));
    for (size_t i = 1; i <= lcs->a.len; i++) {
        const uint32_t *above = cell(lcs, i - 1, 0);
        uint32_t *row = cell(lcs, i, 0);
        row[0] = 0;
        for (size_t j = 1; j <= lcs->b.len; j++) {
            if (lcs->a.ptr[i - 1] == lcs->b.ptr[j - 1])
                row[j] = above[j - 1] + 1;
            else
                row[j] = above[j] > row[j - 1] ? above[j] : row[j - 1];
        }
    }
    return true;
}

/* Finds the last match before *i and *j, and moves them before it; false when there is none. */
static bool last_match(const struct lcs *lcs, size_t *i, size_t *j, struct lcs_match *match)
{
    while (*i > 0 && *j > 0 && lcs->a.ptr[*i - 1] != lcs->b.ptr[*j - 1]) {
        if (*cell(lcs, *i - 1, *j) > *cell(lcs, *i, *j - 1))
            --*i;
        else
            --*j;
    }
    *match = (struct lcs_match){*i, *j, 0};
    while (*i > 0 && *j > 0 && lcs->a.ptr[*i - 1] == lcs->b.ptr[*j - 1]) {
        --*i;
        --*j;
        match->len++;
    }
    return match->len > 0;
}

/* A range of indexes, its end included. */
static void write_range(struct reply *reply, size_t end, size_t len)
{
    reply_array(reply, 2);
    reply_int(reply, (int64_t)(end - len));
    reply_int(reply, (int64_t)(end - 1));
}

static void write_matches(struct call *call, const struct lcs *lcs,
                          const struct lcs_options *options)
{
    struct buf matches;
    buf_init(&matches);
    struct reply part = {&matches, call->reply.proto, false};
    size_t n = 0;
    size_t i = lcs->a.len, j = lcs->b.len;
    struct lcs_match match;
    while (last_match(lcs, &i, &j, &match)) {
        if ((int64_t)match.len < options->min_match_len)
            continue;
        reply_array(&part, options->with_match_len ? 3 : 2);
        write_range(&part, match.a_end, match.len);
        write_range(&part, match.b_end, match.len);
        if (options->with_match_len)
            reply_int(&part, (int64_t)match.len);
        n++;
    }
    reply_map(&call->reply, 2);
    reply_bulk_str(&call->reply, "matches");
    reply_array(&call->reply, n);
    reply_raw(&call->reply, buf_bytes(&matches));
    reply_bulk_str(&call->reply, "len");
    reply_int(&call->reply, *cell(lcs, lcs->a.len, lcs->b.len));
    call->reply.failed |= part.failed;
    buf_deinit(&matches);
}

static void write_common(struct call *call, const struct lcs *lcs)
{
    size_t left = *cell(lcs, lcs->a.len, lcs->b.len);
    struct buf common;
    buf_init(&common);
    if (!buf_reserve(&common, left)) {
        alone_refuse(call, STORE_NO_MEMORY);
        return;
    }
    common.len = left;
    size_t i = lcs->a.len, j = lcs->b.len;
    struct lcs_match match;
    while (last_match(lcs, &i, &j, &match)) {
        left -= match.len;
        memcpy(common.data + left, lcs->a.ptr + i, match.len);
    }
    reply_bulk(&call->reply, buf_bytes(&common));
    buf_deinit(&common);
}

void string_lcs_lcs(struct call *call)
{
    struct lcs_options options;
    const struct entry *a = alone_read(call, 1);
    const struct entry *b = alone_read(call, 2);
    if (!parse_options(call, &options))
        return;
    struct lcs lcs = {alone_value(a), alone_value(b), NULL};
    if (!fill_table(call, &lcs))
        return;
    if (options.idx)
        write_matches(call, &lcs, &options);
    else if (options.len)
        reply_int(&call->reply, *cell(&lcs, lcs.a.len, lcs.b.len));
    else
        write_common(call, &lcs);
    mem_free(lcs.lengths);
}
