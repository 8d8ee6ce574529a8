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
    if (!next(walk, &item) || item.type != WALK_INTEGER ||
        !bytes_parse_range(item.text, INT_MIN, INT_MAX, &wide))
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
        {"write", COMMAND_WRITE},           {"readonly", COMMAND_READONLY},
        {"denyoom", COMMAND_DENYOOM},       {"admin", COMMAND_ADMIN},
        {"pubsub", COMMAND_PUBSUB},         {"noscript", COMMAND_NOSCRIPT},
        {"blocking", COMMAND_BLOCKING},     {"fast", COMMAND_FAST},
        {"movablekeys", COMMAND_MOVABLE},   {"no_auth", COMMAND_NO_AUTH},
        {"no_multi", COMMAND_NEVER_QUEUED},
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
    if (text.len == 0 || !bytes_parse_range(text, INT_MIN, INT_MAX, &number))
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

static void set_keyword(struct key_spec *spec, struct bytes keyword)
{
    if (keyword.len == 0 || keyword.len >= sizeof(spec->keyword)) {
        spec->incomplete = true; /* what stands behind it is unknown */
        return;
    }
    memcpy(spec->keyword, keyword.ptr, keyword.len);
    spec->keyword[keyword.len] = '\0';
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
            if (bytes_is(item.text, "keyword")) {
                set_keyword(spec, value.text);
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
        spec->writes |=
            bytes_is(item.text, "RW") || bytes_is(item.text, "OW") || bytes_is(item.text, "RM");
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
        if (row->n_specs < COMMAND_SPECS_MAX) {
            row->specs[row->n_specs++] = spec;
        } else if (spec.writes) {
            row->specs[COMMAND_SPECS_MAX - 1].writes = true;
            row->specs[COMMAND_SPECS_MAX - 1].incomplete = true;
        }
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

/* What one entry says. */
struct learned {
    struct bytes name;
    unsigned flags;
    struct command row; /* arity, first, last, step, specs */
    struct command *subs;
};

static bool read_entry(struct learner *learner, struct walk *walk, struct learned *out,
                       bool is_sub);

/* Completes the flags, and chooses who serves the command. Scripts are not flagged as writes, but their keys are; PFCOUNT writes a
 * key that it only seems to read. */
static command_fn *choose(const struct learner *learner, struct command *row, unsigned flags)
{
    bool is_script =
        (flags & COMMAND_NOSCRIPT) && (flags & COMMAND_MOVABLE) && !(flags & COMMAND_READONLY);
    row->flags = flags | COMMAND_LEARNED;
    /* Redis 6 has no specifications: it does not say that scripts write, nor what. */
    if (!command_may_write(row) && !(is_script && row->n_specs == 0))
        return learner->read_fn;
    if (is_script)
        row->flags |= COMMAND_SCRIPT;
    return learner->write_fn;
}

/* Reads the array of subcommands, "container|name" each. */
static bool read_subs(struct learner *learner, struct walk *walk, struct learned *out)
{
    struct walk_item item;
    if (!next(walk, &item))
        return false;
    if (item.n_items == 0 || item.n_items > COMMAND_SUBS_MAX)
        return item.n_items == 0;
    struct command *subs = mem_zalloc((item.n_items + 1) * sizeof(*subs));
    out->subs = subs;
    size_t kept = 0;
    for (size_t n = item.n_items; n > 0; n--) {
        struct learned sub;
        if (!read_entry(learner, walk, &sub, true))
            return false;
        const char *bar = sub.name.len > 0 ? memchr(sub.name.ptr, '|', sub.name.len) : NULL;
        if (bar == NULL)
            continue;
        struct bytes name = bytes_of(bar + 1, (size_t)(sub.name.ptr + sub.name.len - bar) - 1);
        if (!command_name_is_good(name))
            continue;
        subs[kept] = sub.row;
        subs[kept].name = copy_name(name);
        subs[kept].fn = choose(learner, &subs[kept], sub.flags);
        kept++;
    }
    return true;
}

/* Reads the tail of an entry: what Redis 7 has behind the six elements of old. */
static bool read_tail(struct learner *learner, struct walk *walk, size_t n, struct learned *out,
                      bool is_sub)
{
    if (n >= 1 && walk_skip(walk, 1, DEPTH_MAX) != WALK_OK) /* ACL categories */
        return false;
    if (n >= 2 && walk_skip(walk, 1, DEPTH_MAX) != WALK_OK) /* tips */
        return false;
    if (n >= 3 && !read_specs(walk, &out->row))
        return false;
    if (n >= 4 && !is_sub && !read_subs(learner, walk, out))
        return false;
    size_t rest = n > 4 ? n - 4 : 0;
    if (n >= 4 && is_sub)
        rest++;
    return rest == 0 || walk_skip(walk, rest, DEPTH_MAX) == WALK_OK;
}

static bool read_entry(struct learner *learner, struct walk *walk, struct learned *out, bool is_sub)
{
    struct walk_item item;
    memset(out, 0, sizeof(*out));
    if (!next(walk, &item) || item.n_items < 6)
        return false;
    size_t n_items = item.n_items;
    if (!next(walk, &item) || item.n_items > 0)
        return false;
    out->name = item.text;
    return next_int(walk, &out->row.arity) && next_flags(walk, &out->flags) &&
           next_int(walk, &out->row.first) && next_int(walk, &out->row.last) &&
           next_int(walk, &out->row.step) && read_tail(learner, walk, n_items - 6, out, is_sub);
}

/* Taking over */

static void set_specs(struct command *row, const struct command *by)
{
    memcpy(row->specs, by->specs, sizeof(row->specs));
    row->n_specs = by->n_specs;
}

/* Makes a learned row what it is now. */
static void describe(struct command *row, const struct command *by)
{
    row->fn = by->fn;
    row->arity = by->arity;
    row->flags = by->flags;
    row->first = by->first;
    row->last = by->last;
    row->step = by->step;
    set_specs(row, by);
}

static struct command *find_learned(struct command *subs, const char *name)
{
    while (subs != NULL) {
        for (; subs->name != NULL; subs++)
            if (strcmp(subs->name, name) == 0)
                return subs;
        subs = subs->learned_subs;
    }
    return NULL;
}

/* Where the next array of subcommands goes; `*n` is how many there are before it. */
static struct command **end_of_learned(struct command *row, size_t *n)
{
    struct command **end = &row->learned_subs;
    *n = 0;
    while (*end != NULL) {
        struct command *sub = *end;
        for (; sub->name != NULL; sub++)
            ++*n;
        end = &sub->learned_subs;
    }
    return end;
}

/* Takes over an entry's subcommands (NULL allowed). Known ones are described anew where they are; new ones stay where they have
 * been read, which becomes the array behind the others. */
static void take_subs(struct command *row, struct command *subs)
{
    size_t n;
    struct command **end = end_of_learned(row, &n);
    size_t kept = 0;
    for (size_t i = 0; subs != NULL && subs[i].name != NULL; i++) {
        struct command *known = find_learned(row->learned_subs, subs[i].name);
        if (known == NULL && n + kept < COMMAND_SUBS_MAX) {
            subs[kept] = subs[i];
            subs[kept++].stats = mem_zalloc(sizeof(struct command_stats));
            continue;
        }
        if (known != NULL)
            describe(known, &subs[i]);
        command_name_free(&subs[i]);
    }
    if (kept == 0) {
        mem_free(subs);
        return;
    }
    memset(&subs[kept], 0, sizeof(*subs));
    *end = subs;
}

/* The words of HTTP, which Redis 6 lists: who says them is closed, and so would be the link. */
static bool is_http(struct bytes name)
{
    return bytes_is(name, "post") || bytes_is(name, "host:");
}

static void take_entry(struct learner *learner, struct learned *in)
{
    struct command *row = is_http(in->name) ? NULL : command_table_insert(learner->table, in->name);
    if (row == NULL) {
        command_rows_destroy(in->subs, true);
        return;
    }
    bool is_own = row->name != NULL && !(row->flags & COMMAND_LEARNED);
    if (row->name == NULL)
        row->name = copy_name(in->name);
    take_subs(row, in->subs);
    learner->n++;
    if (is_own) {
        row->flags |= in->flags & COMMAND_MOVABLE;
        if (in->row.n_specs > 0)
            set_specs(row, &in->row);
        return;
    }
    in->row.fn = choose(learner, &in->row, in->flags);
    describe(row, &in->row);
}

/* Gives the rows of command_table_serve their functions. */
static void set_served(struct command_table *table)
{
    for (const struct command_served *served = table->served;
         served != NULL && served->name != NULL; served++) {
        struct bytes name = bytes_of_str(served->name);
        if (command_table_find(table, name) == NULL)
            continue;
        struct command *row = command_table_insert(table, name);
        bool is_read =
            (row->flags & COMMAND_LEARNED) && (row->flags & COMMAND_READONLY) && row->first == 1;
        if (!is_read || (served->unless != NULL &&
                         command_table_find(table, bytes_of_str(served->unless)) != NULL))
            continue;
        row->fn = served->fn;
        row->flags |= COMMAND_CACHED | COMMAND_REPLIES;
    }
}

size_t command_table_learn(struct command_table *table, struct bytes reply, command_fn *read_fn,
                           command_fn *write_fn)
{
    struct learner learner = {table, read_fn, write_fn, 0};
    struct walk walk = walk_over(reply.ptr, reply.len);
    struct walk_item item;
    if (!next(&walk, &item) || item.type != WALK_ARRAY)
        return 0;
    for (size_t n = item.n_items; n > 0; n--) {
        struct learned entry;
        if (!read_entry(&learner, &walk, &entry, false)) {
            command_rows_destroy(entry.subs, true);
            break;
        }
        take_entry(&learner, &entry);
    }
    set_served(table);
    return learner.n;
}
