/* CLIENT INFO and CLIENT LIST: one line for each client with the fields of Redis 7.0.15, and at its
 * end the two of 7.2. */
#include "command/client_commands.h"
#include "command/subcommand.h"
#include "core/blocked.h"
#include "core/tracking.h"
#include "core/transaction.h"

/* The clients of a list mostly did the same last; the full name of a row is looked up once per
 * change. */
struct listing {
    const struct larder *larder;
    const struct call *call; /* of the client that asks */
    const struct command *row;
    char row_name[SUBCOMMAND_NAME_SIZE];
    struct buf text;
    bool failed;
};

static const char *last_name(struct listing *listing, const struct client *client)
{
    if (client->last_command == NULL)
        return "NULL";
    if (client->last_command != listing->row) {
        listing->row = client->last_command;
        subcommand_full_name(listing->larder->commands, listing->row, listing->row_name,
                             sizeof(listing->row_name));
    }
    return listing->row_name;
}

/* One letter each, and the zero at the end. */
#define FLAGS_SIZE 16

static void write_flags(const struct client *client, char out[FLAGS_SIZE])
{
    char *p = out;
    if (client->tunnel != NULL)
        *p++ = 'S';
    if (client->is_monitor)
        *p++ = 'O';
    if (client_is_subscriber(client))
        *p++ = 'P';
    if (tracking_flags(client) & TRACKER_ON)
        *p++ = 't';
    if (tracking_flags(client) & TRACKER_BROKEN)
        *p++ = 'R';
    if (tracking_flags(client) & TRACKER_BCAST)
        *p++ = 'B';
    if (client->multi != NULL)
        *p++ = 'x';
    if (blocked_is_waiting(client))
        *p++ = 'b';
    if (client->ending)
        *p++ = 'c';
    if (client->is_unix)
        *p++ = 'U';
    if (client->no_evict)
        *p++ = 'e';
    if (client->no_touch)
        *p++ = 'T';
    if (p == out)
        *p++ = 'N';
    *p = '\0';
}

static void write_events(const struct client *client, char out[3])
{
    char *p = out;
    if (client->conn.watch.events & LOOP_READ)
        *p++ = 'r';
    if (client->conn.watch.events & LOOP_WRITE)
        *p++ = 'w';
    *p = '\0';
}

static size_t argument_bytes(const struct listing *listing, const struct client *client)
{
    size_t bytes = 0;
    if (client == listing->call->client)
        for (size_t i = 0; i < listing->call->argc; i++)
            bytes += listing->call->argv[i].len;
    return bytes;
}

static size_t count_subscriptions(const struct client *client, enum pubsub_kind kind)
{
    return client->pubsub != NULL ? pubsub_count(client->pubsub, kind) : 0;
}

static void add_client(struct listing *listing, const struct client *client)
{
    char flags[FLAGS_SIZE];
    char events[3];
    write_flags(client, flags);
    write_events(client, events);
    int64_t now_ms = larder_now_ms(listing->larder);
    const struct conn *conn = &client->conn;
    size_t in_waiting = conn_pending_input(conn);
    if (client == listing->call->client)
        in_waiting +=
            listing->call->raw.len; /* as in Redis, the command that asks is still there */
    size_t total = sizeof(*client) + conn->in.cap + conn->out.cap + client->slot_bytes +
                   argument_bytes(listing, client);
    bool ok = buf_printf(&listing->text,
                         "id=%llu addr=%s laddr=%s fd=%d name=%s age=%lld idle=%lld flags=%s db=%u "
                         "sub=%zu psub=%zu ssub=%zu multi=%d ",
                         (unsigned long long)client->id, client->peer, client->local, conn->fd,
                         client->name, (long long)((now_ms - client->created_ms) / 1000),
                         (long long)((now_ms - client->active_ms) / 1000), flags, client->db,
                         count_subscriptions(client, PUBSUB_CHANNEL),
                         count_subscriptions(client, PUBSUB_PATTERN),
                         count_subscriptions(client, PUBSUB_SHARD),
                         client->multi != NULL ? (int)client->multi->n : -1);
    ok = ok && buf_printf(&listing->text,
                          "qbuf=%zu qbuf-free=%zu argv-mem=%zu multi-mem=0 rbs=%zu rbp=%zu obl=%zu "
                          "oll=%zu omem=%zu tot-mem=%zu ",
                          in_waiting, conn->in.cap - conn->in.len, argument_bytes(listing, client),
                          conn->out.cap, conn->out.len, conn_pending_output(conn), client->n_slots,
                          client->slot_bytes, total);
    ok = ok &&
         buf_printf(&listing->text,
                    "events=%s cmd=%s user=default redir=%lld resp=%d lib-name=%s lib-ver=%s\n",
                    events, last_name(listing, client), (long long)tracking_redirect(client),
                    client->proto, client->lib_name, client->lib_version);
    if (!ok)
        listing->failed = true;
}

static struct listing listing_for(const struct call *call)
{
    return (struct listing){.larder = call->larder, .call = call};
}

static void finish(struct call *call, struct listing *listing)
{
    if (listing->failed)
        reply_error(&call->reply, "ERR out of memory");
    else
        reply_verbatim(&call->reply, buf_bytes(&listing->text));
    buf_deinit(&listing->text);
}

void client_list_info(struct call *call)
{
    struct listing listing = listing_for(call);
    add_client(&listing, call->client);
    finish(call, &listing);
}

/* CLIENT LIST ID id ...: those that exist, in the order asked for. Returns false when an error was
 * written. */
static bool add_by_id(struct call *call, struct listing *listing)
{
    for (size_t i = 3; i < call->argc; i++) {
        int64_t id;
        if (!bytes_parse_i64(call->argv[i], &id)) {
            reply_error(&call->reply, "ERR Invalid client ID");
            return false;
        }
        const struct client *client = client_find(call->larder, (uint64_t)id);
        if (client != NULL)
            add_client(listing, client);
    }
    return true;
}

void client_list_all(struct call *call)
{
    struct listing listing = listing_for(call);
    enum client_type type = CLIENT_TYPE_NORMAL;
    if (call->argc == 4 && bytes_is(call->argv[2], "type")) {
        if (!client_commands_parse_type(call, call->argv[3], &type))
            return;
    } else if (call->argc > 3 && bytes_is(call->argv[2], "id")) {
        if (add_by_id(call, &listing))
            finish(call, &listing);
        else
            buf_deinit(&listing.text);
        return;
    } else if (call->argc != 2) {
        call_syntax_error(call);
        return;
    }
    const struct client *client;
    TAILQ_FOREACH(client, &call->larder->clients, link)
    if (call->argc == 2 || client_commands_type(client) == type)
        add_client(&listing, client);
    finish(call, &listing);
}
