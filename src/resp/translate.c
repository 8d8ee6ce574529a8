/* RESP3 to RESP2, bytes to bytes; see translate.h.
 *
 * Two cursors go over the reply. [run, walk.pos) is what was read and is the same in RESP2, not yet
 * copied; it grows while items need no change, and is flushed before something is replaced or
 * dropped.
 *
 *      resp3  ...copied...|....run....|   not read yet   |
 *                         ^ run       ^ walk.pos         ^ walk.end
 */
#include "resp/translate.h"

#include "resp/walk.h"

#define NULL_BULK BYTES("$-1\r\n")
#define NULL_ARRAY BYTES("*-1\r\n")

/* First byte, the longest size and a line end. */
#define HEADER_MAX (1 + BYTES_I64_MAX + 2)

struct translator {
    struct walk walk;
    const char *run;
    struct buf *out;
};

/* Appends the run up to `upto` and `text` after it; the next run begins at `resume`. */
static bool replace(struct translator *t, const char *upto, struct bytes text, const char *resume)
{
    const char *run = t->run;
    size_t run_len = (size_t)(upto - run);
    size_t both;
    if (__builtin_add_overflow(run_len, text.len, &both))
        return false;
    t->run = resume;
    return buf_reserve(t->out, both) && buf_append(t->out, run, run_len) &&
           buf_append(t->out, text.ptr, text.len);
}

/* Puts "<type><number>\r\n" in place of what stands between `upto` and `resume`. */
static bool replace_header(struct translator *t, const char *upto, char type, size_t number,
                           const char *resume)
{
    char header[HEADER_MAX];
    header[0] = type;
    size_t len = 1 + bytes_format_i64((int64_t)number, header + 1);
    header[len++] = '\r';
    header[len++] = '\n';
    return replace(t, upto, bytes_of(header, len), resume);
}

/* Reads the next item that is no attribute; attributes are cut out of the run. */
static bool read_item(struct translator *t, struct walk_item *item)
{
    const char *before = t->walk.pos;
    if (walk_value(&t->walk, item, WALK_DEPTH_MAX) != WALK_OK)
        return false;
    return item->start == before || replace(t, before, bytes_of(NULL, 0), item->start);
}

/* Writes the RESP2 form of an item that was just read; of an aggregate, that of its header. A null
 * of RESP2 stays the null that it is unless `null` is the null array. */
static bool put_item(struct translator *t, const struct walk_item *item, struct bytes null)
{
    const char *payload = item->text.ptr;
    switch (item->type) {
    case WALK_STATUS:
    case WALK_ERROR:
    case WALK_INTEGER:
    case WALK_BULK:
    case WALK_ARRAY: return true;
    case WALK_NULL:
        if (*item->start != WALK_NULL && *null.ptr == WALK_BULK)
            return true;
        return replace(t, item->start, null, t->walk.pos);
    case WALK_BOOL:
        return replace(t, item->start, *payload == 't' ? BYTES(":1\r\n") : BYTES(":0\r\n"),
                       t->walk.pos);
    case WALK_DOUBLE: /* the text is the same in both protocols, of infinities too */
    case WALK_BIG_NUMBER: return replace_header(t, item->start, WALK_BULK, item->text.len, payload);
    case WALK_VERBATIM:
        return replace_header(t, item->start, WALK_BULK, item->text.len - 4, payload + 4);
    case WALK_SET:
    case WALK_PUSH: return replace(t, item->start, BYTES("*"), item->start + 1);
    case WALK_MAP: return replace_header(t, item->start, WALK_ARRAY, item->n_items, t->walk.pos);
    case WALK_ATTRIBUTE: break; /* read_item passes over them */
    }
    return false;
}

/* Translates the next `n_values` values whole. */
static bool put_values(struct translator *t, size_t n_values, struct bytes null)
{
    struct walk_levels levels;
    bool ok = true;
    walk_levels_init(&levels, n_values);
    while (ok && walk_levels_next(&levels)) {
        struct walk_item item;
        levels.left[levels.depth]--;
        ok = read_item(t, &item) && put_item(t, &item, null) &&
             (item.n_items == 0 || walk_levels_push(&levels, item.n_items, WALK_DEPTH_MAX));
    }
    walk_levels_deinit(&levels);
    return ok;
}

/* How many values there are once arrays among the next `n_values` give way to their elements. */
static bool count_flat(struct walk ahead, size_t n_values, size_t *n_flat)
{
    *n_flat = 0;
    for (; n_values > 0; n_values--) {
        struct walk_item item;
        if (walk_value(&ahead, &item, WALK_DEPTH_MAX) != WALK_OK ||
            walk_skip(&ahead, item.n_items, WALK_DEPTH_MAX - 1) != WALK_OK)
            return false;
        size_t n = item.type == WALK_ARRAY ? item.n_items : 1;
        if (__builtin_add_overflow(*n_flat, n, n_flat))
            return false;
    }
    return true;
}

/* Translates the item that was just read and what belongs to it. */
static bool put_whole(struct translator *t, const struct walk_item *item, struct bytes null)
{
    return put_item(t, item, null) && put_values(t, item->n_items, null);
}

/* TRANSLATE_FLAT. Redis's replies have either only arrays or none, so the first element decides. */
static bool put_flat(struct translator *t)
{
    struct walk_item item, first;
    if (!read_item(t, &item))
        return false;
    struct walk ahead = t->walk;
    size_t n_values = item.n_items;
    if (item.type != WALK_ARRAY || n_values == 0 ||
        walk_value(&ahead, &first, WALK_DEPTH_MAX) != WALK_OK || first.type != WALK_ARRAY)
        return put_whole(t, &item, NULL_BULK);

    size_t n_flat;
    if (!count_flat(t->walk, n_values, &n_flat) ||
        !replace_header(t, item.start, WALK_ARRAY, n_flat, t->walk.pos))
        return false;
    for (; n_values > 0; n_values--) {
        if (!read_item(t, &item))
            return false;
        if (item.type == WALK_ARRAY && !replace(t, item.start, bytes_of(NULL, 0), t->walk.pos))
            return false;
        if (!put_whole(t, &item, NULL_BULK))
            return false;
    }
    return true;
}

/* TRANSLATE_PAIRS. */
static bool put_pairs(struct translator *t)
{
    struct walk_item item;
    if (!read_item(t, &item))
        return false;
    if (item.type != WALK_MAP)
        return put_whole(t, &item, NULL_ARRAY);
    size_t n_pairs = item.n_items / 2;
    if (!replace_header(t, item.start, WALK_ARRAY, n_pairs, t->walk.pos))
        return false;
    for (; n_pairs > 0; n_pairs--) {
        if (!replace(t, t->walk.pos, BYTES("*2\r\n"), t->walk.pos) || !put_values(t, 2, NULL_ARRAY))
            return false;
    }
    return true;
}

/* TRANSLATE_LAST_NULL_ARRAY. */
static bool put_last_null_array(struct translator *t)
{
    struct walk_item item;
    if (!read_item(t, &item))
        return false;
    if (item.type != WALK_ARRAY || item.n_items == 0)
        return put_whole(t, &item, NULL_BULK);
    return put_values(t, item.n_items - 1, NULL_BULK) && put_values(t, 1, NULL_ARRAY);
}

/* Translates one value by a rule; EXEC's elements are generic here. */
static bool put_ruled(struct translator *t, enum translate_rule rule)
{
    switch (rule) {
    case TRANSLATE_NULL_ARRAY:
    case TRANSLATE_NULL_ARRAY_BLOCKING: return put_values(t, 1, NULL_ARRAY);
    case TRANSLATE_FLAT: return put_flat(t);
    case TRANSLATE_PAIRS: return put_pairs(t);
    case TRANSLATE_LAST_NULL_ARRAY: return put_last_null_array(t);
    case TRANSLATE_GENERIC:
    case TRANSLATE_EXEC: break;
    }
    return put_values(t, 1, NULL_BULK);
}

static bool put_exec(struct translator *t, const enum translate_rule *rules, size_t n_rules)
{
    struct walk_item item;
    if (!read_item(t, &item) || !put_item(t, &item, NULL_ARRAY))
        return false;
    for (size_t i = 0; i < item.n_items; i++) {
        enum translate_rule rule = i < n_rules ? rules[i] : TRANSLATE_GENERIC;
        if (!put_ruled(t, rule == TRANSLATE_NULL_ARRAY_BLOCKING ? TRANSLATE_GENERIC : rule))
            return false;
    }
    return true;
}

/* Flushes the last run; undoes everything when the translation failed or left something over. */
static bool finish(struct translator *t, bool ok, size_t len_before)
{
    if (ok && t->walk.pos == t->walk.end && replace(t, t->walk.pos, bytes_of(NULL, 0), t->walk.pos))
        return true;
    t->out->len = len_before;
    return false;
}

bool translate_exec_to_resp2(const char *resp3, size_t len, const enum translate_rule *rules,
                             size_t n_rules, struct buf *out)
{
    struct translator t = {walk_over(resp3, len), resp3, out};
    size_t len_before = out->len;
    return finish(&t, put_exec(&t, rules, n_rules), len_before);
}

bool translate_to_resp2(const char *resp3, size_t len, enum translate_rule rule, struct buf *out)
{
    struct translator t = {walk_over(resp3, len), resp3, out};
    size_t len_before = out->len;
    if (rule == TRANSLATE_EXEC)
        return finish(&t, put_exec(&t, NULL, 0), len_before);

    /* Most replies are one of these: the same bytes in both protocols, whatever the rule. */
    struct walk_item item;
    if (walk_next(&t.walk, &item) != WALK_OK)
        return false;
    if (item.type == WALK_BULK || item.type == WALK_STATUS || item.type == WALK_INTEGER ||
        item.type == WALK_ERROR)
        return t.walk.pos == t.walk.end && buf_append(out, resp3, len);
    t.walk.pos = resp3;
    return finish(&t, put_ruled(&t, rule), len_before);
}
