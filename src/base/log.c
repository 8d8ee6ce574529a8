/* The log; see log.h. */
#include "base/log.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Longer messages are cut, as Redis's LOG_MAX_LEN. */
#define LOG_LINE_MAX 1024

static enum log_level min_level = LOG_NOTICE;
static int log_fd = STDOUT_FILENO;
static char *log_path;

void log_set_level(enum log_level level)
{
    min_level = level;
}

enum log_level log_get_level(void)
{
    return min_level;
}

static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    return fd < 0 ? -errno : fd;
}

int log_open(const char *path)
{
    int fd = STDOUT_FILENO;
    if (path != NULL && *path != '\0') {
        fd = open_file(path);
        if (fd < 0)
            return fd;
    }
    if (log_fd != STDOUT_FILENO)
        close(log_fd);
    char *copy = fd == STDOUT_FILENO ? NULL : mem_strdup(path);
    mem_free(log_path);
    log_path = copy;
    log_fd = fd;
    return 0;
}

int log_reopen(void)
{
    if (log_path == NULL)
        return 0;
    int fd = open_file(log_path);
    if (fd < 0)
        return fd;
    close(log_fd);
    log_fd = fd;
    return 0;
}

/* Copies `text` into `line` with unprintable bytes as \xNN. Returns the length. */
static size_t escape(const char *text, char *line, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = 0;
    for (; *text != '\0' && len + 5 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x20 && c < 0x7f) {
            line[len++] = (char)c;
            continue;
        }
        line[len++] = '\\';
        line[len++] = 'x';
        line[len++] = hex[c >> 4];
        line[len++] = hex[c & 15];
    }
    return len;
}

void log_write(enum log_level level, const char *format, ...)
{
    static const char marks[] = ".-*#";
    char message[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);

    struct timeval now;
    gettimeofday(&now, NULL);
    struct tm local;
    localtime_r(&now.tv_sec, &local);
    char stamp[64];
    strftime(stamp, sizeof(stamp), "%d %b %Y %H:%M:%S", &local);

    char line[LOG_LINE_MAX * 4 + 128];
    int head =
        snprintf(line, sizeof(line), "%d:L %s.%03d %c ", (int)getpid(), stamp,
                 (int)(now.tv_usec / 1000), marks[level <= LOG_WARNING ? level : LOG_WARNING]);
    size_t len = (size_t)head + escape(message, line + head, sizeof(line) - (size_t)head - 1);
    line[len++] = '\n';
    /* A log that can't be written has nobody to tell; serving goes on. */
    ssize_t written = write(log_fd, line, len);
    (void)written;
}
