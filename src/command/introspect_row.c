/* A row as COMMAND and COMMAND DOCS of Redis 7.0 describe a command. */
#include "command/introspect.h"

#include "command/usage.h"

/* A name for a bit. */
struct named_flag {
    unsigned flag;
    const char *name;
};

/* Writes the names of the flags that are set, as a set of statuses. */
static void write_flags(struct reply *reply, const struct named_flag *named, size_t n,
                        unsigned flags)
{
    size_t n_set = 0;
    for (size_t i = 0; i < n; i++)
        n_set += (flags & named[i].flag) != 0;
    reply_set(reply, n_set);
    for (size_t i = 0; i < n; i++)
        if (flags & named[i].flag)
            reply_status(reply, named[i].name);
}

static void write_command_flags(struct reply *reply, const struct command *row)
{
    static const struct named_flag named[] = {
        {COMMAND_WRITE, "write"},       {COMMAND_READONLY, "readonly"},
        {COMMAND_DENYOOM, "denyoom"},   {COMMAND_ADMIN, "admin"},
        {COMMAND_PUBSUB, "pubsub"},     {COMMAND_NOSCRIPT, "noscript"},
        {COMMAND_BLOCKING, "blocking"}, {COMMAND_FAST, "fast"},
        {COMMAND_NO_AUTH, "no_auth"},   {COMMAND_MOVABLE, "movablekeys"},
    };
    write_flags(reply, named, sizeof(named) / sizeof(named[0]), row->flags);
}

/* ACL categories: those that follow from flags, and the group's. */

struct category {
    const char *name;
    const char *group; /* of a row, or NULL: by flags */
    unsigned flags;    /* any of them */
};

static const struct category categories[] = {
    {"keyspace", "generic", 0},
    {"string", "string", 0},
    {"list", "list", 0},
    {"set", "set", 0},
    {"sortedset", "sorted-set", 0},
    {"hash", "hash", 0},
    {"bitmap", "bitmap", 0},
    {"hyperloglog", "hyperloglog", 0},
    {"geo", "geo", 0},
    {"stream", "stream", 0},
    {"pubsub", "pubsub", COMMAND_PUBSUB},
    {"transaction", "transactions", 0},
    {"scripting", "scripting", 0},
    {"connection", "connection", 0},
    {"write", NULL, COMMAND_WRITE},
    {"read", NULL, COMMAND_READONLY},
    {"admin", NULL, COMMAND_ADMIN},
    {"dangerous", NULL, COMMAND_ADMIN},
    {"blocking", NULL, COMMAND_BLOCKING},
    {"fast", NULL, COMMAND_FAST},
};

static bool is_in(const struct command *row, const struct category *category)
{
    if (row->flags & category->flags)
        return true;
    return category->group != NULL && row->group != NULL &&
           strcmp(category->group, row->group) == 0;
}

#define N_CATEGORIES (sizeof(categories) / sizeof(categories[0]))

bool introspect_in_category(const struct command *row, struct bytes name)
{
    for (size_t i = 0; i < N_CATEGORIES; i++)
        if (bytes_is(name, categories[i].name))
            return is_in(row, &categories[i]);
    return bytes_is(name, "slow") && !(row->flags & COMMAND_FAST);
}

static void write_categories(struct reply *reply, const struct command *row)
{
    size_t n = !(row->flags & COMMAND_FAST);
    for (size_t i = 0; i < N_CATEGORIES; i++)
        n += is_in(row, &categories[i]);
    reply_set(reply, n);
    char name[32] = "@";
    for (size_t i = 0; i < N_CATEGORIES; i++) {
        if (!is_in(row, &categories[i]))
            continue;
        strcpy(name + 1, categories[i].name);
        reply_status(reply, name);
    }
    if (!(row->flags & COMMAND_FAST))
        reply_status(reply, "@slow");
}

/* Key specifications */

static void write_int_field(struct reply *reply, const char *name, int value)
{
    reply_bulk_str(reply, name);
    reply_int(reply, value);
}

/* {type: ..., spec: {n fields follow}} */
static void write_search(struct reply *reply, const char *type, size_t n_fields)
{
    reply_map(reply, 2);
    reply_bulk_str(reply, "type");
    reply_bulk_str(reply, type);
    reply_bulk_str(reply, "spec");
    reply_map(reply, n_fields);
}

static void write_begin(struct reply *reply, const struct key_spec *spec)
{
    switch (spec->begin) {
    case KEY_BEGIN_INDEX:
        write_search(reply, "index", 1);
        write_int_field(reply, "index", spec->begin_index);
        break;
    case KEY_BEGIN_KEYWORD:
        write_search(reply, "keyword", 2);
        reply_bulk_str(reply, "keyword");
        reply_bulk_str(reply, spec->keyword);
        write_int_field(reply, "startfrom", spec->begin_index);
        break;
    case KEY_BEGIN_UNKNOWN: write_search(reply, "unknown", 0); break;
    }
}

static void write_find(struct reply *reply, const struct key_spec *spec)
{
    switch (spec->find) {
    case KEY_FIND_RANGE:
        write_search(reply, "range", 3);
        write_int_field(reply, "lastkey", spec->last);
        write_int_field(reply, "keystep", spec->step);
        write_int_field(reply, "limit", spec->limit);
        break;
    case KEY_FIND_KEYNUM:
        write_search(reply, "keynum", 3);
        write_int_field(reply, "keynumidx", spec->keynum_index);
        write_int_field(reply, "firstkey", spec->first_key);
        write_int_field(reply, "keystep", spec->keystep);
        break;
    case KEY_FIND_UNKNOWN: write_search(reply, "unknown", 0); break;
    }
}

static void write_spec(struct reply *reply, const struct key_spec *spec)
{
    reply_map(reply, 3);
    reply_bulk_str(reply, "flags");
    reply_set(reply, spec->incomplete ? 3 : 2);
    reply_status(reply, spec->writes ? "RW" : "RO");
    reply_status(reply, spec->writes ? "update" : "access");
    if (spec->incomplete)
        reply_status(reply, "incomplete");
    reply_bulk_str(reply, "begin_search");
    write_begin(reply, spec);
    reply_bulk_str(reply, "find_keys");
    write_find(reply, spec);
}

static void write_specs(struct reply *reply, const struct command *row)
{
    if (row->n_specs > 0) {
        reply_set(reply, row->n_specs);
        for (unsigned i = 0; i < row->n_specs; i++)
            write_spec(reply, &row->specs[i]);
        return;
    }
    reply_set(reply, row->first > 0 ? 1 : 0);
    if (row->first <= 0)
        return;
    struct key_spec spec = {
        .begin = KEY_BEGIN_INDEX,
        .begin_index = row->first,
        .find = KEY_FIND_RANGE,
        .last = row->last < 0 ? row->last : row->last - row->first,
        .step = row->step,
        .writes = (row->flags & COMMAND_WRITE) != 0,
    };
    write_spec(reply, &spec);
}

/* Entries */

static size_t count_subs(const struct command *row)
{
    size_t n = 0;
    for (const struct command *sub = row->subs; sub != NULL && sub->name != NULL; sub++)
        n++;
    return n;
}

void introspect_write_name(struct reply *reply, const struct command *row,
                           const struct command *parent)
{
    if (parent != NULL)
        reply_bulk_printf(reply, "%s|%s", parent->name, row->name);
    else
        reply_bulk_str(reply, row->name);
}

/* An entry up to its subcommands. */
static void write_entry_head(struct reply *reply, const struct command *row,
                             const struct command *parent)
{
    reply_array(reply, 10);
    introspect_write_name(reply, row, parent);
    reply_int(reply, row->arity);
    write_command_flags(reply, row);
    reply_int(reply, row->first);
    reply_int(reply, row->last);
    reply_int(reply, row->step);
    write_categories(reply, row);
    reply_set(reply, 0); /* tips */
    write_specs(reply, row);
}

void introspect_write_entry(struct reply *reply, const struct command *row,
                            const struct command *parent)
{
    size_t n_subs = count_subs(row);
    write_entry_head(reply, row, parent);
    if (n_subs == 0) {
        reply_set(reply, 0);
        return;
    }
    reply_array(reply, n_subs);
    for (size_t i = 0; i < n_subs; i++) {
        write_entry_head(reply, &row->subs[i], row);
        reply_set(reply, 0);
    }
}

/* Documentation */

static const char *type_name(enum usage_type type)
{
    static const char *const names[] = {
        [USAGE_STRING] = "string",   [USAGE_INTEGER] = "integer", [USAGE_KEY] = "key",
        [USAGE_PATTERN] = "pattern", [USAGE_ONEOF] = "oneof",     [USAGE_PURE_TOKEN] = "pure-token",
        [USAGE_BLOCK] = "block"};
    return names[type];
}

static size_t count_siblings(const struct usage *usage, int first)
{
    size_t n = 0;
    for (int i = first; i >= 0; i = usage->nodes[i].next)
        n++;
    return n;
}

static void write_arguments(struct reply *reply, const struct usage *usage, int first);

/* Names of tokens and groups are their tokens in lower case, as in Redis, or what they are. */
static void write_argument_name(struct reply *reply, const struct usage_node *node)
{
    char name[64];
    if (node->name.len > 0) {
        reply_bulk(reply, node->name);
    } else if (node->token.len > 0) {
        size_t n = node->token.len < sizeof(name) ? node->token.len : sizeof(name);
        for (size_t i = 0; i < n; i++)
            name[i] = bytes_lower(node->token.ptr[i]);
        reply_bulk(reply, bytes_of(name, n));
    } else {
        reply_bulk_str(reply, node->type == USAGE_ONEOF ? "choice" : "group");
    }
}

static void write_argument(struct reply *reply, const struct usage *usage,
                           const struct usage_node *node)
{
    bool is_group = node->type == USAGE_ONEOF || node->type == USAGE_BLOCK;
    size_t n_flags = (size_t)node->optional + node->multiple + node->multiple_token;
    reply_map(reply, 2 + (size_t)(node->token.len > 0) + (n_flags > 0) + is_group);
    reply_bulk_str(reply, "name");
    write_argument_name(reply, node);
    reply_bulk_str(reply, "type");
    reply_bulk_str(reply, type_name(node->type));
    if (node->token.len > 0) {
        reply_bulk_str(reply, "token");
        reply_bulk(reply, node->token);
    }
    if (n_flags > 0) {
        reply_bulk_str(reply, "flags");
        reply_set(reply, n_flags);
        if (node->optional)
            reply_status(reply, "optional");
        if (node->multiple)
            reply_status(reply, "multiple");
        if (node->multiple_token)
            reply_status(reply, "multiple_token");
    }
    if (is_group) {
        reply_bulk_str(reply, "arguments");
        write_arguments(reply, usage, node->first);
    }
}

static void write_arguments(struct reply *reply, const struct usage *usage, int first)
{
    reply_array(reply, count_siblings(usage, first));
    for (int i = first; i >= 0; i = usage->nodes[i].next)
        write_argument(reply, usage, &usage->nodes[i]);
}

/* The map of a row, its subcommands left out when it is one itself. */
static void write_docs(struct reply *reply, const struct command *row, bool is_sub)
{
    struct usage usage;
    bool has_usage = row->args != NULL && row->args[0] != '\0' && usage_parse(&usage, row->args);
    size_t n_subs = is_sub ? 0 : count_subs(row);
    reply_map(reply,
              1 + (size_t)(row->summary != NULL) + (row->since != NULL) + has_usage + (n_subs > 0));
    if (row->summary != NULL) {
        reply_bulk_str(reply, "summary");
        reply_bulk_str(reply, row->summary);
    }
    if (row->since != NULL) {
        reply_bulk_str(reply, "since");
        reply_bulk_str(reply, row->since);
    }
    reply_bulk_str(reply, "group");
    reply_bulk_str(reply, row->group != NULL ? row->group : "module");
    if (has_usage) {
        reply_bulk_str(reply, "arguments");
        write_arguments(reply, &usage, usage.first);
    }
    if (n_subs > 0) {
        reply_bulk_str(reply, "subcommands");
        reply_map(reply, n_subs);
        for (size_t i = 0; i < n_subs; i++) {
            introspect_write_name(reply, &row->subs[i], row);
            write_docs(reply, &row->subs[i], true);
        }
    }
}

void introspect_write_docs(struct reply *reply, const struct command *row)
{
    write_docs(reply, row, false);
}
