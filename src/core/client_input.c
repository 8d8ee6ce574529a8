/* What clients say: parsing ahead in batches, prefetching, executing, holding back.
 *
 *     bytes --parse--> batch of commands --hash, prefetch buckets--> --prefetch entries--> execute one by one
 *
 * With many pipelined GETs over a store that is larder than the processor's caches, the memory accesses of a batch overlap.
 * A command that has to wait (see client_hold.c) stops its batch: those behind it are parsed again later. */
#include "core/larder.h"

#include "core/replica.h"

#include "base/log.h"

/* Commands parsed ahead: two cache misses each, overlapped; beyond about 32 in flight the processor's line-fill buffers are full
 * anyway. */
#define BATCH_MAX 32

size_t client_on_input(struct conn *conn, const char *data, size_t len);

void client_go_on(struct client *client)
{
    if (client->conn.closed || client->ending || !client->held_back)
        return;
    if (client->waits_for_link)
        return; /* its turn comes */
    if (client_must_wait(client)) {
        client_hold_back(client);
        return;
    }
    client->held_back = false;
    client->is_paused = false;
    conn_process(&client->conn);
    if (client->conn.closed || client->held_back)
        return;
    conn_set_paused(&client->conn, client->ending);
    if (client->conn.at_end && client->n_slots == 0)
        conn_close_after_output(&client->conn);
}

static void protocol_error(struct client *client, const char *error)
{
    struct larder *larder = client->larder;
    larder->stats.protocol_errors++;
    LOG(LOG_VERBOSE, "Protocol error (%s) from client %s", error, client->peer);
    struct reply reply = client_begin_reply(client);
    size_t start = reply.out->len;
    reply_error(&reply, "ERR Protocol error: %s", error);
    larder_count_error(larder, bytes_of(reply.out->data + start, reply.out->len - start));
    client_end_reply(client, &reply);
    client_end(client);
}

/* Finds the command of a request, by the last one's spelling first: clients repeat themselves. */
static const struct command *look_up(struct client *client, struct bytes name)
{
    const struct command *last = client->cached_command;
    if (last != NULL && name.len == client->cached_name_len &&
        memcmp(name.ptr, client->cached_name, name.len) == 0)
        return last;
    const struct command *command = command_table_find(client->larder->commands, name);
    if (command != NULL && name.len <= sizeof(client->cached_name)) {
        client->cached_command = command;
        client->cached_name_len = name.len;
        memcpy(client->cached_name, name.ptr, name.len);
    }
    return command;
}

static void prepare(struct client *client, struct parsed *parsed)
{
    parsed->has_hash = false;
    parsed->command = NULL;
    if (parsed->request.argc == 0)
        return;
    const struct bytes *argv = request_argv(&parsed->request);
    parsed->command = look_up(client, argv[0]);
    unsigned flags = parsed->command == NULL ? 0 : parsed->command->flags;
    if (!(flags & (COMMAND_PREFETCH | COMMAND_REPLIES)) || parsed->request.argc < 2)
        return;
    const struct larder *larder = client->larder;
    parsed->has_hash = true;
    parsed->hash = store_hash(larder->store, argv[1]);
    parsed->store_db = client->db;
    if (flags & COMMAND_REPLIES)
        parsed->store_db = tier_reply_db(larder->tier, client->db);
    store_prefetch_bucket(larder->store, parsed->store_db, parsed->hash);
}

struct batch {
    struct parsed items[BATCH_MAX];
    size_t n;
    enum request_status end; /* why parsing stopped; REQUEST_OK: the batch is full */
};

/* Parses ahead from data[0..len). */
static void parse_batch(struct client *client, const char *data, size_t len, struct batch *batch)
{
    struct larder *larder = client->larder;
    struct request_limits limits = {(size_t)larder->config.proto_max_bulk_len_bytes,
                                    !client->authenticated};
    size_t max = client->authenticated ? BATCH_MAX : 1;
    size_t at = 0;
    larder->batch_args.n = 0;
    batch->n = 0;
    batch->end = REQUEST_OK;
    while (batch->n < max) {
        struct parsed *parsed = &batch->items[batch->n];
        size_t consumed = 0;
        batch->end = request_parse(&client->parser, &limits, data + at, len - at,
                                   &larder->batch_args, &parsed->request, &consumed);
        if (batch->end != REQUEST_OK)
            return;
        at += consumed;
        parsed->end = at;
        batch->n++;
        prepare(client, parsed);
        if (parsed->request.alone)
            return;
    }
}

/* Executes a command, or relays it as it is. Returns false when it must wait. */
static bool execute(struct client *client, const struct parsed *parsed)
{
    if (__builtin_expect(client->tunnel != NULL, 0)) {
        replica_take(client, parsed);
        return true;
    }
    return parsed->request.argc == 0 || larder_execute(client->larder, client, parsed);
}

/* Executes what was parsed. Returns how many bytes are done; `*stopped` when the rest must wait or nobody is left to serve. */
static size_t execute_batch(struct client *client, struct batch *batch, bool *stopped)
{
    struct larder *larder = client->larder;
    size_t done = 0;
    for (size_t i = 0; i < batch->n; i++)
        if (batch->items[i].has_hash)
            store_prefetch_entry(larder->store, batch->items[i].store_db, batch->items[i].hash);
    larder->stamp_ns = clock_read_ns();
    for (size_t i = 0; i < batch->n; i++) {
        struct parsed *parsed = &batch->items[i];
        bool waits = client_must_wait(client) || !execute(client, parsed);
        if (waits && !client->conn.closed) {
            request_parser_rewind(&client->parser);
            client_hold_back(client);
        }
        *stopped = waits || client->conn.closed || client->ending;
        if (waits)
            return done;
        done = parsed->end;
        if (*stopped)
            return done;
    }
    return done;
}

size_t client_on_input(struct conn *conn, const char *data, size_t len)
{
    struct client *client = (struct client *)conn;
    struct batch batch;
    size_t taken = 0;
    bool stopped = client->held_back;
    if (client->ending)
        return len;
    client->active_ms = larder_now_ms(client->larder);
    while (!stopped) {
        parse_batch(client, data + taken, len - taken, &batch);
        taken += execute_batch(client, &batch, &stopped);
        if (stopped || batch.end == REQUEST_OK)
            continue;
        stopped = true;
        if (batch.end == REQUEST_BAD)
            protocol_error(client, client->parser.error);
        else if (batch.end == REQUEST_NO_MEMORY)
            client_close(client, "out of memory for arguments");
        else if (len - taken > (size_t)client->larder->config.client_query_buffer_limit_bytes) {
            client->larder->stats.clients_closed_query++;
            client_close(client, "query buffer limit");
        }
    }
    return client->ending || conn->closed ? len : taken;
}
