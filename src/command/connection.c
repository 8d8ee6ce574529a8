/* PING ECHO QUIT RESET SELECT AUTH HELLO: what concerns a connection itself, answered here with and
 * without L2.
 *
 * Passwords are larder's own (`requirepass`, user "default"): what L2 asks for is the link's
 * business. */
#include "command/client_commands.h"
#include "command/families.h"
#include "command/info.h"
#include "command/subcommand.h"
#include "core/blocked.h"
#include "core/monitor.h"
#include "core/tracking.h"
#include "core/transaction.h"

#include <limits.h>

static void ping(struct call *call)
{
    if (call->argc > 2) {
        call_wrong_arity(call);
    } else if (call->client->proto == 2 && client_is_subscriber(call->client)) {
        /* In RESP2 a subscriber gets nothing but arrays. */
        reply_array(&call->reply, 2);
        reply_bulk_str(&call->reply, "pong");
        reply_bulk(&call->reply, call->argc == 2 ? call->argv[1] : BYTES(""));
    } else if (call->argc == 2) {
        reply_bulk(&call->reply, call->argv[1]);
    } else {
        reply_status(&call->reply, "PONG");
    }
}

static void echo(struct call *call)
{
    reply_bulk(&call->reply, call->argv[1]);
}

static void quit(struct call *call)
{
    reply_ok(&call->reply);
    client_end(call->client);
}

static bool has_password(const struct larder *larder)
{
    return larder->config.requirepass[0] != '\0';
}

static void reset(struct call *call)
{
    transaction_destroy(call->client->multi);
    call->client->multi = NULL;
    blocked_leave(call->client);
    client_leave_pubsub(call->client);
    monitor_remove(call->client);
    tracking_disable(call->client);
    struct client *client = call->client;
    client->db = call->larder->first_db;
    client->authenticated = !has_password(call->larder);
    client_commands_forget_name(client);
    if (client->reply_off)
        client_commands_unmute(call);
    call->reply.proto = client->proto = 2;
    reply_status(&call->reply, "RESET");
}

/* Databases that SELECT knows: L2's where it told how many it has, but never more than the store
 * can hold apart. */
static unsigned n_databases(const struct larder *larder)
{
    unsigned n = larder->link != NULL ? link_get_databases(larder->link) : 0;
    if (n == 0)
        n = (unsigned)larder->config.databases;
    unsigned of_store = (unsigned)larder->config.databases;
    return n < of_store ? n : of_store;
}

static void select_db(struct call *call)
{
    int64_t db;
    if (!bytes_parse_i64(call->argv[1], &db)) {
        reply_error(&call->reply, "ERR value is not an integer or out of range");
    } else if (db < INT_MIN || db > INT_MAX) {
        reply_error(&call->reply, "ERR value is out of range, value must between %d and %d",
                    INT_MIN, INT_MAX);
    } else if (db < 0 || db >= n_databases(call->larder)) {
        reply_error(&call->reply, "ERR DB index is out of range");
    } else {
        call->client->db = (unsigned)db;
        reply_ok(&call->reply);
    }
}

/* Checks a password. A wrong one is answered, counted, and logged without what was sent. */
static bool authenticate(struct call *call, struct bytes user, struct bytes password)
{
    struct larder *larder = call->larder;
    bool is_default = bytes_equal(user, BYTES("default"));
    bool is_right = bytes_equal_constant_time(password, bytes_of_str(larder->config.requirepass));
    if (is_default && (is_right || !has_password(larder))) {
        call->client->authenticated = true;
        return true;
    }
    larder->stats.auth_failures++;
    LOG(LOG_WARNING, "Wrong password or user name from client %s (id %llu)", call->client->peer,
        (unsigned long long)call->client->id);
    reply_error(&call->reply, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

static void auth(struct call *call)
{
    if (call->argc > 3) {
        call_syntax_error(call);
        return;
    }
    if (call->argc == 2 && !has_password(call->larder)) {
        reply_error(
            &call->reply,
            "ERR AUTH <password> called without any password configured for the default user. "
            "Are you sure your configuration is correct?");
        return;
    }
    bool has_user = call->argc == 3;
    if (authenticate(call, has_user ? call->argv[1] : BYTES("default"),
                     call->argv[has_user ? 2 : 1]))
        reply_ok(&call->reply);
}

/* Reads HELLO's options from argv[2] on and acts on them one by one, as Redis 7.0 does. Returns
 * false when an error was written. */
static bool hello_options(struct call *call)
{
    for (size_t i = 2; i < call->argc; i++) {
        size_t n_more = call->argc - 1 - i;
        struct bytes option = call->argv[i];
        if (bytes_is(option, "auth") && n_more >= 2) {
            if (!authenticate(call, call->argv[i + 1], call->argv[i + 2]))
                return false;
            i += 2;
        } else if (bytes_is(option, "setname") && n_more >= 1) {
            if (!client_commands_set_name(call, call->argv[i + 1]))
                return false;
            i++;
        } else {
            reply_error(&call->reply, "ERR Syntax error in HELLO option '%.*s'",
                        subcommand_shown(option), option.ptr);
            return false;
        }
    }
    return true;
}

/* Client libraries look at "server" and "version" to learn what they may send. */
static void hello_reply(struct call *call)
{
    struct reply *reply = &call->reply;
    reply_map(reply, 7);
    reply_bulk_str(reply, "server");
    reply_bulk_str(reply, "redis");
    reply_bulk_str(reply, "version");
    reply_bulk_str(reply, info_redis_version(call->larder));
    reply_bulk_str(reply, "proto");
    reply_int(reply, call->client->proto);
    reply_bulk_str(reply, "id");
    reply_int(reply, (int64_t)call->client->id);
    reply_bulk_str(reply, "mode");
    reply_bulk_str(reply, "standalone");
    reply_bulk_str(reply, "role");
    reply_bulk_str(reply, "master");
    reply_bulk_str(reply, "modules");
    reply_array(reply, 0);
}

static void hello(struct call *call)
{
    int64_t version = call->client->proto;
    if (call->argc >= 2) {
        if (!bytes_parse_i64(call->argv[1], &version)) {
            reply_error(&call->reply, "ERR Protocol version is not an integer or out of range");
            return;
        }
        if (version < 2 || version > 3) {
            reply_error(&call->reply, "NOPROTO unsupported protocol version");
            return;
        }
        if (!hello_options(call))
            return;
    }
    if (!call->client->authenticated) {
        reply_error(&call->reply, "NOAUTH HELLO must be called with the client already "
                                  "authenticated, otherwise the HELLO AUTH <user> "
                                  "<pass> option can be used to authenticate the client and select "
                                  "the RESP protocol version at the "
                                  "same time");
        return;
    }
    call->reply.proto = call->client->proto = (int)version;
    hello_reply(call);
}

#define ROW(word, function) .name = (word), .fn = (function), .group = "connection"

const struct command connection_commands[] = {
    {ROW("ping", ping), .arity = -1, .flags = COMMAND_LOCAL | COMMAND_FAST, .since = "1.0.0",
     .summary = "Answers PONG, or the message", .args = "[message]"},
    {ROW("echo", echo), .arity = 2, .flags = COMMAND_LOCAL | COMMAND_FAST, .since = "1.0.0",
     .summary = "Answers the message", .args = "message"},
    {ROW("quit", quit), .arity = -1,
     .flags =
         COMMAND_LOCAL | COMMAND_FAST | COMMAND_NO_AUTH | COMMAND_NOSCRIPT | COMMAND_NOT_QUEUED,
     .since = "1.0.0", .summary = "Closes the connection after the replies that are due"},
    {ROW("reset", reset), .arity = 1,
     .flags =
         COMMAND_LOCAL | COMMAND_FAST | COMMAND_NO_AUTH | COMMAND_NOSCRIPT | COMMAND_NOT_QUEUED,
     .since = "6.2.0", .summary = "Makes the connection as it was when it was new"},
    {ROW("select", select_db), .arity = 2, .flags = COMMAND_LOCAL | COMMAND_FAST, .since = "1.0.0",
     .summary = "Changes the database of the connection", .args = "index"},
    {ROW("auth", auth), .arity = -2,
     .flags = COMMAND_LOCAL | COMMAND_FAST | COMMAND_NO_AUTH | COMMAND_NOSCRIPT, .since = "1.0.0",
     .summary = "Authenticates the connection", .args = "[username] password"},
    {ROW("hello", hello), .arity = -1,
     .flags = COMMAND_LOCAL | COMMAND_FAST | COMMAND_NO_AUTH | COMMAND_NOSCRIPT, .since = "6.0.0",
     .summary = "Chooses the protocol version, authenticates, names the connection",
     .args = "[protover [AUTH username password] [SETNAME clientname]]"},
    {.name = NULL},
};
