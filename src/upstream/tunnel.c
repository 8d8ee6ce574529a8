/* A connection to L2 on which bytes go both ways as they are; see tunnel.h. */
#include "upstream/tunnel.h"

#include "base/mem.h"
#include "net/listener.h"
#include "resp/request.h"
#include "upstream/resolve.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <hiredis/sds.h>
#include <stdio.h>
#include <sys/socket.h>

#define READ_BYTES 65536

enum tunnel_state { CONNECTING, LOGIN, OPEN, OVER };

struct tunnel {
    struct loop *loop;
    struct link_options options; /* owned */
    const struct tunnel_handlers *handlers;
    void *ctx;
    char name[ADDRESS_TEXT_MAX];
    struct resolver *resolver; /* owned; NULL for a unix socket */
    redisContext *redis;       /* owned; NULL while resolving and when over */
    struct loop_watch watch;
    struct timer
        timer; /* the time for connecting and login; the end, when it can't be told at once */
    enum tunnel_state state;
    struct buf early;   /* what was given before it is OPEN */
    char line[256];     /* an answer to the login, as far as it has come and fits */
    size_t line_len;    /* of the answer, also where it doesn't fit */
    unsigned n_answers; /* to the login, still to come */
    bool checks_answer; /* the next one is AUTH's */
    bool is_paused;     /* not read from */
    bool hung_up;       /* while it was paused: not watched */
    bool was_full;      /* the owner waits for on_room */
    char error[160];
};

static void set_error(struct tunnel *tunnel, const char *text)
{
    if (text != tunnel->error)
        snprintf(tunnel->error, sizeof(tunnel->error), "%s", text);
}

static void close_socket(struct tunnel *tunnel)
{
    timer_disarm(&tunnel->loop->timers, &tunnel->timer);
    if (tunnel->redis == NULL)
        return;
    loop_unwatch(tunnel->loop, &tunnel->watch);
    redisFree(tunnel->redis);
    tunnel->redis = NULL;
}

/* `error` says why. */
static void end(struct tunnel *tunnel)
{
    if (tunnel->state == OVER)
        return;
    bool was_open = tunnel->state == OPEN;
    tunnel->state = OVER;
    close_socket(tunnel);
    tunnel->handlers->on_end(tunnel->ctx, tunnel->error, was_open);
}

/* Ends it, but not inside the owner's call. */
static void end_later(struct tunnel *tunnel, const char *why)
{
    set_error(tunnel, why);
    timer_arm(&tunnel->loop->timers, &tunnel->timer, tunnel->loop->clock.mono_ms);
}

static void on_timer(struct timer *timer, void *ctx)
{
    (void)timer;
    struct tunnel *tunnel = ctx;
    if (tunnel->error[0] == '\0')
        snprintf(tunnel->error, sizeof(tunnel->error), "no connection within %lld ms",
                 (long long)tunnel->options.connect_timeout_ms);
    end(tunnel);
}

/* Writing */

static size_t unsent(const struct tunnel *tunnel)
{
    return tunnel->early.len + (tunnel->redis != NULL ? sdslen(tunnel->redis->obuf) : 0);
}

static void update_watch(struct tunnel *tunnel)
{
    if (tunnel->redis == NULL || tunnel->hung_up || tunnel->state == CONNECTING)
        return;
    unsigned events = tunnel->is_paused ? 0 : LOOP_READ;
    if (sdslen(tunnel->redis->obuf) > 0)
        events |= LOOP_WRITE;
    loop_rewatch(tunnel->loop, &tunnel->watch, events);
}

/* Writes what the socket takes. Returns false when the connection is lost; `error` says why. */
static bool write_some(struct tunnel *tunnel)
{
    int done = 0;
    if (sdslen(tunnel->redis->obuf) > 0 && redisBufferWrite(tunnel->redis, &done) != REDIS_OK) {
        set_error(tunnel, tunnel->redis->errstr);
        return false;
    }
    update_watch(tunnel);
    return true;
}

static bool append(struct tunnel *tunnel, struct bytes data)
{
    if (redisAppendFormattedCommand(tunnel->redis, data.ptr, data.len) == REDIS_OK)
        return true;
    set_error(tunnel, "out of memory for output");
    return false;
}

void tunnel_give(struct tunnel *tunnel, struct bytes data)
{
    if (tunnel->state == OVER || data.len == 0)
        return;
    bool ok = tunnel->state != OPEN ? buf_append(&tunnel->early, data.ptr, data.len)
                                    : append(tunnel, data) && write_some(tunnel);
    tunnel->was_full |= unsent(tunnel) >= TUNNEL_FULL_BYTES;
    if (!ok)
        end_later(tunnel, tunnel->error[0] != '\0' ? tunnel->error : "out of memory for output");
}

bool tunnel_is_full(const struct tunnel *tunnel)
{
    return unsent(tunnel) >= TUNNEL_FULL_BYTES;
}

/* Login */

static bool say(struct tunnel *tunnel, const struct bytes *argv, size_t argc)
{
    struct buf raw;
    buf_init(&raw);
    bool ok = request_encode(argv, argc, &raw) && append(tunnel, buf_bytes(&raw));
    if (raw.data != NULL)
        explicit_bzero(raw.data, raw.cap); /* it may hold the password */
    buf_deinit(&raw);
    tunnel->n_answers++;
    return ok;
}

static bool say_login(struct tunnel *tunnel)
{
    const struct link_options *options = &tunnel->options;
    const char *user = options->username != NULL ? options->username : options->address.username;
    const char *secret = options->password != NULL ? options->password : options->address.password;
    struct bytes setname[] = {BYTES("CLIENT"), BYTES("SETNAME"), BYTES("larder")};
    struct bytes auth[3] = {BYTES("AUTH")};
    size_t argc = 1;
    if (secret != NULL && user != NULL)
        auth[argc++] = bytes_of_str(user);
    if (secret != NULL)
        auth[argc++] = bytes_of_str(secret);
    tunnel->checks_answer = secret != NULL;
    return (secret == NULL || say(tunnel, auth, argc)) && say(tunnel, setname, 3);
}

/* Takes one whole answer. An error to AUTH is shown by its code only: L2 may repeat arguments. Returns false when it ends the tunnel. */
static bool take_answer(struct tunnel *tunnel)
{
    bool is_refused = tunnel->checks_answer && tunnel->line[0] == '-';
    tunnel->checks_answer = false;
    tunnel->n_answers--;
    if (!is_refused)
        return true;
    tunnel->line[tunnel->line_len < sizeof(tunnel->line) ? tunnel->line_len
                                                         : sizeof(tunnel->line) - 1] = '\0';
    snprintf(tunnel->error, sizeof(tunnel->error), "login: %.*s",
             (int)strcspn(tunnel->line + 1, " \r\n"), tunnel->line + 1);
    return false;
}

/* Takes answers to the login from the front of `data`. Returns false when L2 refused it, or is lost. */
static bool take_answers(struct tunnel *tunnel, struct bytes *data)
{
    while (tunnel->n_answers > 0 && data->len > 0) {
        char c = *data->ptr;
        *data = bytes_of(data->ptr + 1, data->len - 1);
        if (tunnel->line_len < sizeof(tunnel->line) - 1)
            tunnel->line[tunnel->line_len] = c;
        tunnel->line_len++;
        if (c != '\n')
            continue;
        if (!take_answer(tunnel))
            return false;
        tunnel->line_len = 0;
    }
    if (tunnel->n_answers > 0 || tunnel->state == OPEN)
        return true;
    tunnel->state = OPEN;
    timer_disarm(&tunnel->loop->timers, &tunnel->timer);
    /* Not sooner: L2 takes no SYNC while it has something else to say. */
    bool ok =
        (tunnel->early.len == 0 || append(tunnel, buf_bytes(&tunnel->early))) && write_some(tunnel);
    buf_deinit(&tunnel->early);
    return ok;
}

/* Reading */

/* Returns false when the connection is over. */
static bool read_some(struct tunnel *tunnel)
{
    char buffer[READ_BYTES];
    if (tunnel->state == OPEN && !tunnel->handlers->may_read(tunnel->ctx)) {
        tunnel->is_paused = true;
        update_watch(tunnel);
        return true;
    }
    ssize_t n = tunnel->redis->funcs->read(tunnel->redis, buffer, sizeof(buffer));
    if (n < 0) {
        set_error(tunnel, tunnel->redis->err == REDIS_ERR_EOF ? "connection closed by the upstream"
                                                              : tunnel->redis->errstr);
        return false;
    }
    struct bytes data = bytes_of(buffer, (size_t)n);
    if (!take_answers(tunnel, &data))
        return false;
    if (data.len > 0)
        tunnel->handlers->on_data(tunnel->ctx, data);
    return true;
}

static void on_event(struct loop *loop, struct loop_watch *watch, unsigned events);

void tunnel_resume(struct tunnel *tunnel)
{
    if (!tunnel->is_paused || tunnel->state == OVER)
        return;
    tunnel->is_paused = false;
    /* What is left in a socket that was hung up is read, and then its end. */
    if (tunnel->hung_up && loop_watch(tunnel->loop, &tunnel->watch, tunnel->redis->fd, LOOP_READ,
                                      on_event, tunnel) < 0)
        end_later(tunnel, "out of memory");
    tunnel->hung_up = false;
    update_watch(tunnel);
}

/* Connecting */

static bool finish_connect(struct tunnel *tunnel)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(tunnel->redis->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error != 0) {
        set_error(tunnel, strerror(error));
        return false;
    }
    net_tune(tunnel->redis->fd, 60);
    tunnel->state = LOGIN;
    return say_login(tunnel) && write_some(tunnel);
}

/* A hang-up is reported whatever was asked for: while it is paused, nobody looks. */
static bool is_hung_up_in_pause(struct tunnel *tunnel, unsigned events)
{
    if (!tunnel->is_paused || !(events & LOOP_READ))
        return false;
    loop_unwatch(tunnel->loop, &tunnel->watch);
    tunnel->hung_up = true;
    return true;
}

static void on_event(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    (void)loop;
    struct tunnel *tunnel = watch->ctx;
    bool ok = true;
    if (tunnel->state == CONNECTING)
        ok = finish_connect(tunnel);
    else if (is_hung_up_in_pause(tunnel, events))
        return;
    else if (events & LOOP_READ)
        ok = read_some(tunnel);
    if (tunnel->state == OVER)
        return; /* by its owner */
    if (ok && (events & LOOP_WRITE))
        ok = write_some(tunnel);
    if (!ok) {
        end(tunnel);
    } else if (tunnel->was_full && !tunnel_is_full(tunnel)) {
        tunnel->was_full = false;
        tunnel->handlers->on_room(tunnel->ctx);
    }
}

/* To a numeric address, or to the unix socket when it is NULL. */
static bool connect_to(struct tunnel *tunnel, const char *address)
{
    redisOptions options = {0};
    options.options = REDIS_OPT_NONBLOCK;
    if (address == NULL)
        REDIS_OPTIONS_SET_UNIX(&options, tunnel->options.address.path);
    else
        REDIS_OPTIONS_SET_TCP(&options, address, (int)tunnel->options.address.port);
    tunnel->redis = redisConnectWithOptions(&options);
    if (tunnel->redis == NULL || tunnel->redis->err != 0) {
        set_error(tunnel, tunnel->redis == NULL ? "out of memory" : tunnel->redis->errstr);
        return false;
    }
    int result =
        loop_watch(tunnel->loop, &tunnel->watch, tunnel->redis->fd, LOOP_WRITE, on_event, tunnel);
    if (result < 0)
        set_error(tunnel, strerror(-result));
    return result == 0;
}

static void on_resolved(void *ctx, int error, const char *error_text, const char *const *addresses,
                        size_t n)
{
    struct tunnel *tunnel = ctx;
    if (tunnel->state == OVER)
        return;
    if (error != 0 || n == 0)
        snprintf(tunnel->error, sizeof(tunnel->error), "can't resolve %s: %s",
                 tunnel->options.address.host, error != 0 ? error_text : "no address");
    else if (connect_to(tunnel, addresses[0]))
        return;
    end(tunnel);
}

/* Life cycle */

struct tunnel *tunnel_create(struct loop *loop, struct link_options *options,
                             const struct tunnel_handlers *handlers, void *ctx)
{
    struct tunnel *tunnel = mem_zalloc(sizeof(*tunnel));
    tunnel->loop = loop;
    tunnel->options = *options;
    memset(options, 0, sizeof(*options));
    tunnel->handlers = handlers;
    tunnel->ctx = ctx;
    address_format(&tunnel->options.address, tunnel->name, sizeof(tunnel->name));
    timer_init(&tunnel->timer, on_timer, tunnel);
    timer_arm(&loop->timers, &tunnel->timer,
              loop->clock.mono_ms + tunnel->options.connect_timeout_ms);
    if (tunnel->options.address.path != NULL) {
        if (!connect_to(tunnel, NULL))
            end_later(tunnel, tunnel->error);
    } else {
        tunnel->resolver = resolver_create(loop);
        resolver_resolve(tunnel->resolver, tunnel->options.address.host, on_resolved, tunnel);
    }
    return tunnel;
}

static void free_tunnel(void *ptr)
{
    struct tunnel *tunnel = ptr;
    if (tunnel->resolver != NULL)
        resolver_destroy(tunnel->resolver);
    link_options_deinit(&tunnel->options);
    buf_deinit(&tunnel->early);
    mem_free(tunnel);
}

void tunnel_destroy(struct tunnel *tunnel)
{
    tunnel->state = OVER;
    close_socket(tunnel);
    /* The resolver may be in the middle of a callback. */
    loop_retire(tunnel->loop, free_tunnel, tunnel);
}

const char *tunnel_get_name(const struct tunnel *tunnel)
{
    return tunnel->name;
}
