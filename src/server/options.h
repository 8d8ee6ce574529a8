/* What of the configuration each layer gets to know. */
#ifndef LARDER_SERVER_OPTIONS_H
#define LARDER_SERVER_OPTIONS_H

#include "core/config.h"
#include "tier/tier.h"
#include "tier/touch.h"
#include "tier/warm.h"

void options_tier(const struct config *config, struct tier_options *options);

/* All of a link but its address: times, limits, tracking and its prefixes, credentials (owned by the options). */
void options_link_settings(const struct config *config, struct link_options *options);

/* All of a link: parses `upstream`. On failure writes why (without a secret) and returns false. */
bool options_link(const struct config *config, struct link_options *options, char *error,
                  size_t size);

/* The default policy: what the directives of that section say. Prefixes are in config->policies. */
void options_policy(const struct config *config, struct policy *policy);

void options_warm(const struct config *config, struct warm_options *options);

void options_touch(const struct config *config, struct touch_options *options);

#endif
