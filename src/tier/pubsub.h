/* Who listens to which channel: the registry of channels, patterns and shard channels, and the one
 * link to L2 that carries the subscriptions of all of them.
 *
 *     subscriber --subscription--> topic "news" <--subscription-- subscriber
 *                                    | one SUBSCRIBE, however many subscribers
 *                                    v
 *                                   L2 --message--> every subscriber of the topic
 *
 * A topic is subscribed at L2 when its first subscriber comes and unsubscribed when the last one
 * has gone. Who changes its subscriptions may wait (pubsub_settle) until L2 has answered for the
 * topics concerned, so that what is published afterwards is counted and delivered by the new state;
 * who leaves gets messages until then.
 * When the link is lost, all topics are subscribed again as soon as it is back; nobody is told.
 * The link exists only while there are topics, and a little longer. Without an upstream, publishing
 * reaches the subscribers here.
 *
 * Must not know: clients, replies, protocol versions. What is delivered is the push of L2, as it
 * came. */
#ifndef LARDER_TIER_PUBSUB_H
#define LARDER_TIER_PUBSUB_H

#include "upstream/link.h"

enum pubsub_kind { PUBSUB_CHANNEL, PUBSUB_PATTERN, PUBSUB_SHARD };
#define PUBSUB_KINDS 3

struct pubsub;
struct pubsub_subscriber;

struct pubsub_handlers {
    /* A message for a subscriber (the ctx that it was created with): a whole RESP3 push (">3",
     * "message", channel, payload), borrowed for the call. The subscriber may leave inside. */
    void (*deliver)(void *subscriber, struct bytes push);
    /* Fills in how L2 is reached now (`options` is zeroed; taken). Returns false when that can't be
     * told. `owner` is that of pubsub_create. */
    bool (*link_options)(void *owner, struct link_options *options);
};

/* Runs once: all that the wait was for is answered (`error` is empty), or it has failed (`error` is
 * an error reply, whole line, borrowed for the call), or the subscriber has left (then inside
 * pubsub_leave). After a failure the subscriptions made since the last settling are undone. */
typedef void pubsub_settled_fn(void *ctx, struct bytes error);

/* Creates a registry; `handlers` and `owner` are borrowed. has_upstream false: everything happens
 * here. Returns owned. */
struct pubsub *pubsub_create(struct loop *loop, const struct pubsub_handlers *handlers, void *owner,
                             bool has_upstream) __attribute__((returns_nonnull));

/* Frees the registry and its link. All subscribers must have left. */
void pubsub_destroy(struct pubsub *pubsub);

/* The hook that writes what was given to the link and frees topics that nobody has any more (ctx is
 * the registry). */
void pubsub_flush(struct loop *loop, void *ctx);

/* Asks for the link's options again and takes them over. */
void pubsub_configure(struct pubsub *pubsub);

/* Subscribers */

/* A subscriber without subscriptions; `ctx` (borrowed) is what `deliver` gets. Returns owned, until
 * pubsub_leave. */
struct pubsub_subscriber *pubsub_join(void *ctx) __attribute__((returns_nonnull));

/* Ends all its subscriptions and the subscriber itself; a wait of its own ends first. Costs
 * O(subscriptions). */
void pubsub_leave(struct pubsub *pubsub, struct pubsub_subscriber *subscriber);

/* Subscribes (no effect when it was before). Returns false when there is no memory. */
bool pubsub_subscribe(struct pubsub *pubsub, struct pubsub_subscriber *subscriber,
                      enum pubsub_kind kind, struct bytes name) __attribute__((warn_unused_result));

/* Unsubscribes; no effect when it wasn't subscribed. `name` may be pubsub_first's. */
void pubsub_unsubscribe(struct pubsub *pubsub, struct pubsub_subscriber *subscriber,
                        enum pubsub_kind kind, struct bytes name);

/* The name of its oldest subscription of a kind, borrowed until that ends (of the topic: until the
 * end of the turn). There must be one. */
struct bytes pubsub_first(const struct pubsub_subscriber *subscriber, enum pubsub_kind kind);

/* How many subscriptions of a kind, or of all kinds, it has. */
size_t pubsub_count(const struct pubsub_subscriber *subscriber, enum pubsub_kind kind);
size_t pubsub_total(const struct pubsub_subscriber *subscriber);

/* Ends a row of changes. Returns true when L2 has answered for all of them: fn is not called.
 * Otherwise fn(ctx) is called when it has, at the latest after the link's time-out. A subscriber
 * makes no further changes until then. */
bool pubsub_settle(struct pubsub *pubsub, struct pubsub_subscriber *subscriber,
                   pubsub_settled_fn *fn, void *ctx) __attribute__((warn_unused_result));

/* Undoes what was subscribed since the last settling, and ends that row of changes. */
void pubsub_undo(struct pubsub *pubsub, struct pubsub_subscriber *subscriber);

/* True between pubsub_settle and its callback, after subscribing and after unsubscribing. Messages
 * that come meanwhile belong behind the confirmation, or in front of it. */
bool pubsub_is_joining(const struct pubsub_subscriber *subscriber);
bool pubsub_is_leaving(const struct pubsub_subscriber *subscriber);

/* Publishing */

/* Delivers to the subscribers here (for a registry without upstream); kind is CHANNEL (which
 * reaches patterns too) or SHARD. Returns how many times it was delivered; -1 without memory. */
int64_t pubsub_publish(struct pubsub *pubsub, enum pubsub_kind kind, struct bytes channel,
                       struct bytes payload);

/* What L2 said about receivers of a message (kind CHANNEL: of its patterns too), as it would be if
 * our subscribers were its own. */
int64_t pubsub_correct_receivers(const struct pubsub *pubsub, enum pubsub_kind kind,
                                 struct bytes channel, int64_t n_at_upstream);

/* The same for the number of subscribers of one channel (PUBSUB NUMSUB). */
int64_t pubsub_correct_subscribers(const struct pubsub *pubsub, enum pubsub_kind kind,
                                   struct bytes channel, int64_t n_at_upstream);

/* How many topics of a kind have subscribers here; 0 of every kind: the registry is empty. */
size_t pubsub_topics(const struct pubsub *pubsub, enum pubsub_kind kind);
bool pubsub_is_empty(const struct pubsub *pubsub);

/* Visits the topics of a kind that have subscribers here. Nothing may be changed inside. */
typedef void pubsub_visit_fn(void *ctx, struct bytes name, size_t n_subscribers);
void pubsub_each(const struct pubsub *pubsub, enum pubsub_kind kind, pubsub_visit_fn *fn,
                 void *ctx);

/* Subscribers (with at least one subscription). */
size_t pubsub_subscribers(const struct pubsub *pubsub);

/* The link, NULL while there is none; for INFO and tests. */
struct link *pubsub_link(struct pubsub *pubsub);

#endif
