/* Where a warming job's keys come from: a list, SCAN on L2, or a file. Hands out one at a time.
 *
 *     KEYS    bytes: [length, key] [length, key] ...             not yet taken from `pos` on
 *     MATCH   bytes: the keys of one reply to SCAN               the same
 *     FILE    bytes: a piece of the file; no line beyond `pos` has been taken
 *
 * Knows SCAN's request and reply and the form of a key file, but sends nothing: whoever owns the
 * source sends what warm_scan_request writes and gives the reply to warm_scan_accept, or calls
 * warm_file_read. */
#ifndef LARDER_TIER_WARM_SOURCE_H
#define LARDER_TIER_WARM_SOURCE_H

#include "base/buf.h"
#include "tier/warm.h"

/* COUNT of SCAN at first, and where few keys match. redis-server 7.0 walks 1000 buckets in about
 * 0.3 ms, during which it serves nobody else. */
#define WARM_SCAN_COUNT_MIN 100
#define WARM_SCAN_COUNT_MAX 1000

/* Bytes of a file read at a time. */
#define WARM_FILE_PIECE ((size_t)64 << 10)

struct warm_source {
    enum warm_kind kind;
    struct buf text; /* pattern or path, as given */
    struct buf bytes;
    size_t pos;       /* in bytes */
    bool is_complete; /* nothing comes after what is in bytes */
    uint64_t n_total; /* KEYS: keys; MATCH: keys of the reply; FILE: its size when opened */
    uint64_t n_taken; /* of n_total */
    /* MATCH */
    uint64_t cursor;
    unsigned count;
    bool is_untyped;      /* SCAN without TYPE, which Redis 5 does not know */
    double before, after; /* how much of L2's hash table lies before the reply, and with it */
    /* FILE */
    int fd;        /* owned; -1: none */
    uint64_t line; /* number of the line taken last, from 1 */
};

enum warm_next {
    WARM_NEXT_KEY,  /* *key is borrowed until the next call that takes the source */
    WARM_NEXT_MORE, /* nothing at hand: SCAN on, or read on */
    WARM_NEXT_END,
    WARM_NEXT_BAD,  /* a line that is no key; `error` says why */
    WARM_NEXT_FAIL, /* nothing more can come; `error` says why */
};

/* Makes a source of what `spec` says; of FILE, from a file in `dir`. Returns false, with nothing to
 * free, and an error reply's text in `error` (WARM_ERROR_SIZE, here and below). */
bool warm_source_init(struct warm_source *source, const struct warm_spec *spec, const char *dir,
                      char *error) __attribute__((warn_unused_result));

/* Frees keys and file; the text stays for reports until warm_source_deinit. */
void warm_source_close(struct warm_source *source);
void warm_source_deinit(struct warm_source *source);

/* Takes the next key. */
enum warm_next warm_source_next(struct warm_source *source, struct bytes *key, char *error)
    __attribute__((warn_unused_result));

/* How much of the source has been taken, 0 to 1; of MATCH by SCAN's cursor, which counts through
 * L2's hash table with its bits reversed. */
double warm_source_progress(const struct warm_source *source);

/* MATCH (warm_scan.c) */

/* Appends the SCAN that comes next as a RESP array. Returns false when there is no memory. */
bool warm_scan_request(const struct warm_source *source, struct buf *out)
    __attribute__((warn_unused_result));

/* Takes over a reply to it. Returns false and writes why when it can't be understood or kept. */
bool warm_scan_accept(struct warm_source *source, struct bytes reply, char *error)
    __attribute__((warn_unused_result));

/* After an error reply: true when the same without TYPE, which comes next, may do better. */
bool warm_scan_untype(struct warm_source *source);

/* Takes the next key of the reply. */
enum warm_next warm_scan_next(struct warm_source *source, struct bytes *key, char *error)
    __attribute__((warn_unused_result));

/* FILE (warm_file.c) */

/* Opens a regular file at `path`, which must lie in `dir` also after symbolic links are followed.
 * Returns a descriptor, or -errno (-EXDEV: it leads outside; -EINVAL: no regular file, or no usable
 * path). */
int warm_file_open(const char *dir, struct bytes path) __attribute__((warn_unused_result));

/* The same on kernels without openat2, or where it is forbidden: a symbolic link anywhere in the
 * path is refused with -ELOOP or -ENOTDIR. `path` is relative and without "..". Returns a
 * descriptor of a file of any type, or -errno. */
int warm_file_open_plain(int dir_fd, const char *path) __attribute__((warn_unused_result));

/* Reads one piece on. Returns 0 or -errno. A file in no cache keeps the loop waiting for that long:
 * regular files know no O_NONBLOCK. */
int warm_file_read(struct warm_source *source) __attribute__((warn_unused_result));

/* Takes the next line. */
enum warm_next warm_file_next(struct warm_source *source, struct bytes *key, char *error)
    __attribute__((warn_unused_result));

#endif
