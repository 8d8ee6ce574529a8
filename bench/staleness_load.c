/* The load of bench/staleness: writes directly at L2 and reads through a larder, both at a fixed rate, and how stale the
 * reads were.
 *
 *     staleness_load LARDER-PORT REDIS-PORT READS-PER-SECOND WRITES-PER-SECOND SECONDS KEYS
 *
 * Each key's value is the number of its last write. A write is complete when its reply has been read; a read begins
 * when it is about to be sent. So a read that returns n is stale by the time from the completion of write n + 1 to its
 * own begin, if that is positive. The first second is not counted.
 *
 * One thread, which sleeps between ticks. Prints one JSON object: rates that were reached, the staleness of all reads,
 * and, of all writes, how long after its completion an older value was still read. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* epoll_pwait2; bench/staleness compiles this file by itself */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READERS 20u
#define WRITERS 4u
#define PEERS (READERS + WRITERS)
#define VALUE_LEN 64u
/* "$64\r\n", the value, "\r\n"; "+OK\r\n" */
#define READ_REPLY (VALUE_LEN + 7)
#define WRITE_REPLY 5u
#define WAITING_MAX 4096u
#define REQUEST_MAX 128u
/* Writes of a key that are remembered, which is seconds at sensible rates. */
#define REMEMBERED 64u
#define TICK_NS 100000
#define WARM_UP_NS INT64_C(1000000000)
/* Spreads have buckets of a microsecond, the last one for all above. */
#define BUCKETS 1000000u

struct asked {
    unsigned key;
    uint64_t number; /* of a write */
    int64_t at_ns;
};

struct peer {
    int fd;
    bool writes;
    unsigned first, n_waiting; /* a ring */
    struct asked waiting[WAITING_MAX];
    size_t len; /* of a reply that is not whole */
    char data[65536];
};

struct write {
    uint64_t number;
    int64_t done_ns; /* 0: not yet */
    int64_t seen_ns; /* how long after it something older was read */
};

struct key {
    uint64_t n_written;
    struct write writes[REMEMBERED]; /* by number */
};

struct spread {
    uint64_t n, n_positive;
    int64_t max_ns;
    uint32_t *counts; /* owned, BUCKETS */
};

struct load {
    int epoll_fd;
    struct peer *peers; /* owned, PEERS */
    struct key *keys;   /* owned */
    unsigned n_keys;
    uint64_t random;
    int64_t start_ns;
    unsigned next_reader;
    uint64_t n_reads, n_writes, n_held_back;
    struct spread reads, writes;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    if (memory == NULL)
        die("calloc");
    return memory;
}

static unsigned draw_key(struct load *load)
{
    load->random = load->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((load->random >> 33) % load->n_keys);
}

/* Spreads */

static void add(struct spread *spread, int64_t ns)
{
    uint64_t bucket = ns <= 0 ? 0 : (uint64_t)ns / 1000;
    spread->n++;
    spread->n_positive += ns > 0;
    spread->counts[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    if (ns > spread->max_ns)
        spread->max_ns = ns;
}

static double share_ms(const struct spread *spread, double share)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        n += spread->counts[i];
        if ((double)n >= share * (double)spread->n)
            return i == BUCKETS - 1 ? (double)spread->max_ns / 1e6 : i / 1e3;
    }
    return 0;
}

static void print_spread(const char *name, const struct spread *spread)
{
    printf("\"%s\": {\"n\": %llu, \"stale\": %llu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"p99.9_ms\": %.3f, \"max_ms\": %.3f}",
           name, (unsigned long long)spread->n, (unsigned long long)spread->n_positive,
           share_ms(spread, 0.5), share_ms(spread, 0.99), share_ms(spread, 0.999),
           (double)spread->max_ns / 1e6);
}

/* Results */

static bool is_counted(const struct load *load, int64_t at_ns)
{
    return at_ns >= load->start_ns + WARM_UP_NS;
}

/* Gives up a place for a new write. */
static void retire(struct load *load, struct write *write)
{
    if (write->done_ns != 0 && is_counted(load, write->done_ns))
        add(&load->writes, write->seen_ns);
    *write = (struct write){0};
}

static void take_read(struct load *load, const struct asked *asked, uint64_t number)
{
    struct key *key = &load->keys[asked->key];
    int64_t stale_ns = 0;
    if (!is_counted(load, asked->at_ns))
        return;
    for (uint64_t later = number + 1; later <= key->n_written; later++) {
        struct write *write = &key->writes[later % REMEMBERED];
        if (write->number != later || write->done_ns == 0)
            continue;
        int64_t after_ns = asked->at_ns - write->done_ns;
        if (after_ns > stale_ns)
            stale_ns = after_ns;
        if (after_ns > write->seen_ns)
            write->seen_ns = after_ns;
    }
    add(&load->reads, stale_ns);
}

static void take_write(struct load *load, const struct asked *asked, int64_t at_ns)
{
    struct write *write = &load->keys[asked->key].writes[asked->number % REMEMBERED];
    if (write->number == asked->number)
        write->done_ns = at_ns;
}

/* The number in a reply to GET; a key that was never written has none. */
static uint64_t number_in(const char *reply)
{
    if (memcmp(reply, "$64\r\n", 5) != 0) {
        fprintf(stderr, "staleness_load: unexpected reply: %.*s\n", 60, reply);
        exit(1);
    }
    return strtoull(reply + 5, NULL, 10);
}

/* Connections */

static void take_replies(struct load *load, struct peer *peer, int64_t at_ns)
{
    size_t size = peer->writes ? WRITE_REPLY : READ_REPLY;
    size_t taken = 0;
    for (; peer->len - taken >= size && peer->n_waiting > 0; taken += size) {
        const struct asked *asked = &peer->waiting[peer->first];
        peer->first = (peer->first + 1) % WAITING_MAX;
        peer->n_waiting--;
        if (peer->writes)
            take_write(load, asked, at_ns);
        else
            take_read(load, asked, number_in(peer->data + taken));
    }
    peer->len -= taken;
    memmove(peer->data, peer->data + taken, peer->len);
}

static void receive(struct load *load, struct peer *peer)
{
    ssize_t n = read(peer->fd, peer->data + peer->len, sizeof(peer->data) - peer->len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        die("connection");
    peer->len += (size_t)n;
    take_replies(load, peer, now_ns());
}

static void send_all(struct peer *peer, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(peer->fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            die("send");
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
}

static void expect(struct peer *peer, struct asked asked)
{
    peer->waiting[(peer->first + peer->n_waiting++) % WAITING_MAX] = asked;
}

static void write_one(struct load *load, unsigned number_of_key)
{
    char request[REQUEST_MAX + VALUE_LEN];
    struct key *key = &load->keys[number_of_key];
    struct peer *peer = &load->peers[READERS + number_of_key % WRITERS];
    if (peer->n_waiting == WAITING_MAX) {
        load->n_held_back++;
        return;
    }
    uint64_t number = ++key->n_written;
    struct write *write = &key->writes[number % REMEMBERED];
    retire(load, write);
    write->number = number;
    int len =
        snprintf(request, sizeof(request), "*3\r\n$3\r\nSET\r\n$12\r\nk%011u\r\n$64\r\n%064llu\r\n",
                 number_of_key, (unsigned long long)number);
    load->n_writes += is_counted(load, now_ns());
    expect(peer, (struct asked){number_of_key, number, 0});
    send_all(peer, request, (size_t)len);
}

/* Reads that are due together go down one connection, as a pipeline. */
static void read_some(struct load *load, unsigned n)
{
    char requests[REQUEST_MAX * 64];
    struct peer *peer = &load->peers[load->next_reader++ % READERS];
    size_t len = 0;
    n = n > 64 ? 64 : n;
    if (peer->n_waiting + n > WAITING_MAX) {
        load->n_held_back += n;
        return;
    }
    int64_t at_ns = now_ns();
    for (unsigned i = 0; i < n; i++) {
        unsigned key = draw_key(load);
        len += (size_t)snprintf(requests + len, REQUEST_MAX, "*2\r\n$3\r\nGET\r\n$12\r\nk%011u\r\n",
                                key);
        expect(peer, (struct asked){key, 0, at_ns});
    }
    load->n_reads += is_counted(load, at_ns) ? n : 0;
    send_all(peer, requests, len);
}

static void connect_peer(struct load *load, unsigned i, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct peer *peer = &load->peers[i];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
    int one = 1;
    peer->writes = i >= READERS;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer->fd < 0 || connect(peer->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (fcntl(peer->fd, F_SETFL, O_NONBLOCK) < 0 ||
        epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, peer->fd, &event) < 0)
        die("epoll_ctl");
}

static void listen_for(struct load *load, int64_t wait_ns)
{
    struct epoll_event events[PEERS];
    struct timespec limit = {.tv_nsec = wait_ns > 0 ? wait_ns : 0};
    int n = epoll_pwait2(load->epoll_fd, events, PEERS, &limit, NULL);
    for (int i = 0; i < n; i++)
        receive(load, events[i].data.ptr);
}

static bool is_waiting(const struct load *load)
{
    for (unsigned i = 0; i < PEERS; i++)
        if (load->peers[i].n_waiting > 0)
            return true;
    return false;
}

static void run(struct load *load, double reads_per_s, double writes_per_s, double seconds)
{
    double n_reads = 0;
    double n_writes = 0;
    for (unsigned key = 0; key < load->n_keys; key++) {
        write_one(load, key);
        while (load->peers[READERS + key % WRITERS].n_waiting > 100)
            listen_for(load, TICK_NS);
    }
    while (is_waiting(load))
        listen_for(load, TICK_NS);
    load->start_ns = now_ns();
    for (;;) {
        int64_t at_ns = now_ns();
        double elapsed = (double)(at_ns - load->start_ns) / 1e9;
        if (elapsed >= seconds)
            break;
        for (; n_writes < writes_per_s * elapsed; n_writes++)
            write_one(load, draw_key(load));
        for (; n_reads < reads_per_s * elapsed; n_reads += 16)
            read_some(load, 16);
        listen_for(load, TICK_NS - (now_ns() - at_ns));
    }
    while (is_waiting(load))
        listen_for(load, TICK_NS);
    for (unsigned key = 0; key < load->n_keys; key++)
        for (unsigned i = 0; i < REMEMBERED; i++)
            retire(load, &load->keys[key].writes[i]);
}

int main(int argc, char **argv)
{
    static struct load load;
    if (argc != 7) {
        fputs("usage: staleness_load LARDER-PORT REDIS-PORT READS WRITES SECONDS KEYS\n", stderr);
        return 2;
    }
    double seconds = atof(argv[5]);
    load.n_keys = (unsigned)atoi(argv[6]);
    load.random = 1;
    load.start_ns = INT64_MAX / 2;
    load.peers = allocate(PEERS, sizeof(*load.peers));
    load.keys = allocate(load.n_keys, sizeof(*load.keys));
    load.reads.counts = allocate(BUCKETS, sizeof(*load.reads.counts));
    load.writes.counts = allocate(BUCKETS, sizeof(*load.writes.counts));
    load.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < PEERS; i++)
        connect_peer(&load, i, atoi(i < READERS ? argv[1] : argv[2]));
    run(&load, atof(argv[3]), atof(argv[4]), seconds);
    double counted = seconds - (double)WARM_UP_NS / 1e9;
    printf("{\"reads_per_s\": %.0f, \"writes_per_s\": %.0f, \"held_back\": %llu, ",
           (double)load.n_reads / counted, (double)load.n_writes / counted,
           (unsigned long long)load.n_held_back);
    print_spread("reads", &load.reads);
    printf(", ");
    print_spread("writes", &load.writes);
    printf("}\n");
    return 0;
}
