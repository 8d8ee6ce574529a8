/* The floor: a bare epoll server that reads, counts requests and answers a constant.
 *
 *     responder     prints the port that the kernel gave it, and runs until a signal ends it
 *
 * It has no parser and no store, so what it costs is what sockets and epoll cost anybody; nothing
 * that answers on a socket of its own per client can be cheaper. bench/compare builds it, runs it
 * and prints it beside the others.
 *
 * A request is complete when its "*N" is followed by as many lines as its N arguments take, so no
 * byte of a payload may be '*'; redis-benchmark's never are. Requests that were read whole are
 * answered with one write: 64 bytes for GET, which the first letter of the first command decides
 * for the connection's life, and +OK for everything else. It trusts its client and listens on
 * loopback only. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4; bench/compare compiles this file by itself */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536u
#define EVENTS_MAX 64
#define VALUE_LEN 64u
#define REPLY_MAX (VALUE_LEN + 16)
/* Of the shortest request, "*1\r\n$1\r\nX\r\n". */
#define REQUEST_MIN 11u
#define REPLIES_MAX (READ_BYTES / REQUEST_MIN + 1)

/* A reply, as often as it may be wanted at once. */
struct replies {
    size_t len; /* of one */
    char *data; /* REPLIES_MAX of them */
};

struct peer {
    int fd;
    const struct replies *replies; /* NULL before the first request */
    size_t len;                    /* of what was read and is no whole request yet */
    char data[READ_BYTES];
};

struct responder {
    int epoll;
    int listener;
    struct replies value, ok;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void make_replies(struct replies *replies, const char *one)
{
    replies->len = strlen(one);
    replies->data = malloc(REPLIES_MAX * replies->len);
    if (replies->data == NULL)
        die("malloc");
    for (size_t i = 0; i < REPLIES_MAX; i++)
        memcpy(replies->data + i * replies->len, one, replies->len);
}

/* True when the request that starts here is whole: one line for its head, two for each argument. */
static bool is_whole(const char *request, const char *end)
{
    size_t n_lines = 1;
    for (const char *at = request + 1; at < end && *at >= '0' && *at <= '9'; at++)
        n_lines = (n_lines - 1) * 10 + (size_t)(*at - '0') * 2 + 1;
    while (n_lines-- > 0) {
        request = memchr(request, '\n', (size_t)(end - request));
        if (request++ == NULL)
            return false;
    }
    return true;
}

/* Counts the whole requests in what was read, and returns where the first that is not starts. */
static size_t count_requests(const struct peer *peer, size_t *n_requests)
{
    const char *end = peer->data + peer->len;
    const char *last = peer->data;
    const char *next = peer->data;
    *n_requests = 0;
    while ((next = memchr(next + 1, '*', (size_t)(end - next - 1))) != NULL) {
        last = next;
        ++*n_requests;
    }
    if (!is_whole(last, end))
        return (size_t)(last - peer->data);
    ++*n_requests;
    return peer->len;
}

/* True when the first command, which is in the third line, is GET; or something else with a G. */
static bool is_get(const struct peer *peer)
{
    const char *line = peer->data;
    const char *end = peer->data + peer->len;
    for (int i = 0; i < 2 && line != NULL; i++) {
        line = memchr(line, '\n', (size_t)(end - line));
        line = line == NULL ? NULL : line + 1;
    }
    return line != NULL && line < end && (*line | 0x20) == 'g';
}

/* Answers what came. Returns false when the peer is gone or reads too slowly to be of use. */
static bool serve(const struct responder *responder, struct peer *peer)
{
    ssize_t n = read(peer->fd, peer->data + peer->len, sizeof(peer->data) - peer->len);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    peer->len += (size_t)n;
    if (peer->data[0] != '*')
        return false;
    size_t n_requests;
    size_t taken = count_requests(peer, &n_requests);
    if (n_requests == 0)
        return peer->len < sizeof(peer->data);
    if (n_requests > REPLIES_MAX)
        return false;
    if (peer->replies == NULL)
        peer->replies = is_get(peer) ? &responder->value : &responder->ok;
    peer->len -= taken;
    memmove(peer->data, peer->data + taken, peer->len);
    size_t size = n_requests * peer->replies->len;
    return write(peer->fd, peer->replies->data, size) == (ssize_t)size;
}

static void accept_peer(const struct responder *responder)
{
    int one = 1;
    int fd = accept4(responder->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct peer *peer = malloc(sizeof(*peer));
    if (peer == NULL)
        die("malloc");
    peer->fd = fd;
    peer->replies = NULL;
    peer->len = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    if (epoll_ctl(responder->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void close_peer(struct peer *peer)
{
    close(peer->fd);
    free(peer);
}

static void listen_on_loopback(struct responder *responder)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    responder->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (responder->listener < 0)
        die("socket");
    if (bind(responder->listener, (struct sockaddr *)&address, len) < 0)
        die("bind");
    if (listen(responder->listener, 511) < 0)
        die("listen");
    if (getsockname(responder->listener, (struct sockaddr *)&address, &len) < 0)
        die("getsockname");
    responder->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (responder->epoll < 0 ||
        epoll_ctl(responder->epoll, EPOLL_CTL_ADD, responder->listener, &event) < 0)
        die("epoll");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(void)
{
    struct responder responder;
    struct epoll_event events[EVENTS_MAX];
    char value[REPLY_MAX];
    snprintf(value, sizeof(value), "$%u\r\n%0*d\r\n", VALUE_LEN, (int)VALUE_LEN, 0);
    make_replies(&responder.value, value);
    make_replies(&responder.ok, "+OK\r\n");
    listen_on_loopback(&responder);
    for (;;) {
        int n = epoll_wait(responder.epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            if (peer == NULL)
                accept_peer(&responder);
            else if (!serve(&responder, peer))
                close_peer(peer);
        }
    }
}
