/* Where an upstream is; see address.h. */
#include "upstream/address.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

/* Longest host name (RFC 1035) and longest path of a unix socket that Linux takes. */
#define HOST_MAX 253
#define PATH_LEN_MAX 107

static bool fail(char *error, size_t size, const char *why)
{
    snprintf(error, size, "%s", why);
    return false;
}

static char *copy_bytes(struct bytes text)
{
    char *copy = mem_alloc(text.len + 1);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

/* True for what host names and interface names are made of. */
static bool is_name_byte(char c)
{
    c = bytes_lower(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = bytes_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX. Returns owned text, or NULL when it is malformed or decodes to a NUL. */
static char *percent_decode(struct bytes text)
{
    char *out = mem_alloc(text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int c = (unsigned char)text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.ptr[i + 2]) : -1;
            c = high < 0 || low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (c == 0) {
            explicit_bzero(out, len);
            mem_free(out);
            return NULL;
        }
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return out;
}

/* Cuts `text` at the first `c`: what is before it into `head`, the rest without it stays. False: no
 * such byte. */
static bool cut(struct bytes *text, char c, struct bytes *head)
{
    const char *at = text->len > 0 ? memchr(text->ptr, c, text->len) : NULL;
    if (at == NULL)
        return false;
    *head = bytes_of(text->ptr, (size_t)(at - text->ptr));
    *text = bytes_of(at + 1, text->len - head->len - 1);
    return true;
}

/* True for an IPv6 address, with a scope ("fe80::1%eth0") or without. */
static bool is_ipv6(struct bytes host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char binary[sizeof(struct in6_addr)];
    const char *scope = memchr(host.ptr, '%', host.len);
    size_t len = scope != NULL ? (size_t)(scope - host.ptr) : host.len;
    if (len >= sizeof(text) || host.len - len > IF_NAMESIZE)
        return false;
    memcpy(text, host.ptr, len);
    text[len] = '\0';
    for (size_t i = len + 1; i < host.len; i++)
        if (!is_name_byte(host.ptr[i]))
            return false;
    return host.len != len + 1 && inet_pton(AF_INET6, text, binary) == 1;
}

/* Splits "[v6]:port" or "[v6]". */
static bool split_brackets(struct bytes text, struct bytes *host, struct bytes *port, char *error,
                           size_t size)
{
    text = bytes_of(text.ptr + 1, text.len - 1);
    if (!cut(&text, ']', host) || (text.len > 0 && text.ptr[0] != ':'))
        return fail(error, size, "malformed address: expected [v6]:port");
    if (!is_ipv6(*host))
        return fail(error, size, "malformed address: what is in brackets is no IPv6 address");
    if (text.len == 1)
        return fail(error, size, "malformed address: no port behind the colon");
    if (text.len > 1)
        *port = bytes_of(text.ptr + 1, text.len - 1);
    return true;
}

/* Splits "host:port" or "host". */
static bool split_name(struct bytes text, struct bytes *host, struct bytes *port, char *error,
                       size_t size)
{
    *host = text;
    if (cut(&text, ':', host)) {
        if (text.len == 0 || memchr(text.ptr, ':', text.len) != NULL)
            return fail(error, size,
                        "malformed address: expected host:port, with an IPv6 address in brackets");
        *port = text;
    }
    if (host->len == 0 || host->len > HOST_MAX)
        return fail(error, size, "the host must have 1 to 253 characters");
    for (size_t i = 0; i < host->len; i++)
        if (!is_name_byte(host->ptr[i]))
            return fail(error, size, "the host has a character that no host name has");
    return true;
}

static bool parse_host_port(struct address *address, struct bytes text, char *error, size_t size)
{
    struct bytes host;
    struct bytes port = bytes_of(NULL, 0);
    bool ok = text.len > 0 && text.ptr[0] == '[' ? split_brackets(text, &host, &port, error, size)
                                                 : split_name(text, &host, &port, error, size);
    if (!ok)
        return false;
    int64_t number = ADDRESS_DEFAULT_PORT;
    if (port.len > 0 && !bytes_parse_range(port, 1, 65535, &number))
        return fail(error, size, "the port must be a number from 1 to 65535");
    address->host = copy_bytes(host);
    address->port = (unsigned)number;
    return true;
}

static bool parse_login(struct address *address, struct bytes login, char *error, size_t size)
{
    struct bytes user = login;
    struct bytes secret = login;
    if (cut(&secret, ':', &user) && secret.len > 0) {
        address->password = percent_decode(secret);
        if (address->password == NULL)
            return fail(error, size, "malformed percent-encoding in the password");
    }
    if (user.len == 0)
        return true;
    address->username = percent_decode(user);
    return address->username != NULL ||
           fail(error, size, "malformed percent-encoding in the user name");
}

static bool parse_url(struct address *address, struct bytes text, char *error, size_t size)
{
    struct bytes login;
    struct bytes host;
    /* The last '@' ends the login: a password may hold one that its writer forgot to encode. */
    const char *at = memrchr(text.ptr, '@', text.len);
    if (at != NULL) {
        login = bytes_of(text.ptr, (size_t)(at - text.ptr));
        text = bytes_of(at + 1, text.len - login.len - 1);
        if (!parse_login(address, login, error, size))
            return false;
    }
    if (!cut(&text, '/', &host)) {
        host = text;
        text.len = 0;
    }
    int64_t db = 0;
    if (text.len > 0 && !bytes_parse_range(text, 0, 65534, &db))
        return fail(error, size, "the database behind the slash must be a number");
    address->db = (unsigned)db;
    return parse_host_port(address, host, error, size);
}

static bool parse(struct address *address, struct bytes text, char *error, size_t size)
{
    struct bytes unix_prefix = BYTES("unix:");
    struct bytes url_prefix = BYTES("redis://");
    if (bytes_starts_with(text, BYTES("rediss://")))
        return fail(error, size, "TLS to the upstream is not supported yet");
    if (bytes_starts_with(text, unix_prefix)) {
        struct bytes path = bytes_of(text.ptr + unix_prefix.len, text.len - unix_prefix.len);
        if (path.len == 0 || path.len > PATH_LEN_MAX || path.ptr[0] != '/')
            return fail(error, size,
                        "expected unix:/path with an absolute path of at most 107 bytes");
        address->path = copy_bytes(path);
        return true;
    }
    if (bytes_starts_with(text, url_prefix))
        return parse_url(address, bytes_of(text.ptr + url_prefix.len, text.len - url_prefix.len),
                         error, size);
    if (text.len > 0 && memchr(text.ptr, '/', text.len) != NULL)
        return fail(error, size,
                    "expected host:port, unix:/path or redis://[user[:password]@]host[:port][/db]");
    return parse_host_port(address, text, error, size);
}

bool address_parse(struct address *address, const char *text, char *error, size_t size)
{
    memset(address, 0, sizeof(*address));
    if (parse(address, bytes_of_str(text), error, size))
        return true;
    address_deinit(address);
    return false;
}

void address_deinit(struct address *address)
{
    if (address->password != NULL)
        explicit_bzero(address->password, strlen(address->password));
    mem_free(address->password);
    mem_free(address->username);
    mem_free(address->host);
    mem_free(address->path);
    memset(address, 0, sizeof(*address));
}

void address_format(const struct address *address, char *out, size_t size)
{
    if (address->path != NULL)
        snprintf(out, size, "unix:%s", address->path);
    else if (strchr(address->host, ':') != NULL)
        snprintf(out, size, "[%s]:%u", address->host, address->port);
    else
        snprintf(out, size, "%s:%u", address->host, address->port);
}

static char *copy_text(const char *text)
{
    return text != NULL ? mem_strdup(text) : NULL;
}

void address_copy(struct address *to, const struct address *from)
{
    *to = *from;
    to->host = copy_text(from->host);
    to->path = copy_text(from->path);
    to->username = copy_text(from->username);
    to->password = copy_text(from->password);
}
