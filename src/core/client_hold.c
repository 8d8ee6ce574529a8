/* Holding clients back, and going on with them: why a client waits before its next command, and who looks at it again.
 *
 *     reason                                    looked at again
 *     its commands in flight                    slot_finish
 *     unread output                             on_drained; output that this turn writes: the hook of the next turn
 *     a replica's own link is full              replica.c
 *     CLIENT PAUSE                              larder->unpause, CLIENT UNPAUSE
 *     no room on the link                       the hook, in the order of waiting
 *
 * The first two concern a client whatever it says next (client_must_wait), the others only commands that they touch
 * (client_hold_call): PING, and what L1 can answer, go on while the link is full. Nobody is polled. */
#include "core/larder.h"
#include "core/readonly_scripts.h"
#include "core/replica.h"
#include "core/transaction.h"

/* Unread output at which a client isn't served any more until it has read. */
#define OUTPUT_PAUSE_BYTES ((size_t)1 << 20)

static bool has_much_output(const struct client *client)
{
    return conn_pending_output(&client->conn) + client->slot_bytes >= OUTPUT_PAUSE_BYTES;
}

bool client_must_wait(const struct client *client)
{
    return client->n_blocking > 0 ||
           client->n_slots >= (size_t)client->larder->config.client_max_inflight ||
           has_much_output(client) || (client->tunnel != NULL && replica_must_wait(client));
}

void client_hold_back(struct client *client)
{
    client->held_back = true;
    conn_set_paused(&client->conn, true);
    if (client->conn.is_dirty && has_much_output(client))
        client_resume_later(client);
}

/* CLIENT PAUSE */

bool call_may_write(const struct call *call)
{
    const struct transaction *multi = call->client->multi;
    if (call->command == NULL)
        return true;
    if (call->command->flags & COMMAND_SCRIPT || command_may_write(call->command))
        return !readonly_scripts_has(call->larder->readonly_scripts, call);
    if (bytes_is(call->argv[0], "publish") || bytes_is(call->argv[0], "spublish"))
        return true;
    return multi != NULL && bytes_is(call->argv[0], "exec") && multi->may_write;
}

static bool is_paused(const struct call *call)
{
    const struct larder *larder = call->larder;
    if (__builtin_expect(larder->paused_until_ms == 0, 1) ||
        larder->paused_until_ms <= larder_now_ms(larder))
        return false;
    return !larder->paused_writes_only || call_may_write(call);
}

static void on_unpause(struct timer *timer, void *ctx)
{
    (void)timer;
    client_resume_all(ctx);
}

/* Some of those who wait may not have to. */
static void on_functions(void *ctx, struct bytes reply)
{
    struct larder *larder = ctx;
    readonly_scripts_take_functions(larder->readonly_scripts, reply);
    client_resume_all(larder);
}

static void ask_for_functions(struct call *call)
{
    struct larder *larder = call->larder;
    if (larder->link != NULL && larder->paused_writes_only &&
        readonly_scripts_must_ask(larder->readonly_scripts, call))
        tier_pass(larder->tier, 0, BYTES("*2\r\n$8\r\nFUNCTION\r\n$4\r\nLIST\r\n"), on_functions,
                  larder);
}

static void wait_for_unpause(struct larder *larder)
{
    if (timer_is_armed(&larder->unpause))
        return; /* at the end of a pause before this one; those who are still paused arm it again */
    timer_init(&larder->unpause, on_unpause, larder);
    timer_arm(&larder->loop.timers, &larder->unpause, larder->paused_until_ms);
}

/* Room on the link */

/* True when L1 has all that the call asks for. */
static bool is_hit(const struct call *call)
{
    size_t end = call->command->last < 0 ? call->argc : 2;
    for (size_t i = 1; i < end && i < call->argc; i++)
        if (tier_peek(call->larder->tier, call->client->db, call->argv[i], call_hash(call, i)) ==
            NULL)
            return false;
    return true;
}

static bool needs_link(const struct call *call, command_fn *fn)
{
    if (fn == call_queue)
        return false;
    if (call->command == NULL)
        return true;
    if (call->command->flags & COMMAND_ALLOW_BUSY)
        return false;
    if (call->command->flags & COMMAND_LOCAL)
        return call->client->multi != NULL && bytes_is(call->argv[0], "exec");
    return fn == call_pass || !(call->command->flags & COMMAND_CACHED) || !is_hit(call);
}

/* True when it must queue up for the link: nobody passes those who wait already. */
static bool waits_for_link(const struct call *call, command_fn *fn)
{
    const struct larder *larder = call->larder;
    if (larder->link == NULL)
        return false;
    bool others_first = !TAILQ_EMPTY(&larder->link_waiters) && !call->client->is_next;
    return __builtin_expect(others_first || link_is_full(larder->link), 0) && needs_link(call, fn);
}

bool client_hold_call(struct call *call, command_fn *fn)
{
    struct client *client = call->client;
    if (is_paused(call)) {
        client->is_paused = true;
        ask_for_functions(call);
        wait_for_unpause(call->larder);
        return true;
    }
    if (!waits_for_link(call, fn))
        return false;
    if (!client->waits_for_link) {
        client->waits_for_link = true;
        TAILQ_INSERT_TAIL(&call->larder->link_waiters, client, link_wait);
    }
    return true;
}

/* Going on */

void client_resume_later(struct client *client)
{
    if (client->is_resumable || client->conn.closed)
        return;
    client->is_resumable = true;
    TAILQ_INSERT_TAIL(&client->larder->resumable, client, resume_link);
    loop_again(&client->larder->loop);
}

void client_resume_all(struct larder *larder)
{
    struct client *client;
    TAILQ_FOREACH(client, &larder->clients, link)
    if (client->held_back)
        client_resume_later(client);
}

void client_leave_lists(struct client *client)
{
    if (client->is_resumable)
        TAILQ_REMOVE(&client->larder->resumable, client, resume_link);
    if (client->waits_for_link)
        TAILQ_REMOVE(&client->larder->link_waiters, client, link_wait);
    client->is_resumable = false;
    client->waits_for_link = false;
}

static void serve_link_waiters(struct larder *larder)
{
    struct client *client;
    while ((client = TAILQ_FIRST(&larder->link_waiters)) != NULL && !link_is_full(larder->link)) {
        TAILQ_REMOVE(&larder->link_waiters, client, link_wait);
        client->waits_for_link = false;
        client->is_next = true;
        client_go_on(client);
        client->is_next = false;
    }
}

void client_resume_hook(struct loop *loop, void *ctx)
{
    (void)loop;
    struct larder *larder = ctx;
    struct client *client;
    size_t n = 0;
    TAILQ_FOREACH(client, &larder->resumable, resume_link)
    n++;
    /* Those who must wait again go to the end and are not met twice; one client may close another. */
    for (; n > 0 && (client = TAILQ_FIRST(&larder->resumable)) != NULL; n--) {
        TAILQ_REMOVE(&larder->resumable, client, resume_link);
        client->is_resumable = false;
        client_go_on(client);
    }
    serve_link_waiters(larder);
}
