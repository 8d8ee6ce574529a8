/* What the table of directives looks like on paper: --help, larder.conf, the tables of
 * doc/configuration.md.
 *
 * Knows the table only: what it prints does not depend on any configuration. All functions append
 * to `out`, and abort when there is no memory. */
#ifndef LARDER_CORE_CONFIG_PRINT_H
#define LARDER_CORE_CONFIG_PRINT_H

#include "base/buf.h"

/* The text of --help. */
void config_print_help(struct buf *out);

/* larder.conf: every directive with its description, bounds and default. */
void config_print_conf(struct buf *out);

/* One section with a table for each section of directives. */
void config_print_markdown(struct buf *out);

#endif
