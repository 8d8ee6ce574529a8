/* Wiring; see server.h. What is set up is torn down in the opposite order. */
#include "server/server.h"

#include "base/log.h"
#include "base/mem.h"
#include "command/cache_invalidate.h"
#include "command/families.h"
#include "core/push.h"
#include "core/readonly_scripts.h"
#include "core/tracking.h"
#include "server/cron.h"
#include "server/listen.h"
#include "server/options.h"
#include "tier/reply_dbs.h"
#include "upstream/busy.h"

#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>

/* Descriptors beside those of clients: listeners, links, epoll, log. */
#define RESERVED_FILES 32

static void set_run_id(struct larder *larder)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char random[20];
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        memset(random, 0, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++) {
        larder->run_id[2 * i] = hex[random[i] >> 4];
        larder->run_id[2 * i + 1] = hex[random[i] & 15];
    }
}

/* Raises the limit of open files to what maxclients needs, or lowers maxclients to what the limit allows, as Redis. */
static void fit_files(struct larder *larder)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)larder->config.maxclients + RESERVED_FILES;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur =
        limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= wanted ? wanted : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted)
        return;
    larder->config.maxclients =
        limit.rlim_cur > RESERVED_FILES + 1 ? (int64_t)limit.rlim_cur - RESERVED_FILES : 1;
    LOG(LOG_WARNING, "maxclients lowered to %lld: the limit of open files is %llu",
        (long long)larder->config.maxclients, (unsigned long long)limit.rlim_cur);
}

static bool create_tier(struct larder *larder, char *error, size_t size)
{
    struct store_options store_options;
    struct tier_options tier_options;
    struct link_options link_options;
    struct warm_options warm_options;
    bool has_upstream = larder->config.upstream[0] != '\0';
    if (has_upstream && !options_link(&larder->config, &link_options, error, size)) {
        char why[CONFIG_ERR_SIZE];
        snprintf(why, sizeof(why), "%s", error);
        snprintf(error, size, "upstream: %s", why);
        return false;
    }
    if (has_upstream)
        larder->first_db = link_options.address.db;
    config_store_options(&larder->config, &store_options);
    if (has_upstream)
        store_options.n_dbs = reply_dbs_total(store_options.n_dbs);
    options_tier(&larder->config, &tier_options);
    options_warm(&larder->config, &warm_options);
    if (has_upstream) {
        struct link_options pinned_options;
        if (!options_link(&larder->config, &pinned_options, error, size)) {
            link_options_deinit(&link_options);
            return false;
        }
        larder->pinned = pinned_pool_create(&larder->loop, &pinned_options,
                                            (size_t)larder->config.upstream_pinned_max);
        /* Before the shared link writes: who blocks in this turn does so before what ends its wait. */
        loop_add_hook(&larder->loop, pinned_pool_flush, larder->pinned);
    }
    larder->tier = tier_create(&larder->loop, store_create(&store_options),
                               has_upstream ? &link_options : NULL, &tier_options);
    policy_table_copy(tier_policies(larder->tier), larder->config.policies);
    tier_policies_changed(larder->tier);
    larder->store = tier_store(larder->tier);
    larder->link = tier_link(larder->tier);
    if (has_upstream)
        larder->busy_watch = busy_watch_create(&larder->loop, larder->link, larder->pinned);
    tier_on_up(larder->tier, larder_on_upstream_up, larder);
    larder->warm_jobs = warm_jobs_create(&larder->loop, larder->tier, &warm_options);
    struct touch_options touch_options;
    options_touch(&larder->config, &touch_options);
    larder->touch = touch_create(&larder->loop, larder->tier, &touch_options);
    return true;
}

/* Pub/sub */

static void deliver(void *subscriber, struct bytes push)
{
    push_message(subscriber, push);
}

static bool tell_link_options(void *owner, struct link_options *options)
{
    const struct larder *larder = owner;
    char error[CONFIG_ERR_SIZE];
    return options_link(&larder->config, options, error, sizeof(error));
}

static const struct pubsub_handlers pubsub_handlers = {deliver, tell_link_options};

struct larder *server_create(struct config *config, char *error, size_t size)
{
    struct larder *larder = mem_zalloc(sizeof(*larder));
    larder->config = *config;
    config_init(config);
    int result = loop_init(&larder->loop);
    if (result < 0) {
        snprintf(error, size, "can't create the event loop: %s", strerror(-result));
        config_deinit(&larder->config);
        mem_free(larder);
        return NULL;
    }
    larder->started_ms = larder_now_ms(larder);
    set_run_id(larder);
    TAILQ_INIT(&larder->clients);
    TAILQ_INIT(&larder->resumable);
    TAILQ_INIT(&larder->link_waiters);
    TAILQ_INIT(&larder->monitors);
    slowlog_init(&larder->slowlog);
    larder->readonly_scripts = readonly_scripts_create();
    fit_files(larder);
    conn_shared_init(&larder->conns, &larder->loop, client_conn_handlers());
    larder->commands = command_table_create();
    families_add(larder->commands);
    /* Hooks run in this order: held-back clients execute, the link writes, clients' output is written. */
    loop_add_hook(&larder->loop, client_resume_hook, larder);
    bool ok = create_tier(larder, error, size);
    larder->pubsub = pubsub_create(&larder->loop, &pubsub_handlers, larder, larder->link != NULL);
    loop_add_hook(&larder->loop, pubsub_flush, larder->pubsub);
    if (ok) {
        larder->tracking = tracking_create(larder, tell_link_options);
        loop_add_hook(&larder->loop, tracking_flush, larder->tracking);
    }
    loop_add_hook(&larder->loop, conn_flush_all, &larder->conns);
    if (!ok || !listen_open(larder, &larder->config, error, size)) {
        server_destroy(larder);
        return NULL;
    }
    cron_start(larder);
    return larder;
}

void server_run(struct larder *larder)
{
    loop_run(&larder->loop);
}

/* Shutting down */

static void on_shutdown_tick(struct timer *timer, void *ctx)
{
    struct larder *larder = ctx;
    bool over = larder_now_ms(larder) >= larder->shutdown_by_ms;
    if (larder->n_clients > 0 && !over) {
        timer_arm(&larder->loop.timers, timer, larder_now_ms(larder) + 5);
        return;
    }
    if (larder->n_clients > 0)
        LOG(LOG_WARNING, "Shutdown: %zu clients did not finish within %lld s and are closed",
            larder->n_clients, (long long)larder->config.shutdown_timeout_s);
    loop_stop(&larder->loop);
}

void server_shut_down(struct larder *larder, const char *why)
{
    if (larder->shutting_down) {
        loop_stop(&larder->loop); /* asked twice: now */
        return;
    }
    LOG(LOG_WARNING, "%s: shutting down, %zu clients connected", why, larder->n_clients);
    larder->shutting_down = true;
    larder->shutdown_by_ms = larder_now_ms(larder) + larder->config.shutdown_timeout_s * 1000;
    listen_close(larder);
    warm_cancel_all(larder->warm_jobs);
    struct client *client = TAILQ_FIRST(&larder->clients);
    while (client != NULL) {
        struct client *next = TAILQ_NEXT(client, link);
        client_end(client);
        client = next;
    }
    timer_init(&larder->shutdown_timer, on_shutdown_tick, larder);
    timer_arm(&larder->loop.timers, &larder->shutdown_timer, larder_now_ms(larder));
}

void server_destroy(struct larder *larder)
{
    struct client *client;
    cron_stop(larder);
    listen_close(larder);
    cache_invalidate_end_all(larder);
    while ((client = TAILQ_FIRST(&larder->clients)) != NULL)
        client_close(client, "larder is shutting down");
    loop_free_retired(&larder->loop); /* what waits on links of clients ends while L1 is there */
    warm_jobs_destroy(larder->warm_jobs);
    busy_watch_destroy(larder->busy_watch);
    touch_destroy(larder->touch);
    pinned_pool_destroy(larder->pinned);
    pubsub_destroy(larder->pubsub);
    tracking_destroy(larder->tracking);
    if (larder->tier != NULL)
        tier_destroy(larder->tier);
    loop_deinit(&larder->loop); /* frees clients */
    conn_shared_deinit(&larder->conns);
    command_table_destroy(larder->commands);
    slowlog_reset(&larder->slowlog);
    readonly_scripts_destroy(larder->readonly_scripts);
    request_args_deinit(&larder->batch_args);
    buf_deinit(&larder->scratch);
    buf_deinit(&larder->discard);
    config_deinit(&larder->config);
    mem_free(larder);
}
