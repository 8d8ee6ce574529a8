/* L2's side of pub/sub: the link, what is sent on it and what comes; see pubsub_internal.h.
 *
 * Each topic is subscribed by a command of its own, and L2 answers each by one push, in order. An
 * error (a channel that the link's user may not listen to) stands for the oldest command that is
 * not answered yet. */
#include "tier/pubsub_internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "resp/request.h"
#include "resp/walk.h"

/* How long the link is kept when nobody listens any more: a client that comes back soon finds it
 * up. */
#define UNLINK_MS 2000

static const struct {
    const char *subscribe, *unsubscribe; /* commands, and the types of their answers */
    const char *message;
} words[PUBSUB_KINDS] = {
    [PUBSUB_CHANNEL] = {"subscribe", "unsubscribe", "message"},
    [PUBSUB_PATTERN] = {"psubscribe", "punsubscribe", "pmessage"},
    [PUBSUB_SHARD] = {"ssubscribe", "sunsubscribe", "smessage"},
};

/* Sending */

static void transmit(struct pubsub *pubsub, struct pubsub_topic *topic, bool subscribes)
{
    const char *word = subscribes ? words[topic->kind].subscribe : words[topic->kind].unsubscribe;
    struct bytes argv[] = {bytes_of_str(word), bytes_of(topic->name, topic->len)};
    pubsub->scratch.len = 0;
    topic->sent++;
    struct pubsub_command *command = mem_alloc(sizeof(*command));
    *command = (struct pubsub_command){.topic = topic, .subscribes = subscribes};
    STAILQ_INSERT_TAIL(&pubsub->commands, command, link);
    if (!request_encode(argv, 2, &pubsub->scratch) ||
        !link_send_silent(pubsub->link, buf_bytes(&pubsub->scratch)))
        link_distrust(pubsub->link,
                      "out of memory for output"); /* all is said again when it is back */
    loop_again(pubsub->loop);                      /* this turn's flush may be over */
}

static void open_link(struct pubsub *pubsub);

bool pubsub_link_is_up(const struct pubsub *pubsub)
{
    return pubsub->link != NULL && link_state_is_up(link_get_state(pubsub->link));
}

/* While the link is not up, what will be sent counts as one command that is not answered. */
void pubsub_link_send(struct pubsub *pubsub, struct pubsub_topic *topic, bool subscribes)
{
    if (!pubsub->has_upstream)
        return;
    timer_disarm(&pubsub->loop->timers, &pubsub->unlink);
    if (pubsub->link == NULL && subscribes)
        open_link(pubsub);
    if (pubsub_link_is_up(pubsub)) {
        transmit(pubsub, topic, subscribes);
        return;
    }
    topic->answered = 0;
    topic->sent = subscribes;
}

/* What comes */

static void drop_commands(struct pubsub *pubsub)
{
    struct pubsub_command *command;
    while ((command = STAILQ_FIRST(&pubsub->commands)) != NULL) {
        STAILQ_REMOVE_HEAD(&pubsub->commands, link);
        mem_free(command);
    }
}

/* Numbers the answers anew, behind a loss of the link: the first one is what everybody waits for. */
static void restart_answers(struct pubsub_topic *topic)
{
    topic->answered = 0;
    topic->sent = topic->n_subscriptions > 0;
    struct pubsub_wait *wait;
    for (wait = TAILQ_FIRST(&topic->waits); wait != NULL; wait = TAILQ_NEXT(wait, topic_link))
        wait->answer = !wait->leaves;
}

static void on_up(void *ctx)
{
    struct pubsub *pubsub = ctx;
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        struct pubsub_topic *topic;
        for (topic = TAILQ_FIRST(&pubsub->of_kind[kind]); topic != NULL;
             topic = TAILQ_NEXT(topic, link)) {
            if (topic->n_subscriptions == 0)
                continue;
            topic->sent = 0;
            transmit(pubsub, topic, true);
        }
    }
}

static void on_down(void *ctx)
{
    struct pubsub *pubsub = ctx;
    drop_commands(pubsub);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        struct pubsub_topic *topic;
        for (topic = TAILQ_FIRST(&pubsub->of_kind[kind]); topic != NULL;
             topic = TAILQ_NEXT(topic, link)) {
            restart_answers(topic);
            topic->is_at_upstream = false;
            /* Waits of those who left have nothing to wait for now; they may stand behind others. */
            pubsub_answered_leavers(pubsub, topic);
        }
    }
}

static void take_answer(struct pubsub *pubsub, struct bytes error)
{
    struct pubsub_command *command = STAILQ_FIRST(&pubsub->commands);
    struct pubsub_topic *topic = command->topic;
    bool subscribes = command->subscribes;
    STAILQ_REMOVE_HEAD(&pubsub->commands, link);
    mem_free(command);
    topic->answered++;
    if (error.len > 0) {
        LOG(LOG_WARNING, "Upstream refuses a subscription: %.*s",
            (int)(error.len > 100 ? 100 : error.len - 2), error.ptr);
        pubsub_refused(pubsub, topic, error);
        return;
    }
    topic->is_at_upstream = subscribes;
    pubsub_answered(pubsub, topic);
}

/* True when the push answers the oldest command. */
static bool is_answer(const struct pubsub *pubsub, struct bytes type, struct bytes name)
{
    const struct pubsub_command *command = STAILQ_FIRST(&pubsub->commands);
    if (command == NULL)
        return false;
    const struct pubsub_topic *topic = command->topic;
    const char *word =
        command->subscribes ? words[topic->kind].subscribe : words[topic->kind].unsubscribe;
    return bytes_is(type, word) && bytes_equal(name, bytes_of(topic->name, topic->len));
}

static void on_push(void *ctx, struct bytes push)
{
    struct pubsub *pubsub = ctx;
    struct walk walk = walk_over(push.ptr, push.len);
    struct walk_item head;
    struct walk_item type;
    struct walk_item name;
    if (push.ptr[0] == '-') {
        if (!STAILQ_EMPTY(&pubsub->commands))
            take_answer(pubsub, push);
        return;
    }
    if (walk_next(&walk, &head) != WALK_OK || head.n_items < 3 ||
        walk_next(&walk, &type) != WALK_OK || walk_next(&walk, &name) != WALK_OK)
        return; /* of no kind that is known here */
    if (is_answer(pubsub, type.text, name.text)) {
        take_answer(pubsub, bytes_of(NULL, 0));
        return;
    }
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        if (!bytes_is(type.text, words[kind].message))
            continue;
        struct pubsub_topic *topic = pubsub_find_topic(pubsub, (enum pubsub_kind)kind, name.text);
        if (topic != NULL)
            pubsub_deliver(pubsub, topic, push);
        return;
    }
}

/* The link tracks nothing, so nothing is invalidated. */
static void on_invalidate(void *ctx, struct bytes key)
{
    (void)ctx;
    (void)key;
}

static void on_invalidate_all(void *ctx)
{
    (void)ctx;
}

/* Life cycle of the link */

static bool ask_options(struct pubsub *pubsub, struct link_options *options)
{
    memset(options, 0, sizeof(*options));
    if (!pubsub->handlers->link_options(pubsub->owner, options))
        return false;
    options->tracking = LINK_TRACKING_NONE;
    options->plain = true;
    pubsub->timeout_ms = options->timeout_ms;
    return true;
}

static void open_link(struct pubsub *pubsub)
{
    static const struct link_handlers handlers = {.on_invalidate = on_invalidate,
                                                  .on_invalidate_all = on_invalidate_all,
                                                  .on_up = on_up,
                                                  .on_down = on_down,
                                                  .on_push = on_push};
    struct link_options options;
    if (ask_options(pubsub, &options))
        pubsub->link = link_create(pubsub->loop, &options, &handlers, pubsub);
}

void pubsub_configure(struct pubsub *pubsub)
{
    struct link_options options;
    if (pubsub->link == NULL || !ask_options(pubsub, &options))
        return;
    link_configure(pubsub->link, &options);
    address_deinit(&options.address);
}

void pubsub_link_close(struct pubsub *pubsub)
{
    if (pubsub->link == NULL)
        return;
    struct link *link = pubsub->link;
    pubsub->link = NULL;
    link_destroy(link);
    on_down(pubsub);
}

void pubsub_link_idle(struct pubsub *pubsub)
{
    if (pubsub->link != NULL)
        timer_arm(&pubsub->loop->timers, &pubsub->unlink, pubsub->loop->clock.mono_ms + UNLINK_MS);
}

void pubsub_link_on_unlink(struct timer *timer, void *ctx)
{
    (void)timer;
    struct pubsub *pubsub = ctx;
    if (pubsub->topics.n == 0)
        pubsub_link_close(pubsub);
}
