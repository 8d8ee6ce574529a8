/* A larder in front of a fake L2 that takes the links of clients, too (fake_pins.h). Shared by the
 * tests of what uses such links. */
#ifndef LARDER_TESTS_PINNED_SUPPORT_H
#define LARDER_TESTS_PINNED_SUPPORT_H

#include "dispatch_support.h"
#include "fake_pins.h"
#include "upstream/pinned.h"

static struct peer other; /* a second client */

static inline void pinned_set_up_with(const char *configuration)
{
    dispatch_set_up_with(configuration);
    pins_open(false);
    other = peer_open();
}

static inline void pinned_set_up(void)
{
    pinned_set_up_with("");
}

static inline void pinned_tear_down(void)
{
    peer_close(&other);
    pins_close();
    dispatch_tear_down();
}

static inline TCase *pinned_case(Suite *suite, const char *name, SFun begin)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, begin, pinned_tear_down);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static inline struct pinned_figures pinned_figures(void)
{
    struct pinned_figures now;
    pinned_read_figures(larder->pinned, &now);
    return now;
}

/* Turns the loop until the client has got a line, which must begin so. */
static inline void peer_expect_line(struct peer *from, const char *beginning)
{
    TURN_UNTIL(&larder->loop,
               peer_read_len(from) > 0 && memchr(from->got.data, '\n', from->got.len) != NULL);
    turns(3);
    peer_read(from);
    ck_assert(buf_append(&from->got, "", 1));
    ck_assert_msg(strncmp(from->got.data, beginning, strlen(beginning)) == 0, "%s", from->got.data);
    ck_assert_ptr_eq(strchr(from->got.data, '\n') + 2, from->got.data + from->got.len);
    from->got.len = 0;
}

/* The client closes its connection, and larder has seen it. */
static inline void peer_leave(struct peer *leaver)
{
    size_t before = larder->n_clients;
    peer_close(leaver);
    TURN_UNTIL(&larder->loop, larder->n_clients < before);
    turns(3);
}

/* Has L1 keep the string "v" for a key, by the second client. */
static inline void keep(const char *key)
{
    char text[100];
    snprintf(text, sizeof(text), "GET %s\r\n", key);
    peer_say(&other, text);
    snprintf(text, sizeof(text), "GET %s; PTTL %s", key, key);
    upstream_expect(text);
    upstream_say("$1\r\nv\r\n:-1\r\n");
    peer_expect(&other, "$1\r\nv\r\n");
}

/* True when L1 answers for the key, which its fetch shall bring otherwise. */
static inline bool is_kept(const char *key)
{
    char text[100];
    snprintf(text, sizeof(text), "GET %s\r\n", key);
    peer_say(&other, text);
    TURN_UNTIL(&larder->loop, peer_read_len(&other) > 0 || upstream.said.len > 0);
    if (peer_read_len(&other) > 0) {
        peer_expect(&other, "$1\r\nv\r\n");
        return true;
    }
    snprintf(text, sizeof(text), "GET %s; PTTL %s", key, key);
    upstream_expect(text);
    upstream_say("$1\r\nv\r\n:-1\r\n");
    peer_expect(&other, "$1\r\nv\r\n");
    return false;
}

#endif
