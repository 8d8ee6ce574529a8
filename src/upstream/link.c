/* A multiplexed link to one Redis: giving commands, life cycle, looking in. See link.h for the
 * states, link_internal.h for the parts. */
#include "upstream/link_internal.h"

#include "base/mem.h"

#include <limits.h>

#include <hiredis/sds.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>

/* Unsent bytes that make the link full. */
#define OUTPUT_FULL ((size_t)64 << 20)

void link_set_error(struct link *link, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(link->figures.last_error, sizeof(link->figures.last_error), format, args);
    va_end(args);
}

void link_set_state(struct link *link, enum link_state state)
{
    link->figures.state = state;
    link->figures.state_since_ms = link_now_ms(link);
}

/* Giving commands */

static void give(struct link *link, unsigned db, struct bytes raw, struct link_op op);

/* Makes L2 use `db` for `op`, whose time is that of the SELECT, too, and for what follows. */
static bool select_db(struct link *link, unsigned db, const struct link_op *op)
{
    struct link_op own = {.flags = OP_INTERNAL | (op->flags & OP_READ), .sent_us = op->sent_us};
    char number[BYTES_I64_MAX];
    char raw[64];
    size_t digits = bytes_format_i64(db, number);
    int len = snprintf(raw, sizeof(raw), "*2\r\n$6\r\nSELECT\r\n$%zu\r\n%.*s\r\n", digits,
                       (int)digits, number);
    link->db = db;
    return link_put(link, bytes_of(raw, (size_t)len), own);
}

void link_send_unbounded(struct link *link, unsigned db, struct bytes raw, link_reply_fn *fn,
                         void *ctx)
{
    give(link, db, raw, (struct link_op){.fn = fn, .ctx = ctx, .flags = OP_UNBOUNDED});
}

bool link_send_silent(struct link *link, struct bytes raw)
{
    return link->figures.state == LINK_READY && !link->broken &&
           link_append(link, raw.ptr, raw.len);
}

int64_t link_get_client_id(const struct link *link)
{
    return link->figures.state == LINK_READY ? link->client_id : 0;
}

void link_forget_db(struct link *link)
{
    link->db = UINT_MAX;
}

static void give(struct link *link, unsigned db, struct bytes raw, struct link_op op)
{
    bool down =
        link->figures.state == LINK_DOWN || (link->figures.state != LINK_READY && link->rejecting);
    bool refuses =
        link->broken || !breaker_allows(&link->breaker) || (link->is_busy && !(op.flags & OP_OWN));
    link->gave = !(down || refuses);
    if (!link->gave) {
        link_reject(link, op.fn, op.ctx);
        return;
    }
    bool is_next_due = link->ops.n == link->ops.n_abandoned;
    bool ok = link->db == db || select_db(link, db, &op);
    if (!link_put(link, raw, op))
        ok = false;
    link->figures.commands++;
    /* A command that is queued but not sent would give its reply to the next. */
    if (!ok)
        link_refuse_output(link);
    if (is_next_due)
        link_arm_tick(link);
}

void link_send(struct link *link, unsigned db, struct bytes raw, link_reply_fn *fn, void *ctx)
{
    give(link, db, raw, (struct link_op){.fn = fn, .ctx = ctx});
}

void link_send_read(struct link *link, unsigned db, struct bytes raw, int64_t since_us,
                    link_reply_fn *fn, void *ctx)
{
    give(link, db, raw,
         (struct link_op){.fn = fn, .ctx = ctx, .sent_us = since_us, .flags = OP_READ});
}

int64_t link_get_timeout_ms(const struct link *link)
{
    return link->options.timeout_ms;
}

void link_send_anywhere(struct link *link, struct bytes raw, link_reply_fn *fn, void *ctx)
{
    give(link, link->db, raw, (struct link_op){.fn = fn, .ctx = ctx});
}

void link_send_write(struct link *link, unsigned db, struct bytes raw, link_reply_fn *fn, void *ctx)
{
    give(link, db, raw, (struct link_op){.fn = fn, .ctx = ctx, .flags = OP_WRITE});
}

void link_flush(struct loop *loop, void *ctx)
{
    (void)loop;
    struct link *link = ctx;
    /* What was given before fails before what was refused because of it. */
    if (link->broken)
        link_take_down(link);
    link_run_rejects(link);
    bool ok = !link->broken;
    if (ok && link->figures.state >= LINK_HANDSHAKE)
        ok = link_write_some(link);
    if (!ok)
        link_take_down(link);
}

/* Life cycle and looking in */

struct link *link_create(struct loop *loop, struct link_options *options,
                         const struct link_handlers *handlers, void *ctx)
{
    struct link *link = mem_zalloc(sizeof(*link));
    link->loop = loop;
    link->options = *options;
    memset(options, 0, sizeof(*options));
    link->handlers = handlers;
    link->ctx = ctx;
    address_format(&link->options.address, link->name, sizeof(link->name));
    if (link->options.address.path == NULL)
        link->resolver = resolver_create(loop);
    if (getrandom(&link->jitter, sizeof(link->jitter), GRND_NONBLOCK) < 0)
        link->jitter = (uint64_t)clock_read_ns();
    link->settled = link->options.tracking;
    breaker_init(&link->breaker, &link->options.breaker);
    timer_init(&link->retry, link_on_retry, link);
    timer_init(&link->tick, link_on_tick, link);
    link_set_state(link, LINK_CONNECTING); /* commands of the first turn wait */
    link->attempt_until_ms = INT64_MAX / 2;
    if (!link->options.held)
        link_begin(link);
    return link;
}

void link_begin(struct link *link)
{
    link->attempt_until_ms = link_now_ms(link) + link->options.connect_timeout_ms;
    timer_arm(&link->loop->timers, &link->retry, link_now_ms(link));
}

static void free_prefixes(struct link_options *options)
{
    for (size_t i = 0; i < options->n_prefixes; i++)
        mem_free(options->prefixes[i]);
    mem_free(options->prefixes);
    options->prefixes = NULL;
    options->n_prefixes = 0;
}

static void free_secret(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    mem_free(secret);
}

void link_options_copy(struct link_options *to, const struct link_options *from)
{
    *to = *from;
    address_copy(&to->address, &from->address);
    to->username = from->username != NULL ? mem_strdup(from->username) : NULL;
    to->password = from->password != NULL ? mem_strdup(from->password) : NULL;
    if (from->n_prefixes == 0)
        return;
    to->prefixes = mem_alloc(from->n_prefixes * sizeof(*to->prefixes));
    for (size_t i = 0; i < from->n_prefixes; i++)
        to->prefixes[i] = mem_strdup(from->prefixes[i]);
}

void link_options_deinit(struct link_options *options)
{
    address_deinit(&options->address);
    free_secret(options->username);
    free_secret(options->password);
    free_prefixes(options);
    memset(options, 0, sizeof(*options));
}

void link_destroy(struct link *link)
{
    link_set_error(link, "larder is shutting down");
    link_close_socket(link);
    link_set_state(link, LINK_DOWN);
    link_fail_all(link, LINK_FAILED);
    while (link->n_rejects > 0)
        link_run_rejects(link);
    timer_disarm(&link->loop->timers, &link->retry);
    timer_disarm(&link->loop->timers, &link->tick);
    if (link->resolver != NULL)
        resolver_destroy(link->resolver);
    mem_free(link->ops.ring);
    mem_free(link->rejects);
    buf_deinit(&link->backlog);
    buf_deinit(&link->reply);
    buf_deinit(&link->command_table);
    buf_deinit(&link->busy);
    link_options_deinit(&link->options);
    mem_free(link);
}

/* Takes over the mode of tracking and its prefixes. Returns true when L2 has to be told. */
static bool replace_tracking(struct link *link, struct link_options *options)
{
    bool same = link->options.tracking == options->tracking &&
                (options->tracking != LINK_TRACKING_BROADCAST ||
                 link->options.n_prefixes == options->n_prefixes);
    for (size_t i = 0;
         same && options->tracking == LINK_TRACKING_BROADCAST && i < options->n_prefixes; i++)
        same = strcmp(link->options.prefixes[i], options->prefixes[i]) == 0;
    link->options.tracking = options->tracking;
    free_prefixes(&link->options);
    link->options.prefixes = options->prefixes;
    link->options.n_prefixes = options->n_prefixes;
    options->prefixes = NULL;
    options->n_prefixes = 0;
    return !same;
}

/* Takes `by`. Returns true when it says something else. */
static bool replace_text(char **text, char *by)
{
    bool differs = (*text == NULL) != (by == NULL) || (by != NULL && strcmp(*text, by) != 0);
    free_secret(*text);
    *text = by;
    return differs;
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
    link->options.breaker = options->breaker;
    breaker_configure(&link->breaker, &options->breaker);
    bool login_differs = replace_text(&link->options.username, options->username);
    login_differs |= replace_text(&link->options.password, options->password);
    if (login_differs && timer_is_armed(&link->retry)) /* the last login may have been refused */
        timer_arm(&link->loop->timers, &link->retry, link_now_ms(link));
    link->options.tracking_retry_ms = options->tracking_retry_ms;
    link_tracking_configured(link, replace_tracking(link, options));
    link_arm_tick(link);
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
    figures->tracking = link_get_tracking(link);
    figures->tracking_wanted = link->options.tracking;
    figures->breaker = link->breaker.state;
    figures->breaker_transitions = link->breaker.transitions;
    figures->breaker_opened = link->breaker.opened;
}

void link_reset_counters(struct link *link)
{
    struct link_figures *f = &link->figures;
    f->commands = f->replies = f->errors = f->timeouts = f->failures = f->connects_failed = 0;
    link->breaker.transitions = link->breaker.opened = 0;
    f->step_downs = f->step_ups = f->tracking_losses = 0;
    f->invalidations = f->invalidations_all = f->bytes_out = f->bytes_in = f->reads = f->writes = 0;
}

void link_distrust(struct link *link, const char *why)
{
    if (link->figures.state != LINK_READY)
        return;
    link_set_error(link, "%s", why);
    link->broken = true;
}

void link_refuse_output(struct link *link)
{
    if (link->figures.state == LINK_DOWN)
        return; /* all is refused already */
    link_set_error(link, "out of memory for output");
    link->broken = true;
    loop_again(link->loop); /* this turn's link_flush may be over */
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

const char *link_get_policy(const struct link *link)
{
    return link->policy;
}

const char *link_get_name(const struct link *link)
{
    return link->name;
}
