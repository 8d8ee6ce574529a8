/* Making a change of the configuration felt (CONFIG SET). */
#include "core/larder.h"
#include "core/tracking.h"
#include "server/listen.h"
#include "server/options.h"
#include "upstream/pinned.h"

#include <stdio.h>

static bool apply_log(const struct config *config, char *error, size_t size)
{
    int result = log_open(config->logfile);
    if (result < 0) {
        snprintf(error, size, "can't open the log file: %s", strerror(-result));
        return false;
    }
    log_set_level(config->loglevel);
    return true;
}

static void apply_store(struct larder *larder, const struct config *config)
{
    struct store_options store_options;
    struct tier_options tier_options;
    config_store_options(config, &store_options);
    options_tier(config, &tier_options);
    store_options.n_dbs = store_get_options(larder->store)->n_dbs;
    store_configure(larder->store, &store_options);
    tier_configure(larder->tier, &tier_options);
}

bool larder_apply_config(void *ctx, uint32_t groups, char *error, size_t size)
{
    struct larder *larder = ctx;
    const struct config *config = &larder->config;
    if ((groups & CONFIG_LOG) && !apply_log(config, error, size))
        return false;
    if (groups & CONFIG_LISTEN) {
        listen_close(larder);
        if (!listen_open(larder, config, error, size))
            return false;
    }
    /* l1-enabled and coherence decide whether the link tracks: before L1 takes its first fill. */
    if ((groups & (CONFIG_UPSTREAM | CONFIG_STORE)) && larder->link != NULL) {
        struct link_options options = {0};
        options_link_settings(config, &options);
        link_configure(larder->link, &options);
        options_link_settings(config, &options);
        pinned_pool_configure(larder->pinned, &options, (size_t)config->upstream_pinned_max);
        pubsub_configure(larder->pubsub);
        tracking_configure(larder->tracking);
        struct touch_options touch_options;
        options_touch(config, &touch_options);
        touch_configure(larder->touch, &touch_options);
    }
    /* What is answered when L2 fails, and how often a fetch is sent again, is the tier's, too. */
    if (groups & (CONFIG_STORE | CONFIG_UPSTREAM))
        apply_store(larder, config);
    return true;
}
