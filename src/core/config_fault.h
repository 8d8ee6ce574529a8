/* What is wrong with the value of a directive, as text.
 *
 * Both functions append to `out`, and show no secret. */
#ifndef LARDER_CORE_CONFIG_FAULT_H
#define LARDER_CORE_CONFIG_FAULT_H

#include "base/buf.h"
#include "core/config_value.h"

/* For one who reads it at start: "12x" is not a size (bytes, or with kb mb gb). */
void config_fault_explain(const struct config_row *row, const struct config_fault *fault,
                          struct buf *out);

/* For CONFIG SET, in Redis 7.0's words: argument must be a memory value. */
void config_fault_reply(const struct config_row *row, const struct config_fault *fault,
                        struct buf *out);

#endif
