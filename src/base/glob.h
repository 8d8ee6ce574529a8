/* Glob-style matching as Redis's stringmatchlen: `*`, `?`, `[a-z]`, `[^a]`, backslash escapes; in time linear in
 * pattern times text (no exponential blow-up on patterns such as a*a*a*b). */
#ifndef LARDER_BASE_GLOB_H
#define LARDER_BASE_GLOB_H

#include "base/bytes.h"

/* True when the whole `text` matches `pattern`; ASCII case is ignored when `nocase`. */
bool glob_match(struct bytes pattern, struct bytes text, bool nocase);

#endif
