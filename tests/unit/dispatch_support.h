/* An L2 that tells what redis-server 7.0.15 told, and a larder in front of it. Shared by
 * test_dispatch*.c. */
#ifndef LARDER_TESTS_DISPATCH_SUPPORT_H
#define LARDER_TESTS_DISPATCH_SUPPORT_H

#include "larder_support.h"
#include "recorded.h"

static struct peer peer;
static struct buf command_reply;

/* In front of an L2 that tells all of Redis 7.0's commands. */
static inline void dispatch_set_up_with(const char *configuration)
{
    command_reply = recorded_read(RECORDED_ALL);
    ck_assert(buf_append(&command_reply, "", 1));
    learned = command_reply.data;
    larder_start(true, configuration);
    peer = peer_open();
}

static inline void dispatch_set_up(void)
{
    dispatch_set_up_with("");
}

static inline void dispatch_tear_down(void)
{
    peer_close(&peer);
    larder_end();
    buf_deinit(&command_reply);
}

/* Starts again in front of an L2 that answers COMMAND so. */
static inline void dispatch_restart(const char *reply)
{
    dispatch_tear_down();
    learned = reply;
    larder_start(true, "");
    peer = peer_open();
}

#define N(array) (sizeof(array) / sizeof((array)[0]))

static inline TCase *dispatch_case(Suite *suite, const char *name, SFun begin)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, begin, dispatch_tear_down);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static inline int dispatch_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
