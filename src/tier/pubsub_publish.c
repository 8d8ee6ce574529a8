/* Messages: handing them to subscribers, publishing without an upstream, and counting receivers as
 * L2 would if larder's subscribers were its own. */
#include "tier/pubsub_internal.h"

#include "base/glob.h"
#include "resp/reply.h"

size_t pubsub_deliver(struct pubsub *pubsub, struct pubsub_topic *topic, struct bytes push)
{
    size_t n = 0;
    /* Who gets it may leave inside; the next subscription is somebody else's, and the topic stays
     * until the end of the turn. */
    struct pubsub_subscription *at = TAILQ_FIRST(&topic->subscriptions);
    while (at != NULL) {
        struct pubsub_subscription *next = TAILQ_NEXT(at, topic_link);
        pubsub->handlers->deliver(at->subscriber->ctx, push);
        n++;
        at = next;
    }
    struct pubsub_wait *wait = TAILQ_FIRST(&topic->waits);
    while (wait != NULL) {
        struct pubsub_wait *next = TAILQ_NEXT(wait, topic_link);
        if (wait->leaves) /* published before L2 took the UNSUBSCRIBE */
            pubsub->handlers->deliver(wait->subscriber->ctx, push);
        wait = next;
    }
    return n;
}

/* The push of a message, in the scratch buffer; NULL `pattern`: of a channel. Empty without memory. */
static struct bytes write_push(struct pubsub *pubsub, const char *type,
                               const struct pubsub_topic *pattern, struct bytes channel,
                               struct bytes payload)
{
    pubsub->scratch.len = 0;
    buf_trim(&pubsub->scratch, (size_t)1 << 16);
    struct reply reply = {.out = &pubsub->scratch, .proto = 3};
    reply_push(&reply, pattern != NULL ? 4 : 3);
    reply_bulk_str(&reply, type);
    if (pattern != NULL)
        reply_bulk(&reply, bytes_of(pattern->name, pattern->len));
    reply_bulk(&reply, channel);
    reply_bulk(&reply, payload);
    return reply.failed ? bytes_of(NULL, 0) : buf_bytes(&pubsub->scratch);
}

/* Adds to *n, or makes it -1. */
static void publish_to(struct pubsub *pubsub, struct pubsub_topic *topic, struct bytes push,
                       int64_t *n)
{
    if (push.len == 0)
        *n = -1;
    else
        *n += (int64_t)pubsub_deliver(pubsub, topic, push);
}

static bool matches(const struct pubsub_topic *pattern, struct bytes channel)
{
    return pattern->n_subscriptions > 0 &&
           glob_match(bytes_of(pattern->name, pattern->len), channel, false);
}

int64_t pubsub_publish(struct pubsub *pubsub, enum pubsub_kind kind, struct bytes channel,
                       struct bytes payload)
{
    int64_t n = 0;
    struct pubsub_topic *topic = pubsub_find_topic(pubsub, kind, channel);
    if (topic != NULL && topic->n_subscriptions > 0) {
        const char *type = kind == PUBSUB_SHARD ? "smessage" : "message";
        publish_to(pubsub, topic, write_push(pubsub, type, NULL, channel, payload), &n);
    }
    if (kind != PUBSUB_CHANNEL)
        return n;
    for (topic = TAILQ_FIRST(&pubsub->of_kind[PUBSUB_PATTERN]); topic != NULL;
         topic = TAILQ_NEXT(topic, link)) {
        if (n >= 0 && matches(topic, channel))
            publish_to(pubsub, topic, write_push(pubsub, "pmessage", topic, channel, payload), &n);
    }
    return n;
}

/* What is to be added to L2's number for one topic. */
static int64_t correction(const struct pubsub_topic *topic)
{
    return (int64_t)topic->n_subscriptions - topic->is_at_upstream;
}

int64_t pubsub_correct_subscribers(const struct pubsub *pubsub, enum pubsub_kind kind,
                                   struct bytes channel, int64_t n_at_upstream)
{
    const struct pubsub_topic *topic = pubsub_find_topic(pubsub, kind, channel);
    int64_t n = n_at_upstream + (topic != NULL ? correction(topic) : 0);
    return n > 0 ? n : 0; /* an UNSUBSCRIBE of ours may be under way */
}

int64_t pubsub_correct_receivers(const struct pubsub *pubsub, enum pubsub_kind kind,
                                 struct bytes channel, int64_t n_at_upstream)
{
    int64_t n = n_at_upstream;
    const struct pubsub_topic *topic = pubsub_find_topic(pubsub, kind, channel);
    if (topic != NULL)
        n += correction(topic);
    if (kind == PUBSUB_CHANNEL) {
        for (topic = TAILQ_FIRST(&pubsub->of_kind[PUBSUB_PATTERN]); topic != NULL;
             topic = TAILQ_NEXT(topic, link))
            if ((topic->n_subscriptions > 0 || topic->is_at_upstream) &&
                glob_match(bytes_of(topic->name, topic->len), channel, false))
                n += correction(topic);
    }
    return n > 0 ? n : 0;
}
