/* Learning L2's commands from its reply to COMMAND:
 *
 *     [ [name, arity, {flags}, first, last, step, {acl}, [tips], [ {key spec} ... ], [ subcommand ... ]] ... ]
 *
 * Redis 6 has seven elements an entry. What is malformed is skipped entry by entry; nothing in it is trusted. */
#include "core/command_table_internal.h"

#include "base/mem.h"
#include "resp/walk.h"

#include <limits.h>

#define DEPTH_MAX 16

struct learner {
    struct command_table *table;
    command_fn *read_fn;
    command_fn *write_fn;
    size_t n;
};

static bool next(struct walk *walk, struct walk_item *item)
{
    return walk_value(walk, item, DEPTH_MAX) == WALK_OK;
}

static bool next_int(struct walk *walk, int *value)
{
    struct walk_item item;
    int64_t wide;
    if (!next(walk, &item) || item.type != WALK_INTEGER || !bytes_parse_range(item.text, INT_MIN, INT_MAX, &wide))
        return false;
    *value = (int)wide;
    return true;
}

static unsigned flag_of(struct bytes name)
{
    static const struct {
        const char *name;
        unsigned flag;
    } flags[] = {
        {"write", COMMAND_WRITE},       {"readonly", COMMAND_READONLY}, {"denyoom", COMMAND_DENYOOM},
        {"admin", COMMAND_ADMIN},       {"pubsub", COMMAND_PUBSUB},     {"noscript", COMMAND_NOSCRIPT},
        {"blocking", COMMAND_BLOCKING}, {"fast", COMMAND_FAST},         {"movablekeys", COMMAND_MOVABLE},
        {"no_auth", COMMAND_NO_AUTH},
    };
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        if (bytes_is(name, flags[i].name))
            return flags[i].flag;
    return 0;
}

/* Reads an aggregate of names; `*all` gets their flags. */
static bool next_flags(struct walk *walk, unsigned *all)
{
    struct walk_item item;
    if (!next(walk, &item))
        return false;
    *all = 0;
    for (size_t n = item.n_items; n > 0; n--) {
        if (!next(walk, &item) || item.n_items > 0)
            return false;
        *all |= flag_of(item.text);
    }
    return true;
}

static void set_number(struct key_spec *spec, struct bytes name, struct bytes text)
{
    int64_t number;
    if (!bytes_parse_range(text, INT_MIN, INT_MAX, &number))
        return;
    int value = (int)number;
    if (bytes_is(name, "index") || bytes_is(name, "startfrom"))
        spec->begin_index = value;
    else if (bytes_is(name, "lastkey"))
        spec->last = value;
    else if (bytes_is(name, "keystep") || bytes_is(name, "step"))
        spec->step = spec->keystep = value;
    else if (bytes_is(name, "limit"))
        spec->limit = value;
    else if (bytes_is(name, "keynumidx"))
        spec->keynum_index = value;
    else if (bytes_is(name, "firstkey"))
        spec->first_key = value;
}

/* Reads {type, spec} of begin_search or find_keys. */
static bool read_search(struct walk *walk, struct key_spec *spec, bool is_begin)
{
    struct walk_item item;
    struct walk_item value;
    if (!next(walk, &item))
        return false;
    for (size_t pairs = item.n_items / 2; pairs > 0; pairs--) {
        if (!next(walk, &item))
            return false;
        if (bytes_is(item.text, "type")) {
            if (!next(walk, &value))
                return false;
            if (is_begin)
                spec->begin = bytes_is(value.text, "index")     ? KEY_BEGIN_INDEX
                              : bytes_is(value.text, "keyword") ? KEY_BEGIN_KEYWORD
                                                                : KEY_BEGIN_UNKNOWN;
            else
                spec->find = bytes_is(value.text, "range")    ? KEY_FIND_RANGE
                             : bytes_is(value.text, "keynum") ? KEY_FIND_KEYNUM
                                                              : KEY_FIND_UNKNOWN;
            continue;
        }
        if (!next(walk, &item)) /* the inner map */
            return false;
        for (size_t inner = item.n_items / 2; inner > 0; inner--) {
            if (!next(walk, &item) || !next(walk, &value) || item.n_items > 0 || value.n_items > 0)
                return false;
            if (bytes_is(item.text, "keyword") && value.text.len < sizeof(spec->keyword)) {
                memcpy(spec->keyword, value.text.ptr, value.text.len);
                spec->keyword[value.text.len] = '\0';
            } else {
                set_number(spec, item.text, value.text);
            }
        }
    }
    return true;
}

static bool read_spec_flags(struct walk *walk, struct key_spec *spec)
{
    struct walk_item item;
    if (!next(walk, &item))
        return false;
    for (size_t n = item.n_items; n > 0; n--) {
        if (!next(walk, &item) || item.n_items > 0)
            return false;
        spec->writes |= bytes_is(item.text, "RW") || bytes_is(item.text, "OW") || bytes_is(item.text, "RM");
        spec->incomplete |= bytes_is(item.text, "incomplete");
    }
    return true;
}

static bool read_spec(struct walk *walk, struct key_spec *spec)
{
    struct walk_item item;
    memset(spec, 0, sizeof(*spec));
    spec->begin = KEY_BEGIN_UNKNOWN;
    spec->find = KEY_FIND_UNKNOWN;
    if (!next(walk, &item))
        return false;
    for (size_t pairs = item.n_items / 2; pairs > 0; pairs--) {
        bool ok;
        if (!next(walk, &item))
            return false;
        if (bytes_is(item.text, "flags"))
            ok = read_spec_flags(walk, spec);
        else if (bytes_is(item.text, "begin_search"))
            ok = read_search(walk, spec, true);
        else if (bytes_is(item.text, "find_keys"))
            ok = read_search(walk, spec, false);
        else
            ok = walk_skip(walk, 1, DEPTH_MAX) == WALK_OK;
        if (!ok)
            return false;
    }
    return true;
}

static bool read_specs(struct walk *walk, struct command *row)
{
    struct walk_item item;
    struct key_spec spec;
    if (!next(walk, &item))
        return false;
    row->n_specs = 0;
    for (size_t n = item.n_items; n > 0; n--) {
        if (!read_spec(walk, &spec))
            return false;
        if (row->n_specs < COMMAND_SPECS_MAX)
            row->specs[row->n_specs++] = spec;
        else
            row->specs[COMMAND_SPECS_MAX - 1].incomplete = true;
    }
    return true;
}

static char *copy_name(struct bytes name)
{
    char *copy = mem_alloc(name.len + 1);
    for (size_t i = 0; i < name.len; i++)
        copy[i] = bytes_lower(name.ptr[i]);
    copy[name.len] = '\0';
    return copy;
}

/* The counters of the subcommand that had this name before. */
static struct command_stats *inherit_stats(struct command *old, const char *name)
{
    for (; old != NULL && old->name != NULL; old++) {
        if (strcmp(old->name, name) == 0 && old->stats != NULL) {
            struct command_stats *stats = old->stats;
            old->stats = NULL;
            return stats;
        }
    }
    return mem_zalloc(sizeof(struct command_stats));
}

/* What one entry says. */
struct learned {
    struct bytes name;
    unsigned flags;
    struct command row; /* arity, first, last, step, specs */
    struct command *subs;
};

static bool read_entry(struct learner *learner, struct walk *walk, struct learned *out, struct command *old_subs, bool is_sub);

/* Completes the flags, and chooses who serves the command. Scripts are not flagged as writes, but their keys are; PFCOUNT writes a
 * key that it only seems to read. */
static command_fn *choose(const struct learner *learner, struct command *row, unsigned flags)
{
    row->flags = flags | COMMAND_LEARNED;
    if (!command_may_write(row))
        return learner->read_fn;
    if ((flags & COMMAND_NOSCRIPT) && (flags & COMMAND_MOVABLE) && !(flags & COMMAND_READONLY))
        row->flags |= COMMAND_SCRIPT;
    return learner->write_fn;
}

/* Reads the array of subcommands, "container|name" each. */
static bool read_subs(struct learner *learner, struct walk *walk, struct learned *out, struct command *old_subs)
{
    struct walk_item item;
    if (!next(walk, &item))
        return false;
    if (item.n_items == 0 || item.n_items > 256)
        return item.n_items == 0;
    struct command *subs = mem_zalloc((item.n_items + 1) * sizeof(*subs));
    out->subs = subs;
    size_t kept = 0;
    for (size_t n = item.n_items; n > 0; n--) {
        struct learned sub;
        if (!read_entry(learner, walk, &sub, NULL, true))
            return false;
        const char *bar = sub.name.len > 0 ? memchr(sub.name.ptr, '|', sub.name.len) : NULL;
        if (bar == NULL)
            continue;
        struct bytes name = bytes_of(bar + 1, (size_t)(sub.name.ptr + sub.name.len - bar) - 1);
        subs[kept] = sub.row;
        subs[kept].name = copy_name(name);
        subs[kept].fn = choose(learner, &subs[kept], sub.flags);
        subs[kept].stats = inherit_stats(old_subs, subs[kept].name);
        kept++;
    }
    return true;
}

/* Reads the tail of an entry: what Redis 7 has behind the six elements of old. */
static bool read_tail(struct learner *learner, struct walk *walk, size_t n, struct learned *out, struct command *old_subs,
                      bool is_sub)
{
    if (n >= 1 && walk_skip(walk, 1, DEPTH_MAX) != WALK_OK) /* ACL categories */
        return false;
    if (n >= 2 && walk_skip(walk, 1, DEPTH_MAX) != WALK_OK) /* tips */
        return false;
    if (n >= 3 && !read_specs(walk, &out->row))
        return false;
    if (n >= 4 && !is_sub && !read_subs(learner, walk, out, old_subs))
        return false;
    size_t rest = n > 4 ? n - 4 : 0;
    if (n >= 4 && is_sub)
        rest++;
    return rest == 0 || walk_skip(walk, rest, DEPTH_MAX) == WALK_OK;
}

static bool read_entry(struct learner *learner, struct walk *walk, struct learned *out, struct command *old_subs, bool is_sub)
{
    struct walk_item item;
    memset(out, 0, sizeof(*out));
    if (!next(walk, &item) || item.n_items < 6)
        return false;
    size_t n_items = item.n_items;
    if (!next(walk, &item) || item.n_items > 0)
        return false;
    out->name = item.text;
    if (!is_sub && old_subs == NULL) {
        const struct command *row = command_table_find(learner->table, out->name);
        old_subs = row != NULL ? row->learned_subs : NULL;
    }
    return next_int(walk, &out->row.arity) && next_flags(walk, &out->flags) && next_int(walk, &out->row.first) &&
           next_int(walk, &out->row.last) && next_int(walk, &out->row.step) &&
           read_tail(learner, walk, n_items - 6, out, old_subs, is_sub);
}

static void take_entry(struct learner *learner, const struct learned *in)
{
    struct command *row = command_table_insert(learner->table, in->name);
    if (row == NULL) {
        command_rows_destroy(in->subs, true);
        return;
    }
    bool is_own = row->name != NULL && !(row->flags & COMMAND_LEARNED);
    if (row->name == NULL)
        row->name = copy_name(in->name);
    memcpy(row->specs, in->row.specs, sizeof(row->specs));
    row->n_specs = in->row.n_specs;
    command_rows_destroy(row->learned_subs, true);
    row->learned_subs = in->subs;
    learner->n++;
    if (is_own) {
        row->flags |= in->flags & COMMAND_MOVABLE;
        return;
    }
    row->arity = in->row.arity;
    row->first = in->row.first;
    row->last = in->row.last;
    row->step = in->row.step;
    row->fn = choose(learner, row, in->flags);
}

size_t command_table_learn(struct command_table *table, struct bytes reply, command_fn *read_fn, command_fn *write_fn)
{
    struct learner learner = {table, read_fn, write_fn, 0};
    struct walk walk = walk_over(reply.ptr, reply.len);
    struct walk_item item;
    if (!next(&walk, &item) || item.type != WALK_ARRAY)
        return 0;
    for (size_t n = item.n_items; n > 0; n--) {
        struct learned entry;
        if (!read_entry(&learner, &walk, &entry, NULL, false)) {
            command_rows_destroy(entry.subs, true);
            break;
        }
        take_entry(&learner, &entry);
    }
    return learner.n;
}
