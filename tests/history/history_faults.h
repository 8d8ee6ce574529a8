/* When the links between larders and L2 fail, and how: a schedule of random faults, given to fault proxies; and the
 * end of it, when whatever was on its way has arrived or is lost.
 *
 * Fault kinds: delay freeze freeze-all cut cut-in-reply reset garbage refuse drip split storm, each of a proxy, and
 * kill, by which L2 closes a larder's link itself. */
#ifndef LARDER_TESTS_HISTORY_FAULTS_H
#define LARDER_TESTS_HISTORY_FAULTS_H

#include "history.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>

#define FAULT_SOURCES_MAX 2

struct fault_source {
    int fd; /* of a proxy's control socket; -1: none, so only L2 can be asked */
    bool active;
    int64_t next_ns; /* when its state changes */
};

struct faults {
    struct history *history;
    struct random random;
    const char *kinds; /* names with commas; NULL: all */
    redisContext *l2;  /* borrowed */
    struct fault_source sources[FAULT_SOURCES_MAX];
    unsigned n;
    uint64_t n_begun;
};

/* True when every name in `kinds` is a kind of fault. */
bool faults_know(const char *kinds);

/* Adds a proxy by the path of its control socket; NULL: only `kill` is possible. Returns 0 or -errno. */
int faults_add(struct faults *faults, const char *path);

/* Starts the schedule of a round. */
void faults_begin(struct faults *faults, int64_t now_ns);

/* Does what is due. Returns the moment when it has to be called again. */
int64_t faults_run(struct faults *faults, int64_t now_ns);

/* Ends every fault. */
void faults_end(struct faults *faults);

/* Closes all links, and waits until L2 has none of those that it had: what was sent over them has been executed, or
 * never will be. For when the larders are back. Returns false when L2 still has some at until_ns. */
bool faults_settle(struct faults *faults, int64_t until_ns);

void faults_deinit(struct faults *faults);

#endif
