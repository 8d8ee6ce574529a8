/* CLIENT KILL: closes other clients at once, and the caller after its reply. */
#include "command/client_commands.h"
#include "command/subcommand.h"

/* What a client must be to be killed. */
struct kill_filter {
    bool has_addr, has_laddr;
    struct bytes addr, laddr;
    uint64_t id; /* 0: any */
    bool has_type;
    enum client_type type;
    bool skip_me;
};

/* Reads one option and its value. Returns false when an error was written. */
static bool read_option(struct call *call, size_t i, struct kill_filter *filter)
{
    struct bytes option = call->argv[i];
    struct bytes value = i + 1 < call->argc ? call->argv[i + 1] : BYTES("");
    bool has_value = i + 1 < call->argc;
    int64_t id;
    if (has_value && bytes_is(option, "id")) {
        if (!bytes_parse_range(value, 1, INT64_MAX, &id)) {
            reply_error(&call->reply, "ERR client-id should be greater than 0");
            return false;
        }
        filter->id = (uint64_t)id;
        return true;
    }
    if (has_value && bytes_is(option, "type")) {
        filter->has_type = true;
        return client_commands_parse_type(call, value, &filter->type);
    }
    if (has_value && bytes_is(option, "addr")) {
        filter->has_addr = true;
        filter->addr = value;
        return true;
    }
    if (has_value && bytes_is(option, "laddr")) {
        filter->has_laddr = true;
        filter->laddr = value;
        return true;
    }
    if (has_value && bytes_is(option, "user")) {
        if (bytes_equal(value, BYTES("default")))
            return true;
        reply_error(&call->reply, "ERR No such user '%.*s'", subcommand_shown(value), value.ptr);
        return false;
    }
    if (has_value && bytes_is(option, "skipme") &&
        (bytes_is(value, "yes") || bytes_is(value, "no"))) {
        filter->skip_me = bytes_is(value, "yes");
        return true;
    }
    call_syntax_error(call);
    return false;
}

static bool matches(const struct kill_filter *filter, const struct client *client,
                    const struct client *me)
{
    if (client->conn.closed || (filter->has_type && filter->type != client_commands_type(client)))
        return false;
    if (filter->has_addr && !bytes_equal(filter->addr, bytes_of_str(client->peer)))
        return false;
    if (filter->has_laddr && !bytes_equal(filter->laddr, bytes_of_str(client->local)))
        return false;
    if (filter->id != 0 && filter->id != client->id)
        return false;
    return !(filter->skip_me && client == me);
}

/* Closes what matches, but for the caller. Returns how many matched. */
static size_t kill_matching(struct call *call, const struct kill_filter *filter, bool *kills_me)
{
    size_t n_killed = 0;
    *kills_me = false;
    struct client *client = TAILQ_FIRST(&call->larder->clients);
    while (client != NULL) {
        struct client *next = TAILQ_NEXT(client, link);
        if (matches(filter, client, call->client)) {
            n_killed++;
            if (client == call->client)
                *kills_me = true;
            else
                client_close(client, "CLIENT KILL");
        }
        client = next;
    }
    return n_killed;
}

void client_kill(struct call *call)
{
    bool is_old_form = call->argc == 3;
    struct kill_filter filter = {.skip_me = !is_old_form};
    if (is_old_form) {
        filter.has_addr = true;
        filter.addr = call->argv[2];
    } else {
        for (size_t i = 2; i < call->argc; i += 2)
            if (!read_option(call, i, &filter))
                return;
    }
    bool kills_me;
    size_t n_killed = kill_matching(call, &filter, &kills_me);
    if (!is_old_form)
        reply_int(&call->reply, (int64_t)n_killed);
    else if (n_killed == 0)
        reply_error(&call->reply, "ERR No such client");
    else
        reply_ok(&call->reply);
    if (kills_me)
        client_end(call->client);
}
