/* Clients: accepting, ending, limits; see client.h. What they say is read in client_input.c, what they hear is in slot.c. */
#include "core/blocked.h"
#include "core/larder.h"
#include "core/monitor.h"
#include "core/replica.h"
#include "core/tracking.h"
#include "core/transaction.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <unistd.h>

static const char denied[] = "-DENIED larder is running in protected mode: it has no password and "
                             "listens on an address that others can reach, so it "
                             "serves clients of this host only. Set a password (requirepass), bind "
                             "it to the loopback address, or, if the network is "
                             "trusted, switch protected-mode off.\r\n";

/* Answers a connection that is not to be served, and closes it. */
static void turn_away(struct larder *larder, int fd, const char *text, size_t len)
{
    larder->stats.connections_refused++;
    ssize_t written =
        write(fd, text, len); /* into an empty socket buffer; who doesn't listen misses it */
    (void)written;
    close(fd);
}

static bool is_denied(const struct larder *larder, int fd)
{
    return larder->config.protected_mode && larder->config.requirepass[0] == '\0' &&
           !net_peer_is_local(fd);
}

void client_accept(struct larder *larder, int fd, bool is_unix)
{
    static const char too_many[] = "-ERR max number of clients reached\r\n";
    larder->stats.connections++;
    if (larder->n_clients >= (size_t)larder->config.maxclients) {
        turn_away(larder, fd, too_many, sizeof(too_many) - 1);
        return;
    }
    if (!is_unix && is_denied(larder, fd)) {
        turn_away(larder, fd, denied, sizeof(denied) - 1);
        return;
    }
    struct client *client = mem_zalloc(sizeof(*client));
    int result = conn_init(&client->conn, &larder->conns, fd);
    if (result < 0) {
        LOG(LOG_WARNING, "Accepting a client connection: %s", strerror(-result));
        close(fd);
        mem_free(client);
        return;
    }
    if (!is_unix)
        net_tune(fd, (int)larder->config.tcp_keepalive_s);
    client->larder = larder;
    client->id = ++larder->next_client_id;
    client->db = larder->first_db;
    client->proto = 2;
    client->is_unix = is_unix;
    client->authenticated = larder->config.requirepass[0] == '\0';
    client->name = mem_strdup("");
    client->lib_name = mem_strdup("");
    client->lib_version = mem_strdup("");
    client->created_ms = client->active_ms = larder_now_ms(larder);
    net_peer_name(fd, client->peer, sizeof(client->peer));
    net_local_name(fd, client->local, sizeof(client->local));
    request_parser_init(&client->parser);
    TAILQ_INIT(&client->slots);
    TAILQ_INSERT_TAIL(&larder->clients, client, link);
    larder->n_clients++;
    LOG(LOG_VERBOSE, "Accepted %s", client->peer);
}

static void free_client(void *ptr)
{
    struct client *client = ptr;
    request_parser_deinit(&client->parser);
    buf_deinit(&client->conn.out); /* what a handler wrote behind the end of its connection */
    transaction_destroy(client->multi);
    mem_free(client->name);
    mem_free(client->lib_name);
    mem_free(client->lib_version);
    mem_free(client);
}

bool client_is_subscriber(const struct client *client)
{
    return client->pubsub != NULL && pubsub_total(client->pubsub) > 0;
}

const struct config_output_limit *client_output_limit(const struct client *client)
{
    int class = client_is_subscriber(client) ? CONFIG_CLASS_PUBSUB : CONFIG_CLASS_NORMAL;
    return &client->larder->config.client_output_buffer_limit[class];
}

void client_leave_pubsub(struct client *client)
{
    struct pubsub_subscriber *subscriber = client->pubsub;
    client->pubsub = NULL;
    if (subscriber != NULL)
        pubsub_leave(client->larder->pubsub, subscriber);
}

static void on_close(struct conn *conn, const char *why)
{
    struct client *client = (struct client *)conn;
    struct larder *larder = client->larder;
    LOG(LOG_VERBOSE, "Closed %s (id %llu, %llu commands): %s", client->peer,
        (unsigned long long)client->id, (unsigned long long)client->n_commands, why);
    client_leave_slots(client);
    blocked_leave(client);
    replica_leave(client);
    client_leave_pubsub(client);
    monitor_remove(client);
    tracking_leave(client);
    client_leave_lists(client);
    TAILQ_REMOVE(&larder->clients, client, link);
    larder->n_clients--;
    loop_retire(&larder->loop, free_client, client);
}

void client_close(struct client *client, const char *why)
{
    conn_close(&client->conn, why);
}

void client_end(struct client *client)
{
    if (client->ending || client->conn.closed)
        return;
    if (client->tunnel != NULL) {
        client_close(client, "it was a replica's"); /* there is no end to what it is owed */
        return;
    }
    client->ending = true;
    conn_set_paused(&client->conn, true);
    if (client->n_slots == 0)
        conn_close_after_output(&client->conn);
}

static void on_end(struct conn *conn)
{
    struct client *client = (struct client *)conn;
    /* What it asked before is still answered; half a command never will be. */
    if (client->n_slots == 0 && !client->held_back && conn_pending_output(conn) == 0)
        client_close(client, "client closed connection");
    else if (client->n_slots == 0 && !client->held_back)
        conn_close_after_output(conn);
}

static void on_drained(struct conn *conn)
{
    struct client *client = (struct client *)conn;
    replica_on_drained(client);
    if (client->held_back)
        client_resume_later(client);
}

/* client_input.c */
size_t client_on_input(struct conn *conn, const char *data, size_t len);

const struct conn_handlers *client_conn_handlers(void)
{
    static const struct conn_handlers handlers = {client_on_input, on_end, on_close, on_drained};
    return &handlers;
}

struct client *client_find(struct larder *larder, uint64_t id)
{
    struct client *client;
    TAILQ_FOREACH(client, &larder->clients, link)
    if (client->id == id)
        return client;
    return NULL;
}

/* Periodic */

/* True when the client is waited for: it owes a command, or the reading of its replies. */
static bool is_idle(struct client *client, int64_t now_ms, int64_t idle_ms)
{
    size_t pending = conn_pending_output(&client->conn);
    if (pending != client->output_seen)
        client->active_ms = now_ms; /* it reads what is large */
    client->output_seen = pending;
    if (client->is_monitor || client_is_subscriber(client) || client->tunnel != NULL)
        return false; /* as in Redis */
    if (client->n_slots > 0 || (client->held_back && pending == 0))
        return false; /* it waits for us */
    return idle_ms > 0 && now_ms - client->active_ms > idle_ms;
}

static bool is_over_soft_limit(struct client *client, int64_t now_ms)
{
    const struct config_output_limit *limit = client_output_limit(client);
    size_t pending = conn_pending_output(&client->conn) + client->slot_bytes;
    if (limit->soft_bytes == 0 || pending <= (size_t)limit->soft_bytes) {
        client->over_soft_limit_since_ms = 0;
        return false;
    }
    if (client->over_soft_limit_since_ms == 0)
        client->over_soft_limit_since_ms = now_ms;
    return now_ms - client->over_soft_limit_since_ms > limit->soft_s * 1000;
}

void client_cron(struct larder *larder)
{
    int64_t now_ms = larder_now_ms(larder);
    int64_t idle_ms = larder->config.timeout_s * 1000;
    struct client *client = TAILQ_FIRST(&larder->clients);
    while (client != NULL) {
        struct client *next = TAILQ_NEXT(client, link);
        if (is_idle(client, now_ms, idle_ms)) {
            larder->stats.clients_closed_idle++;
            client_close(client, "idle for longer than timeout");
        } else if (is_over_soft_limit(client, now_ms)) {
            larder->stats.clients_closed_output++;
            client_close(client, "output buffer soft limit");
        }
        client = next;
    }
}
