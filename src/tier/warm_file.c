/* FILE: keys from a file in warm-dir, one a line; see warm_source.h.
 *
 * A line ends with LF or CR LF; empty lines count for nothing. In a line `\\`, `\n`, `\r`, `\t` and
 * `\xHH` stand for the byte that they do in C, so that a key may be any bytes but none at all. */
#include "tier/warm_source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* O_NONBLOCK so that opening a FIFO does not wait for its writer. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* openat2 may give EAGAIN when something above the file is renamed meanwhile. */
#define OPEN_ATTEMPTS 3

static bool has_dot_dot(const char *path)
{
    for (const char *part = path; *part != '\0';) {
        size_t len = strcspn(part, "/");
        if (len == 2 && part[0] == '.' && part[1] == '.')
            return true;
        part += len;
        part += strspn(part, "/");
    }
    return false;
}

int warm_file_open_plain(int dir_fd, const char *path)
{
    int parent = dir_fd;
    for (const char *part = path;;) {
        size_t len = strcspn(part, "/");
        const char *rest = part + len + strspn(part + len, "/");
        char name[NAME_MAX + 1];
        int fd = -ENAMETOOLONG;
        if (len < sizeof(name)) {
            memcpy(name, part, len);
            name[len] = '\0';
            bool is_last = *rest == '\0';
            int flags = is_last ? OPEN_FLAGS : O_PATH | O_DIRECTORY | O_CLOEXEC;
            fd = openat(parent, name, flags | O_NOFOLLOW);
            if (fd < 0)
                fd = -errno;
        }
        if (parent != dir_fd)
            close(parent);
        if (fd < 0 || *rest == '\0')
            return fd;
        parent = fd;
        part = rest;
    }
}

static int open_beneath(int dir_fd, const char *path)
{
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    for (int i = 0; i < OPEN_ATTEMPTS; i++) {
        long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno == ENOSYS || errno == EPERM)
            return warm_file_open_plain(dir_fd, path);
        if (errno != EAGAIN)
            break;
    }
    return -errno;
}

/* The part of an absolute path that follows the directory's own name; NULL when it isn't inside. */
static const char *inside(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    while (len > 0 && dir[len - 1] == '/')
        len--;
    if (strncmp(path, dir, len) != 0 || path[len] != '/')
        return NULL;
    return path + len + strspn(path + len, "/");
}

int warm_file_open(const char *dir, struct bytes path)
{
    char text[PATH_MAX];
    if (path.len >= sizeof(text))
        return -ENAMETOOLONG;
    if (path.len == 0 || memchr(path.ptr, '\0', path.len) != NULL)
        return -EINVAL;
    memcpy(text, path.ptr, path.len);
    text[path.len] = '\0';
    const char *relative = text[0] == '/' ? inside(text, dir) : text;
    if (relative == NULL || has_dot_dot(relative))
        return -EXDEV;
    if (*relative == '\0')
        return -EINVAL;
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    int fd = open_beneath(dir_fd, relative);
    close(dir_fd);
    if (fd < 0)
        return fd;
    struct stat status;
    int code = fstat(fd, &status) < 0 ? -errno : S_ISREG(status.st_mode) ? 0 : -EINVAL;
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

int warm_file_read(struct warm_source *source)
{
    struct buf *bytes = &source->bytes;
    if (source->pos > 0)
        memmove(bytes->data, bytes->data + source->pos, bytes->len - source->pos);
    bytes->len -= source->pos;
    source->pos = 0;
    if (!buf_reserve(bytes, WARM_FILE_PIECE))
        return -ENOMEM;
    ssize_t n;
    do
        n = read(source->fd, bytes->data + bytes->len, WARM_FILE_PIECE);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    bytes->len += (size_t)n;
    source->is_complete = n == 0;
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = bytes_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte behind a backslash: how many characters it takes in the line, or 0 when it is none. */
static size_t read_escape(const char *text, size_t len, char *byte)
{
    static const char letters[] = "\\nrt";
    static const char values[] = "\\\n\r\t";
    if (len == 0)
        return 0;
    const char *letter = memchr(letters, text[0], sizeof(letters) - 1);
    if (letter != NULL) {
        *byte = values[letter - letters];
        return 1;
    }
    if (text[0] != 'x' || len < 3 || hex_digit(text[1]) < 0 || hex_digit(text[2]) < 0)
        return 0;
    *byte = (char)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
    return 3;
}

/* Replaces escapes in place, which needs no more room. False: there is one that doesn't exist. */
static bool unescape(char *line, size_t *len)
{
    char *first = memchr(line, '\\', *len);
    if (first == NULL)
        return true;
    char *out = first;
    for (size_t i = (size_t)(first - line); i < *len; i++) {
        char byte = line[i];
        if (byte == '\\') {
            size_t taken = read_escape(line + i + 1, *len - i - 1, &byte);
            if (taken == 0)
                return false;
            i += taken;
        }
        *out++ = byte;
    }
    *len = (size_t)(out - line);
    return true;
}

enum warm_next warm_file_next(struct warm_source *source, struct bytes *key, char *error)
{
    for (;;) {
        size_t left = source->bytes.len - source->pos;
        char *line = left == 0 ? NULL : source->bytes.data + source->pos;
        char *end = left == 0 ? NULL : memchr(line, '\n', left);
        size_t len = end == NULL ? left : (size_t)(end - line);
        if (len > WARM_LINE_MAX) {
            snprintf(error, WARM_ERROR_SIZE, "line %" PRIu64 " is longer than %zu bytes",
                     source->line + 1, WARM_LINE_MAX);
            return WARM_NEXT_FAIL;
        }
        if (end == NULL && !source->is_complete)
            return WARM_NEXT_MORE;
        if (left == 0)
            return WARM_NEXT_END;
        size_t taken = len + (end != NULL);
        source->pos += taken;
        source->n_taken += taken;
        source->line++;
        if (end != NULL && len > 0 && line[len - 1] == '\r')
            len--;
        if (len == 0)
            continue;
        if (!unescape(line, &len)) {
            snprintf(error, WARM_ERROR_SIZE, "line %" PRIu64 " has an unknown escape",
                     source->line);
            return WARM_NEXT_BAD;
        }
        *key = bytes_of(line, len);
        return WARM_NEXT_KEY;
    }
}
