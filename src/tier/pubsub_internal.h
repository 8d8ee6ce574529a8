/* What the files of pub/sub share; nobody else includes this.
 *
 *     pubsub.c        subscribers, topics, waits
 *     pubsub_publish.c  messages and their receivers
 *     pubsub_link.c   L2's side: the link, what is sent and what comes
 *     pubsub_table.c  the two hash tables
 *
 *     topic "news"      sent 3  answered 2: of SUBSCRIBE, UNSUBSCRIBE, SUBSCRIBE the last is not answered yet
 *       subscriptions   -> subscriber A, subscriber B
 *       waits           -> A waits for answer 3
 *
 * A topic goes when it has neither subscriptions nor unanswered commands, at the end of the turn. */
#ifndef LARDER_TIER_PUBSUB_INTERNAL_H
#define LARDER_TIER_PUBSUB_INTERNAL_H

#include "tier/pubsub.h"

#include "base/hash.h"

#include <sys/queue.h>

/* Embedded in what a table holds. */
struct pubsub_node {
    struct pubsub_node *next; /* in its bucket */
    uint64_t hash;
};

/* Buckets of chained nodes; a power of two of them, about one for each node. */
struct pubsub_table {
    struct pubsub_node **buckets; /* owned; NULL while empty */
    size_t n_buckets;
    size_t n;
};

TAILQ_HEAD(pubsub_subscription_list, pubsub_subscription);
TAILQ_HEAD(pubsub_wait_list, pubsub_wait);

struct pubsub_topic {
    struct pubsub_node node;             /* first: pubsub.topics */
    TAILQ_ENTRY(pubsub_topic) link;      /* pubsub.of_kind */
    TAILQ_ENTRY(pubsub_topic) idle_link; /* pubsub.idle, while is_idle */
    struct pubsub_subscription_list subscriptions;
    struct pubsub_wait_list waits;
    size_t n_subscriptions;
    uint64_t sent;     /* commands for it that were given to the link, or will be when it is up */
    uint64_t answered; /* of these */
    enum pubsub_kind kind;
    bool is_at_upstream; /* L2's last answer: subscribed */
    bool is_idle;        /* to be looked at, and freed, at the end of the turn */
    size_t len;
    char name[];
};

struct pubsub_subscription {
    struct pubsub_node node; /* first: pubsub.subscriptions */
    struct pubsub_topic *topic;
    struct pubsub_subscriber *subscriber;
    TAILQ_ENTRY(pubsub_subscription) topic_link;
    TAILQ_ENTRY(pubsub_subscription) subscriber_link; /* new ones at the tail */
    bool is_new;                                      /* made since the last settling */
};

/* A subscriber waits for an answer about a topic. */
struct pubsub_wait {
    struct pubsub_topic *topic;
    struct pubsub_subscriber *subscriber;
    TAILQ_ENTRY(pubsub_wait) topic_link;
    TAILQ_ENTRY(pubsub_wait) subscriber_link;
    uint64_t answer; /* the number of the answer */
    bool leaves;     /* waits for an UNSUBSCRIBE's */
};

struct pubsub_subscriber {
    void *ctx;
    struct pubsub_subscription_list subscriptions[PUBSUB_KINDS];
    size_t n[PUBSUB_KINDS];
    struct pubsub_wait_list waits;
    TAILQ_ENTRY(pubsub_subscriber) settling_link; /* pubsub.settling, in the order of deadlines */
    pubsub_settled_fn *fn;                        /* NULL: it is not settling */
    void *fn_ctx;
    int64_t due_ms;
};

/* A command on its way: L2 answers in the order of the commands. */
struct pubsub_command {
    STAILQ_ENTRY(pubsub_command) link;
    struct pubsub_topic *topic;
    bool subscribes;
};

struct pubsub {
    struct loop *loop;
    const struct pubsub_handlers *handlers;
    void *owner;
    bool has_upstream;
    struct hash_key key;
    struct pubsub_table topics;        /* by kind and name */
    struct pubsub_table subscriptions; /* by topic and subscriber */
    TAILQ_HEAD(, pubsub_topic) of_kind[PUBSUB_KINDS];
    size_t n_used[PUBSUB_KINDS]; /* topics with subscribers */
    TAILQ_HEAD(, pubsub_topic) idle;
    TAILQ_HEAD(, pubsub_subscriber) settling;
    size_t n_subscribers;
    struct timer due;    /* of the first in `settling` */
    struct link *link;   /* owned; NULL while there are no topics */
    struct timer unlink; /* the link has nothing to carry any more */
    int64_t timeout_ms;  /* of the link, as last told */
    STAILQ_HEAD(, pubsub_command) commands;
    struct buf scratch;
};

/* pubsub_table.c */
/* Adds a node. Returns false when there is no memory. */
bool pubsub_table_add(struct pubsub_table *table, struct pubsub_node *node, uint64_t hash)
    __attribute__((warn_unused_result));
void pubsub_table_remove(struct pubsub_table *table, struct pubsub_node *node);
/* The first node with that hash; pubsub_table_again: the next one behind it. NULL: none. */
struct pubsub_node *pubsub_table_find(const struct pubsub_table *table, uint64_t hash);
struct pubsub_node *pubsub_table_again(const struct pubsub_node *node);

/* pubsub_link.c */
/* Gives L2 a SUBSCRIBE or UNSUBSCRIBE of the topic, now or when the link is up. */
void pubsub_link_send(struct pubsub *pubsub, struct pubsub_topic *topic, bool subscribes);
bool pubsub_link_is_up(const struct pubsub *pubsub);
/* Ends the link when there are no topics, after a while. */
void pubsub_link_idle(struct pubsub *pubsub);
void pubsub_link_on_unlink(struct timer *timer, void *ctx);
void pubsub_link_close(struct pubsub *pubsub);

/* pubsub.c */
struct pubsub_topic *pubsub_find_topic(const struct pubsub *pubsub, enum pubsub_kind kind,
                                       struct bytes name);
/* Frees the topic at the end of the turn, unless it is in use again. */
void pubsub_note_idle(struct pubsub *pubsub, struct pubsub_topic *topic);
/* Ends the waits whose answers are there. */
void pubsub_answered(struct pubsub *pubsub, struct pubsub_topic *topic);
/* Ends the waits of those who left the topic, after the link was lost. */
void pubsub_answered_leavers(struct pubsub *pubsub, struct pubsub_topic *topic);
/* Hands a push to every subscriber of the topic. Returns to how many. */
size_t pubsub_deliver(struct pubsub *pubsub, struct pubsub_topic *topic, struct bytes push);
/* L2 refuses the topic: who waits for it hears the error. Who had it before (the link was lost, and L2 has changed its mind) keeps a
 * topic without messages. */
void pubsub_refused(struct pubsub *pubsub, struct pubsub_topic *topic, struct bytes error);

#endif
