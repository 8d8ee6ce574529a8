/* A name server of the test's own, on the test's loop: no question leaves the machine. */
#ifndef LARDER_TESTS_NAME_SERVER_H
#define LARDER_TESTS_NAME_SERVER_H

#include "loop_support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TYPE_A 1
#define TYPE_AAAA 28
#define MESSAGE_MAX 4096

enum server_mode { SERVER_SILENT, SERVER_NAMES, SERVER_UNKNOWN, SERVER_GARBAGE };

/* A name server that knows N_V4 and N_V6 addresses for any name. */
struct server {
    struct loop_watch watch;
    int fd;
    enum server_mode mode;
    unsigned n_v4, n_v6;
    unsigned n_questions;
    char name[64]; /* "127.0.0.1:port" */
};

static struct server server;

/* Appends the n-th address as a record that names the question (offset 12). Returns its length. */
static size_t put_record(unsigned char *out, unsigned type, unsigned n)
{
    size_t len = type == TYPE_A ? 4 : 16;
    unsigned char head[12] = {0xc0, 12, 0, (unsigned char)type, 0, 1, 0, 0,
                              0,    60, 0, (unsigned char)len};
    memcpy(out, head, sizeof(head));
    memset(out + sizeof(head), 0, len);
    out[sizeof(head)] = type == TYPE_A ? 127 : 0xfd;
    out[sizeof(head) + len - 1] = (unsigned char)(n + 1);
    return sizeof(head) + len;
}

static void on_question(struct loop *on, struct loop_watch *watch, unsigned events)
{
    (void)on;
    (void)events;
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    unsigned char message[MESSAGE_MAX];
    ssize_t n =
        recvfrom(watch->fd, message, MESSAGE_MAX / 2, 0, (struct sockaddr *)&from, &from_len);
    ck_assert_int_ge(n, 12);
    server.n_questions++;
    if (server.mode == SERVER_SILENT)
        return;
    size_t len = 12;
    while (message[len] != 0)
        len += message[len] + 1u;
    unsigned type = message[len + 2];
    len += 5;
    message[2] = 0x81;
    message[3] = server.mode == SERVER_UNKNOWN ? 0x83 : 0x80;
    memset(message + 6, 0, 6);
    if (server.mode == SERVER_NAMES) {
        unsigned count = type == TYPE_A ? server.n_v4 : server.n_v6;
        message[7] = (unsigned char)count;
        for (unsigned i = 0; i < count; i++)
            len += put_record(message + len, type, i);
    } else if (server.mode == SERVER_GARBAGE) {
        memset(message + 4, 0xff, len - 4);
    }
    ck_assert_int_eq(sendto(watch->fd, message, len, 0, (struct sockaddr *)&from, from_len),
                     (ssize_t)len);
}

static inline void server_start(struct loop *loop)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(where);
    memset(&server, 0, sizeof(server));
    server.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server.fd, (struct sockaddr *)&where, len), 0);
    ck_assert_int_eq(getsockname(server.fd, (struct sockaddr *)&where, &len), 0);
    ck_assert_int_eq(loop_watch(loop, &server.watch, server.fd, LOOP_READ, on_question, NULL), 0);
    snprintf(server.name, sizeof(server.name), "127.0.0.1:%u", ntohs(where.sin_port));
}

/* Frees the port; twice does no harm. */
static inline void server_stop(struct loop *loop)
{
    loop_unwatch(loop, &server.watch);
    if (server.fd >= 0)
        close(server.fd);
    server.fd = -1;
}

#endif
