/* Values of directives as text: for CONFIG GET, for a file, for a message.
 *
 * All functions append to `out`, and abort when there is no memory (texts are small, see
 * CONFIG_TEXT_MAX). */
#ifndef LARDER_CORE_CONFIG_FORMAT_H
#define LARDER_CORE_CONFIG_FORMAT_H

#include "base/buf.h"
#include "core/config_value.h"

/* A value as CONFIG GET shows it: a set secret as "***", a URL without its password. */
void config_format_value(const struct config_row *row, const union config_value *value,
                         struct buf *out);

/* A value as it stands behind the name in a file, secrets included: texts quoted, sizes with the
 * largest unit that divides them. Of an output limit the class `part`, of policies that prefix
 * (each stands in a line of its own); ignored for other types. */
void config_format_file(const struct config_row *row, const union config_value *value,
                        unsigned part, struct buf *out);

/* `size` bytes with the largest unit that divides them: "64mb". */
void config_format_size(int64_t size, struct buf *out);

/* A number as people write it for this row: a size, octal or decimal. */
void config_format_number(const struct config_row *row, int64_t number, struct buf *out);

/* Text in double quotes, escaped as by Redis's sdscatrepr. */
void config_format_quoted(struct bytes text, struct buf *out);

/* Input for people: quoted, escaped, cut, without what looks like the password of a URL. Not for a
 * secret's value. */
void config_format_shown(struct bytes text, struct buf *out);

/* A URL without its password: "redis://user@host" for "redis://user:password@host". */
void config_format_masked(struct bytes url, struct buf *out);

/* Appending, which aborts when there is no memory. */
void config_format_text(struct bytes text, struct buf *out);
void config_format_print(struct buf *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
