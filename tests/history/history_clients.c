/* The checker's connections; see history_clients.h. */
#include "history_clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 65536
#define EVENTS_MAX 64
/* A burst ends early when the rest might not fit. */
#define PENDING_ROOM MIX_COMMANDS_MAX

void clients_init(struct clients *clients, struct history *history, struct mix *mix, unsigned n,
                  unsigned rate, unsigned burst_max)
{
    memset(clients, 0, sizeof(*clients));
    clients->history = history;
    clients->mix = mix;
    clients->n = n;
    clients->burst_max = burst_max;
    clients->mean_gap_ns = (int64_t)n * (burst_max + 1) / 2 * 1000 * NS_PER_MS / rate;
    clients->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    clients->items = calloc(n, sizeof(*clients->items));
    if (clients->epoll_fd < 0 || clients->items == NULL)
        abort();
    for (unsigned i = 0; i < n; i++) {
        clients->items[i].fd = -1;
        clients->items[i].who.conn = i;
        buf_init(&clients->items[i].out);
    }
}

/* What was on its way stays as it is in the record: reads have no result, writes an unknown one. */
static void disconnect(struct client *client)
{
    if (client->fd < 0)
        return;
    close(client->fd);
    client->fd = -1;
    redisReaderFree(client->reader);
    client->reader = NULL;
    client->out.len = 0;
    client->n_pending = 0;
}

void clients_deinit(struct clients *clients)
{
    for (unsigned i = 0; i < clients->n; i++) {
        disconnect(&clients->items[i]);
        buf_deinit(&clients->items[i].out);
    }
    free(clients->items);
    close(clients->epoll_fd);
}

void clients_place(struct clients *clients, unsigned i, unsigned view, int port, bool counts)
{
    struct client *client = &clients->items[i];
    client->who.view = view;
    client->who.counts = counts;
    client->port = port;
}

/* Sending */

static void watch(struct clients *clients, struct client *client, bool wants_out)
{
    struct epoll_event event = {.events = wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN,
                                .data.ptr = client};
    if (client->wants_out == wants_out)
        return;
    if (epoll_ctl(clients->epoll_fd, EPOLL_CTL_MOD, client->fd, &event) < 0)
        abort();
    client->wants_out = wants_out;
}

static void lose(struct clients *clients, struct client *client)
{
    clients->n_lost++;
    history_odd(clients->history, SIZE_MAX, "connection %u was closed by the other side",
                client->who.conn);
    disconnect(client);
}

static void send_out(struct clients *clients, struct client *client)
{
    if (client->out.len == 0 || client->fd < 0)
        return;
    ssize_t n = send(client->fd, client->out.data, client->out.len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        lose(clients, client);
        return;
    }
    if (n > 0) {
        client->out.len -= (size_t)n;
        memmove(client->out.data, client->out.data + n, client->out.len);
    }
    watch(clients, client, client->out.len > 0);
}

static int connect_one(struct clients *clients, struct client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)client->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(clients->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    client->fd = fd;
    client->reader = redisReaderCreate();
    client->wants_out = false;
    client->n_greetings = 0;
    bool speaks_resp3 = client->who.conn % 2 == 1;
    if (speaks_resp3 && buf_printf(&client->out, "HELLO 3\r\n"))
        client->n_greetings++;
    if (client->who.counts && buf_printf(&client->out, "SELECT 1\r\n"))
        client->n_greetings++;
    return 0;
}

int clients_connect(struct clients *clients)
{
    for (unsigned i = 0; i < clients->n; i++) {
        struct client *client = &clients->items[i];
        int result = client->fd < 0 ? connect_one(clients, client) : 0;
        if (result < 0)
            return result;
        client->next_ns = 0;
    }
    return 0;
}

static void ask_burst(struct clients *clients, struct client *client)
{
    struct pending asked[MIX_COMMANDS_MAX];
    unsigned n_verbs = (unsigned)random_range(&clients->mix->random, 1, clients->burst_max);
    for (unsigned i = 0; i < n_verbs; i++) {
        if (client->n_pending + PENDING_ROOM > CLIENT_PENDING_MAX)
            break;
        unsigned n = mix_ask(clients->mix, &client->who, &client->out, asked);
        for (unsigned j = 0; j < n; j++)
            client->pending[(client->first + client->n_pending++) % CLIENT_PENDING_MAX] = asked[j];
    }
    send_out(clients, client);
}

/* Receiving */

static bool take_reply(struct clients *clients, struct client *client, const redisReply *reply,
                       int64_t now_ns)
{
    if (client->n_greetings > 0) {
        client->n_greetings--;
        return true;
    }
    if (client->n_pending == 0) {
        history_odd(clients->history, SIZE_MAX, "connection %u: a reply too many, of type %d",
                    client->who.conn, reply->type);
        return false;
    }
    mix_take_reply(clients->history, &client->pending[client->first], reply, now_ns);
    client->first = (client->first + 1) % CLIENT_PENDING_MAX;
    client->n_pending--;
    return true;
}

static void receive(struct clients *clients, struct client *client)
{
    char data[READ_BYTES];
    ssize_t n = read(client->fd, data, sizeof(data));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        lose(clients, client);
        return;
    }
    int64_t now_ns = history_now_ns();
    redisReaderFeed(client->reader, data, (size_t)n);
    for (;;) {
        void *reply = NULL;
        if (redisReaderGetReply(client->reader, &reply) != REDIS_OK) {
            history_odd(clients->history, SIZE_MAX, "connection %u: %s", client->who.conn,
                        client->reader->errstr);
            lose(clients, client);
            return;
        }
        if (reply == NULL)
            return;
        bool ok = take_reply(clients, client, reply, now_ns);
        freeReplyObject(reply);
        if (!ok) {
            lose(clients, client);
            return;
        }
    }
}

static void listen_for(struct clients *clients, int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(clients->epoll_fd, events, EVENTS_MAX, wait_ms);
    for (int i = 0; i < n; i++) {
        struct client *client = events[i].data.ptr;
        if (client->fd >= 0 && (events[i].events & ~(unsigned)EPOLLOUT))
            receive(clients, client);
        if (events[i].events & EPOLLOUT)
            send_out(clients, client);
    }
}

/* Asks who is due; the gap until the next burst is random, so that clients don't march in step. Returns when
 * the next one is due. */
static int64_t ask_due(struct clients *clients, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    for (unsigned i = 0; i < clients->n; i++) {
        struct client *client = &clients->items[i];
        if (client->fd < 0)
            continue;
        if (client->next_ns <= now_ns) {
            bool is_first = client->next_ns == 0;
            client->next_ns =
                now_ns + (int64_t)random_below(&clients->mix->random,
                                               (uint64_t)clients->mean_gap_ns * 2 + 1);
            if (!is_first)
                ask_burst(clients, client);
        }
        next_ns = client->next_ns < next_ns ? client->next_ns : next_ns;
    }
    return next_ns;
}

void clients_run(struct clients *clients, int64_t until_ns)
{
    int64_t now_ns;
    while ((now_ns = history_now_ns()) < until_ns) {
        int64_t next_ns = ask_due(clients, now_ns);
        next_ns = next_ns < until_ns ? next_ns : until_ns;
        int64_t wait_ns = next_ns - history_now_ns();
        listen_for(clients, wait_ns <= 0 ? 0 : (int)((wait_ns + NS_PER_MS - 1) / NS_PER_MS));
    }
}

bool clients_finish(struct clients *clients, int64_t until_ns)
{
    for (;;) {
        bool waits = false;
        for (unsigned i = 0; i < clients->n; i++)
            waits |= clients->items[i].fd >= 0 && clients->items[i].n_pending > 0;
        int64_t left_ns = until_ns - history_now_ns();
        if (!waits)
            return true;
        if (left_ns <= 0)
            return false;
        listen_for(clients, (int)(left_ns / NS_PER_MS) + 1);
    }
}
