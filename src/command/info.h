/* INFO, and the version that larder says it is. */
#ifndef LARDER_COMMAND_INFO_H
#define LARDER_COMMAND_INFO_H

#include "core/larder.h"

/* The version whose commands larder has when it is alone, and which it names while it doesn't know
 * L2's. */
#define INFO_REDIS_LEVEL "7.0.15"

/* The version that clients are told (HELLO, INFO): L2's, or INFO_REDIS_LEVEL. Borrowed as the
 * link. */
const char *info_redis_version(const struct larder *larder);

#endif
