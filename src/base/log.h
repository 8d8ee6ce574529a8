/* The log, in Redis's levels and line format: `pid:role day month year hh:mm:ss.mmm mark message`.
 *
 * One line per call; bytes that are not printable ASCII are escaped, so that input can't forge lines. Callers never pass
 * a secret. The level is one of the two process-wide variables that house rules allow (the other is the test clock). */
#ifndef LARDER_BASE_LOG_H
#define LARDER_BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_VERBOSE, LOG_NOTICE, LOG_WARNING, LOG_NOTHING };

/* Lines below `level` are dropped. The start value is LOG_NOTICE. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Appends to the file at `path`, or to standard output when it is NULL or empty. Returns 0, or -errno and keeps the old one. */
int log_open(const char *path) __attribute__((warn_unused_result));

/* Opens the file of the last log_open again (after rotation). Returns 0 or -errno. */
int log_reopen(void) __attribute__((warn_unused_result));

/* Writes one line. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define LOG(level, ...)                                                                            \
    do {                                                                                           \
        if ((level) >= log_get_level())                                                            \
            log_write((level), __VA_ARGS__);                                                       \
    } while (0)

#endif
