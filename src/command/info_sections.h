/* The sections of INFO, as text; for info.c. */
#ifndef LARDER_COMMAND_INFO_SECTIONS_H
#define LARDER_COMMAND_INFO_SECTIONS_H

#include "core/stats_table.h"

/* What is being written. */
struct info_text {
    const struct larder *larder;
    struct stats_snapshot stats;
    struct buf text;
    bool failed; /* no memory */
};

struct info_section {
    const char *name;                      /* as in "INFO name", any case */
    const char *alias;                     /* another name, or NULL */
    bool is_default;                       /* without a name, or by "default" */
    void (*write)(struct info_text *info); /* heading and lines */
};

/* All sections in the order in which they are shown; the last one is the keyspace. */
const struct info_section *info_sections(size_t *n);

/* Writes the keyspace: its heading, and L1's databases when there is no L2. */
void info_sections_keyspace(struct info_text *info);

#endif
