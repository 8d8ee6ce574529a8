/* What a link says first, in one write, and what the answers mean:
 *
 *     HELLO 3 [AUTH user password] SETNAME larder     RESP3, login, L2's version
 *     CLIENT SETINFO LIB-NAME larder                  unknown before Redis 7.2: any answer is fine
 *     CLIENT TRACKING ON [BCAST [PREFIX p ...]]       refused: the next lower mode is asked for
 *     CONFIG GET databases                            forbidden: the configured number stands
 *     COMMAND                                         names, flags, arity and keys of all commands
 *
 * An L2 that knows no HELLO 3 is told the same again in RESP2, without tracking. */
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

static bool say_tracking(struct link *link)
{
    struct bytes argv[LINK_TRACKING_ARGS];
    return link->asked == LINK_TRACKING_NONE ||
           say(link, STEP_TRACKING, argv, link_tracking_command(link, argv));
}

/* Says everything, in RESP3 or RESP2 as use_resp2 tells. */
static bool say_all(struct link *link)
{
    struct bytes setinfo[] = {BYTES("CLIENT"), BYTES("SETINFO"), BYTES("LIB-NAME"),
                              BYTES("larder")};
    struct bytes databases[] = {BYTES("CONFIG"), BYTES("GET"), BYTES("databases")};
    struct bytes policy[] = {BYTES("CONFIG"), BYTES("GET"), BYTES("maxmemory-policy")};
    struct bytes command[] = {BYTES("COMMAND")};
    if (link->options.plain)
        return say_login(link);
    return say_login(link) && say(link, STEP_IGNORE, setinfo, 4) && say_tracking(link) &&
           say(link, STEP_DATABASES, databases, 3) && say(link, STEP_POLICY, policy, 3) &&
           say(link, STEP_COMMAND, command, 1);
}

bool link_handshake_start(struct link *link)
{
    link->n_steps = 0;
    link->step = 0;
    link->use_resp2 = false;
    link->figures.tracking = LINK_TRACKING_NONE;
    link->asked = link->options.tracking;
    return say_all(link);
}

/* Starts again in RESP2; what was said behind HELLO is still going to be answered. */
static bool fall_back(struct link *link)
{
    LOG(LOG_WARNING, "Upstream %s knows no RESP3: going on in RESP2, without tracking", link->name);
    link->use_resp2 = true;
    do
        link_tracking_refused(link, BYTES("it knows no RESP3"));
    while (link->asked != LINK_TRACKING_NONE);
    for (unsigned i = link->step; i < link->n_steps; i++)
        link->steps[i] = STEP_IGNORE;
    if (!say_all(link)) {
        link_set_error(link, "out of memory");
        return false;
    }
    return true;
}

/* The error text of a "-..." reply, without the line end. */
static struct bytes error_text(const struct link *link)
{
    return bytes_of(link->reply.data + 1, link->reply.len - 3);
}

static void keep_version(struct link *link, struct bytes text)
{
    if (text.len >= sizeof(link->version))
        return;
    memcpy(link->version, text.ptr, text.len);
    link->version[text.len] = '\0';
}

/* Finds "version" and "id" in HELLO's map. */
static void read_hello(struct link *link)
{
    struct walk walk = walk_over(link->reply.data, link->reply.len);
    struct walk_item name;
    struct walk_item value;
    if (walk_next(&walk, &name) != WALK_OK)
        return;
    for (size_t pairs = name.n_items / 2; pairs > 0; pairs--) {
        struct walk before_value;
        if (walk_value(&walk, &name, LINK_DEPTH_MAX) != WALK_OK)
            return;
        before_value = walk;
        if (walk_skip(&walk, 1, LINK_DEPTH_MAX) != WALK_OK ||
            walk_value(&before_value, &value, LINK_DEPTH_MAX) != WALK_OK)
            return;
        if (bytes_is(name.text, "version") && value.type == WALK_BULK)
            keep_version(link, value.text);
        else if (bytes_is(name.text, "role") && value.type == WALK_BULK)
            link_take_role(link, value.text);
        else if (bytes_is(name.text, "id") && value.type == WALK_INTEGER)
            bytes_parse_i64(value.text, &link->client_id);
    }
}

/* Reads the number in CONFIG GET's ["databases", "16"], map or array. */
static void read_databases(struct link *link)
{
    struct walk walk = walk_over(link->reply.data, link->reply.len);
    struct walk_item item;
    int64_t n;
    if (walk_next(&walk, &item) == WALK_OK && item.n_items == 2 &&
        walk_next(&walk, &item) == WALK_OK && walk_next(&walk, &item) == WALK_OK &&
        bytes_parse_range(item.text, 1, 65535, &n))
        link->databases = (unsigned)n;
}

/* Reads the name in CONFIG GET's ["maxmemory-policy", "noeviction"]. */
static void read_policy(struct link *link, struct bytes reply)
{
    struct walk walk = walk_over(reply.ptr, reply.len);
    struct walk_item item;
    if (walk_next(&walk, &item) != WALK_OK || item.n_items != 2 ||
        walk_next(&walk, &item) != WALK_OK || walk_next(&walk, &item) != WALK_OK ||
        item.text.len >= sizeof(link->policy))
        return;
    memcpy(link->policy, item.text.ptr, item.text.len);
    link->policy[item.text.len] = '\0';
}

static void on_policy(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    if (outcome == LINK_REPLY && reply.ptr[0] != '-')
        read_policy(ctx, reply);
}

void link_ask_policy(struct link *link)
{
    struct bytes raw = BYTES("*3\r\n$6\r\nCONFIG\r\n$3\r\nGET\r\n$16\r\nmaxmemory-policy\r\n");
    if (link->figures.state == LINK_READY && link->policy[0] != '\0')
        link_send(link, link->db, raw, on_policy, link);
}

/* True when trying again soon with the same credentials is pointless; LOADING and the like pass. */
static bool is_refusal(struct bytes error)
{
    return bytes_starts_with(error, BYTES("WRONGPASS")) ||
           bytes_starts_with(error, BYTES("NOAUTH")) || bytes_starts_with(error, BYTES("NOPERM")) ||
           bytes_starts_with(error, BYTES("ERR invalid password")) ||
           bytes_starts_with(error, BYTES("ERR AUTH")) ||
           bytes_starts_with(error, BYTES("ERR Client sent AUTH"));
}

/* What of an error may be shown: L2 may repeat the arguments of a command that it does not know,
 * cut short, and the password with them. Then it is only the code. */
static struct bytes without_secret(const struct link *link, struct bytes error)
{
    const char *secret = password(link);
    size_t len = error.len > 100 ? 100 : error.len;
    size_t telling = secret != NULL ? strnlen(secret, 8) : 0;
    if (telling > 0 && memmem(error.ptr, error.len, secret, telling) != NULL) {
        const char *blank = memchr(error.ptr, ' ', len);
        len = blank != NULL ? (size_t)(blank - error.ptr) : 0;
    }
    return bytes_of(error.ptr, len);
}

/* Takes an error as the answer to HELLO or AUTH. */
static bool login_failed(struct link *link, enum handshake_step step)
{
    struct bytes text = error_text(link);
    if (step == STEP_HELLO && (bytes_starts_with(text, BYTES("NOPROTO")) ||
                               bytes_starts_with(text, BYTES("ERR unknown command"))))
        return fall_back(link);
    link->login_refused = is_refusal(text);
    text = without_secret(link, text);
    link_set_error(link, "login: %.*s", (int)text.len, text.ptr);
    return false;
}

static bool passing_error(struct link *link)
{
    struct bytes text = error_text(link);
    link_set_error(link, "handshake: %.*s", (int)(text.len > 100 ? 100 : text.len), text.ptr);
    link->retry_soon = true;
    bool is_busy = bytes_starts_with(text, BYTES("BUSY"));
    link_set_busy(link, is_busy ? buf_bytes(&link->reply) : BYTES(""));
    return false;
}

/* Takes the answer to CLIENT TRACKING ON. */
static bool take_tracking(struct link *link, bool is_error)
{
    if (link->reply.data[0] == '+') {
        link->figures.tracking = link->asked;
        return true;
    }
    if (is_error && !link_is_final(error_text(link)))
        return passing_error(link);
    link_tracking_refused(link, is_error ? error_text(link) : BYTES("an unexpected answer"));
    if (say_tracking(link))
        return true;
    link_set_error(link, "out of memory");
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
            return login_failed(link, step);
        if (step == STEP_HELLO)
            read_hello(link);
        break;
    case STEP_TRACKING: return take_tracking(link, is_error);
    case STEP_DATABASES:
        if (!is_error)
            read_databases(link);
        break;
    case STEP_POLICY:
        if (!is_error)
            read_policy(link, buf_bytes(&link->reply));
        break;
    case STEP_COMMAND:
        if (is_error && !link_is_final(error_text(link)))
            return passing_error(link);
        link->command_table.len = 0;
        if (!is_error && !buf_append(&link->command_table, link->reply.data, link->reply.len)) {
            link_set_error(link, "out of memory for the reply to COMMAND");
            return false;
        }
        break;
    case STEP_IGNORE:
    case STEP_END: break;
    }
    return true;
}
