/* The directive `policy`: a table of policies by key prefix (tier/policy.h) as a value of the
 * configuration. Each line sets one prefix's; further lines of a prefix add to it.
 *
 *     policy PREFIX name=value [name=value ...]
 *     policy ""                                    drops those of the lines before
 *
 * Must not know: where the words come from, which table is in force. */
#ifndef LARDER_CORE_CONFIG_POLICY_H
#define LARDER_CORE_CONFIG_POLICY_H

#include "base/buf.h"
#include "tier/policy.h"

/* The prefix that the words behind the directive's name are for. One word is taken for a whole line
 * (--policy "PREFIX name=value") and cut, into `text`. False when there is none; else `*prefix` is
 * borrowed from the words or from `text`. */
bool config_policy_prefix(const struct bytes *words, size_t n_words, struct buf *text,
                          struct bytes *prefix) __attribute__((warn_unused_result));

/* Adds what the words behind the directive's name say to a table; one word is cut as above. Returns
 * false with what is wrong in `err`; the table is then as it was. */
bool config_policy_add(struct policy_table *table, const struct bytes *words, size_t n_words,
                       char *err, size_t size) __attribute__((warn_unused_result));

/* Appends the i-th prefix with its words as a line has them, quoted where that needs be; `""` where
 * there is no i-th. Aborts without memory. */
void config_policy_line(const struct policy_table *table, size_t i, struct buf *out);

/* Appends all lines, with line breaks between them. Aborts without memory. */
void config_policy_lines(const struct policy_table *table, struct buf *out);

/* True when two tables have the same prefixes with the same words. */
bool config_policy_equal(const struct policy_table *a, const struct policy_table *b);

#endif
