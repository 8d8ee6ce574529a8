/* Sources of keys: what they have in common, and the list; see warm_source.h. */
#include "tier/warm_source.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* As much of a path as an error shows. */
#define SHOWN_MAX 128

static bool copy_keys(struct warm_source *source, const struct warm_spec *spec, char *error)
{
    size_t size = 0;
    for (size_t i = 0; i < spec->n_keys; i++) {
        size_t one;
        if (__builtin_add_overflow(spec->keys[i].len, sizeof(uint32_t), &one) ||
            __builtin_add_overflow(size, one, &size) || size > WARM_KEYS_BYTES_MAX) {
            snprintf(error, WARM_ERROR_SIZE,
                     "ERR the keys of one warming job may take %zu MB at most, use CACHE WARM FILE",
                     WARM_KEYS_BYTES_MAX >> 20);
            return false;
        }
    }
    if (!buf_reserve(&source->bytes, size)) {
        snprintf(error, WARM_ERROR_SIZE, "ERR out of memory");
        return false;
    }
    for (size_t i = 0; i < spec->n_keys; i++) {
        uint32_t len = (uint32_t)spec->keys[i].len;
        char *out = source->bytes.data + source->bytes.len;
        memcpy(out, &len, sizeof(len));
        memcpy(out + sizeof(len), spec->keys[i].ptr, len);
        source->bytes.len += sizeof(len) + len;
    }
    source->n_total = spec->n_keys;
    source->is_complete = true;
    return true;
}

static enum warm_next next_of_list(struct warm_source *source, struct bytes *key)
{
    if (source->pos == source->bytes.len)
        return WARM_NEXT_END;
    uint32_t len;
    memcpy(&len, source->bytes.data + source->pos, sizeof(len));
    *key = bytes_of(source->bytes.data + source->pos + sizeof(len), len);
    source->pos += sizeof(len) + len;
    source->n_taken++;
    return WARM_NEXT_KEY;
}

static const char *why_not_opened(int code)
{
    switch (code) {
    case -EXDEV: return "it leads out of warm-dir";
    case -EINVAL: return "not a regular file";
    default: return strerror(-code);
    }
}

static bool open_file(struct warm_source *source, const struct warm_spec *spec, const char *dir,
                      char *error)
{
    if (dir[0] == '\0') {
        snprintf(error, WARM_ERROR_SIZE,
                 "ERR CACHE WARM FILE is off, set warm-dir to the directory of the key files");
        return false;
    }
    source->fd = warm_file_open(dir, spec->text);
    struct stat status;
    int code = source->fd < 0 ? source->fd : fstat(source->fd, &status) < 0 ? -errno : 0;
    if (code < 0) {
        int shown = spec->text.len < SHOWN_MAX ? (int)spec->text.len : SHOWN_MAX;
        snprintf(error, WARM_ERROR_SIZE, "ERR can't open '%.*s' in warm-dir: %s", shown,
                 spec->text.ptr, why_not_opened(code));
        return false;
    }
    source->n_total = (uint64_t)status.st_size;
    return true;
}

bool warm_source_init(struct warm_source *source, const struct warm_spec *spec, const char *dir,
                      char *error)
{
    *source = (struct warm_source){.kind = spec->kind, .count = WARM_SCAN_COUNT_MIN, .fd = -1};
    buf_init(&source->text);
    buf_init(&source->bytes);
    bool ok = true;
    if (spec->kind == WARM_KEYS)
        ok = copy_keys(source, spec, error);
    else if (!buf_append(&source->text, spec->text.ptr, spec->text.len)) {
        snprintf(error, WARM_ERROR_SIZE, "ERR out of memory");
        ok = false;
    } else if (spec->kind == WARM_FILE)
        ok = open_file(source, spec, dir, error);
    if (!ok)
        warm_source_deinit(source);
    return ok;
}

void warm_source_close(struct warm_source *source)
{
    buf_deinit(&source->bytes);
    source->pos = 0;
    if (source->kind == WARM_MATCH)
        source->n_taken = source->n_total;
    source->is_complete = true;
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
}

void warm_source_deinit(struct warm_source *source)
{
    warm_source_close(source);
    buf_deinit(&source->text);
}

enum warm_next warm_source_next(struct warm_source *source, struct bytes *key, char *error)
{
    switch (source->kind) {
    case WARM_MATCH: return warm_scan_next(source, key, error);
    case WARM_FILE: return warm_file_next(source, key, error);
    case WARM_KEYS: break;
    }
    return next_of_list(source, key);
}

double warm_source_progress(const struct warm_source *source)
{
    double taken = source->n_total == 0 ? 1 : (double)source->n_taken / (double)source->n_total;
    if (taken > 1) /* a file that has grown since */
        taken = 1;
    if (source->kind != WARM_MATCH)
        return taken;
    return source->before + (source->after - source->before) * taken;
}
