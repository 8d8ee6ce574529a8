/* Who monitors, and what they are shown; see monitor.h. */
#include "core/monitor.h"

#include "core/push.h"
#include "core/transaction.h"

#include <time.h>

void monitor_add(struct client *client)
{
    if (client->is_monitor)
        return;
    client->is_monitor = true;
    TAILQ_INSERT_TAIL(&client->larder->monitors, client, monitor_link);
    client->larder->n_monitors++;
}

void monitor_remove(struct client *client)
{
    if (!client->is_monitor)
        return;
    client->is_monitor = false;
    TAILQ_REMOVE(&client->larder->monitors, client, monitor_link);
    client->larder->n_monitors--;
}

/* What is hidden */

/* Commands that Redis 7.0 flags as administrative and that larder has rows of its own for. */
static bool is_administrative(const struct bytes *argv, size_t argc)
{
    static const char *const commands[] = {"monitor", "sync", "psync", "replconf", "shutdown"};
    static const char *const containers[] = {"config", "slowlog", "latency", "module"};
    static const char *const of_client[] = {"kill",  "list",    "no-evict",
                                            "pause", "unblock", "unpause"};
    struct bytes sub = argc > 1 ? argv[1] : bytes_of("", 0);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (bytes_is(argv[0], commands[i]))
            return true;
    for (size_t i = 0; i < sizeof(containers) / sizeof(containers[0]); i++)
        if (bytes_is(argv[0], containers[i]))
            return !bytes_is(sub, "help");
    for (size_t i = 0; bytes_is(argv[0], "client") && i < sizeof(of_client) / sizeof(of_client[0]);
         i++)
        if (bytes_is(sub, of_client[i]))
            return true;
    return false;
}

static bool is_hidden(const struct command *command, const struct bytes *argv, size_t argc)
{
    if (command == NULL || (command->flags & COMMAND_ADMIN) || !command_arity_ok(command, argc))
        return true;
    if (command->group != NULL && strcmp(command->group, "larder") == 0)
        return true;
    return is_administrative(argv, argc);
}

/* How many arguments from argv[i] on are secret. */
static size_t count_secrets(const struct bytes *argv, size_t argc, size_t i)
{
    struct bytes name = argv[0];
    size_t n = 0;
    if (bytes_is(name, "auth") && i == 1)
        n = argc;
    else if (i >= 3 && bytes_is(name, "hello") && bytes_is(argv[i - 1], "auth"))
        n = 2;
    else if (i >= 7 && bytes_is(name, "migrate"))
        n = bytes_is(argv[i - 1], "auth") ? 1 : bytes_is(argv[i - 1], "auth2") ? 2 : 0;
    return n < argc - i ? n : argc - i;
}

/* Lines */

/* Appends an argument in quotes, as Redis's sdscatrepr. */
static void add_quoted(struct reply *line, struct bytes text)
{
    static const char hex[] = "0123456789abcdef";
    reply_raw(line, BYTES(" \""));
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        unsigned char byte = (unsigned char)c;
        const char *named = memchr("\\\"\n\r\t\a\b", c, 7);
        if (named != NULL) {
            char escaped[] = {'\\', "\\\"nrtab"[named - "\\\"\n\r\t\a\b"]};
            reply_raw(line, bytes_of(escaped, 2));
        } else if (byte >= ' ' && byte <= '~') {
            reply_raw(line, bytes_of(&c, 1));
        } else {
            char escaped[] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
            reply_raw(line, bytes_of(escaped, 4));
        }
    }
    reply_raw(line, BYTES("\""));
}

static void add_head(struct reply *line, const struct client *client)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const char *kind = client->is_unix ? "unix:" : "";
    const char *address = client->is_unix ? client->larder->config.unixsocket : client->peer;
    if (!buf_printf(line->out, "+%lld.%06ld [%u %s%s]", (long long)now.tv_sec, now.tv_nsec / 1000,
                    client->db, kind, address))
        line->failed = true;
}

/* Shows one command to all monitors; not when there is no memory for the line. */
static void show(const struct client *client, const struct bytes *argv, size_t argc)
{
    struct larder *larder = client->larder;
    struct buf text;
    buf_init(&text);
    struct reply line = {.out = &text, .proto = 2};
    add_head(&line, client);
    for (size_t i = 0; i < argc; i++) {
        size_t n_secret = i > 0 ? count_secrets(argv, argc, i) : 0;
        for (size_t n = n_secret; n > 0; n--)
            reply_raw(&line, BYTES(" \"(redacted)\""));
        if (n_secret > 0)
            i += n_secret - 1;
        else
            add_quoted(&line, argv[i]);
    }
    reply_raw(&line, BYTES("\r\n"));
    struct client *monitor = line.failed ? NULL : TAILQ_FIRST(&larder->monitors);
    while (monitor != NULL) {
        struct client *next = TAILQ_NEXT(monitor, monitor_link);
        push_raw(monitor, buf_bytes(&text));
        monitor = next;
    }
    buf_deinit(&text);
}

static void show_queued(const struct client *client, const struct queued_command *queued,
                        struct bytes raw)
{
    struct request_parser parser;
    struct request_args args = {0};
    struct request_limits limits = {SIZE_MAX / 2, false};
    struct request request;
    size_t consumed;
    request_parser_init(&parser);
    if (request_parse(&parser, &limits, raw.ptr, raw.len, &args, &request, &consumed) ==
        REQUEST_OK) {
        const struct bytes *argv = request_argv(&request);
        if (!is_hidden(queued->command, argv, request.argc))
            show(client, argv, request.argc);
    }
    request_parser_deinit(&parser);
    request_args_deinit(&args);
}

void monitor_before(const struct call *call)
{
    const struct transaction *multi = call->client->multi;
    if (multi == NULL || multi->is_dirty || !bytes_is(call->argv[0], "exec"))
        return;
    for (size_t i = 0; i < multi->n; i++)
        show_queued(call->client, &multi->items[i], transaction_raw(multi, i));
}

void monitor_after(const struct call *call)
{
    if (!is_hidden(call->command, call->argv, call->argc))
        show(call->client, call->argv, call->argc);
}
