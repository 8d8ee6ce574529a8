/* CLIENT TRACKING: larder tells its clients which of the keys that they have read have changed.
 *
 *     L2 --invalidate k--> [tracking link] --> table: who read k? --> push to each, k forgotten
 *
 * Default mode. L2 tracks whatever was read on larder's link, for all clients together. A key is
 * noted for a client
 *  - when L1 may answer, as the command is executed: L2 tracks every key that L1 holds;
 *  - when the reply of L2 is there: what L2 said of the key earlier was older than the reply.
 * A push to a client goes behind all replies that wait, since these may be older than the change.
 * What is read where L2 does not track it (a transaction on a link of its own, a link without
 * tracking or that broadcasts other prefixes, the loss of the link in between) is invalidated right
 * behind its reply.
 *
 * BCAST. A second link, there while any client broadcasts, tracks all of L2's keys in that mode;
 * what it tells leaves L1 too, so that nobody who hears of a change reads the older value again.
 *
 * Whenever changes may have been missed (loss of a link), clients are told to drop all. A client
 * for whose keys there is no memory is closed. Costs one branch for those who don't track. */
#ifndef LARDER_CORE_TRACKING_H
#define LARDER_CORE_TRACKING_H

#include "core/tracking_table.h"
#include "upstream/link.h"

struct call;
struct larder;
struct tracking;
struct tracked;

/* Fills in how L2 is reached now (`options` is zeroed; taken). Returns false when that can't be
 * told. */
typedef bool tracking_link_options_fn(void *owner, struct link_options *options);

/* Creates the instance's tracking and listens to its tier. `fn` gets the larder. Returns owned, to
 * be destroyed when all clients are gone, before the tier. */
struct tracking *tracking_create(struct larder *larder, tracking_link_options_fn *fn)
    __attribute__((returns_nonnull));
void tracking_destroy(struct tracking *tracking);

/* The hook that writes to the link of BCAST and closes it when nobody wants it (ctx is the
 * tracking). */
void tracking_flush(struct loop *loop, void *ctx);

/* After a change of configuration: credentials and time-outs. */
void tracking_configure(struct tracking *tracking);

/* Clients */

/* What CLIENT TRACKING ON asked for; checked by the caller. */
struct tracking_request {
    unsigned flags;       /* BCAST, OPTIN, OPTOUT, NOLOOP */
    uint64_t redirect_id; /* 0: none */
    const struct bytes *prefixes;
    size_t n_prefixes;
};

/* Switches tracking on, or changes it. Returns false without memory. */
bool tracking_enable(struct client *client, const struct tracking_request *request)
    __attribute__((warn_unused_result));
void tracking_disable(struct client *client);

/* The client's end. */
void tracking_leave(struct client *client);

/* Sends L2 the command that makes the link of BCAST track (creating the link first); fn(ctx) gets
 * its reply. Returns false when there is no link to be had. */
bool tracking_begin_bcast(struct tracking *tracking, link_reply_fn *fn, void *ctx)
    __attribute__((warn_unused_result));

/* To be called when what fn of tracking_begin_bcast brought has been dealt with. */
void tracking_end_bcast(struct tracking *tracking);

/* The flags of its tracker (0: it never tracked); the number that its messages are redirected to,
 * 0: to nobody, -1: it doesn't track. */
unsigned tracking_flags(const struct client *client);
int64_t tracking_redirect(const struct client *client);

/* Commands; only for a client that has a tracker */

/* Before a command is executed: notes which keys it reads (or writes, for NOLOOP). */
void tracking_before(struct call *call);

/* After it was executed, and answered unless it was deferred. */
void tracking_after(struct call *call);

/* What was noted for the command whose slot is opened now: owned by the slot. */
struct tracked *tracking_take_pending(struct client *client);

/* What L2 replied to the command (RESP3). */
void tracking_note_reply(struct tracked *tracked, struct bytes reply);

/* The slot's reply is there (or its client has gone); takes `tracked`. */
void tracking_finish(struct tracked *tracked);

/* Figures for INFO */

struct tracking_figures {
    size_t clients;
    size_t keys;
    size_t items;
    size_t prefixes;
};
void tracking_read_figures(const struct tracking *tracking, struct tracking_figures *figures);

#endif
