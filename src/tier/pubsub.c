/* Subscribers, topics, who waits for what, and publishing without an upstream; see pubsub.h. */
#include "tier/pubsub_internal.h"

#include "base/mem.h"

#include <stdio.h>

/* Until the link has told its own (it is made by the first subscription). */
#define TIMEOUT_DEFAULT_MS 5000

/* Topics */

static uint64_t topic_hash(const struct pubsub *pubsub, enum pubsub_kind kind, struct bytes name)
{
    return hash_bytes(&pubsub->key, name.ptr, name.len) + (uint64_t)kind;
}

struct pubsub_topic *pubsub_find_topic(const struct pubsub *pubsub, enum pubsub_kind kind,
                                       struct bytes name)
{
    struct pubsub_node *node = pubsub_table_find(&pubsub->topics, topic_hash(pubsub, kind, name));
    for (; node != NULL; node = pubsub_table_again(node)) {
        struct pubsub_topic *topic = (struct pubsub_topic *)node;
        if (topic->kind == kind && bytes_equal(bytes_of(topic->name, topic->len), name))
            return topic;
    }
    return NULL;
}

static struct pubsub_topic *create_topic(struct pubsub *pubsub, enum pubsub_kind kind,
                                         struct bytes name)
{
    size_t size;
    if (__builtin_add_overflow(sizeof(struct pubsub_topic), name.len, &size))
        return NULL;
    struct pubsub_topic *topic = mem_try(size);
    if (topic == NULL)
        return NULL;
    memset(topic, 0, sizeof(*topic));
    TAILQ_INIT(&topic->subscriptions);
    TAILQ_INIT(&topic->waits);
    topic->kind = kind;
    topic->len = name.len;
    if (name.len > 0)
        memcpy(topic->name, name.ptr, name.len);
    if (!pubsub_table_add(&pubsub->topics, &topic->node, topic_hash(pubsub, kind, name))) {
        mem_free(topic);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&pubsub->of_kind[kind], topic, link);
    return topic;
}

void pubsub_note_idle(struct pubsub *pubsub, struct pubsub_topic *topic)
{
    if (topic->is_idle || topic->n_subscriptions > 0 || topic->answered < topic->sent)
        return;
    topic->is_idle = true;
    TAILQ_INSERT_TAIL(&pubsub->idle, topic, idle_link);
    loop_again(pubsub->loop);
}

static void free_idle_topics(struct pubsub *pubsub)
{
    struct pubsub_topic *topic;
    while ((topic = TAILQ_FIRST(&pubsub->idle)) != NULL) {
        TAILQ_REMOVE(&pubsub->idle, topic, idle_link);
        topic->is_idle = false;
        if (topic->n_subscriptions > 0 || topic->answered < topic->sent)
            continue;
        TAILQ_REMOVE(&pubsub->of_kind[topic->kind], topic, link);
        pubsub_table_remove(&pubsub->topics, &topic->node);
        mem_free(topic);
    }
    if (pubsub->topics.n == 0)
        pubsub_link_idle(pubsub);
}

/* Subscriptions */

static uint64_t subscription_hash(const struct pubsub_topic *topic,
                                  const struct pubsub_subscriber *subscriber)
{
    /* Addresses of ours: nobody outside chooses them. */
    uint64_t mixed = (uint64_t)(uintptr_t)topic * 0x9E3779B97F4A7C15u +
                     (uint64_t)(uintptr_t)subscriber * 0xC2B2AE3D27D4EB4Fu;
    return mixed ^ mixed >> 29;
}

static struct pubsub_subscription *find_subscription(const struct pubsub *pubsub,
                                                     const struct pubsub_topic *topic,
                                                     const struct pubsub_subscriber *subscriber)
{
    struct pubsub_node *node =
        pubsub_table_find(&pubsub->subscriptions, subscription_hash(topic, subscriber));
    for (; node != NULL; node = pubsub_table_again(node)) {
        struct pubsub_subscription *subscription = (struct pubsub_subscription *)node;
        if (subscription->topic == topic && subscription->subscriber == subscriber)
            return subscription;
    }
    return NULL;
}

static bool add_subscription(struct pubsub *pubsub, struct pubsub_topic *topic,
                             struct pubsub_subscriber *subscriber)
{
    struct pubsub_subscription *subscription = mem_alloc(sizeof(*subscription));
    *subscription =
        (struct pubsub_subscription){.topic = topic, .subscriber = subscriber, .is_new = true};
    if (!pubsub_table_add(&pubsub->subscriptions, &subscription->node,
                          subscription_hash(topic, subscriber))) {
        mem_free(subscription);
        return false;
    }
    TAILQ_INSERT_TAIL(&topic->subscriptions, subscription, topic_link);
    TAILQ_INSERT_TAIL(&subscriber->subscriptions[topic->kind], subscription, subscriber_link);
    pubsub->n_subscribers += pubsub_total(subscriber) == 0;
    subscriber->n[topic->kind]++;
    topic->n_subscriptions++;
    return true;
}

static void add_wait(struct pubsub_topic *topic, struct pubsub_subscriber *subscriber, bool leaves)
{
    struct pubsub_wait *wait = mem_alloc(sizeof(*wait));
    *wait = (struct pubsub_wait){
        .topic = topic, .subscriber = subscriber, .answer = topic->sent, .leaves = leaves};
    TAILQ_INSERT_TAIL(&topic->waits, wait, topic_link);
    TAILQ_INSERT_TAIL(&subscriber->waits, wait, subscriber_link);
}

bool pubsub_subscribe(struct pubsub *pubsub, struct pubsub_subscriber *subscriber,
                      enum pubsub_kind kind, struct bytes name)
{
    struct pubsub_topic *topic = pubsub_find_topic(pubsub, kind, name);
    if (topic != NULL && find_subscription(pubsub, topic, subscriber) != NULL)
        return true;
    if (topic == NULL)
        topic = create_topic(pubsub, kind, name);
    if (topic == NULL)
        return false;
    if (!add_subscription(pubsub, topic, subscriber)) {
        pubsub_note_idle(pubsub, topic);
        return false;
    }
    if (topic->n_subscriptions == 1) {
        pubsub->n_used[kind]++;
        pubsub_link_send(pubsub, topic, true);
    }
    if (topic->answered < topic->sent)
        add_wait(topic, subscriber, false);
    return true;
}

/* Takes a subscription away. Returns true when it was its topic's last. */
static bool remove_subscription(struct pubsub *pubsub, struct pubsub_subscription *subscription)
{
    struct pubsub_topic *topic = subscription->topic;
    struct pubsub_subscriber *subscriber = subscription->subscriber;
    pubsub_table_remove(&pubsub->subscriptions, &subscription->node);
    TAILQ_REMOVE(&topic->subscriptions, subscription, topic_link);
    TAILQ_REMOVE(&subscriber->subscriptions[topic->kind], subscription, subscriber_link);
    mem_free(subscription);
    subscriber->n[topic->kind]--;
    pubsub->n_subscribers -= pubsub_total(subscriber) == 0;
    if (--topic->n_subscriptions > 0)
        return false;
    pubsub->n_used[topic->kind]--;
    pubsub_link_send(pubsub, topic, false);
    pubsub_note_idle(pubsub, topic);
    return true;
}

void pubsub_unsubscribe(struct pubsub *pubsub, struct pubsub_subscriber *subscriber,
                        enum pubsub_kind kind, struct bytes name)
{
    struct pubsub_topic *topic = pubsub_find_topic(pubsub, kind, name);
    struct pubsub_subscription *subscription =
        topic != NULL ? find_subscription(pubsub, topic, subscriber) : NULL;
    if (subscription == NULL)
        return;
    /* Who leaves others behind has L2 confirm the topic once more: what was published before comes
     * in front of that answer. */
    bool is_last = remove_subscription(pubsub, subscription);
    if (!pubsub_link_is_up(pubsub))
        return;
    if (!is_last)
        pubsub_link_send(pubsub, topic, true);
    if (topic->answered < topic->sent)
        add_wait(topic, subscriber, true);
}

void pubsub_undo(struct pubsub *pubsub, struct pubsub_subscriber *subscriber)
{
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        struct pubsub_subscription *last;
        while ((last = TAILQ_LAST(&subscriber->subscriptions[kind], pubsub_subscription_list)) !=
                   NULL &&
               last->is_new)
            remove_subscription(pubsub, last);
    }
    struct pubsub_wait *wait;
    while ((wait = TAILQ_FIRST(&subscriber->waits)) != NULL) {
        TAILQ_REMOVE(&wait->topic->waits, wait, topic_link);
        TAILQ_REMOVE(&subscriber->waits, wait, subscriber_link);
        mem_free(wait);
    }
}

/* Settling */

static void arm_due(struct pubsub *pubsub)
{
    const struct pubsub_subscriber *first = TAILQ_FIRST(&pubsub->settling);
    if (first == NULL)
        timer_disarm(&pubsub->loop->timers, &pubsub->due);
    else
        timer_arm(&pubsub->loop->timers, &pubsub->due, first->due_ms);
}

static void forget_new(struct pubsub_subscriber *subscriber)
{
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        struct pubsub_subscription *at =
            TAILQ_LAST(&subscriber->subscriptions[kind], pubsub_subscription_list);
        for (; at != NULL && at->is_new;
             at = TAILQ_PREV(at, pubsub_subscription_list, subscriber_link))
            at->is_new = false;
    }
}

bool pubsub_settle(struct pubsub *pubsub, struct pubsub_subscriber *subscriber,
                   pubsub_settled_fn *fn, void *ctx)
{
    if (TAILQ_EMPTY(&subscriber->waits)) {
        forget_new(subscriber);
        return true;
    }
    subscriber->fn = fn;
    subscriber->fn_ctx = ctx;
    subscriber->due_ms = pubsub->loop->clock.mono_ms + pubsub->timeout_ms;
    TAILQ_INSERT_TAIL(&pubsub->settling, subscriber, settling_link);
    arm_due(pubsub);
    return false;
}

bool pubsub_is_joining(const struct pubsub_subscriber *subscriber)
{
    return subscriber->fn != NULL && !TAILQ_FIRST(&subscriber->waits)->leaves;
}

bool pubsub_is_leaving(const struct pubsub_subscriber *subscriber)
{
    return subscriber->fn != NULL && TAILQ_FIRST(&subscriber->waits)->leaves;
}

/* Ends settling; the subscriber may be gone afterwards. */
static void end_settling(struct pubsub *pubsub, struct pubsub_subscriber *subscriber,
                         struct bytes error)
{
    pubsub_settled_fn *fn = subscriber->fn;
    subscriber->fn = NULL;
    TAILQ_REMOVE(&pubsub->settling, subscriber, settling_link);
    arm_due(pubsub);
    if (error.len > 0)
        pubsub_undo(pubsub, subscriber);
    else
        forget_new(subscriber);
    fn(subscriber->fn_ctx, error);
}

static void end_wait(struct pubsub *pubsub, struct pubsub_wait *wait)
{
    struct pubsub_subscriber *subscriber = wait->subscriber;
    TAILQ_REMOVE(&wait->topic->waits, wait, topic_link);
    TAILQ_REMOVE(&subscriber->waits, wait, subscriber_link);
    mem_free(wait);
    /* Within a row of changes there is nobody to tell yet. */
    if (TAILQ_EMPTY(&subscriber->waits) && subscriber->fn != NULL)
        end_settling(pubsub, subscriber, bytes_of(NULL, 0));
}

void pubsub_answered(struct pubsub *pubsub, struct pubsub_topic *topic)
{
    struct pubsub_wait *wait;
    while ((wait = TAILQ_FIRST(&topic->waits)) != NULL && wait->answer <= topic->answered)
        end_wait(pubsub, wait);
    pubsub_note_idle(pubsub, topic);
}

void pubsub_answered_leavers(struct pubsub *pubsub, struct pubsub_topic *topic)
{
    struct pubsub_wait *wait;
    do {
        for (wait = TAILQ_FIRST(&topic->waits); wait != NULL; wait = TAILQ_NEXT(wait, topic_link))
            if (wait->leaves)
                break;
        if (wait != NULL)
            end_wait(pubsub, wait); /* may change the list */
    } while (wait != NULL);
    pubsub_note_idle(pubsub, topic);
}

void pubsub_refused(struct pubsub *pubsub, struct pubsub_topic *topic, struct bytes error)
{
    struct pubsub_wait *wait;
    while ((wait = TAILQ_FIRST(&topic->waits)) != NULL && wait->answer <= topic->answered) {
        if (wait->leaves || wait->subscriber->fn == NULL)
            end_wait(pubsub, wait);
        else
            end_settling(pubsub, wait->subscriber, error);
    }
    pubsub_note_idle(pubsub, topic);
}

static void on_due(struct timer *timer, void *ctx)
{
    (void)timer;
    struct pubsub *pubsub = ctx;
    char error[sizeof(((struct link_figures *)NULL)->last_error) + ADDRESS_TEXT_MAX + 64];
    struct link_figures figures = {.state = LINK_DOWN};
    const char *name = "?";
    if (pubsub->link != NULL) {
        link_read_figures(pubsub->link, &figures);
        name = link_get_name(pubsub->link);
    }
    int len =
        figures.state == LINK_READY
            ? snprintf(error, sizeof(error), "-UPSTREAM %s gave no reply within %lld ms\r\n", name,
                       (long long)pubsub->timeout_ms)
            : snprintf(error, sizeof(error), "-UPSTREAM %s is down: %s\r\n", name,
                       figures.last_error[0] != '\0' ? figures.last_error : "not connected yet");
    struct pubsub_subscriber *first;
    while ((first = TAILQ_FIRST(&pubsub->settling)) != NULL &&
           first->due_ms <= pubsub->loop->clock.mono_ms)
        end_settling(pubsub, first, bytes_of(error, (size_t)len));
    arm_due(pubsub);
}

/* Subscribers */

struct pubsub_subscriber *pubsub_join(void *ctx)
{
    struct pubsub_subscriber *subscriber = mem_zalloc(sizeof(*subscriber));
    subscriber->ctx = ctx;
    TAILQ_INIT(&subscriber->waits);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        TAILQ_INIT(&subscriber->subscriptions[kind]);
    return subscriber;
}

void pubsub_leave(struct pubsub *pubsub, struct pubsub_subscriber *subscriber)
{
    if (subscriber->fn != NULL)
        end_settling(pubsub, subscriber, bytes_of(NULL, 0));
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        struct pubsub_subscription *first;
        while ((first = TAILQ_FIRST(&subscriber->subscriptions[kind])) != NULL)
            remove_subscription(pubsub, first);
    }
    pubsub_undo(pubsub, subscriber); /* waits */
    mem_free(subscriber);
}

struct bytes pubsub_first(const struct pubsub_subscriber *subscriber, enum pubsub_kind kind)
{
    const struct pubsub_topic *topic = TAILQ_FIRST(&subscriber->subscriptions[kind])->topic;
    return bytes_of(topic->name, topic->len);
}

size_t pubsub_count(const struct pubsub_subscriber *subscriber, enum pubsub_kind kind)
{
    return subscriber->n[kind];
}

size_t pubsub_total(const struct pubsub_subscriber *subscriber)
{
    return subscriber->n[PUBSUB_CHANNEL] + subscriber->n[PUBSUB_PATTERN] +
           subscriber->n[PUBSUB_SHARD];
}

/* Life cycle */

struct pubsub *pubsub_create(struct loop *loop, const struct pubsub_handlers *handlers, void *owner,
                             bool has_upstream)
{
    struct pubsub *pubsub = mem_zalloc(sizeof(*pubsub));
    pubsub->loop = loop;
    pubsub->handlers = handlers;
    pubsub->owner = owner;
    pubsub->has_upstream = has_upstream;
    pubsub->timeout_ms = TIMEOUT_DEFAULT_MS;
    hash_key_random(&pubsub->key);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        TAILQ_INIT(&pubsub->of_kind[kind]);
    TAILQ_INIT(&pubsub->idle);
    TAILQ_INIT(&pubsub->settling);
    STAILQ_INIT(&pubsub->commands);
    timer_init(&pubsub->due, on_due, pubsub);
    timer_init(&pubsub->unlink, pubsub_link_on_unlink, pubsub);
    return pubsub;
}

void pubsub_flush(struct loop *loop, void *ctx)
{
    struct pubsub *pubsub = ctx;
    if (pubsub->link != NULL)
        link_flush(loop, pubsub->link);
    if (!TAILQ_EMPTY(&pubsub->idle))
        free_idle_topics(pubsub);
}

void pubsub_destroy(struct pubsub *pubsub)
{
    pubsub_link_close(pubsub);
    free_idle_topics(pubsub);
    timer_disarm(&pubsub->loop->timers, &pubsub->due);
    timer_disarm(&pubsub->loop->timers, &pubsub->unlink);
    buf_deinit(&pubsub->scratch);
    mem_free(pubsub);
}

size_t pubsub_topics(const struct pubsub *pubsub, enum pubsub_kind kind)
{
    return pubsub->n_used[kind];
}

bool pubsub_is_empty(const struct pubsub *pubsub)
{
    return pubsub->topics.n == 0;
}

size_t pubsub_subscribers(const struct pubsub *pubsub)
{
    return pubsub->n_subscribers;
}

struct link *pubsub_link(struct pubsub *pubsub)
{
    return pubsub->link;
}

void pubsub_each(const struct pubsub *pubsub, enum pubsub_kind kind, pubsub_visit_fn *fn, void *ctx)
{
    const struct pubsub_topic *topic;
    for (topic = TAILQ_FIRST(&pubsub->of_kind[kind]); topic != NULL;
         topic = TAILQ_NEXT(topic, link))
        if (topic->n_subscriptions > 0)
            fn(ctx, bytes_of(topic->name, topic->len), topic->n_subscriptions);
}
