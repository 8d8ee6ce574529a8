/* Links that belong to one client for a while; see pinned.h. */
#include "upstream/pinned.h"

#include "base/mem.h"

#include <sys/queue.h>

/* Idle links that are kept for the next client. */
#define IDLE_MAX 16

/* Links that connect at the same time: a burst of a thousand would overflow L2's queue of connections (tcp-backlog, 511 by
 * default), and who falls out of it waits for a second. */
#define CONNECTING_MAX 128

/* Idle links are pinged that seldom; their loss costs one failed command at most. */
#define PING_INTERVAL_MS 15000

struct pinned {
    TAILQ_ENTRY(pinned) link_entry; /* pool->idle or pool->used */
    TAILQ_ENTRY(pinned) dirty_entry;
    TAILQ_ENTRY(pinned) held_entry;
    struct pinned_pool *pool;
    struct link *link;  /* owned */
    bool is_held;       /* has not begun to connect; in pool->held */
    bool is_connecting; /* counted in pool->n_connecting */
    bool is_idle;
    bool is_dirty;
    bool is_lost;
    bool is_retired; /* will be freed at the end of the turn */
};

TAILQ_HEAD(pinned_list, pinned);

struct pinned_pool {
    struct loop *loop;
    struct link_options options; /* the template; owned */
    struct pinned_list idle;
    struct pinned_list used;
    struct pinned_list dirty;
    struct pinned_list held;
    size_t n_connecting;
    struct pinned_figures figures;
};

static void mark_dirty(struct pinned *pinned)
{
    if (pinned->is_dirty)
        return;
    pinned->is_dirty = true;
    TAILQ_INSERT_TAIL(&pinned->pool->dirty, pinned, dirty_entry);
}

static void start_held(struct pinned_pool *pool)
{
    struct pinned *pinned;
    while (pool->n_connecting < CONNECTING_MAX && (pinned = TAILQ_FIRST(&pool->held)) != NULL) {
        TAILQ_REMOVE(&pool->held, pinned, held_entry);
        pinned->is_held = false;
        pinned->is_connecting = true;
        pool->n_connecting++;
        link_begin(pinned->link);
    }
}

static void end_connecting(struct pinned *pinned)
{
    struct pinned_pool *pool = pinned->pool;
    if (pinned->is_held)
        TAILQ_REMOVE(&pool->held, pinned, held_entry);
    pinned->is_held = false;
    if (!pinned->is_connecting)
        return;
    pinned->is_connecting = false;
    pool->n_connecting--;
    start_held(pool);
}

static void unlist(struct pinned *pinned)
{
    struct pinned_pool *pool = pinned->pool;
    end_connecting(pinned);
    if (pinned->is_dirty)
        TAILQ_REMOVE(&pool->dirty, pinned, dirty_entry);
    pinned->is_dirty = false;
    TAILQ_REMOVE(pinned->is_idle ? &pool->idle : &pool->used, pinned, link_entry);
    if (pinned->is_idle)
        pool->figures.idle--;
    else
        pool->figures.in_use--;
}

static void destroy(void *ptr)
{
    struct pinned *pinned = ptr;
    link_destroy(pinned->link);
    mem_free(pinned);
}

/* Frees it when no callback of its link can be running any more. */
static void retire(struct pinned *pinned)
{
    if (pinned->is_retired)
        return;
    pinned->is_retired = true;
    unlist(pinned);
    loop_retire(pinned->pool->loop, destroy, pinned);
}

static void on_invalidate(void *ctx, struct bytes key)
{
    (void)ctx;
    (void)key;
}

static void on_invalidate_all(void *ctx)
{
    (void)ctx;
}

static void on_up(void *ctx)
{
    end_connecting(ctx);
    mark_dirty(ctx); /* what waited for it is to be written */
}

static void on_down(void *ctx)
{
    struct pinned *pinned = ctx;
    pinned->is_lost = true;
    end_connecting(pinned);
    if (pinned->is_idle && !pinned->is_retired)
        retire(pinned);
}

static const struct link_handlers handlers = {.on_invalidate = on_invalidate,
                                              .on_invalidate_all = on_invalidate_all,
                                              .on_up = on_up,
                                              .on_down = on_down};

struct pinned_pool *pinned_pool_create(struct loop *loop, struct link_options *options, size_t max)
{
    struct pinned_pool *pool = mem_zalloc(sizeof(*pool));
    pool->loop = loop;
    pool->options = *options;
    memset(options, 0, sizeof(*options));
    pool->figures.max = max;
    TAILQ_INIT(&pool->idle);
    TAILQ_INIT(&pool->used);
    TAILQ_INIT(&pool->dirty);
    TAILQ_INIT(&pool->held);
    return pool;
}

static void close_all(struct pinned_list *list)
{
    struct pinned *pinned;
    while ((pinned = TAILQ_FIRST(list)) != NULL) {
        unlist(pinned);
        pinned->is_retired = true;
        destroy(pinned);
    }
}

void pinned_pool_destroy(struct pinned_pool *pool)
{
    if (pool == NULL)
        return;
    close_all(&pool->idle);
    close_all(&pool->used);
    link_options_deinit(&pool->options);
    mem_free(pool);
}

void pinned_pool_flush(struct loop *loop, void *ctx)
{
    struct pinned_pool *pool = ctx;
    struct pinned *pinned;
    while ((pinned = TAILQ_FIRST(&pool->dirty)) != NULL) {
        TAILQ_REMOVE(&pool->dirty, pinned, dirty_entry);
        pinned->is_dirty = false;
        link_flush(loop, pinned->link);
    }
}

void pinned_pool_configure(struct pinned_pool *pool, struct link_options *options, size_t max)
{
    struct address address = pool->options.address;
    memset(&pool->options.address, 0, sizeof(pool->options.address));
    link_options_deinit(&pool->options);
    pool->options = *options;
    memset(options, 0, sizeof(*options));
    pool->options.address = address;
    pool->figures.max = max;
}

static struct pinned *create(struct pinned_pool *pool)
{
    struct link_options options;
    struct pinned *pinned = mem_zalloc(sizeof(*pinned));
    link_options_copy(&options, &pool->options);
    options.plain = true;
    options.once = true;
    options.held = true;
    options.tracking = LINK_TRACKING_NONE;
    options.ping_interval_ms = PING_INTERVAL_MS;
    pinned->pool = pool;
    pinned->link = link_create(pool->loop, &options, &handlers, pinned);
    pool->figures.created++;
    pinned->is_held = true;
    TAILQ_INSERT_TAIL(&pool->held, pinned, held_entry);
    start_held(pool);
    return pinned;
}

struct pinned *pinned_acquire(struct pinned_pool *pool)
{
    if (pool->figures.in_use >= pool->figures.max) {
        pool->figures.refused++;
        return NULL;
    }
    struct pinned *pinned = TAILQ_FIRST(&pool->idle);
    if (pinned != NULL) {
        TAILQ_REMOVE(&pool->idle, pinned, link_entry);
        pool->figures.idle--;
        pinned->is_idle = false;
    } else {
        pinned = create(pool);
    }
    TAILQ_INSERT_TAIL(&pool->used, pinned, link_entry);
    pool->figures.in_use++;
    return pinned;
}

void pinned_release(struct pinned *pinned, bool clean)
{
    struct pinned_pool *pool = pinned->pool;
    if (!clean || pinned->is_lost || pool->figures.idle >= IDLE_MAX) {
        retire(pinned);
        return;
    }
    TAILQ_REMOVE(&pool->used, pinned, link_entry);
    pool->figures.in_use--;
    pinned->is_idle = true;
    TAILQ_INSERT_HEAD(&pool->idle, pinned, link_entry);
    pool->figures.idle++;
}

void pinned_send(struct pinned *pinned, unsigned db, struct bytes raw, bool blocks,
                 link_reply_fn *fn, void *ctx)
{
    if (blocks)
        link_send_unbounded(pinned->link, db, raw, fn, ctx);
    else
        link_send(pinned->link, db, raw, fn, ctx);
    mark_dirty(pinned);
}

void pinned_send_anywhere(struct pinned *pinned, struct bytes raw, link_reply_fn *fn, void *ctx)
{
    link_send_anywhere(pinned->link, raw, fn, ctx);
    mark_dirty(pinned);
}

void pinned_forget_db(struct pinned *pinned)
{
    link_forget_db(pinned->link);
}

bool pinned_is_lost(const struct pinned *pinned)
{
    return pinned->is_lost;
}

int64_t pinned_client_id(const struct pinned *pinned)
{
    return link_get_client_id(pinned->link);
}

bool pinned_pool_reserve(struct pinned_pool *pool)
{
    bool is_free = pool->figures.in_use < pool->figures.max;
    pool->figures.in_use += is_free;
    pool->figures.refused += !is_free;
    return is_free;
}

void pinned_pool_unreserve(struct pinned_pool *pool)
{
    pool->figures.in_use--;
}

void pinned_pool_copy_options(const struct pinned_pool *pool, struct link_options *options)
{
    link_options_copy(options, &pool->options);
}

void pinned_read_figures(const struct pinned_pool *pool, struct pinned_figures *figures)
{
    *figures = pool->figures;
}

void pinned_reset_counters(struct pinned_pool *pool)
{
    pool->figures.created = pool->figures.refused = 0;
}
