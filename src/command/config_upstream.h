/* CONFIG in front of an upstream: parameters that larder doesn't have are L2's. */
#ifndef LARDER_COMMAND_CONFIG_UPSTREAM_H
#define LARDER_COMMAND_CONFIG_UPSTREAM_H

#include "core/larder.h"

/* Answers CONFIG GET later with larder's directives that its patterns match, and those of L2 that
 * larder doesn't have. Without an answer of L2 within a second, with larder's alone. Passwords of
 * L2 are shown as "***". */
void config_upstream_get(struct call *call);

/* Refuses later a CONFIG SET that names parameters of larder and others, of which argv[at] is the
 * first: with Redis's error when L2 doesn't know that either, else because they can't be set in one
 * call. */
void config_upstream_refuse(struct call *call, size_t at);

#endif
