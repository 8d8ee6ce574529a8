/* What of the configuration each layer gets to know; see options.h. */
#include "server/options.h"

#include "base/mem.h"
#include "core/config_secret.h"

#include <stdio.h>

/* Largest reply that is taken from L2: a bulk of proto-max-bulk-len with room for its frame, times two for replies of many. */
#define REPLY_FACTOR 2

/* How long a value may be answered stale under `upstream-fail-mode stale` where stale-if-error says nothing. */
#define FAIL_STALE_MS ((int64_t)3600 * 1000)

void options_tier(const struct config *config, struct tier_options *options)
{
    options->l1_enabled = config->l1_enabled;
    options_policy(config, &options->policy);
    if (config->upstream_fail_mode == CONFIG_FAIL_STALE && options->policy.sie_ms == 0)
        options->policy.sie_ms = FAIL_STALE_MS;
    options->fail_mode =
        config->upstream_fail_mode == CONFIG_FAIL_MISS ? TIER_FAIL_MISS : TIER_FAIL_ERROR;
    options->retry_percent = (unsigned)config->upstream_retry_budget;
    options->n_dbs = (unsigned)config->databases;
    options->max_variants = (unsigned)config->l1_max_variants;
}

static char *copy_unless_empty(const char *text)
{
    return text[0] != '\0' ? mem_strdup(text) : NULL;
}

static enum link_tracking tracking_of(const struct config *config)
{
    if (!config->l1_enabled)
        return LINK_TRACKING_NONE;
    switch (config->coherence) {
    case CONFIG_COHERENCE_BROADCAST: return LINK_TRACKING_BROADCAST;
    case CONFIG_COHERENCE_TRACKING: return LINK_TRACKING_KEYS;
    case CONFIG_COHERENCE_TTL: break;
    }
    return LINK_TRACKING_NONE;
}

static void copy_prefixes(const struct config_list *list, struct link_options *options)
{
    options->n_prefixes = list->n;
    options->prefixes = NULL;
    if (list->n == 0)
        return;
    options->prefixes = mem_alloc(list->n * sizeof(*options->prefixes));
    for (size_t i = 0; i < list->n; i++)
        options->prefixes[i] = mem_strdup(list->items[i]);
}

void options_link_settings(const struct config *config, struct link_options *options)
{
    options->username = copy_unless_empty(config->upstream_username);
    options->password = copy_unless_empty(config_secret_password(config));
    options->tracking = tracking_of(config);
    options->tracking_retry_ms = config->coherence_retry_interval_ms;
    copy_prefixes(&config->broadcast_prefix, options);
    options->timeout_ms = config->upstream_timeout_ms;
    options->connect_timeout_ms = config->upstream_connect_timeout_ms;
    options->ping_interval_ms = config->upstream_ping_interval_ms;
    options->backoff_min_ms = config->upstream_backoff_min_ms;
    options->backoff_max_ms = config->upstream_backoff_max_ms;
    options->breaker = (struct breaker_options){
        .failures = (unsigned)config->breaker_failures,
        .error_percent = (unsigned)config->breaker_error_rate,
        .wait_min_ms = config->upstream_backoff_min_ms,
        .wait_max_ms = config->upstream_backoff_max_ms,
    };
    options->max_inflight = (size_t)config->upstream_max_inflight;
    options->max_reply_bytes = (size_t)config->proto_max_bulk_len_bytes * REPLY_FACTOR;
}

bool options_link(const struct config *config, struct link_options *options, char *error,
                  size_t size)
{
    memset(options, 0, sizeof(*options));
    if (!address_parse(&options->address, config->upstream, error, size))
        return false;
    if (options->address.db >= config->databases) {
        snprintf(error, size, "database %u is beyond the %lld of `databases`", options->address.db,
                 (long long)config->databases);
        address_deinit(&options->address);
        return false;
    }
    options_link_settings(config, options);
    return true;
}

void options_policy(const struct config *config, struct policy *policy)
{
    *policy = (struct policy){
        .mode = POLICY_CACHE,
        .ttl_ms = config->l1_ttl_s * 1000,
        .ttl_jitter = (unsigned)config->l1_ttl_jitter_percent,
        .negative_ttl_ms = config->l1_negative_ttl_s < 0 ? -1 : config->l1_negative_ttl_s * 1000,
        .swr_ms = config->stale_while_revalidate_s * 1000,
        .sie_ms = config->stale_if_error_s * 1000,
        .early_refresh = config->early_refresh,
        .max_item_bytes = (size_t)config->l1_max_item_bytes,
        .write_allocate = config->write_allocate,
        .l2_ttl_factor = config->l2_ttl_factor,
    };
}

void options_warm(const struct config *config, struct warm_options *options)
{
    warm_options_default(options);
    options->dir = config->warm_dir;
}

void options_touch(const struct config *config, struct touch_options *options)
{
    options->interval_ms = config->l2_touch_interval_s * 1000;
    options->n_dbs = (unsigned)config->databases;
}
