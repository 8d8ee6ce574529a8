/* COMMAND from the table: all of it when larder is alone or L2 can't be asked, or only larder's
 * extensions to what L2 says. */
#include "command/introspect.h"

#include "base/glob.h"

#include <stdio.h>

bool introspect_is_extension(const struct command *row)
{
    return row->group != NULL && strcmp(row->group, "larder") == 0;
}

bool introspect_is_served(const struct larder *larder, const struct command *row)
{
    return larder->link != NULL || row->alone != NULL || (row->flags & COMMAND_LOCAL);
}

static const struct command *find_sub(const struct command *subs, struct bytes name)
{
    for (; subs != NULL && subs->name != NULL; subs++)
        if (bytes_is(name, subs->name))
            return subs;
    return NULL;
}

const struct command *introspect_find(const struct larder *larder, struct bytes name,
                                      const struct command **parent)
{
    const char *bar = name.len > 0 ? memchr(name.ptr, '|', name.len) : NULL;
    struct bytes first = bar != NULL ? bytes_of(name.ptr, (size_t)(bar - name.ptr)) : name;
    const struct command *row = command_table_find(larder->commands, first);
    *parent = NULL;
    if (row == NULL || bar == NULL)
        return row;
    *parent = row;
    struct bytes second = bytes_of(bar + 1, name.len - first.len - 1);
    const struct command *sub = find_sub(row->subs, second);
    return sub != NULL ? sub : find_sub(row->learned_subs, second);
}

/* A walk over the rows that a query is about. */
struct answering {
    struct reply *reply; /* NULL: count only */
    const struct larder *larder;
    const struct introspect_query *query;
    bool extensions_only;
    size_t n;
};

static bool passes_filter(const struct introspect_query *query, const struct command *row,
                          const struct command *parent)
{
    char name[2 * COMMAND_NAME_MAX + 2];
    switch (query->filter) {
    case INTROSPECT_NO_FILTER: return true;
    case INTROSPECT_MODULE: /* larder has none, and doesn't know which commands of L2 are of one */
        return false;
    case INTROSPECT_CATEGORY: return introspect_in_category(row, query->filter_by);
    case INTROSPECT_PATTERN: break;
    }
    snprintf(name, sizeof(name), "%s%s%s", parent != NULL ? parent->name : "",
             parent != NULL ? "|" : "", row->name);
    return glob_match(query->filter_by, bytes_of_str(name), true);
}

static void visit(void *ctx, const struct command *row, const struct command *parent)
{
    struct answering *answering = ctx;
    const struct introspect_query *query = answering->query;
    if (answering->extensions_only && !introspect_is_extension(row))
        return;
    if (!introspect_is_served(answering->larder, row))
        return;
    /* Learned rows have no documentation. */
    if (query->form == INTROSPECT_DOCS && row->summary == NULL)
        return;
    if (query->form == INTROSPECT_LIST ? !passes_filter(query, row, parent) : parent != NULL)
        return;
    answering->n++;
    if (answering->reply == NULL || query->form == INTROSPECT_COUNT)
        return;
    if (query->form != INTROSPECT_ALL)
        introspect_write_name(answering->reply, row, parent);
    if (query->form == INTROSPECT_ALL)
        introspect_write_entry(answering->reply, row, parent);
    else if (query->form == INTROSPECT_DOCS)
        introspect_write_docs(answering->reply, row);
}

/* Writes all rows (without a reply: counts them). Returns how many. */
static size_t answer_all(struct reply *reply, const struct larder *larder,
                         const struct introspect_query *query, bool extensions_only)
{
    struct answering answering = {reply, larder, query, extensions_only, 0};
    command_table_each(larder->commands, visit, &answering);
    return answering.n;
}

/* The row of a name that DOCS or INFO asks for, or NULL. */
static const struct command *asked_row(const struct larder *larder, struct bytes name,
                                       bool extensions_only, bool needs_docs,
                                       const struct command **parent)
{
    const struct command *row = introspect_find(larder, name, parent);
    if (row == NULL || !introspect_is_served(larder, row) ||
        (extensions_only && !introspect_is_extension(row)))
        return NULL;
    return needs_docs && row->summary == NULL ? NULL : row;
}

static size_t answer_docs(struct reply *reply, const struct larder *larder,
                          const struct introspect_query *query, bool extensions_only)
{
    size_t n = 0;
    for (size_t i = 0; i < query->n_names; i++) {
        const struct command *parent;
        const struct command *row =
            asked_row(larder, query->names[i], extensions_only, true, &parent);
        if (row == NULL)
            continue;
        n++;
        if (reply == NULL)
            continue;
        introspect_write_name(reply, row, parent);
        introspect_write_docs(reply, row);
    }
    return n;
}

static void answer_info(struct reply *reply, const struct larder *larder,
                        const struct introspect_query *query)
{
    reply_array(reply, query->n_names);
    for (size_t i = 0; i < query->n_names; i++) {
        const struct command *parent;
        const struct command *row = asked_row(larder, query->names[i], false, false, &parent);
        if (row == NULL)
            reply_null(reply);
        else
            introspect_write_entry(reply, row, parent);
    }
}

size_t introspect_answer(struct reply *reply, const struct larder *larder,
                         const struct introspect_query *query, bool extensions_only)
{
    bool is_named_docs = query->form == INTROSPECT_DOCS && query->n_names > 0;
    if (query->form == INTROSPECT_INFO) {
        answer_info(reply, larder, query);
        return query->n_names;
    }
    size_t n = is_named_docs ? answer_docs(NULL, larder, query, extensions_only)
                             : answer_all(NULL, larder, query, extensions_only);
    if (!extensions_only && query->form == INTROSPECT_COUNT)
        reply_int(reply, (int64_t)n);
    else if (!extensions_only && query->form == INTROSPECT_DOCS)
        reply_map(reply, n);
    else if (!extensions_only)
        reply_array(reply, n);
    if (query->form == INTROSPECT_COUNT)
        return n;
    return is_named_docs ? answer_docs(reply, larder, query, extensions_only)
                         : answer_all(reply, larder, query, extensions_only);
}
