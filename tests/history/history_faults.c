/* A schedule of random faults; see history_faults.h. */
#include "history_faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* How long a fault lasts, and how long there is none, in milliseconds. */
#define FAULT_MIN_MS 50
#define FAULT_MAX_MS 1000
#define REST_MIN_MS 20
#define REST_MAX_MS 400

/* Links of larders that are looked at. */
#define LINKS_MAX 256

struct kind {
    const char *name;
    const char *command; /* for the proxy, with up to two numbers; NULL: L2 does it */
    int min[2], max[2];  /* of the numbers */
    bool is_instant;     /* there is nothing to wait for */
};

static const struct kind kinds[] = {
    {"delay", "delay %d %d", {0, 0}, {40, 40}, false},
    {"freeze", "freeze", {0, 0}, {0, 0}, false},
    {"freeze-all", "freeze all", {0, 0}, {0, 0}, false},
    {"cut", "cut", {0, 0}, {0, 0}, true},
    {"cut-in-reply", "cut-in-reply", {0, 0}, {0, 0}, true},
    {"reset", "reset", {0, 0}, {0, 0}, true},
    {"garbage", "garbage %d", {1, 0}, {64, 0}, true},
    {"refuse", "refuse", {0, 0}, {0, 0}, false},
    {"drip", "drip %d %d", {50, 1}, {2000, 20}, false},
    {"split", "split %d", {1, 0}, {120, 0}, false},
    {"storm", "storm %d %d", {1, 5}, {10, 100}, false},
    {"kill", NULL, {0, 0}, {0, 0}, true},
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool is_named(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        size_t n = strcspn(at, ",");
        if (n == len && memcmp(at, name, n) == 0)
            return true;
        at += n;
    }
    return false;
}

bool faults_know(const char *list)
{
    char name[32];
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        size_t n = strcspn(at, ",");
        bool known = false;
        snprintf(name, sizeof(name), "%.*s", (int)n, at);
        for (size_t i = 0; i < N_KINDS; i++)
            known |= strcmp(kinds[i].name, name) == 0;
        if (!known)
            return false;
        at += n;
    }
    return true;
}

int faults_add(struct faults *faults, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fault_source *source = &faults->sources[faults->n];
    *source = (struct fault_source){.fd = -1};
    if (path != NULL) {
        if (strlen(path) >= sizeof(address.sun_path))
            return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        source->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (source->fd < 0 || connect(source->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
            return -errno;
    }
    faults->n++;
    return 0;
}

void faults_deinit(struct faults *faults)
{
    for (unsigned i = 0; i < faults->n; i++)
        if (faults->sources[i].fd >= 0)
            close(faults->sources[i].fd);
}

/* Gives a proxy a command and waits for its "ok". */
static void tell(struct faults *faults, unsigned i, const char *command)
{
    char answer[256];
    const struct fault_source *source = &faults->sources[i];
    history_note(faults->history, history_now_ns(), "---- proxy %u: %s", i + 1, command);
    ssize_t len = dprintf(source->fd, "%s\n", command);
    if (len > 0)
        len = read(source->fd, answer, sizeof(answer) - 1);
    if (len < 3 || memcmp(answer, "ok\n", 3) != 0) {
        fprintf(stderr, "history: the fault proxy did not take \"%s\"\n", command);
        exit(2);
    }
}

/* Links */

/* Calls fn with the id of each of L2's clients that is a larder's link. */
static unsigned list_links(struct faults *faults, long long *ids, unsigned max)
{
    unsigned n = 0;
    redisReply *reply = redisCommand(faults->l2, "CLIENT LIST");
    if (reply != NULL && reply->type == REDIS_REPLY_STRING) {
        char *rest = NULL;
        for (char *line = strtok_r(reply->str, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            long long id;
            if (strstr(line, " name=larder ") != NULL && sscanf(line, "id=%lld ", &id) == 1 &&
                n < max)
                ids[n++] = id;
        }
    }
    freeReplyObject(reply);
    return n;
}

static void kill_link(struct faults *faults)
{
    long long ids[LINKS_MAX];
    unsigned n = list_links(faults, ids, LINKS_MAX);
    if (n == 0)
        return;
    long long id = ids[random_below(&faults->random, n)];
    history_note(faults->history, history_now_ns(), "---- L2: CLIENT KILL ID %lld", id);
    freeReplyObject(redisCommand(faults->l2, "CLIENT KILL ID %lld", id));
}

/* The schedule */

static const struct kind *choose(struct faults *faults, const struct fault_source *source)
{
    const struct kind *chosen = NULL;
    uint64_t n = 0;
    for (size_t i = 0; i < N_KINDS; i++) {
        bool is_possible = source->fd >= 0 || kinds[i].command == NULL;
        bool is_wanted = faults->kinds == NULL || is_named(faults->kinds, kinds[i].name);
        if (is_possible && is_wanted && random_below(&faults->random, ++n) == 0)
            chosen = &kinds[i];
    }
    return chosen;
}

static int draw(struct faults *faults, const struct kind *kind, int i)
{
    return (int)random_range(&faults->random, kind->min[i], kind->max[i]);
}

/* Returns how many milliseconds it is to last. */
static int64_t begin_one(struct faults *faults, unsigned i)
{
    char command[64];
    const struct kind *kind = choose(faults, &faults->sources[i]);
    if (kind == NULL)
        return REST_MAX_MS;
    int64_t ms = random_range(&faults->random, FAULT_MIN_MS,
                              kind->is_instant ? FAULT_MIN_MS * 2 : FAULT_MAX_MS);
    faults->n_begun++;
    if (kind->command == NULL) {
        kill_link(faults);
        return ms;
    }
    int a = draw(faults, kind, 0);
    int b = draw(faults, kind, 1);
    const char *second = strchr(kind->command, '%');
    if (second == NULL)
        snprintf(command, sizeof(command), "%s", kind->name);
    else if (strchr(second + 1, '%') == NULL)
        snprintf(command, sizeof(command), "%s %d", kind->name, a);
    else
        snprintf(command, sizeof(command), "%s %d %d", kind->name, a, b);
    tell(faults, i, strcmp(kind->name, "freeze-all") == 0 ? kind->command : command);
    if (strcmp(kind->name, "refuse") == 0)
        tell(faults, i, "cut"); /* else nobody would notice */
    return ms;
}

void faults_begin(struct faults *faults, int64_t now_ns)
{
    for (unsigned i = 0; i < faults->n; i++) {
        faults->sources[i].active = false;
        faults->sources[i].next_ns =
            now_ns + random_range(&faults->random, 0, REST_MAX_MS) * NS_PER_MS;
    }
}

int64_t faults_run(struct faults *faults, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    for (unsigned i = 0; i < faults->n; i++) {
        struct fault_source *source = &faults->sources[i];
        if (source->next_ns <= now_ns) {
            source->active = !source->active;
            if (source->active)
                begin_one(faults, i);
            else if (source->fd >= 0)
                tell(faults, i, "clear");
            int64_t ms = source->active ? random_range(&faults->random, FAULT_MIN_MS, FAULT_MAX_MS)
                                        : random_range(&faults->random, REST_MIN_MS, REST_MAX_MS);
            source->next_ns = now_ns + ms * NS_PER_MS;
        }
        next_ns = source->next_ns < next_ns ? source->next_ns : next_ns;
    }
    return next_ns;
}

static bool has_one_of(struct faults *faults, const long long *ids, unsigned n)
{
    long long now[LINKS_MAX];
    unsigned n_now = list_links(faults, now, LINKS_MAX);
    for (unsigned i = 0; i < n_now; i++)
        for (unsigned j = 0; j < n; j++)
            if (now[i] == ids[j])
                return true;
    return false;
}

static void tell_all(struct faults *faults, const char *command)
{
    for (unsigned i = 0; i < faults->n; i++)
        if (faults->sources[i].fd >= 0)
            tell(faults, i, command);
}

void faults_end(struct faults *faults)
{
    tell_all(faults, "clear");
}

bool faults_settle(struct faults *faults, int64_t until_ns)
{
    struct timespec pause = {.tv_nsec = 5 * NS_PER_MS};
    long long ids[LINKS_MAX];
    unsigned n = list_links(faults, ids, LINKS_MAX);
    if (faults->n == 0 || faults->sources[0].fd < 0)
        return true; /* what L2 itself closes is gone at once */
    tell_all(faults, "cut");
    while (has_one_of(faults, ids, n)) {
        if (history_now_ns() > until_ns)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}
