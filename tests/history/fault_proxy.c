/* The fault proxy: a TCP relay between larder and a redis-server that misbehaves on command.
 *
 *     fault_proxy PORT [--seed N] [--control PATH]
 *
 * Relays connections to 127.0.0.1:PORT, and prints the port on which it listens (on 127.0.0.1, chosen by
 * the kernel). Commands are lines, on the unix socket PATH, else on standard input, whose end then ends the
 * program. Each is answered with one line: "ok", "error: ...", or what it asks for. When the answer is there,
 * the fault is in force.
 *
 *     delay MS [JITTER]   each chunk is held back for MS and up to JITTER more, each direction; order is kept
 *     freeze [all]        relays nothing in the connections that there are (half-open); all: nor in new ones
 *     thaw                relays again
 *     cut                 closes all connections
 *     cut-in-reply [N]    closes a connection inside the next reply, behind N bytes or behind some
 *     reset               closes all connections by RST
 *     garbage N           N random bytes (at most 1024) into the stream from redis-server of each connection
 *     refuse              new connections are refused
 *     accept              they are accepted again
 *     drip BYTES MS       lets at most BYTES through per MS, each direction
 *     split N             passes on in pieces of 1 to N bytes, with rests between some
 *     storm N MS          closes all connections now and N more times, every MS
 *     clear               ends every fault that lasts
 *     stats               "sessions 1 accepted 3 up 1234 down 5678 queued-max 90"
 *
 * What is random comes from the seed. Owns the listener, the control channel and what lasts; relay.c has the
 * connections. */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PEERS_MAX 8
#define LINE_MAX_BYTES 256
#define WORDS_MAX 3
#define EVENTS_MAX 64

/* Who gives commands. */
struct peer {
    int in, out; /* -1: nobody */
    size_t len;
    char line[LINE_MAX_BYTES];
};

struct proxy {
    int epoll_fd;
    int holder;   /* bound to the port and never listening: nobody else gets it while we refuse */
    int listener; /* -1: refusing */
    struct sockaddr_in address;
    int control; /* the unix socket's listener, -1: standard input is the only peer */
    bool stop;
    struct peer peers[PEERS_MAX];
    unsigned storm_left;
    int64_t storm_every_ms, storm_next_ms;
    struct relay relay;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void add(struct proxy *proxy, int fd, void *ptr)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ptr};
    if (epoll_ctl(proxy->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

/* The port */

static int bind_port(const struct sockaddr_in *address)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        die("bind");
    return fd;
}

static void accept_again(struct proxy *proxy)
{
    if (proxy->listener >= 0)
        return;
    proxy->listener = bind_port(&proxy->address);
    if (listen(proxy->listener, 511) < 0)
        die("listen");
    add(proxy, proxy->listener, &proxy->listener);
}

static void refuse(struct proxy *proxy)
{
    if (proxy->listener >= 0)
        close(proxy->listener);
    proxy->listener = -1;
}

static void open_port(struct proxy *proxy)
{
    socklen_t len = sizeof(proxy->address);
    proxy->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    proxy->holder = bind_port(&proxy->address);
    if (getsockname(proxy->holder, (struct sockaddr *)&proxy->address, &len) < 0)
        die("getsockname");
    proxy->listener = -1;
    accept_again(proxy);
}

static void on_connection(struct proxy *proxy)
{
    int fd = accept4(proxy->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        relay_accept(&proxy->relay, fd, now_ms());
}

/* Commands */

/* Reads word `i` as a number from min to a billion; what is missing is `missing`. */
static bool number(char *const *words, int n, int i, long min, long missing, long *value)
{
    char *end = NULL;
    *value = missing;
    if (i >= n)
        return missing >= 0;
    *value = strtol(words[i], &end, 10);
    return *end == '\0' && end != words[i] && *value >= min && *value <= 1000000000;
}

static void clear(struct proxy *proxy)
{
    memset(&proxy->relay.faults, 0, sizeof(proxy->relay.faults));
    relay_thaw(&proxy->relay);
    proxy->storm_left = 0;
    accept_again(proxy);
}

/* Commands without numbers. False: it is none of them. */
static bool run_plain(struct proxy *proxy, const char *name, const char *rest)
{
    struct relay *relay = &proxy->relay;
    if (strcmp(name, "freeze") == 0 && (rest == NULL || strcmp(rest, "all") == 0)) {
        relay->faults.freezes_new = rest != NULL;
        relay_freeze(relay);
    } else if (rest != NULL) {
        return false;
    } else if (strcmp(name, "thaw") == 0) {
        relay_thaw(relay);
    } else if (strcmp(name, "cut") == 0) {
        relay_close_all(relay, false);
    } else if (strcmp(name, "reset") == 0) {
        relay_close_all(relay, true);
    } else if (strcmp(name, "refuse") == 0) {
        refuse(proxy);
    } else if (strcmp(name, "accept") == 0) {
        accept_again(proxy);
    } else if (strcmp(name, "clear") == 0) {
        clear(proxy);
    } else {
        return false;
    }
    return true;
}

/* Commands with numbers. False: it is none of them, or the numbers are wrong. */
static bool run_numbered(struct proxy *proxy, char *const *words, int n)
{
    struct relay_faults *faults = &proxy->relay.faults;
    const char *name = words[0];
    long a;
    long b;
    if (strcmp(name, "delay") == 0 && number(words, n, 1, 0, -1, &a) &&
        number(words, n, 2, 0, 0, &b)) {
        faults->delay_ms = a;
        faults->jitter_ms = b;
    } else if (strcmp(name, "drip") == 0 && number(words, n, 1, 1, -1, &a) &&
               number(words, n, 2, 1, -1, &b)) {
        faults->drip_bytes = (size_t)a;
        faults->drip_ms = b;
    } else if (strcmp(name, "storm") == 0 && number(words, n, 1, 0, -1, &a) &&
               number(words, n, 2, 1, -1, &b)) {
        relay_close_all(&proxy->relay, false);
        proxy->storm_left = (unsigned)a;
        proxy->storm_every_ms = b;
        proxy->storm_next_ms = now_ms() + b;
    } else if (n > 2) {
        return false;
    } else if (strcmp(name, "split") == 0 && number(words, n, 1, 1, -1, &a)) {
        faults->split_max = (size_t)a;
    } else if (strcmp(name, "garbage") == 0 && number(words, n, 1, 1, -1, &a)) {
        relay_put_garbage(&proxy->relay, (size_t)a, now_ms());
    } else if (strcmp(name, "cut-in-reply") == 0 && number(words, n, 1, 1, 0, &a)) {
        faults->cuts_in_reply = true;
        faults->cut_bytes = (size_t)a;
    } else {
        return false;
    }
    return true;
}

static void answer(const struct peer *peer, const char *text)
{
    /* A peer that reads nothing has only itself to blame for what is lost. */
    if (write(peer->out, text, strlen(text)) < 0)
        return;
}

static void run_command(struct proxy *proxy, struct peer *peer)
{
    const struct relay *relay = &proxy->relay;
    char *words[WORDS_MAX + 1];
    char text[LINE_MAX_BYTES];
    char *rest = NULL;
    int n = 0;
    for (char *word = strtok_r(peer->line, " \t\r", &rest); word != NULL && n <= WORDS_MAX;
         word = strtok_r(NULL, " \t\r", &rest))
        words[n++] = word;
    if (n == 0)
        return;
    if (n == 1 && strcmp(words[0], "stats") == 0) {
        snprintf(text, sizeof(text),
                 "sessions %zu accepted %llu up %llu down %llu queued-max %zu\n", relay->n_sessions,
                 (unsigned long long)relay->n_accepted,
                 (unsigned long long)relay->n_bytes[RELAY_NEAR],
                 (unsigned long long)relay->n_bytes[RELAY_FAR], relay->queued_max);
        answer(peer, text);
    } else if (n <= WORDS_MAX && ((n <= 2 && run_plain(proxy, words[0], n > 1 ? words[1] : NULL)) ||
                                  run_numbered(proxy, words, n))) {
        answer(peer, "ok\n");
    } else {
        answer(peer, "error: no such command, or wrong numbers\n");
    }
}

/* The control channel */

static void drop_peer(struct proxy *proxy, struct peer *peer)
{
    proxy->stop = proxy->control < 0;
    close(peer->in);
    peer->in = peer->out = -1;
}

static void on_peer(struct proxy *proxy, struct peer *peer)
{
    ssize_t n = read(peer->in, peer->line + peer->len, sizeof(peer->line) - peer->len);
    char *end;
    if (n <= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR))) {
        drop_peer(proxy, peer);
        return;
    }
    peer->len += n > 0 ? (size_t)n : 0;
    while ((end = memchr(peer->line, '\n', peer->len)) != NULL) {
        size_t taken = (size_t)(end - peer->line) + 1;
        *end = '\0';
        run_command(proxy, peer);
        peer->len -= taken;
        memmove(peer->line, peer->line + taken, peer->len);
    }
    if (peer->len == sizeof(peer->line))
        drop_peer(proxy, peer);
}

static void on_control(struct proxy *proxy)
{
    int fd = accept4(proxy->control, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &proxy->peers[i];
        if (peer->in >= 0)
            continue;
        *peer = (struct peer){.in = fd, .out = fd};
        add(proxy, fd, peer);
        return;
    }
    close(fd);
}

static void open_control(struct proxy *proxy, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    for (unsigned i = 0; i < PEERS_MAX; i++)
        proxy->peers[i].in = proxy->peers[i].out = -1;
    proxy->control = -1;
    if (path == NULL) {
        proxy->peers[0] = (struct peer){.in = STDIN_FILENO, .out = STDOUT_FILENO};
        add(proxy, STDIN_FILENO, &proxy->peers[0]);
        return;
    }
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        die(path);
    }
    strcpy(address.sun_path, path);
    proxy->control = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (proxy->control < 0 ||
        bind(proxy->control, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(proxy->control, PEERS_MAX) < 0)
        die(path);
    add(proxy, proxy->control, &proxy->control);
}

/* The loop */

static void on_event(struct proxy *proxy, const struct epoll_event *event)
{
    void *ptr = event->data.ptr;
    if (ptr == &proxy->listener) {
        on_connection(proxy);
    } else if (ptr == &proxy->control) {
        on_control(proxy);
    } else if (ptr >= (void *)proxy->peers && ptr < (void *)(proxy->peers + PEERS_MAX)) {
        struct peer *peer = ptr;
        if (peer->in >= 0)
            on_peer(proxy, peer);
    } else {
        relay_on_event(&proxy->relay, ptr, event->events, now_ms());
    }
}

/* Runs the storm and the relay. Returns how long epoll may wait, in milliseconds; -1: for ever. */
static int run_turn(struct proxy *proxy)
{
    int64_t now = now_ms();
    if (proxy->storm_left > 0 && now >= proxy->storm_next_ms) {
        relay_close_all(&proxy->relay, false);
        proxy->storm_left--;
        proxy->storm_next_ms = now + proxy->storm_every_ms;
    }
    int wait = relay_run(&proxy->relay, now);
    int64_t storm_wait = proxy->storm_left > 0 ? proxy->storm_next_ms - now : -1;
    return storm_wait >= 0 && (wait < 0 || storm_wait < wait) ? (int)storm_wait : wait;
}

static int usage(void)
{
    fputs("usage: fault_proxy PORT [--seed N] [--control PATH]\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct proxy proxy = {.epoll_fd = -1};
    struct epoll_event events[EVENTS_MAX];
    const char *control = NULL;
    uint64_t seed = 1;
    int far_port = argc > 1 ? atoi(argv[1]) : 0;
    if (far_port < 1 || far_port > 65535 || argc % 2 != 0)
        return usage();
    for (int i = 2; i < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--control") == 0)
            control = argv[i + 1];
        else
            return usage();
    }
    signal(SIGPIPE, SIG_IGN);
    proxy.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (proxy.epoll_fd < 0)
        die("epoll_create1");
    relay_init(&proxy.relay, proxy.epoll_fd, far_port, seed);
    open_control(&proxy, control);
    open_port(&proxy);
    printf("%d\n", ntohs(proxy.address.sin_port));
    fflush(stdout);
    while (!proxy.stop) {
        int n = epoll_wait(proxy.epoll_fd, events, EVENTS_MAX, run_turn(&proxy));
        for (int i = 0; i < n; i++)
            on_event(&proxy, &events[i]);
    }
    relay_deinit(&proxy.relay);
    return 0;
}
