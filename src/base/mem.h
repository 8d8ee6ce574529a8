/* Memory: jemalloc behind two rules. Small fixed things abort when memory is gone (mem_alloc), whatever a client, a file or
 * L2 sized reports failure (mem_try). Tests can make the n-th mem_try fail.
 *
 * Must not know: what the bytes are for. */
#ifndef LARDER_BASE_MEM_H
#define LARDER_BASE_MEM_H

#include <stddef.h>

/* Allocates `size` bytes (> 0), uninitialised; aborts when there is no memory. Returns owned memory for mem_free. */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));

/* As mem_alloc, zeroed. */
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));

/* Allocates `size` bytes or returns NULL. For sizes that came from outside. */
void *mem_try(size_t size) __attribute__((malloc, warn_unused_result));

/* Resizes `ptr` (taken; NULL allowed) to `size` bytes, or returns NULL and leaves `ptr` as it was. */
void *mem_try_resize(void *ptr, size_t size) __attribute__((warn_unused_result));

/* As mem_try_resize, but aborts when there is no memory, and is not touched by the test hook: for small metadata. */
void *mem_resize(void *ptr, size_t size) __attribute__((returns_nonnull, warn_unused_result));

/* Frees memory of any function here; NULL is allowed. */
void mem_free(void *ptr);

/* Copies a NUL-terminated string; aborts when there is no memory. */
char *mem_strdup(const char *str) __attribute__((returns_nonnull, warn_unused_result));

/* Bytes that the allocator really holds for a request of `size` bytes (its size class), without allocating. */
size_t mem_class(size_t size);

/* Figures of the allocator, in bytes; all 0 where it is not jemalloc. */
struct mem_figures {
    size_t allocated; /* asked for by the program, rounded to size classes */
    size_t active;    /* in pages that hold such bytes */
    size_t resident;  /* mapped and present */
    size_t mapped;
    const char *allocator; /* borrowed for ever, "jemalloc-5.3.0" or "libc" */
};
void mem_read_figures(struct mem_figures *figures);

/* Test hook: the n-th following mem_try or mem_try_resize (1 is the next) returns NULL, once; 0 switches it off. */
void mem_fail_after(unsigned n);

#endif
