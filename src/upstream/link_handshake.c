/* What a link says first, in one write, and what the answers mean:
 *
 *     HELLO 3 [AUTH user password] SETNAME larder     RESP3, login, L2's version
 *     CLIENT SETINFO LIB-NAME larder                  unknown before Redis 7.2: any answer is fine
 *     CLIENT TRACKING ON                              refused: entries live by their TTL only
 *     CONFIG GET databases                            may be forbidden: the configured number stands
 *     COMMAND                                         names, flags, arity and keys of all commands
 *
 * An L2 that knows no HELLO 3 is spoken to in RESP2, without tracking. */
#include "upstream/link_internal.h"

#include "base/log.h"
#include "resp/request.h"
#include "resp/walk.h"

#include <stdio.h>
#include <strings.h>

static const char *username(const struct link *link)
{
    return link->options.username != NULL ? link->options.username : link->options.address.username;
}

static const char *password(const struct link *link)
{
    return link->options.password != NULL ? link->options.password : link->options.address.password;
}

static bool say(struct link *link, enum handshake_step step, const struct bytes *argv, size_t argc)
{
    struct buf raw;
    buf_init(&raw);
    bool ok = request_encode(argv, argc, &raw) && link_append(link, raw.data, raw.len);
    if (raw.data != NULL)
        explicit_bzero(raw.data, raw.cap); /* it may hold the password */
    buf_deinit(&raw);
    link->steps[link->n_steps++] = step;
    return ok;
}

static bool say_login(struct link *link)
{
    struct bytes argv[8];
    size_t argc = 0;
    const char *user = username(link);
    const char *secret = password(link);
    if (!link->use_resp2) {
        argv[argc++] = BYTES("HELLO");
        argv[argc++] = BYTES("3");
        if (secret != NULL) {
            argv[argc++] = BYTES("AUTH");
            argv[argc++] = user != NULL ? bytes_of_str(user) : BYTES("default");
            argv[argc++] = bytes_of_str(secret);
        }
        argv[argc++] = BYTES("SETNAME");
        argv[argc++] = BYTES("larder");
        return say(link, STEP_HELLO, argv, argc);
    }
    struct bytes setname[] = {BYTES("CLIENT"), BYTES("SETNAME"), BYTES("larder")};
    if (secret != NULL) {
        argv[argc++] = BYTES("AUTH");
        if (user != NULL)
            argv[argc++] = bytes_of_str(user);
        argv[argc++] = bytes_of_str(secret);
        if (!say(link, STEP_AUTH, argv, argc))
            return false;
    }
    return say(link, STEP_IGNORE, setname, 3);
}

bool link_handshake_start(struct link *link)
{
    struct bytes setinfo[] = {BYTES("CLIENT"), BYTES("SETINFO"), BYTES("LIB-NAME"), BYTES("larder")};
    struct bytes tracking[] = {BYTES("CLIENT"), BYTES("TRACKING"), BYTES("ON")};
    struct bytes databases[] = {BYTES("CONFIG"), BYTES("GET"), BYTES("databases")};
    struct bytes command[] = {BYTES("COMMAND")};
    link->n_steps = 0;
    link->step = 0;
    link->figures.tracking = false;
    bool want_tracking = link->options.tracking && !link->use_resp2;
    return say_login(link) && say(link, STEP_IGNORE, setinfo, 4) &&
           (!want_tracking || say(link, STEP_TRACKING, tracking, 3)) && say(link, STEP_DATABASES, databases, 3) &&
           say(link, STEP_COMMAND, command, 1);
}

/* The error text of a "-..." reply, without the line end. */
static struct bytes error_text(const struct link *link)
{
    return bytes_of(link->reply.data + 1, link->reply.len - 3);
}

/* Finds "version" in HELLO's map. */
static void read_version(struct link *link)
{
    struct walk walk = walk_over(link->reply.data, link->reply.len);
    struct walk_item item;
    if (walk_next(&walk, &item) != WALK_OK)
        return;
    for (size_t pairs = item.n_items / 2; pairs > 0; pairs--) {
        if (walk_value(&walk, &item, LINK_DEPTH_MAX) != WALK_OK)
            return;
        if (item.type == WALK_BULK && bytes_is(item.text, "version")) {
            if (walk_value(&walk, &item, LINK_DEPTH_MAX) == WALK_OK && item.text.len < sizeof(link->version)) {
                memcpy(link->version, item.text.ptr, item.text.len);
                link->version[item.text.len] = '\0';
            }
            return;
        }
        if (walk_skip(&walk, 1, LINK_DEPTH_MAX) != WALK_OK)
            return;
    }
}

/* Reads the number in CONFIG GET's ["databases", "16"], map or array. */
static void read_databases(struct link *link)
{
    struct walk walk = walk_over(link->reply.data, link->reply.len);
    struct walk_item item;
    int64_t n;
    if (walk_next(&walk, &item) == WALK_OK && item.n_items == 2 && walk_next(&walk, &item) == WALK_OK &&
        walk_next(&walk, &item) == WALK_OK && bytes_parse_range(item.text, 1, 65535, &n))
        link->databases = (unsigned)n;
}

/* True when trying again soon with the same credentials is pointless; LOADING and the like pass. */
static bool is_refusal(struct bytes error)
{
    return bytes_starts_with(error, BYTES("WRONGPASS")) || bytes_starts_with(error, BYTES("NOAUTH")) ||
           bytes_starts_with(error, BYTES("NOPERM")) || bytes_starts_with(error, BYTES("ERR invalid password")) ||
           bytes_starts_with(error, BYTES("ERR AUTH")) || bytes_starts_with(error, BYTES("ERR Client sent AUTH"));
}

static bool login_failed(struct link *link)
{
    struct bytes text = error_text(link);
    bool no_hello = bytes_starts_with(text, BYTES("NOPROTO")) || bytes_starts_with(text, BYTES("ERR unknown command"));
    if (no_hello && !link->use_resp2) {
        link->use_resp2 = true;
        link->backoff_ms = 0;
        LOG(LOG_WARNING, "Upstream %s knows no RESP3: going on in RESP2 without tracking, entries live by their TTL only",
            link->name);
    }
    link->login_refused = is_refusal(text);
    link_set_error(link, "login: %.*s", (int)(text.len > 100 ? 100 : text.len), text.ptr);
    return false;
}

bool link_handshake_reply(struct link *link)
{
    enum handshake_step step = link->steps[link->step++];
    bool is_error = link->reply.data[0] == '-';
    switch (step) {
    case STEP_HELLO:
    case STEP_AUTH:
        if (is_error)
            return login_failed(link);
        if (step == STEP_HELLO)
            read_version(link);
        break;
    case STEP_TRACKING:
        link->figures.tracking = !is_error;
        if (is_error) {
            struct bytes text = error_text(link);
            LOG(LOG_WARNING, "Upstream %s refuses CLIENT TRACKING (%.*s): entries live by their TTL only", link->name,
                (int)(text.len > 100 ? 100 : text.len), text.ptr);
        }
        break;
    case STEP_DATABASES:
        if (!is_error)
            read_databases(link);
        break;
    case STEP_COMMAND:
        link->command_table.len = 0;
        if (!is_error && !buf_append(&link->command_table, link->reply.data, link->reply.len)) {
            link_set_error(link, "out of memory for the reply to COMMAND");
            return false;
        }
        break;
    case STEP_IGNORE:
    case STEP_END:
        break;
    }
    return true;
}
