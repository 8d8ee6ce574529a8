/* Listening sockets: TCP over IPv4 and IPv6, and unix sockets. Accepts a bounded batch per turn and
 * hands each socket, non-blocking and close-on-exec, to the owner. Without file descriptors left it
 * rests for a moment instead of spinning. */
#ifndef LARDER_NET_LISTENER_H
#define LARDER_NET_LISTENER_H

#include "net/loop.h"

#include <sys/types.h>

struct listener;

/* Takes the socket `fd`; the peer's text ("127.0.0.1:5012", "/path:0") can be had from
 * net_peer_name. */
typedef void listener_accept_fn(struct listener *listener, int fd, void *ctx);

struct listener {
    struct loop *loop;
    struct loop_watch watch;
    struct timer rest; /* armed while there are no descriptors */
    listener_accept_fn *fn;
    void *ctx;
    int fd;
    bool is_unix;
    char *path; /* owned; of a unix socket, removed by listener_close */
};

/* Listens on a numeric address ("127.0.0.1", "::1", "*" for all of IPv4, "::*" for all of IPv6) and
 * port 1 to 65535 (0: the kernel chooses). Returns 0, or -errno: -EADDRINUSE, -EADDRNOTAVAIL,
 * -EINVAL for text that is no address. */
int listener_open_tcp(struct listener *listener, struct loop *loop, const char *address,
                      unsigned port, int backlog, listener_accept_fn *fn, void *ctx)
    __attribute__((warn_unused_result));

/* Listens on a unix socket. A stale socket file is replaced, a live one is -EADDRINUSE. `mode` (0:
 * as umask says) is in force before the socket can be reached. Returns 0 or -errno
 * (-ENAMETOOLONG). */
int listener_open_unix(struct listener *listener, struct loop *loop, const char *path, mode_t mode,
                       int backlog, listener_accept_fn *fn, void *ctx)
    __attribute__((warn_unused_result));

/* Stops listening, closes the socket, removes a unix socket's file. */
void listener_close(struct listener *listener);

/* Longest text of net_peer_name and net_local_name, with the NUL. */
#define NET_NAME_MAX 128

/* Writes "address:port" ("[::1]:80") or "path:0" (as Redis shows a unix socket) of the peer or of
 * the local end into `out`. */
void net_peer_name(int fd, char *out, size_t size);
void net_local_name(int fd, char *out, size_t size);

/* True when the peer is on this host: loopback, or a unix socket. */
bool net_peer_is_local(int fd);

/* Sets TCP_NODELAY and keep-alive probes after `keepalive_seconds` (0: none) as Redis does; nothing
 * on unix sockets. */
void net_tune(int fd, int keepalive_seconds);

#endif
