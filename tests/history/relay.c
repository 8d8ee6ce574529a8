/* Sessions between larder and L2, and the faults in force; see relay.h. */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 16384

/* Under `split`, a pipe rests for a millisecond after one piece in so many, so that the two ends see
 * pieces and not only what they add up to. */
#define SPLIT_REST 8

void relay_init(struct relay *relay, int epoll_fd, int far_port, uint64_t seed)
{
    memset(relay, 0, sizeof(*relay));
    relay->epoll_fd = epoll_fd;
    relay->far_port = far_port;
    relay->random.state = seed;
    TAILQ_INIT(&relay->sessions);
}

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* Pipes */

static void free_first(struct relay_pipe *pipe)
{
    struct relay_chunk *chunk = STAILQ_FIRST(&pipe->chunks);
    STAILQ_REMOVE_HEAD(&pipe->chunks, link);
    free(chunk);
}

static void empty(struct relay_pipe *pipe)
{
    while (!STAILQ_EMPTY(&pipe->chunks))
        free_first(pipe);
    pipe->queued = 0;
}

static void put(struct relay *relay, struct relay_pipe *pipe, const char *data, size_t len,
                int64_t now_ms)
{
    const struct relay_faults *faults = &relay->faults;
    struct relay_chunk *chunk = allocate(sizeof(*chunk) + len);
    chunk->len = len;
    memcpy(chunk->data, data, len);
    chunk->due_ms = now_ms + faults->delay_ms;
    if (faults->jitter_ms > 0)
        chunk->due_ms += random_range(&relay->random, 0, faults->jitter_ms);
    if (chunk->due_ms < pipe->last_due_ms)
        chunk->due_ms = pipe->last_due_ms;
    pipe->last_due_ms = chunk->due_ms;
    pipe->queued += len;
    if (pipe->queued > relay->queued_max)
        relay->queued_max = pipe->queued;
    STAILQ_INSERT_TAIL(&pipe->chunks, chunk, link);
}

/* Sessions */

static void watch(struct relay *relay, struct relay_end *end, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = end};
    int op = end->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (events == end->events)
        return;
    if (epoll_ctl(relay->epoll_fd, op, end->fd, &event) < 0)
        abort();
    end->events = events;
}

static void close_end(struct relay *relay, struct relay_end *end, bool reset)
{
    struct linger linger = {1, 0};
    if (end->fd < 0)
        return;
    watch(relay, end, 0);
    if (reset)
        setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(end->fd);
    end->fd = -1;
}

static void close_session(struct relay *relay, struct relay_session *session, bool reset)
{
    if (session->dead)
        return;
    session->dead = true;
    for (unsigned i = 0; i < 2; i++) {
        close_end(relay, &session->ends[i], reset);
        empty(&session->pipes[i]);
    }
    relay->n_sessions--;
}

static void free_dead(struct relay *relay)
{
    struct relay_session *session = TAILQ_FIRST(&relay->sessions);
    while (session != NULL) {
        struct relay_session *next = TAILQ_NEXT(session, link);
        if (session->dead) {
            TAILQ_REMOVE(&relay->sessions, session, link);
            free(session);
        }
        session = next;
    }
}

void relay_deinit(struct relay *relay)
{
    relay_close_all(relay, false);
    free_dead(relay);
}

/* A connection to L2, perhaps not there yet: what is wrong with it, epoll will tell. -1: no socket. */
static int dial(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

void relay_accept(struct relay *relay, int fd, int64_t now_ms)
{
    int one = 1;
    int far = dial(relay->far_port);
    relay->n_accepted++;
    if (far < 0) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct relay_session *session = allocate(sizeof(*session));
    for (unsigned i = 0; i < 2; i++) {
        session->ends[i] =
            (struct relay_end){.session = session, .side = i, .fd = i == RELAY_NEAR ? fd : far};
        STAILQ_INIT(&session->pipes[i].chunks);
        session->pipes[i].last_due_ms = now_ms;
    }
    session->frozen = relay->faults.freezes_new;
    relay->n_sessions++;
    TAILQ_INSERT_TAIL(&relay->sessions, session, link);
}

/* Reading */

/* Shortens L2's chunk to what may still go on. Returns the new length. */
static size_t cut_in_reply(struct relay *relay, struct relay_session *session, size_t len)
{
    struct relay_faults *faults = &relay->faults;
    if (!faults->cuts_in_reply || len < 2)
        return len;
    size_t kept = faults->cut_bytes;
    if (kept == 0)
        kept = (size_t)random_range(&relay->random, 1, (int64_t)len - 1);
    faults->cuts_in_reply = false;
    session->ends_when_sent = true;
    return kept < len ? kept : len - 1;
}

static void read_some(struct relay *relay, struct relay_end *end, int64_t now_ms)
{
    char data[READ_BYTES];
    struct relay_session *session = end->session;
    struct relay_pipe *pipe = &session->pipes[end->side];
    ssize_t n = read(end->fd, data, sizeof(data));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        pipe->source_ended = true;
        return;
    }
    relay->n_bytes[end->side] += (uint64_t)n;
    if (session->ends_when_sent)
        return; /* nobody will hear it */
    size_t len = (size_t)n;
    if (end->side == RELAY_FAR)
        len = cut_in_reply(relay, session, len);
    put(relay, pipe, data, len, now_ms);
}

void relay_on_event(struct relay *relay, struct relay_end *end, uint32_t events, int64_t now_ms)
{
    struct relay_session *session = end->session;
    if (session->dead || session->frozen)
        return;
    if (events & EPOLLOUT)
        session->pipes[1 - end->side].blocked = false;
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) && !session->pipes[end->side].source_ended)
        read_some(relay, end, now_ms);
    else if (events & (EPOLLERR | EPOLLHUP))
        close_session(relay, session, false); /* its other half is over as well */
}

/* Sending on */

/* How much of `len` bytes may go on now; 0: none before pipe->wait_ms. */
static size_t allowance(struct relay *relay, struct relay_pipe *pipe, size_t len, int64_t now_ms)
{
    const struct relay_faults *faults = &relay->faults;
    if (faults->split_max > 0) {
        size_t piece = (size_t)random_range(&relay->random, 1, (int64_t)faults->split_max);
        len = piece < len ? piece : len;
        if (random_below(&relay->random, SPLIT_REST) == 0)
            pipe->wait_ms = now_ms + 1;
    }
    if (faults->drip_bytes == 0)
        return len;
    if (now_ms >= pipe->drip_until_ms) {
        pipe->drip_left = faults->drip_bytes;
        pipe->drip_until_ms = now_ms + faults->drip_ms;
    }
    if (pipe->drip_left == 0)
        pipe->wait_ms = pipe->drip_until_ms;
    return pipe->drip_left < len ? pipe->drip_left : len;
}

/* Sends a piece of the first chunk. Returns false when the destination is gone. */
static bool send_piece(struct relay *relay, struct relay_session *session, enum relay_side from,
                       int64_t now_ms)
{
    struct relay_pipe *pipe = &session->pipes[from];
    struct relay_chunk *chunk = STAILQ_FIRST(&pipe->chunks);
    size_t len = allowance(relay, pipe, chunk->len - chunk->sent, now_ms);
    if (len == 0)
        return true;
    ssize_t n = send(session->ends[1 - from].fd, chunk->data + chunk->sent, len, MSG_NOSIGNAL);
    if (n < 0) {
        pipe->blocked = errno == EAGAIN || errno == EINTR || errno == ENOTCONN;
        return pipe->blocked;
    }
    chunk->sent += (size_t)n;
    pipe->queued -= (size_t)n;
    if (relay->faults.drip_bytes > 0)
        pipe->drip_left -= (size_t)n;
    if (chunk->sent == chunk->len)
        free_first(pipe);
    return true;
}

static bool has_due(const struct relay_pipe *pipe, int64_t now_ms)
{
    const struct relay_chunk *chunk = STAILQ_FIRST(&pipe->chunks);
    return chunk != NULL && !pipe->blocked && chunk->due_ms <= now_ms && pipe->wait_ms <= now_ms;
}

/* Sends on what is due in one direction; under `split`, one piece a turn. */
static void pump(struct relay *relay, struct relay_session *session, enum relay_side from,
                 int64_t now_ms)
{
    struct relay_pipe *pipe = &session->pipes[from];
    bool one_piece = relay->faults.split_max > 0;
    while (has_due(pipe, now_ms)) {
        if (!send_piece(relay, session, from, now_ms)) {
            /* What is left in the other direction may still be read by the other end. */
            empty(pipe);
            pipe->source_ended = pipe->passed_end = true;
            break;
        }
        if (one_piece)
            break;
    }
    if (from == RELAY_FAR && session->ends_when_sent && STAILQ_EMPTY(&pipe->chunks)) {
        close_session(relay, session, false);
        return;
    }
    if (pipe->source_ended && !pipe->passed_end && STAILQ_EMPTY(&pipe->chunks)) {
        pipe->passed_end = true;
        shutdown(session->ends[1 - from].fd, SHUT_WR);
    }
}

static void watch_session(struct relay *relay, struct relay_session *session)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct relay_pipe *pipe = &session->pipes[i];
        uint32_t events = 0;
        if (!session->frozen) {
            if (!pipe->source_ended && pipe->queued < RELAY_PIPE_MAX)
                events |= EPOLLIN;
            if (session->pipes[1 - i].blocked)
                events |= EPOLLOUT;
        }
        watch(relay, &session->ends[i], events);
    }
}

/* When a pipe has something to do, if no event comes first. */
static int64_t next_ms(const struct relay_pipe *pipe)
{
    const struct relay_chunk *chunk = STAILQ_FIRST(&pipe->chunks);
    if (chunk == NULL || pipe->blocked)
        return INT64_MAX;
    return chunk->due_ms > pipe->wait_ms ? chunk->due_ms : pipe->wait_ms;
}

int relay_run(struct relay *relay, int64_t now_ms)
{
    struct relay_session *session;
    int64_t next = INT64_MAX;
    TAILQ_FOREACH(session, &relay->sessions, link)
    {
        if (session->frozen)
            continue;
        for (unsigned i = 0; i < 2 && !session->dead; i++)
            pump(relay, session, i, now_ms);
        if (!session->dead && session->pipes[0].passed_end && session->pipes[1].passed_end)
            close_session(relay, session, false);
        for (unsigned i = 0; i < 2 && !session->dead; i++) {
            int64_t at = next_ms(&session->pipes[i]);
            next = at < next ? at : next;
        }
    }
    free_dead(relay);
    TAILQ_FOREACH(session, &relay->sessions, link)
    watch_session(relay, session);
    if (next == INT64_MAX)
        return -1;
    return next <= now_ms ? 0 : next - now_ms > 1000 ? 1000 : (int)(next - now_ms);
}

/* Faults */

void relay_freeze(struct relay *relay)
{
    struct relay_session *session;
    TAILQ_FOREACH(session, &relay->sessions, link)
    session->frozen = true;
}

void relay_thaw(struct relay *relay)
{
    struct relay_session *session;
    relay->faults.freezes_new = false;
    TAILQ_FOREACH(session, &relay->sessions, link)
    session->frozen = false;
}

void relay_close_all(struct relay *relay, bool reset)
{
    struct relay_session *session;
    TAILQ_FOREACH(session, &relay->sessions, link)
    close_session(relay, session, reset);
}

void relay_put_garbage(struct relay *relay, size_t n, int64_t now_ms)
{
    struct relay_session *session;
    char data[1024];
    if (n > sizeof(data))
        n = sizeof(data);
    TAILQ_FOREACH(session, &relay->sessions, link)
    {
        for (size_t i = 0; i < n; i++)
            data[i] = (char)(0x80 | random_below(&relay->random, 128));
        if (!session->dead && !session->ends_when_sent)
            put(relay, &session->pipes[RELAY_FAR], data, n, now_ms);
    }
}
