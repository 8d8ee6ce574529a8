/* A whole larder on a loop that the test turns, alone or in front of a fake upstream, and clients
 * of it: each the far end of a socket pair. The clock is manual. */
#ifndef LARDER_TESTS_LARDER_SUPPORT_H
#define LARDER_TESTS_LARDER_SUPPORT_H

#include "fake_upstream.h"

#include "base/log.h"
#include "core/config_file.h"
#include "server/server.h"
#include "upstream/busy.h"

#define START_MONO_MS 1000000
#define START_WALL_MS 1700000000000

static struct larder *larder;
static const char *learned; /* what L2 says to COMMAND; NULL: an empty array */

/* Starts a larder with these lines of configuration besides. */
static inline void larder_start(bool with_upstream, const char *more)
{
    struct config config;
    char text[1024];
    char error[CONFIG_ERR_SIZE];
    log_set_level(getenv("TEST_LOG") != NULL ? LOG_DEBUG : LOG_NOTHING);
    upstream_open();
    upstream.command_reply = learned;
    snprintf(text, sizeof(text), "port 0\nunixsocket %s/l1\n%s%s\n%s", upstream.dir,
             with_upstream ? "upstream-ping-interval 3600000\nupstream unix:" : "",
             with_upstream ? upstream.path : "", more);
    config_init(&config);
    ck_assert_msg(
        config_file_parse(&config, bytes_of_str(text), "test", NULL, NULL, error, sizeof(error)),
        "%s", error);
    larder = server_create(&config, error, sizeof(error));
    ck_assert_msg(larder != NULL, "%s", error);
    config_deinit(&config);
    /* The fake upstream takes one connection: nobody may ask on another why it is silent. */
    busy_watch_destroy(larder->busy_watch);
    larder->busy_watch = NULL;
    upstream_attach(&larder->loop);
    if (with_upstream)
        TURN_UNTIL(&larder->loop, link_get_state(larder->link) == LINK_READY);
    clock_init_manual(&larder->loop.clock, larder->loop.clock.mono_ms, START_WALL_MS);
}

static inline void larder_end(void)
{
    upstream_hang_up();
    upstream_stop_listening();
    server_destroy(larder);
    upstream_close();
}

static inline void turns(unsigned n)
{
    turn_times(&larder->loop, n);
}

/* Moves the clock, and lets what is due then happen. */
static inline void pass_ms(int64_t ms)
{
    clock_advance(&larder->loop.clock, ms);
    turns(3);
}

/* Clients */

struct peer {
    int fd;
    struct client *client; /* borrowed; freed when the connection has ended */
    struct buf got;        /* read and not yet expected */
    bool at_end;           /* larder has closed the connection */
};

/* Connects a client. `buffer`: bytes that its socket holds unread, as far as the kernel listens (0:
 * many). */
static inline struct peer peer_open_small(int buffer)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    if (buffer > 0)
        ck_assert_int_eq(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)), 0);
    client_accept(larder, fds[0], true);
    struct peer peer = {.fd = fds[1], .client = TAILQ_LAST(&larder->clients, client_list)};
    buf_init(&peer.got);
    return peer;
}

static inline struct peer peer_open(void)
{
    return peer_open_small(0);
}

static inline void peer_close(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    buf_deinit(&peer->got);
}

/* Writes to larder; turns the loop only when the socket is full. */
static inline void peer_write(struct peer *peer, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(peer->fd, bytes, len, MSG_NOSIGNAL);
        ck_assert(n > 0 || errno == EAGAIN);
        if (n < 0) {
            turns(1);
            continue;
        }
        bytes += n;
        len -= (size_t)n;
    }
}

static inline void peer_say(struct peer *peer, const char *text)
{
    peer_write(peer, text, strlen(text));
}

/* Reads what there is. */
static inline void peer_read(struct peer *peer)
{
    for (;;) {
        ck_assert(buf_reserve(&peer->got, 65536));
        ssize_t n = recv(peer->fd, peer->got.data + peer->got.len, 65536, 0);
        peer->at_end |= n == 0 || (n < 0 && errno != EAGAIN);
        if (n <= 0)
            return;
        peer->got.len += (size_t)n;
    }
}

static inline size_t peer_read_len(struct peer *peer)
{
    peer_read(peer);
    return peer->got.len;
}

/* Turns the loop until as many bytes have come, and some turns more; they must be these. */
static inline void peer_expect(struct peer *peer, const char *text)
{
    size_t len = strlen(text);
    int64_t limit_ns = clock_read_ns() + (int64_t)TURN_LIMIT_MS * 1000000;
    while (peer_read_len(peer) < len && !peer->at_end && clock_read_ns() < limit_ns)
        loop_turn(&larder->loop, 20);
    turns(3);
    peer_read(peer);
    ck_assert(buf_append(&peer->got, "", 1));
    ck_assert_str_eq(peer->got.data, text);
    peer->got.len = 0;
}

/* The same, and larder closes the connection behind it. */
static inline void peer_expect_end(struct peer *peer, const char *text)
{
    TURN_UNTIL(&larder->loop, peer_read_len(peer) > strlen(text) || peer->at_end);
    peer_expect(peer, text);
    ck_assert(peer->at_end);
}

/* Says a line (several between "\n"), and expects replies. */
static inline void peer_ask(struct peer *peer, const char *line, const char *reply)
{
    peer_say(peer, line);
    peer_say(peer, "\r\n");
    peer_expect(peer, reply);
}

#endif
