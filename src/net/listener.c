/* Listening sockets; see listener.h. */
#include "net/listener.h"

#include "base/log.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Accepted in one turn, so that a flood of connections leaves time for those that are there. */
#define ACCEPTS_PER_TURN 64

/* How long a listener rests when the process or the host has no descriptor left. */
#define REST_MS 100

static bool is_out_of_resources(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_rest_over(struct timer *timer, void *ctx)
{
    (void)timer;
    struct listener *listener = ctx;
    loop_rewatch(listener->loop, &listener->watch, LOOP_READ);
}

static void on_acceptable(struct loop *loop, struct loop_watch *watch, unsigned events)
{
    (void)events;
    struct listener *listener = watch->ctx;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            listener->fn(listener, fd, listener->ctx);
            if (listener->fd < 0)
                return; /* closed inside */
            continue;
        }
        if (is_out_of_resources(errno)) {
            LOG(LOG_WARNING, "Accepting a client connection: %s; resting for %d ms",
                strerror(errno), REST_MS);
            loop_rewatch(loop, watch, 0);
            timer_arm(&loop->timers, &listener->rest, loop->clock.mono_ms + REST_MS);
            return;
        }
        if (errno == EAGAIN)
            return;
        /* Others (ECONNABORTED, EINTR, EPROTO) concern the one connection only. */
    }
}

/* Listens on a bound socket. Closes it on failure. */
static int start(struct listener *listener, struct loop *loop, int fd, int backlog)
{
    int result;
    if (listen(fd, backlog) < 0) {
        result = -errno;
    } else {
        listener->loop = loop;
        listener->fd = fd;
        timer_init(&listener->rest, on_rest_over, listener);
        result = loop_watch(loop, &listener->watch, fd, LOOP_READ, on_acceptable, listener);
    }
    if (result < 0) {
        close(fd);
        listener->fd = -1;
    }
    return result;
}

/* Fills a socket address from text; returns its length, or 0 when it is none. */
static socklen_t parse_address(const char *address, unsigned port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    if (strcmp(address, "*") == 0)
        address = "0.0.0.0";
    else if (strcmp(address, "::*") == 0)
        address = "::";
    else if (strcmp(address, "localhost") == 0)
        address = "127.0.0.1";
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return sizeof(*v6);
    }
    return 0;
}

int listener_open_tcp(struct listener *listener, struct loop *loop, const char *address,
                      unsigned port, int backlog, listener_accept_fn *fn, void *ctx)
{
    memset(listener, 0, sizeof(*listener));
    listener->fd = -1;
    listener->fn = fn;
    listener->ctx = ctx;
    struct sockaddr_storage where;
    socklen_t len = parse_address(address, port, &where);
    if (len == 0 || port > 65535)
        return -EINVAL;
    int fd = socket(where.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (where.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&where, len) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return start(listener, loop, fd, backlog);
}

/* True unless it is sure that nobody listens on the unix socket any more. */
static bool is_live(const struct sockaddr_un *where)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    bool live =
        connect(fd, (const struct sockaddr *)where, sizeof(*where)) == 0 || errno != ECONNREFUSED;
    close(fd);
    return live;
}

int listener_open_unix(struct listener *listener, struct loop *loop, const char *path, mode_t mode,
                       int backlog, listener_accept_fn *fn, void *ctx)
{
    memset(listener, 0, sizeof(*listener));
    listener->fd = -1;
    listener->fn = fn;
    listener->ctx = ctx;
    listener->is_unix = true;
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(where.sun_path))
        return -ENAMETOOLONG;
    strcpy(where.sun_path, path);
    struct stat info;
    if (lstat(path, &info) == 0) {
        if (!S_ISSOCK(info.st_mode) || is_live(&where))
            return -EADDRINUSE;
        unlink(path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* bind creates the file with the umask's mode and nobody can connect before listen: chmod lies
     * between the two. */
    int result = 0;
    if (bind(fd, (struct sockaddr *)&where, sizeof(where)) < 0) {
        result = -errno;
    } else if (mode != 0 && chmod(path, mode) < 0) {
        result = -errno;
        unlink(path);
    }
    if (result < 0) {
        close(fd);
        return result;
    }
    result = start(listener, loop, fd, backlog);
    if (result < 0)
        unlink(path);
    else
        listener->path = mem_strdup(path);
    return result;
}

void listener_close(struct listener *listener)
{
    if (listener->fd < 0)
        return;
    timer_disarm(&listener->loop->timers, &listener->rest);
    loop_unwatch(listener->loop, &listener->watch);
    close(listener->fd);
    listener->fd = -1;
    if (listener->path != NULL) {
        unlink(listener->path);
        mem_free(listener->path);
        listener->path = NULL;
    }
}

static void format_name(const struct sockaddr_storage *name, char *out, size_t size)
{
    char text[INET6_ADDRSTRLEN] = "?";
    if (name->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)name;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        snprintf(out, size, "%s:%u", text, ntohs(v4->sin_port));
    } else if (name->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)name;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        snprintf(out, size, "[%s]:%u", text, ntohs(v6->sin6_port));
    } else if (name->ss_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)name;
        snprintf(out, size, "%s:0", un->sun_path);
    } else {
        snprintf(out, size, "?:0");
    }
}

void net_peer_name(int fd, char *out, size_t size)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    memset(&name, 0, sizeof(name));
    if (getpeername(fd, (struct sockaddr *)&name, &len) < 0)
        name.ss_family = AF_UNSPEC;
    /* A client of a unix socket has no name of its own: Redis shows the listener's path. */
    if (name.ss_family == AF_UNIX)
        net_local_name(fd, out, size);
    else
        format_name(&name, out, size);
}

void net_local_name(int fd, char *out, size_t size)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    memset(&name, 0, sizeof(name));
    if (getsockname(fd, (struct sockaddr *)&name, &len) < 0)
        name.ss_family = AF_UNSPEC;
    format_name(&name, out, size);
}

bool net_peer_is_local(int fd)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);
    memset(&name, 0, sizeof(name));
    if (getpeername(fd, (struct sockaddr *)&name, &len) < 0)
        return false;
    if (name.ss_family == AF_INET)
        return (ntohl(((struct sockaddr_in *)&name)->sin_addr.s_addr) >> 24) == 127;
    if (name.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&name)->sin6_addr);
    return name.ss_family == AF_UNIX;
}

void net_tune(int fd, int keepalive_seconds)
{
    int on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
        return; /* not TCP */
    if (keepalive_seconds <= 0)
        return;
    int interval = keepalive_seconds / 3 > 0 ? keepalive_seconds / 3 : 1;
    int count = 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keepalive_seconds, sizeof(keepalive_seconds));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}
