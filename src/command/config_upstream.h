/* CONFIG in front of an upstream: parameters that larder doesn't have are L2's. */
#ifndef LARDER_COMMAND_CONFIG_UPSTREAM_H
#define LARDER_COMMAND_CONFIG_UPSTREAM_H

#include "core/larder.h"

/* Answers CONFIG GET later with larder's directives that its patterns match, and those of L2 that
 * larder doesn't have. Without an answer of L2 within a second, with larder's alone. Passwords of
 * L2 are shown as "***". */
void config_upstream_get(struct call *call);

/* Answers later a CONFIG SET of parameters of both: larder's are checked, L2 sets its own, and then larder's are set. Only what fails
 * when it is applied (a port that is taken) leaves L2 with the new values. */
void config_upstream_set(struct call *call);

#endif
