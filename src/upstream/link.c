/* A multiplexed link to one Redis; see link.h for the states, link_internal.h for the parts. */
#include "upstream/link_internal.h"

#include "base/log.h"
#include "base/mem.h"

#include "net/listener.h"

#include <errno.h>
#include <hiredis/sds.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>

/* Read at once: larger than a turn's replies to 50 clients that pipeline 16 GETs of 64 bytes. */
#define READ_BYTES (128 * 1024)

/* Memory that the reader keeps when it is empty. */
#define READER_KEEP (256 * 1024)

/* Elements of one aggregate that L2 may announce. */
#define ELEMENTS_MAX (64LL * 1024 * 1024)

/* Wrong credentials do not mend themselves quickly, and each attempt may count towards a lock-out. */
#define LOGIN_RETRY_MS 5000

/* Unsent bytes that make the link full. */
#define OUTPUT_FULL ((size_t)64 << 20)

static void start_attempt(struct link *link);

void link_set_error(struct link *link, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(link->figures.last_error, sizeof(link->figures.last_error), format, args);
    va_end(args);
}

static int64_t now_ms(const struct link *link)
{
    return link->loop->clock.mono_ms;
}

static void set_state(struct link *link, enum link_state state)
{
    link->figures.state = state;
    link->figures.state_since_ms = now_ms(link);
}

/* Deadlines */

/* Arms the tick for what comes first: the connect time-out, an operation's deadline, or the time for a ping. */
static void arm_tick(struct link *link)
{
    int64_t at = INT64_MAX;
    if (link->figures.state == LINK_CONNECTING || link->figures.state == LINK_HANDSHAKE)
        at = link->attempt_until_ms;
    if (link->ops.n > link->ops.n_abandoned) {
        int64_t due = link_ops_at(&link->ops, link->ops.n_abandoned)->sent_us / 1000 + link->options.timeout_ms + 1;
        at = due < at ? due : at;
    }
    if (link->figures.state == LINK_READY && !link->ping_sent) {
        int64_t due = link->last_read_ms + link->options.ping_interval_ms;
        at = due < at ? due : at;
    }
    if (at == INT64_MAX)
        timer_disarm(&link->loop->timers, &link->tick);
    else
        timer_arm(&link->loop->timers, &link->tick, at);
}

/* Failing operations */

static void fail_op(const struct link_op *op, enum link_outcome outcome, struct bytes error)
{
    if (op->fn == NULL)
        return;
    if (op->flags & OP_ABANDONED) {
        if (op->flags & OP_WRITE)
            op->fn(op->ctx, LINK_LATE, error);
        return;
    }
    op->fn(op->ctx, outcome, error);
    if ((op->flags & OP_WRITE) && outcome == LINK_FAILED)
        op->fn(op->ctx, LINK_LATE, error);
}

/* Fails all operations. The queue is taken away first, since callbacks may send again. */
static void fail_all(struct link *link, enum link_outcome outcome)
{
    struct link_ops ops = link->ops;
    memset(&link->ops, 0, sizeof(link->ops));
    char error[sizeof(link->figures.last_error) + ADDRESS_TEXT_MAX + 32];
    int len = snprintf(error, sizeof(error), "-UPSTREAM %s is down: %s\r\n", link->name, link->figures.last_error);
    while (ops.n > 0) {
        struct link_op op = link_ops_pop(&ops);
        if (!(op.flags & OP_ABANDONED) && op.fn != NULL)
            link->figures.failures++;
        fail_op(&op, outcome, bytes_of(error, (size_t)len));
    }
    mem_free(ops.ring);
}

static void reject(struct link *link, link_reply_fn *fn, void *ctx)
{
    if (link->n_rejects == link->rejects_cap) {
        size_t cap = link->rejects_cap == 0 ? 64 : link->rejects_cap * 2;
        struct link_reject *rejects = mem_try_resize(link->rejects, cap * sizeof(*rejects));
        if (rejects == NULL)
            abort(); /* 16 bytes an operation, bounded by what clients may have in flight */
        link->rejects = rejects;
        link->rejects_cap = cap;
    }
    link->rejects[link->n_rejects++] = (struct link_reject){fn, ctx};
    link->figures.failures++;
}

static void run_rejects(struct link *link)
{
    if (link->n_rejects == 0)
        return;
    char error[sizeof(link->figures.last_error) + ADDRESS_TEXT_MAX + 32];
    const char *why = link->figures.last_error[0] != '\0' ? link->figures.last_error : "not connected yet";
    int len = snprintf(error, sizeof(error), "-UPSTREAM %s is down: %s\r\n", link->name, why);
    for (size_t i = 0; i < link->n_rejects; i++) {
        struct link_reject item = link->rejects[i];
        item.fn(item.ctx, LINK_REFUSED, bytes_of(error, (size_t)len));
    }
    link->n_rejects = 0;
}

/* Going down and coming up */

/* Milliseconds to wait before the next attempt: doubling from min to max, with up to a quarter of jitter less. */
static int64_t next_backoff(struct link *link)
{
    int64_t wait = link->backoff_ms;
    if (wait == 0) {
        link->backoff_ms = link->options.backoff_min_ms;
        return 0;
    }
    link->backoff_ms = wait * 2 < link->options.backoff_max_ms ? wait * 2 : link->options.backoff_max_ms;
    link->jitter = link->jitter * 6364136223846793005u + 1442695040888963407u;
    return wait - (int64_t)((link->jitter >> 33) % (uint64_t)(wait / 4 + 1));
}

static void close_socket(struct link *link)
{
    if (link->redis == NULL)
        return;
    loop_unwatch(link->loop, &link->watch);
    redisFree(link->redis);
    link->redis = NULL;
}

/* Ends the connection, or the attempt; last_error says why. */
static void take_down(struct link *link)
{
    enum link_state was = link->figures.state;
    close_socket(link);
    if (link->resolve_token != 0) {
        resolver_cancel(link->resolver, link->resolve_token);
        link->resolve_token = 0;
    }
    link->broken = false;
    link->backlog.len = 0;
    set_state(link, LINK_DOWN);
    link->figures.tracking = false;
    if (was == LINK_READY) {
        LOG(LOG_WARNING, "Upstream %s lost: %s", link->name, link->figures.last_error);
        link->backoff_ms = 0;
        link->rejecting = false;
        link->handlers->on_down(link->ctx);
        fail_all(link, LINK_FAILED);
        start_attempt(link);
        return;
    }
    if (!link->rejecting)
        LOG(LOG_WARNING, "Upstream %s is down: %s; trying again with back-off", link->name, link->figures.last_error);
    link->figures.connects_failed++;
    link->rejecting = true;
    fail_all(link, LINK_REFUSED);
    int64_t wait = link->login_refused ? LOGIN_RETRY_MS : next_backoff(link);
    link->login_refused = false;
    timer_arm(&link->loop->timers, &link->retry, now_ms(link) + wait);
    arm_tick(link);
}

static void come_up(struct link *link)
{
    set_state(link, LINK_READY);
    link->rejecting = false;
    link->ping_sent = false;
    link->backoff_ms = 0;
    link->figures.epoch++;
    LOG(LOG_NOTICE, "Upstream %s is up: Redis %s, tracking %s", link->name,
        link->version[0] != '\0' ? link->version : "of unknown version", link->figures.tracking ? "on" : "off");
    if (link->backlog.len > 0 && !link_append(link, link->backlog.data, link->backlog.len)) {
        link_set_error(link, "out of memory");
        link->broken = true;
    }
    buf_deinit(&link->backlog);
    link->handlers->on_up(link->ctx);
}

/* Reading and writing */

bool link_append(struct link *link, const char *raw, size_t len)
{
    return redisAppendFormattedCommand(link->redis, raw, len) == REDIS_OK;
}

/* Takes one whole reply, in link->reply. Returns false when the link must go down. */
static bool take_reply(struct link *link)
{
    char type = link->reply.data[0];
    if (type == '>') {
        if (link_read_push(link))
            return true;
        link_set_error(link, "malformed push");
        return false;
    }
    if (type == '|')
        return true; /* attributes say something about the reply that follows; nobody here asked for them */
    if (link->figures.state == LINK_HANDSHAKE) {
        if (!link_handshake_reply(link))
            return false;
        if (link->step == link->n_steps)
            come_up(link);
        return true;
    }
    if (link->ops.n == 0) {
        link_set_error(link, "a reply that no command asked for");
        return false;
    }
    struct link_op op = link_ops_pop(&link->ops);
    link->figures.replies++;
    link->figures.rtt_us += (link->loop->clock.mono_us - op.sent_us - link->figures.rtt_us) / 8;
    if (op.flags & OP_INTERNAL) {
        if (op.flags & OP_WRITE) /* the mark of a ping */
            link->ping_sent = false;
        return true;
    }
    if (type == '-')
        link->figures.errors++;
    if (op.fn != NULL && !(op.flags & OP_ABANDONED))
        op.fn(op.ctx, LINK_REPLY, buf_bytes(&link->reply));
    if (op.fn != NULL && (op.flags & OP_ABANDONED) && (op.flags & OP_WRITE))
        op.fn(op.ctx, LINK_LATE, buf_bytes(&link->reply));
    return true;
}

/* Takes all whole replies that have been read. Returns false when the link must go down. */
static bool take_replies(struct link *link)
{
    for (;;) {
        void *token = NULL;
        if (redisReaderGetReply(link->redis->reader, &token) != REDIS_OK) {
            link_set_error(link, "malformed reply: %s", link->redis->reader->errstr);
            return false;
        }
        if (token == NULL)
            return true;
        if (!take_reply(link) || link->broken)
            return false;
        link->reply.len = 0;
    }
}

static bool read_some(struct link *link)
{
    redisContext *redis = link->redis;
    ssize_t n = redis->funcs->read(redis, link->read_buffer, READ_BYTES);
    link->figures.reads++;
    if (n < 0) {
        link_set_error(link, "%s", redis->err == REDIS_ERR_EOF ? "connection closed by the upstream" : redis->errstr);
        return false;
    }
    if (n == 0)
        return true;
    link->figures.bytes_in += (uint64_t)n;
    link->last_read_ms = now_ms(link);
    if (redisReaderFeed(redis->reader, link->read_buffer, (size_t)n) != REDIS_OK) {
        link_set_error(link, "out of memory for a reply");
        return false;
    }
    if (redis->reader->len - redis->reader->pos > link->options.max_reply_bytes + READ_BYTES) {
        link_set_error(link, "a reply above the limit of %zu bytes", link->options.max_reply_bytes);
        return false;
    }
    bool ok = take_replies(link);
    buf_trim(&link->reply, READER_KEEP);
    return ok;
}

static bool write_some(struct link *link)
{
    int done = 0;
    size_t before = sdslen(link->redis->obuf);
    if (before == 0)
        return true;
    if (redisBufferWrite(link->redis, &done) != REDIS_OK) {
        link_set_error(link, "%s", link->redis->errstr);
        return false;
    }
    link->figures.writes++;
    link->figures.bytes_out += before - sdslen(link->redis->obuf);
    loop_rewatch(link->loop, &link->watch, done ? LOOP_READ : LOOP_READ | LOOP_WRITE);
    return true;
}

/* Connecting */

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
    set_state(link, LINK_HANDSHAKE);
    link->last_read_ms = now_ms(link);
    if (!link_handshake_start(link)) {
        link_set_error(link, "out of memory");
        return false;
    }
    return write_some(link);
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
            ok = read_some(link);
        if (ok && (events & LOOP_WRITE))
            ok = write_some(link);
    }
    if (!ok)
        take_down(link);
    else
        arm_tick(link);
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
    reader->maxbuf = READER_KEEP;
    reader->maxelements = ELEMENTS_MAX;
    link->reply.len = 0;
    link->db = 0;
    int result = loop_watch(link->loop, &link->watch, link->redis->fd, LOOP_WRITE, on_event, link);
    if (result < 0)
        link_set_error(link, "%s", strerror(-result));
    return result == 0;
}

static void on_resolved(void *ctx, int error, const char *error_text, const char *const *addresses, size_t n)
{
    struct link *link = ctx;
    link->resolve_token = 0;
    if (error != 0 || n == 0)
        link_set_error(link, "can't resolve %s: %s", link->options.address.host, error != 0 ? error_text : "no address");
    else if (connect_to(link, addresses[link->figures.connects_failed % n])) /* another one after each failure */
        return;
    take_down(link);
}

static void start_attempt(struct link *link)
{
    timer_disarm(&link->loop->timers, &link->retry);
    set_state(link, LINK_CONNECTING);
    link->attempt_until_ms = now_ms(link) + link->options.connect_timeout_ms;
    arm_tick(link);
    if (link->options.address.path != NULL) {
        if (!connect_to(link, NULL))
            take_down(link);
        return;
    }
    link->resolve_token = resolver_resolve(link->resolver, link->options.address.host, on_resolved, link);
}

static void on_retry(struct timer *timer, void *ctx)
{
    (void)timer;
    start_attempt(ctx);
}

/* Time */

static void time_out_ops(struct link *link)
{
    int64_t before_us = (now_ms(link) - link->options.timeout_ms) * 1000;
    char error[ADDRESS_TEXT_MAX + 64];
    int len = snprintf(error, sizeof(error), "-UPSTREAM %s gave no reply within %lld ms\r\n", link->name,
                       (long long)link->options.timeout_ms);
    while (link->ops.n_abandoned < link->ops.n) {
        struct link_op *op = link_ops_at(&link->ops, link->ops.n_abandoned);
        if (op->sent_us > before_us)
            return;
        op->flags |= OP_ABANDONED;
        link->ops.n_abandoned++;
        if (op->fn == NULL)
            continue;
        link->figures.timeouts++;
        link_reply_fn *fn = op->fn;
        fn(op->ctx, LINK_FAILED, bytes_of(error, (size_t)len)); /* may move the ring */
    }
}

static void send_ping(struct link *link)
{
    if (!link_append(link, "*1\r\n$4\r\nPING\r\n", 14)) {
        link->broken = true;
        return;
    }
    link_ops_push(&link->ops, (struct link_op){.flags = OP_INTERNAL | OP_WRITE, .sent_us = link->loop->clock.mono_us});
    link->ping_sent = true;
}

static void on_tick(struct timer *timer, void *ctx)
{
    (void)timer;
    struct link *link = ctx;
    int64_t now = now_ms(link);
    if (link->figures.state != LINK_READY) {
        /* Commands that wait in the backlog have not been sent: an attempt that takes too long for them fails them all. */
        bool op_due = link->ops.n > 0 && link_ops_at(&link->ops, 0)->sent_us / 1000 + link->options.timeout_ms < now;
        if (link->figures.state != LINK_DOWN && (now >= link->attempt_until_ms || op_due)) {
            link_set_error(link, "%s within %lld ms",
                           link->figures.state == LINK_CONNECTING ? "no connection" : "no answer to the handshake",
                           (long long)link->options.connect_timeout_ms);
            take_down(link);
            return;
        }
    } else {
        time_out_ops(link);
        if (link->ops.n_abandoned > 0 && now - link->last_read_ms >= link->options.timeout_ms) {
            link_set_error(link, "silent for %lld ms", (long long)(now - link->last_read_ms));
            take_down(link);
            return;
        }
        if (!link->ping_sent && now - link->last_read_ms >= link->options.ping_interval_ms)
            send_ping(link);
    }
    arm_tick(link);
}

/* Giving commands */

/* Makes L2 use `db` for what follows. */
static bool select_db(struct link *link, unsigned db)
{
    char number[BYTES_I64_MAX];
    char raw[64];
    size_t digits = bytes_format_i64(db, number);
    int len = snprintf(raw, sizeof(raw), "*2\r\n$6\r\nSELECT\r\n$%zu\r\n%.*s\r\n", digits, (int)digits, number);
    link_ops_push(&link->ops, (struct link_op){.flags = OP_INTERNAL, .sent_us = link->loop->clock.mono_us});
    link->db = db;
    return link->figures.state == LINK_READY ? link_append(link, raw, (size_t)len)
                                             : buf_append(&link->backlog, raw, (size_t)len);
}

static void give(struct link *link, unsigned db, struct bytes raw, link_reply_fn *fn, void *ctx, unsigned flags)
{
    bool down = link->figures.state == LINK_DOWN || (link->figures.state != LINK_READY && link->rejecting);
    if (down || link->broken) {
        reject(link, fn, ctx);
        return;
    }
    bool ok = link->db == db || select_db(link, db);
    link_ops_push(&link->ops, (struct link_op){fn, ctx, link->loop->clock.mono_us, flags});
    link->figures.commands++;
    if (ok)
        ok = link->figures.state == LINK_READY ? link_append(link, raw.ptr, raw.len)
                                               : buf_append(&link->backlog, raw.ptr, raw.len);
    if (!ok) {
        /* A command that is queued but not sent would give its reply to the next: nothing more may be sent. */
        link_set_error(link, "out of memory for output");
        link->broken = true;
    }
    if (!timer_is_armed(&link->tick) || link->ops.n == 1)
        arm_tick(link);
}

void link_send(struct link *link, unsigned db, struct bytes raw, link_reply_fn *fn, void *ctx)
{
    give(link, db, raw, fn, ctx, 0);
}

void link_send_write(struct link *link, unsigned db, struct bytes raw, link_reply_fn *fn, void *ctx)
{
    give(link, db, raw, fn, ctx, OP_WRITE);
}

void link_flush(struct loop *loop, void *ctx)
{
    (void)loop;
    struct link *link = ctx;
    run_rejects(link);
    bool ok = !link->broken;
    if (ok && link->figures.state == LINK_READY)
        ok = write_some(link);
    if (!ok)
        take_down(link);
}

/* Life cycle and looking in */

struct link *link_create(struct loop *loop, struct link_options *options, const struct link_handlers *handlers, void *ctx)
{
    struct link *link = mem_zalloc(sizeof(*link));
    link->loop = loop;
    link->options = *options;
    memset(options, 0, sizeof(*options));
    link->handlers = handlers;
    link->ctx = ctx;
    address_format(&link->options.address, link->name, sizeof(link->name));
    link->read_buffer = mem_alloc(READ_BYTES);
    if (link->options.address.path == NULL)
        link->resolver = resolver_create(loop);
    if (getrandom(&link->jitter, sizeof(link->jitter), GRND_NONBLOCK) < 0)
        link->jitter = (uint64_t)clock_read_ns();
    timer_init(&link->retry, on_retry, link);
    timer_init(&link->tick, on_tick, link);
    set_state(link, LINK_CONNECTING); /* commands of the first turn wait */
    link->attempt_until_ms = now_ms(link) + link->options.connect_timeout_ms;
    timer_arm(&loop->timers, &link->retry, now_ms(link));
    return link;
}

static void free_secret(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    mem_free(secret);
}

void link_destroy(struct link *link)
{
    link_set_error(link, "larder is shutting down");
    close_socket(link);
    set_state(link, LINK_DOWN);
    fail_all(link, LINK_FAILED);
    run_rejects(link);
    timer_disarm(&link->loop->timers, &link->retry);
    timer_disarm(&link->loop->timers, &link->tick);
    if (link->resolver != NULL)
        resolver_destroy(link->resolver);
    mem_free(link->ops.ring);
    mem_free(link->rejects);
    mem_free(link->read_buffer);
    buf_deinit(&link->backlog);
    buf_deinit(&link->reply);
    buf_deinit(&link->command_table);
    address_deinit(&link->options.address);
    mem_free(link->options.username);
    free_secret(link->options.password);
    mem_free(link);
}

static void on_tracking_changed(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct link *link = ctx;
    if (outcome == LINK_REPLY)
        link->figures.tracking = link->options.tracking && reply.ptr[0] == '+';
}

/* Switches tracking on a live link. What is sent behind this is tracked, or not, as wanted. */
static void change_tracking(struct link *link, bool tracking)
{
    struct bytes on = BYTES("*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n");
    struct bytes off = BYTES("*3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$3\r\nOFF\r\n");
    link->options.tracking = tracking;
    if (link->figures.state == LINK_READY && !link->use_resp2)
        link_send(link, link->db, tracking ? on : off, on_tracking_changed, link);
}

static void replace_text(char **text, char *by)
{
    free_secret(*text);
    *text = by;
}

void link_configure(struct link *link, struct link_options *options)
{
    link->options.timeout_ms = options->timeout_ms;
    link->options.connect_timeout_ms = options->connect_timeout_ms;
    link->options.ping_interval_ms = options->ping_interval_ms;
    link->options.backoff_min_ms = options->backoff_min_ms;
    link->options.backoff_max_ms = options->backoff_max_ms;
    link->options.max_inflight = options->max_inflight;
    link->options.max_reply_bytes = options->max_reply_bytes;
    replace_text(&link->options.username, options->username);
    replace_text(&link->options.password, options->password);
    if (link->options.tracking != options->tracking)
        change_tracking(link, options->tracking);
    arm_tick(link);
}

enum link_state link_get_state(const struct link *link)
{
    return link->figures.state;
}

bool link_is_full(const struct link *link)
{
    if (link->ops.n >= link->options.max_inflight)
        return true;
    size_t unsent = link->backlog.len + (link->redis != NULL ? sdslen(link->redis->obuf) : 0);
    return unsent >= OUTPUT_FULL;
}

void link_read_figures(const struct link *link, struct link_figures *figures)
{
    *figures = link->figures;
    figures->inflight = link->ops.n;
}

void link_reset_counters(struct link *link)
{
    struct link_figures *f = &link->figures;
    f->commands = f->replies = f->errors = f->timeouts = f->failures = f->connects_failed = 0;
    f->invalidations = f->invalidations_all = f->bytes_out = f->bytes_in = f->reads = f->writes = 0;
}

void link_distrust(struct link *link, const char *why)
{
    link_set_error(link, "%s", why);
    link->broken = true;
}

struct bytes link_get_command_table(const struct link *link)
{
    return buf_bytes(&link->command_table);
}

unsigned link_get_databases(const struct link *link)
{
    return link->databases;
}

const char *link_get_version(const struct link *link)
{
    return link->version;
}

const char *link_get_name(const struct link *link)
{
    return link->name;
}
