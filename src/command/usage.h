/* Reads the usage text of a command's row ("key value [NX | XX] [EX seconds]") into the tree of
 * arguments that COMMAND DOCS shows, so that clients can draw hints from it.
 *
 *     word              an argument                 [ ... ]   optional
 *     WORD arg ...      arguments behind a token    < a | b > one of
 *     x [x ...]         x, once or more
 *
 * The syntax is that of Redis's own documentation. Must not know: replies, commands. */
#ifndef LARDER_COMMAND_USAGE_H
#define LARDER_COMMAND_USAGE_H

#include "base/bytes.h"

/* Arguments of one command, groups included. The longest of Redis 7.0, GEOSEARCHSTORE, has 30. */
#define USAGE_NODES_MAX 96

enum usage_type {
    USAGE_STRING,
    USAGE_INTEGER,
    USAGE_KEY,
    USAGE_PATTERN,
    USAGE_PURE_TOKEN,
    USAGE_ONEOF,
    USAGE_BLOCK
};

struct usage_node {
    enum usage_type type;
    struct bytes name;  /* of a single argument; empty for groups and tokens */
    struct bytes token; /* empty: none */
    bool optional;
    bool multiple;
    bool multiple_token; /* the token is repeated, too */
    int first;           /* child of a group; -1: none */
    int next;            /* sibling; -1: none */
};

struct usage {
    struct usage_node nodes[USAGE_NODES_MAX];
    int n_nodes;
    int first; /* top-level argument; -1: none */
};

/* Parses `text`, which the nodes' slices borrow. Returns false when it isn't well-formed or too
 * long. */
bool usage_parse(struct usage *usage, const char *text) __attribute__((warn_unused_result));

#endif
