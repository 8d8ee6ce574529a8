/* What the files of COMMAND share: which rows are larder's own extensions, and writing a row as
 * COMMAND and COMMAND DOCS do. */
#ifndef LARDER_COMMAND_INTROSPECT_H
#define LARDER_COMMAND_INTROSPECT_H

#include "core/larder.h"

/* True for rows that L2 has nothing like (CACHE, UPSTREAM): group "larder". */
bool introspect_is_extension(const struct command *row);

/* True when the row can be called here: always in front of an L2, without one only what larder
 * serves itself. */
bool introspect_is_served(const struct larder *larder, const struct command *row);

/* A row by its full name ("get", "cache|stats", any case); *parent is its container or NULL. NULL:
 * unknown. */
const struct command *introspect_find(const struct larder *larder, struct bytes name,
                                      const struct command **parent);

/* introspect_row.c: a row in the form of COMMAND and COMMAND INFO (an array of ten), and of COMMAND
 * DOCS (a map). */
void introspect_write_entry(struct reply *reply, const struct command *row,
                            const struct command *parent);
void introspect_write_docs(struct reply *reply, const struct command *row);

/* "name" or "container|name" as a bulk string. */
void introspect_write_name(struct reply *reply, const struct command *row,
                           const struct command *parent);

/* True when the row is in an ACL category ("read", without the @). */
bool introspect_in_category(const struct command *row, struct bytes category);

/* What COMMAND and its subcommands are asked. */
enum introspect_form {
    INTROSPECT_ALL,   /* COMMAND, COMMAND INFO */
    INTROSPECT_INFO,  /* COMMAND INFO name ... */
    INTROSPECT_DOCS,  /* COMMAND DOCS [name ...] */
    INTROSPECT_LIST,  /* COMMAND LIST [FILTERBY ...] */
    INTROSPECT_COUNT, /* COMMAND COUNT */
};

struct introspect_query {
    enum introspect_form form;
    const struct bytes *names; /* of INFO and DOCS */
    size_t n_names;            /* 0: all commands */
    enum {
        INTROSPECT_NO_FILTER,
        INTROSPECT_MODULE,
        INTROSPECT_CATEGORY,
        INTROSPECT_PATTERN
    } filter; /* of LIST */
    struct bytes filter_by;
};

/* introspect_table.c: answers from the table alone. With `extensions_only` it writes only the
 * elements of larder's extensions, without the aggregate's header, and returns how many (pairs, for
 * DOCS); for INFO, not used so. */
size_t introspect_answer(struct reply *reply, const struct larder *larder,
                         const struct introspect_query *query, bool extensions_only);

/* introspect_merge.c: asks L2 and adds the extensions to what it says. */
void introspect_ask(struct call *call, const struct introspect_query *query);

#endif
