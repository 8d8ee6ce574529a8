/* Reading larder.conf: the syntax of redis.conf. One directive per line, name and values separated
 * by blanks, quoted as in resp/inline.h; lines that start with # are comments; of a directive that
 * comes twice the last one counts; `include path` reads other files (a glob pattern that matches
 * nothing reads none), by a path relative to the current folder.
 *
 * Errors are one line, "larder.conf:12: maxmemory: ...", and show no secret. */
#ifndef LARDER_CORE_CONFIG_FILE_H
#define LARDER_CORE_CONFIG_FILE_H

#include "base/buf.h"
#include "core/config.h"

/* Longest line, as for an inline command. */
#define CONFIG_LINE_MAX (64 * 1024)

/* Largest file. Redis's own, with all its comments, has 100 KiB. */
#define CONFIG_FILE_MAX (4 * 1024 * 1024)

/* Files that may include each other, the first one counted. */
#define CONFIG_DEPTH_MAX 16

/* Reads an include line: `pattern` is its value. Returns false with the complete error in `err`. */
typedef bool config_include_fn(void *ctx, struct bytes pattern, char *err, size_t size);

/* Sets everything that a text (borrowed for the call) says. `name` stands for it in errors. Lines
 * before a wrong one have taken effect. Does no I/O but through `include`; where that is NULL,
 * include lines are errors. */
bool config_file_parse(struct config *config, struct bytes text, const char *name,
                       config_include_fn *include, void *ctx, char *err, size_t size)
    __attribute__((warn_unused_result));

/* Reads the file at `path` ("-": standard input) and what it includes. Its absolute path is kept
 * for CONFIG REWRITE. */
bool config_file_load(struct config *config, const char *path, char *err, size_t size)
    __attribute__((warn_unused_result));

/* Appends up to `max` bytes of what can be read from `fd` (blocking). Returns 0, -EFBIG when there
 * is more, or -errno. */
int config_file_read(int fd, size_t max, struct buf *out) __attribute__((warn_unused_result));

#endif
