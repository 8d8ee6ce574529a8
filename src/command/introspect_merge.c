/* COMMAND in front of an L2: L2 says what it has, larder adds its own extensions; when L2 can't be
 * asked, the table answers.
 *
 *     *241 [get ...] [set ...]      ->  *243 [get ...] [set ...] [cache ...] [upstream ...]
 *     COMMAND INFO get cache: *2 [get ...] _   ->  *2 [get ...] [cache ...]
 */
#include "command/introspect.h"

#include "base/mem.h"
#include "resp/walk.h"

/* A question that L2 was asked. */
struct asked {
    struct reply_slot *slot;
    struct larder *larder; /* borrowed */
    struct introspect_query query;
    struct bytes names[]; /* query.names; then the bytes of names and filter */
};

/* Copies the query, whose arguments are gone when L2 answers. NULL: no memory. */
static struct asked *copy_query(const struct introspect_query *query)
{
    size_t size = sizeof(struct asked);
    bool too_big = __builtin_add_overflow(size, query->filter_by.len, &size);
    for (size_t i = 0; i < query->n_names; i++)
        too_big |= __builtin_add_overflow(size, sizeof(struct bytes), &size) ||
                   __builtin_add_overflow(size, query->names[i].len, &size);
    struct asked *asked = too_big ? NULL : mem_try(size);
    if (asked == NULL)
        return NULL;
    asked->query = *query;
    asked->query.names = asked->names;
    char *to = (char *)&asked->names[query->n_names];
    for (size_t i = 0; i < query->n_names; i++) {
        if (query->names[i].len > 0)
            memcpy(to, query->names[i].ptr, query->names[i].len);
        asked->names[i] = bytes_of(to, query->names[i].len);
        to += query->names[i].len;
    }
    if (query->filter_by.len > 0)
        memcpy(to, query->filter_by.ptr, query->filter_by.len);
    asked->query.filter_by = bytes_of(to, query->filter_by.len);
    return asked;
}

/* L2's reply with the extensions appended. The header counts pairs when it is a map. */
static bool merge_all(const struct asked *asked, struct bytes in, struct buf *out)
{
    struct walk walk = walk_over(in.ptr, in.len);
    struct walk_item item;
    if (walk_value(&walk, &item, WALK_DEPTH_MAX) != WALK_OK)
        return false;
    bool is_map = item.type == WALK_MAP;
    struct buf added;
    buf_init(&added);
    struct reply extensions = {.out = &added,
                               .proto = is_map || asked->query.form != INTROSPECT_DOCS ? 3 : 2};
    struct reply header = {.out = out, .proto = 3};
    size_t n = introspect_answer(&extensions, asked->larder, &asked->query, true);
    bool ok = !extensions.failed;
    if (item.type == WALK_INTEGER) {
        int64_t count;
        ok = ok && bytes_parse_range(item.text, 0, INT64_MAX / 2, &count);
        if (ok)
            reply_int(&header, count + (int64_t)n);
    } else if (is_map) {
        reply_map(&header, item.n_items / 2 + n);
    } else {
        reply_array(&header, item.n_items + (asked->query.form == INTROSPECT_DOCS ? 2 * n : n));
    }
    reply_raw(&header, bytes_of(walk.pos, (size_t)(walk.end - walk.pos)));
    reply_raw(&header, buf_bytes(&added));
    buf_deinit(&added);
    return ok && !header.failed;
}

/* L2's reply to COMMAND INFO with the nulls of extensions replaced. */
static bool merge_info(const struct asked *asked, struct bytes in, struct buf *out)
{
    struct walk walk = walk_over(in.ptr, in.len);
    struct walk_item item;
    struct reply reply = {.out = out, .proto = 3};
    if (walk_value(&walk, &item, WALK_DEPTH_MAX) != WALK_OK || item.type != WALK_ARRAY ||
        item.n_items != asked->query.n_names)
        return false;
    reply_array(&reply, item.n_items);
    for (size_t i = 0; i < asked->query.n_names; i++) {
        const char *start = walk.pos;
        const struct command *parent;
        const struct command *row = introspect_find(asked->larder, asked->names[i], &parent);
        if (walk_skip(&walk, 1, WALK_DEPTH_MAX) != WALK_OK)
            return false;
        bool is_null = start[0] == '_' || start[1] == '-'; /* "$-1", "*-1" */
        if (is_null && row != NULL && introspect_is_extension(row))
            introspect_write_entry(&reply, row, parent);
        else
            reply_raw(&reply, bytes_of(start, (size_t)(walk.pos - start)));
    }
    return !reply.failed;
}

static void answer_from_table(const struct asked *asked)
{
    struct reply reply = slot_begin(asked->slot);
    introspect_answer(&reply, asked->larder, &asked->query, false);
    slot_finish(asked->slot, &reply);
}

static void on_reply(void *ctx, struct bytes in)
{
    struct asked *asked = ctx;
    struct buf out;
    buf_init(&out);
    if (bytes_starts_with(in, BYTES("-UPSTREAM"))) {
        answer_from_table(asked);
    } else if (in.ptr[0] == '-') {
        slot_finish_resp3(asked->slot, in);
    } else {
        bool ok = asked->query.form == INTROSPECT_INFO ? merge_info(asked, in, &out)
                                                       : merge_all(asked, in, &out);
        slot_finish_resp3(asked->slot, ok ? buf_bytes(&out) : in);
    }
    buf_deinit(&out);
    mem_free(asked);
}

void introspect_ask(struct call *call, const struct introspect_query *query)
{
    struct asked *asked = copy_query(query);
    if (asked == NULL) {
        reply_error(&call->reply, "ERR out of memory");
        return;
    }
    asked->larder = call->larder;
    asked->slot = call_defer(call);
    tier_pass(call->larder->tier, call->client->db, call->raw, on_reply, asked);
}
