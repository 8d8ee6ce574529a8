/* A client that watches, over a fake L2. Shared by test_watch*.c. */
#ifndef LARDER_TESTS_WATCH_SUPPORT_H
#define LARDER_TESTS_WATCH_SUPPORT_H

#include "pinned_support.h"

/* The first client watches `a`, on the first link. */
static inline void watch(void)
{
    peer_say(&peer, "WATCH a\r\n");
    pin_expect(0, "WATCH a");
    pin_say(0, "+OK\r\n");
    peer_expect(&peer, "+OK\r\n");
    ck_assert_ptr_nonnull(peer.client->watch);
}

static inline void queue(const char *command)
{
    peer_ask(&peer, "MULTI", "+OK\r\n");
    peer_ask(&peer, command, "+QUEUED\r\n");
}

/* It watches no longer; its link is kept, or was closed. */
static inline void expect_given_back(bool kept)
{
    turns(3);
    ck_assert_ptr_null(peer.client->watch);
    ck_assert_uint_eq(pinned_figures().in_use, 0);
    ck_assert_uint_eq(pinned_figures().idle, kept);
    if (!kept)
        pin_expect_end(0);
}

#endif
