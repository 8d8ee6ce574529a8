/* How a link connects, comes up, goes down and tries again; link.h has the states. */
#include "upstream/link_internal.h"

#include "base/log.h"
#include "net/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Elements of one aggregate that L2 may announce. */
#define ELEMENTS_MAX (64LL * 1024 * 1024)

/* Wrong credentials do not mend themselves quickly, and each attempt may count towards a
 * lock-out. */
#define LOGIN_RETRY_MS 5000

/* An L2 that loads its data, or runs a script, answers: asking it often costs little, and it is missed. */
#define RETRY_SOON_MS 200

static void start_attempt(struct link *link);

/* Milliseconds to wait before the next attempt: doubling from min to max, with up to a quarter of
 * jitter less. */
static int64_t next_backoff(struct link *link)
{
    int64_t wait = link->backoff_ms;
    if (wait == 0) {
        link->backoff_ms = link->options.backoff_min_ms;
        return 0;
    }
    link->backoff_ms =
        wait * 2 < link->options.backoff_max_ms ? wait * 2 : link->options.backoff_max_ms;
    return wait - link_random(link, wait / 4);
}

/* Starts the next attempt after `wait_ms`. */
static void retry_later(struct link *link, int64_t wait_ms)
{
    if (wait_ms == 0 && !link->rejecting) {
        start_attempt(link); /* commands that come in the meantime wait for it */
        return;
    }
    timer_arm(&link->loop->timers, &link->retry, link_now_ms(link) + wait_ms);
    link_arm_tick(link);
}

void link_close_socket(struct link *link)
{
    if (link->redis == NULL)
        return;
    loop_unwatch(link->loop, &link->watch);
    redisFree(link->redis);
    link->redis = NULL;
}

/* Ends the connection, or the attempt; last_error says why. */
void link_take_down(struct link *link)
{
    enum link_state was = link->figures.state;
    link_close_socket(link);
    if (link->resolve_token != 0) {
        resolver_cancel(link->resolver, link->resolve_token);
        link->resolve_token = 0;
    }
    link->broken = false;
    link->backlog.len = 0;
    link->given = 0;
    link->written = 0;
    link->answered = 0;
    link->db = 0;
    int64_t lasted_ms = link_now_ms(link) - link->figures.state_since_ms;
    link_set_state(link, LINK_DOWN);
    link->figures.tracking = LINK_TRACKING_NONE;
    link->n_asked = 0;
    link->must_switch = false;
    link->db_refused = false;
    if (!link->retry_soon)
        link->is_busy = false;
    if (link->options.once) {
        link->rejecting = true;
        link_fail_all(link, was == LINK_READY ? LINK_FAILED : LINK_REFUSED);
        link_arm_tick(link);
        link->handlers->on_down(link->ctx);
        return;
    }
    if (was == LINK_READY) {
        LOG(link->options.plain ? LOG_VERBOSE : LOG_WARNING, "Upstream %s lost%s: %s", link->name,
            link->options.plain ? " (a link beside the main one)" : "", link->figures.last_error);
        /* One that is lost again and again as soon as it is up is not tried without a pause. */
        if (lasted_ms >= link->options.backoff_max_ms)
            link->backoff_ms = 0;
        link->handlers->on_down(link->ctx);
        /* Those that fail now may send again, and what they send waits for the next attempt. */
        struct link_ops ops = link_ops_take(link);
        retry_later(link, next_backoff(link));
        link_fail_ops(link, ops, LINK_FAILED);
        return;
    }
    if (!link->rejecting)
        LOG(LOG_WARNING, "Upstream %s is down: %s; trying again with back-off", link->name,
            link->figures.last_error);
    link->figures.connects_failed++;
    link->rejecting = true;
    breaker_open(&link->breaker, link_now_ms(link));
    link_end_probe(link, false);
    link_fail_all(link, LINK_REFUSED);
    int64_t wait = link->login_refused ? LOGIN_RETRY_MS : next_backoff(link);
    if (link->retry_soon && wait > RETRY_SOON_MS)
        wait = RETRY_SOON_MS;
    link->login_refused = false;
    link->retry_soon = false;
    retry_later(link, wait);
}

void link_come_up(struct link *link)
{
    link_set_state(link, LINK_READY);
    link->rejecting = false;
    breaker_close(&link->breaker, link_now_ms(link));
    link->is_busy = false;
    link->ping_sent = false;
    link->proven_us = link->loop->clock.mono_us;
    link->figures.epoch++;
    LOG(link->options.plain ? LOG_DEBUG : LOG_NOTICE, "Upstream %s is up: Redis %s, coherence %s",
        link->name, link->version[0] != '\0' ? link->version : "of unknown version",
        link_tracking_name(link->figures.tracking));
    if (link->backlog.len > 0 && !link_append(link, link->backlog.data, link->backlog.len)) {
        link_set_error(link, "out of memory");
        link->broken = true;
    }
    buf_deinit(&link->backlog);
    link_tracking_up(link);
    link->handlers->on_up(link->ctx);
}

static bool finish_connect(struct link *link)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(link->redis->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error != 0) {
        link_set_error(link, "%s", strerror(error));
        return false;
    }
    net_tune(link->redis->fd, 60);
    link_set_state(link, LINK_HANDSHAKE);
    link->last_read_ms = link_now_ms(link);
    if (!link_handshake_start(link)) {
        link_set_error(link, "out of memory");
        return false;
    }
    return link_write_some(link);
}

static void on_event(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    (void)loop;
    struct link *link = watch->ctx;
    bool ok = true;
    if (link->figures.state == LINK_CONNECTING) {
        ok = finish_connect(link);
    } else {
        if (events & LOOP_READ)
            ok = link_read_some(link);
        if (ok && (events & LOOP_WRITE))
            ok = link_write_some(link);
    }
    if (!ok)
        link_take_down(link);
    else
        link_arm_tick(link);
}

/* Starts to connect to a numeric address, or to the unix socket when it is NULL. */
static bool connect_to(struct link *link, const char *address)
{
    redisOptions options = {0};
    options.options = REDIS_OPT_NONBLOCK | REDIS_OPT_NO_PUSH_AUTOFREE;
    if (address == NULL)
        REDIS_OPTIONS_SET_UNIX(&options, link->options.address.path);
    else
        REDIS_OPTIONS_SET_TCP(&options, address, (int)link->options.address.port);
    link->redis = redisConnectWithOptions(&options);
    if (link->redis == NULL) {
        link_set_error(link, "out of memory");
        return false;
    }
    if (link->redis->err != 0) {
        link_set_error(link, "%s", link->redis->errstr);
        return false;
    }
    redisReader *reader = link->redis->reader;
    reader->fn = &link_reply_functions;
    reader->privdata = link;
    reader->maxbuf = LINK_READER_KEEP;
    reader->maxelements = ELEMENTS_MAX;
    link->reply.len = 0;
    link->too_deep = false;
    link->refusal = NULL;
    /* What L2 says has changed must not be answered from L1 to somebody who asks later. */
    link->watch.is_first = true;
    int result = loop_watch(link->loop, &link->watch, link->redis->fd, LOOP_WRITE, on_event, link);
    if (result < 0)
        link_set_error(link, "%s", strerror(-result));
    return result == 0;
}

static void on_resolved(void *ctx, int error, const char *error_text, const char *const *addresses,
                        size_t n)
{
    struct link *link = ctx;
    link->resolve_token = 0;
    if (error != 0 || n == 0)
        link_set_error(link, "can't resolve %s: %s", link->options.address.host,
                       error != 0 ? error_text : "no address");
    else if (connect_to(
                 link,
                 addresses[link->figures.connects_failed % n])) /* another one after each failure */
        return;
    link_take_down(link);
}

static void start_attempt(struct link *link)
{
    timer_disarm(&link->loop->timers, &link->retry);
    link_set_state(link, LINK_CONNECTING);
    if (!breaker_allows(&link->breaker))
        breaker_probe_begin(&link->breaker);
    link->attempt_until_ms = link_now_ms(link) + link->options.connect_timeout_ms;
    link_arm_tick(link);
    if (link->options.address.path != NULL) {
        if (!connect_to(link, NULL))
            link_take_down(link);
        return;
    }
    link->resolve_token =
        resolver_resolve(link->resolver, link->options.address.host, on_resolved, link);
}

void link_on_retry(struct timer *timer, void *ctx)
{
    (void)timer;
    start_attempt(ctx);
}
