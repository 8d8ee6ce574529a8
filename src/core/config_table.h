/* The table of directives: one row gives name, type, default, bounds, unit, flags, group, section
 * and description, and feeds defaults, file, command line, CONFIG GET/SET/REWRITE, --help,
 * larder.conf and doc/configuration.md.
 *
 * Immutable. Must not know: how values are parsed or shown (config_value.h). */
#ifndef LARDER_CORE_CONFIG_TABLE_H
#define LARDER_CORE_CONFIG_TABLE_H

#include "core/config.h"

enum config_type {
    CONFIG_BOOL,         /* yes or no */
    CONFIG_INTEGER,      /* decimal */
    CONFIG_OCTAL,        /* mode bits */
    CONFIG_MEMORY,       /* bytes, with k kb m mb g gb */
    CONFIG_CHOICE,       /* one name of row->choices */
    CONFIG_TEXT,         /* one string */
    CONFIG_ADDRESSES,    /* several addresses to listen on */
    CONFIG_PREFIXES,     /* several prefixes of keys, none of which begins with another one */
    CONFIG_OUTPUT_LIMIT, /* class hard soft seconds, repeated; other classes keep their limits */
    CONFIG_DECIMAL,      /* digits with a point or none */
    CONFIG_POLICIES,     /* prefix name=value ..., one prefix a line; other prefixes keep theirs */
    CONFIG_FIXED         /* no field: reported to tools that ask; only its own value is accepted */
};

enum config_flag {
    CONFIG_IMMUTABLE = 1 << 0, /* not by CONFIG SET */
    CONFIG_SECRET = 1 << 1,    /* shown nowhere */
    CONFIG_URL = 1 << 2,       /* shown without its password */
    CONFIG_UNKNOWN = 1 << 3    /* not Redis's: immutable, CONFIG SET takes the value that it has */
};

enum config_section {
    CONFIG_SECTION_NETWORK,
    CONFIG_SECTION_LIMITS,
    CONFIG_SECTION_L1,
    CONFIG_SECTION_POLICY,
    CONFIG_SECTION_L2,
    CONFIG_SECTION_WARMING,
    CONFIG_SECTION_OPERATION,
    CONFIG_SECTION_COMPATIBILITY, /* in no document's list of directives */
    CONFIG_SECTIONS
};

struct config_choice {
    const char *name;
    int value;
};

struct config_row {
    const char *name;
    enum config_type type;
    enum config_section section;
    enum config_group group;
    unsigned flags;       /* enum config_flag */
    size_t offset;        /* of the field in struct config */
    size_t size;          /* of the field */
    const char *standard; /* the default, as in larder.conf behind the name */
    int64_t min;          /* both for numbers only */
    int64_t max;
    const char *unit; /* "s", "ms"; NULL where there is none or the type says it */
    const struct config_choice *choices; /* ends with a NULL name; NULL for other types */
    const char *text;                    /* one sentence */
};

/* At least as many as there are rows. */
#define CONFIG_ROWS_MAX 96

/* All rows, by section, in the order of larder.conf. Borrowed for ever. */
const struct config_row *config_table(size_t *n_rows);

/* The row of a name (any case), or NULL. */
const struct config_row *config_table_find(struct bytes name);

/* The row whose name is so near that it may be what was meant, or NULL. */
const struct config_row *config_table_nearest(struct bytes name);

/* The heading of a section. */
const char *config_table_section(enum config_section section);

/* The place of a row's value. */
static inline void *config_table_field(struct config *config, const struct config_row *row)
{
    return (char *)config + row->offset;
}

static inline const void *config_table_field_const(const struct config *config,
                                                   const struct config_row *row)
{
    return (const char *)config + row->offset;
}

#endif
