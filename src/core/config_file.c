/* Reading larder.conf; see config_file.h. */
#include "core/config_file.h"

#include "base/mem.h"
#include "core/config_format.h"
#include "resp/inline.h"
#include "resp/request.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Text */

struct reader {
    struct config *config;
    const char *name;
    size_t line; /* 1-based */
    config_include_fn *include;
    void *ctx;
    char *err;
    size_t size;
    struct buf text; /* of the words below */
    struct request_args words;
};

static bool refuse(struct reader *reader, const char *reason)
{
    snprintf(reader->err, reader->size, "%s:%zu: %s", reader->name, reader->line, reason);
    return false;
}

static bool read_include(struct reader *reader)
{
    char reason[CONFIG_ERR_SIZE];
    if (reader->words.n != 2)
        return refuse(reader, "include: one path expected");
    if (reader->include == NULL)
        return refuse(reader, "include: not possible here");
    if (reader->include(reader->ctx, reader->words.items[1], reason, sizeof(reason)))
        return true;
    /* What went wrong inside an included file says where by itself. */
    if (strncmp(reason, "include: ", 9) == 0)
        return refuse(reader, reason);
    snprintf(reader->err, reader->size, "%s", reason);
    return false;
}

static bool read_line(struct reader *reader, struct bytes line)
{
    char reason[CONFIG_ERR_SIZE];
    while (line.len > 0 && strchr(" \t\r", line.ptr[0]) != NULL && line.ptr[0] != '\0')
        line = bytes_of(line.ptr + 1, line.len - 1);
    if (line.len == 0 || line.ptr[0] == '#')
        return true;
    if (line.len > CONFIG_LINE_MAX)
        return refuse(reader, "the line is too long");
    if (memchr(line.ptr, '\0', line.len) != NULL)
        return refuse(reader, "a NUL byte: not a configuration file");
    switch (inline_split(line, &reader->text, &reader->words)) {
    case INLINE_OK: break;
    case INLINE_UNBALANCED: return refuse(reader, "unbalanced quotes");
    case INLINE_NO_MEMORY: return refuse(reader, "out of memory");
    }
    if (reader->words.n == 0)
        return true;
    if (bytes_is(reader->words.items[0], "include"))
        return read_include(reader);
    if (config_assign(reader->config, reader->words.items[0], reader->words.items + 1,
                      reader->words.n - 1, reason, sizeof(reason)))
        return true;
    return refuse(reader, reason);
}

bool config_file_parse(struct config *config, struct bytes text, const char *name,
                       config_include_fn *include, void *ctx, char *err, size_t size)
{
    struct reader reader = {
        .config = config, .name = name, .include = include, .ctx = ctx, .err = err, .size = size};
    bool good = true;
    if (text.len == 0)
        return true;
    const char *p = text.ptr;
    const char *end = p + text.len;
    buf_init(&reader.text);
    while (good && p < end) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        if (stop == NULL)
            stop = end;
        reader.line++;
        good = read_line(&reader, bytes_of(p, (size_t)(stop - p)));
        p = stop < end ? stop + 1 : end;
    }
    if (reader.text.cap > 0)
        explicit_bzero(reader.text.data, reader.text.cap);
    buf_deinit(&reader.text);
    request_args_deinit(&reader.words);
    return good;
}

/* Files */

struct loader {
    struct config *config;
    unsigned depth;
};

int config_file_read(int fd, size_t max, struct buf *out)
{
    for (;;) {
        if (!buf_reserve(out, 4096))
            return -ENOMEM;
        ssize_t n = read(fd, out->data + out->len, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        out->len += (size_t)n;
        if (out->len > max)
            return -EFBIG;
    }
}

static config_include_fn include_files;

/* Reads and parses one file. `prefix` stands before what is wrong with the file as a whole. */
static bool load(struct loader *loader, const char *path, const char *prefix, char *err,
                 size_t size)
{
    bool is_stdin = strcmp(path, "-") == 0 && loader->depth == 0;
    const char *name = is_stdin ? "standard input" : path;
    struct buf text;
    bool good = false;
    buf_init(&text);
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int status = fd < 0 ? -errno : config_file_read(fd, CONFIG_FILE_MAX, &text);
    if (fd >= 0 && !is_stdin)
        close(fd);
    if (status < 0) {
        /* The whole path, however long: its end is what tells files apart. */
        struct buf shown;
        buf_init(&shown);
        config_format_masked(bytes_of_str(name), &shown);
        snprintf(err, size, "%scan't read %.*s: %s", prefix, (int)shown.len, shown.data,
                 strerror(-status));
        buf_deinit(&shown);
    } else {
        loader->depth++;
        good = config_file_parse(loader->config, buf_bytes(&text), name, include_files, loader, err,
                                 size);
        loader->depth--;
    }
    if (text.cap > 0)
        explicit_bzero(text.data, text.cap);
    buf_deinit(&text);
    return good;
}

static bool include_files(void *ctx, struct bytes pattern, char *err, size_t size)
{
    struct loader *loader = ctx;
    glob_t found;
    bool good = true;
    if (loader->depth >= CONFIG_DEPTH_MAX) {
        snprintf(err, size, "include: more than %d files deep", CONFIG_DEPTH_MAX);
        return false;
    }
    char *path = mem_alloc(pattern.len + 1); /* at most a line */
    memcpy(path, pattern.ptr, pattern.len);
    path[pattern.len] = '\0';
    if (strpbrk(path, "*?[") == NULL) {
        good = load(loader, path, "include: ", err, size);
    } else if (glob(path, 0, NULL, &found) == 0) {
        for (size_t i = 0; good && i < found.gl_pathc; i++)
            good = load(loader, found.gl_pathv[i], "include: ", err, size);
        globfree(&found);
    }
    mem_free(path);
    return good;
}

bool config_file_load(struct config *config, const char *path, char *err, size_t size)
{
    struct loader loader = {config, 0};
    if (!load(&loader, path, "", err, size))
        return false;
    char *absolute = strcmp(path, "-") == 0 ? NULL : realpath(path, NULL);
    mem_free(config->file);
    config->file = mem_strdup(absolute != NULL ? absolute : "");
    free(absolute);
    return true;
}
