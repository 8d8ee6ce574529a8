/* The history checker: clients of one or two larders, and of the redis-server behind them, read and write a few keys with
 * unique values, and what came back is checked against what larder promises (history_check.h says how).
 *
 *     history --redis PORT --larder PORT [--larder PORT] [OPTIONS]
 *
 *     --seconds N      how long (default 10); checked in rounds
 *     --round N        seconds of a round (5)
 *     --seed N         of all that is random here (default: from the clock); always printed
 *     --clients N      of each larder (8);  --direct N: at redis-server (4)
 *     --keys N         registers (12); a third as many counters come on top
 *     --rate N         verbs a second, of all clients (10000);  --burst N: at most so many in one pipeline (8)
 *     --writes N       percent of the verbs (30)
 *     --only LIST      verbs, of those that --verbs prints
 *     --bound MS       longest staleness of what was written elsewhere (1000)
 *     --strict         what scripts write to keys that they don't declare is held to the same as other writes
 *     --slack MS       longest life of a value behind its deadline (50)
 *     --faults PATH    control socket of a fault proxy before each larder's redis-server; may be given twice
 *     --kinds LIST     kinds of faults (all; without a proxy only kill)
 *     --shown N        violations that are printed at length (3)
 *
 * The last line is "N operations, N violations, seed S". Exit status: 0 without violations, 1 with, 2 when it couldn't
 * run. A seed makes the same choices again, but not the same interleaving: run it several times. */
#include "history_check.h"
#include "history_clients.h"
#include "history_faults.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* How long larders may take to be back when the faults are over, and replies to arrive. */
#define BACK_NS (20 * 1000 * NS_PER_MS)

struct run {
    int larders[HISTORY_VIEWS - 1];
    unsigned n_larders;
    int redis;
    int64_t seconds, round_seconds;
    uint64_t seed;
    unsigned n_clients, n_direct, n_keys, rate, burst, write_percent;
    const char *only;
    bool has_faults, is_strict;
    struct check_options options;
    struct history history;
    struct mix mix;
    struct clients clients;
    struct faults faults;
    struct check_sums sums;
    redisContext *l2;
};

static void fail(const char *what)
{
    fprintf(stderr, "history: %s\n", what);
    exit(2);
}

static redisContext *dial(int port)
{
    struct timeval limit = {2, 0};
    redisContext *context = redisConnectWithTimeout("127.0.0.1", port, limit);
    if (context == NULL || context->err != 0 || redisSetTimeout(context, limit) != REDIS_OK)
        fail("can't connect");
    return context;
}

/* Options */

#define OPTION_VERBS 1
#define OPTION_STRICT 2

static const struct option long_options[] = {
    {"redis", required_argument, NULL, 'p'},      {"larder", required_argument, NULL, 'l'},
    {"seconds", required_argument, NULL, 't'},    {"round", required_argument, NULL, 'r'},
    {"seed", required_argument, NULL, 's'},       {"clients", required_argument, NULL, 'c'},
    {"direct", required_argument, NULL, 'd'},     {"keys", required_argument, NULL, 'k'},
    {"rate", required_argument, NULL, 'n'},       {"burst", required_argument, NULL, 'b'},
    {"writes", required_argument, NULL, 'w'},     {"only", required_argument, NULL, 'o'},
    {"bound", required_argument, NULL, 'B'},      {"slack", required_argument, NULL, 'S'},
    {"faults", required_argument, NULL, 'f'},     {"kinds", required_argument, NULL, 'K'},
    {"shown", required_argument, NULL, 'v'},      {"verbs", no_argument, NULL, OPTION_VERBS},
    {"strict", no_argument, NULL, OPTION_STRICT}, {NULL, 0, NULL, 0},
};

static int64_t number(const char *text, int64_t min, int64_t max)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < min || value > max)
        fail("a number is out of range");
    return value;
}

static void add_larder(struct run *run, const char *text)
{
    if (run->n_larders == HISTORY_VIEWS - 1)
        fail("two larders at most");
    run->larders[run->n_larders++] = (int)number(text, 1, 65535);
}

static void add_faults(struct run *run, const char *path)
{
    if (run->faults.n == FAULT_SOURCES_MAX || faults_add(&run->faults, path) < 0)
        fail("can't reach the fault proxy");
    run->has_faults = true;
}

static void take_option(struct run *run, int option, const char *text)
{
    switch (option) {
    case 'p': run->redis = (int)number(text, 1, 65535); break;
    case 'l': add_larder(run, text); break;
    case 't': run->seconds = number(text, 1, 1000000); break;
    case 'r': run->round_seconds = number(text, 1, 60); break;
    case 's': run->seed = strtoull(text, NULL, 10); break;
    case 'c': run->n_clients = (unsigned)number(text, 1, 500); break;
    case 'd': run->n_direct = (unsigned)number(text, 0, 500); break;
    case 'k': run->n_keys = (unsigned)number(text, 1, HISTORY_KEYS_MAX / 2); break;
    case 'n': run->rate = (unsigned)number(text, 1, 1000000); break;
    case 'b': run->burst = (unsigned)number(text, 1, 30); break;
    case 'w': run->write_percent = (unsigned)number(text, 0, 100); break;
    case 'o': run->only = text; break;
    case 'B': run->options.bound_ns = number(text, 0, 3600000) * NS_PER_MS; break;
    case 'S': run->options.slack_ns = number(text, 0, 3600000) * NS_PER_MS; break;
    case 'f': add_faults(run, text); break;
    case 'K': run->faults.kinds = text; break;
    case 'v': run->options.n_shown = (unsigned)number(text, 0, 1000000); break;
    case OPTION_STRICT: run->is_strict = true; break;
    case OPTION_VERBS: mix_print_verbs(); exit(0);
    default: fail("see the first comment of tests/history/history.c for the options");
    }
}

static void read_options(struct run *run, int argc, char **argv)
{
    int option;
    run->seconds = 10;
    run->round_seconds = 5;
    run->seed = (uint64_t)time(NULL) % 1000000 * 1000 + (uint64_t)history_now_ns() % 1000;
    run->n_clients = 8;
    run->n_direct = 4;
    run->n_keys = 12;
    run->rate = 10000;
    run->burst = 8;
    run->write_percent = 30;
    run->options = (struct check_options){1000 * NS_PER_MS, 50 * NS_PER_MS, 3};
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        take_option(run, option, optarg);
    if (run->redis == 0 || run->n_larders == 0 || optind != argc)
        fail("--redis and --larder are needed");
    if (run->only != NULL && !mix_knows(run->only))
        fail("--only names a verb that there isn't");
    if (run->faults.kinds != NULL && !faults_know(run->faults.kinds))
        fail("--kinds names a fault that there isn't");
    if (run->faults.kinds != NULL && !run->has_faults)
        add_faults(run, NULL);
}

/* A run */

static void set_up(struct run *run)
{
    unsigned n = run->n_larders * run->n_clients + run->n_direct;
    history_init(&run->history, run->n_larders + 1);
    run->l2 = dial(run->redis);
    run->faults.history = &run->history;
    run->faults.l2 = run->l2;
    run->faults.random.state = run->seed + 1;
    run->mix = (struct mix){.history = &run->history,
                            .random = {run->seed},
                            .write_percent = run->write_percent,
                            .has_direct = run->n_direct > 0,
                            .is_strict = run->is_strict,
                            .only = run->only};
    clients_init(&run->clients, &run->history, &run->mix, n, run->rate, run->burst);
    for (unsigned i = 0; i < n; i++) {
        bool is_direct = i < run->n_direct;
        unsigned view = is_direct ? 0 : 1 + (i - run->n_direct) % run->n_larders;
        unsigned within = is_direct ? i : (i - run->n_direct) / run->n_larders;
        clients_place(&run->clients, i, view, is_direct ? run->redis : run->larders[view - 1],
                      within % 4 == 3);
    }
}

/* Waits until a command goes through the larder to L2 and back. */
static bool is_back(int port, int64_t until_ns)
{
    struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
    redisContext *larder = dial(port);
    bool back = false;
    while (!back && larder->err == 0 && history_now_ns() < until_ns) {
        redisReply *reply = redisCommand(larder, "DBSIZE");
        back = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
        freeReplyObject(reply);
        if (!back)
            nanosleep(&pause, NULL);
    }
    redisFree(larder);
    return back;
}

static void wait_for_larders(struct run *run, int64_t until_ns)
{
    for (unsigned i = 0; i < run->n_larders; i++)
        if (!is_back(run->larders[i], until_ns))
            history_odd(&run->history, SIZE_MAX, "larder %u has not come back", i + 1);
}

/* Behind it, nothing that was asked in this round is on its way any more. */
static void settle(struct run *run)
{
    int64_t until_ns = history_now_ns() + BACK_NS;
    faults_end(&run->faults);
    if (!clients_finish(&run->clients, until_ns))
        history_odd(&run->history, SIZE_MAX, "commands without a reply");
    wait_for_larders(run, until_ns);
    if (!faults_settle(&run->faults, until_ns))
        fail("L2's links don't end");
    wait_for_larders(run, until_ns);
}

static void run_round(struct run *run, unsigned round, int64_t until_ns)
{
    history_begin(&run->history, round, run->n_keys, run->seed);
    if (clients_connect(&run->clients) < 0)
        fail("can't connect");
    faults_begin(&run->faults, history_now_ns());
    int64_t now_ns;
    while ((now_ns = history_now_ns()) < until_ns) {
        int64_t next_ns = faults_run(&run->faults, now_ns);
        clients_run(&run->clients, next_ns < until_ns ? next_ns : until_ns);
    }
    settle(run);
    check_history(&run->history, &run->options, &run->sums);
}

/* Results */

static void print_spread(const struct spread *spread)
{
    static const double shares[] = {0.5, 0.99, 0.999};
    static const char *const names[] = {"p50", "p99", "p99.9"};
    for (unsigned i = 0; i < 3 && spread->n > 0; i++)
        printf(" %s %.3f", names[i], (double)spread_at(spread, shares[i]) / NS_PER_MS);
    if (spread->n > 0)
        printf(" max %.3f ms", (double)spread->max_ns / NS_PER_MS);
    printf("\n");
}

/* What a larder's L1 has done, by its own count. */
static void print_hits(const struct run *run, unsigned i)
{
    redisContext *larder = dial(run->larders[i]);
    redisReply *reply = redisCommand(larder, "CACHE STATS L1");
    printf("larder %u:", i + 1);
    for (size_t at = 0;
         reply != NULL && reply->type == REDIS_REPLY_ARRAY && at + 1 < reply->elements; at += 2)
        if (strcmp(reply->element[at]->str, "hits") == 0 ||
            strcmp(reply->element[at]->str, "misses") == 0)
            printf(" %lld %s", reply->element[at + 1]->integer, reply->element[at]->str);
    printf(" in L1\n");
    freeReplyObject(reply);
    redisFree(larder);
}

static void print_sums(const struct run *run)
{
    const struct check_sums *sums = &run->sums;
    printf("%llu writes without a known outcome, %llu faults\n",
           (unsigned long long)sums->n_unknown, (unsigned long long)run->faults.n_begun);
    for (unsigned view = 1; view <= run->n_larders; view++) {
        print_hits(run, view - 1);
        printf("larder %u: %llu reads, %llu of them stale by", view,
               (unsigned long long)sums->n_reads[view], (unsigned long long)sums->stale[view].n);
        print_spread(&sums->stale[view]);
    }
    printf("values behind their deadline: %llu, by", (unsigned long long)sums->late.n);
    print_spread(&sums->late);
    printf("%llu operations, %llu violations, seed %llu\n", (unsigned long long)sums->n_ops,
           (unsigned long long)sums->n_violations, (unsigned long long)run->seed);
}

int main(int argc, char **argv)
{
    static struct run run;
    read_options(&run, argc, argv);
    printf("seed %llu\n", (unsigned long long)run.seed);
    fflush(stdout);
    set_up(&run);
    int64_t end_ns = history_now_ns() + run.seconds * 1000 * NS_PER_MS;
    for (unsigned round = 0; history_now_ns() < end_ns; round++) {
        int64_t until_ns = history_now_ns() + run.round_seconds * 1000 * NS_PER_MS;
        run_round(&run, round, until_ns < end_ns ? until_ns : end_ns);
        fflush(stdout);
    }
    print_sums(&run);
    clients_deinit(&run.clients);
    faults_deinit(&run.faults);
    history_deinit(&run.history);
    redisFree(run.l2);
    return run.sums.n_violations > 0;
}
