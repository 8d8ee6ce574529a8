/*
 * main() for fuzz targets in a build without libFuzzer: replays a corpus.
 *
 * Owns: finding and reading the corpus files. It must not know any target.
 *
 * Without arguments, fuzz_<x> replays every file of tests/fuzz/corpus/<x>/ below LARDER_SRCDIR
 * (or the current folder), in the order of their names; an empty or missing folder is an error,
 * since it would test nothing. Arguments name files or folders to replay instead.
 *
 * Each input is handed over in an allocation of exactly its size, so that AddressSanitizer sees a
 * read past its end. A finding ends the program (abort or sanitizer); the last line printed names
 * the input. The summary has the form of Check's, for tests/run_all.
 */

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

struct counts
{
    size_t n_checks;
    size_t n_errors;
};

static void report(struct counts *counts, const char *path, int error)
{
    fprintf(stderr, "%s: %s\n", path, strerror(error));
    counts->n_errors++;
}

/* Returns the file's bytes, owned by the caller, or NULL with errno set. */
static uint8_t *read_all(const char *path, size_t n_bytes)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;

    if (file == NULL)
        return NULL;
    data = malloc(n_bytes > 0 ? n_bytes : 1);
    if (data != NULL && fread(data, 1, n_bytes, file) != n_bytes) {
        free(data);
        data = NULL;
        errno = EIO;
    }
    fclose(file);
    return data;
}

static void replay_file(struct counts *counts, const char *path, size_t n_bytes)
{
    uint8_t *data = read_all(path, n_bytes);

    counts->n_checks++;
    if (data == NULL) {
        report(counts, path, errno);
        return;
    }
    printf("replay %s (%zu bytes)\n", path, n_bytes);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, n_bytes);
    free(data);
}

static void replay(struct counts *counts, const char *path);

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay_folder(struct counts *counts, const char *path)
{
    struct dirent **entries;
    int n_entries = scandir(path, &entries, is_visible, alphasort);

    if (n_entries < 0) {
        report(counts, path, errno);
        return;
    }
    for (int i = 0; i < n_entries; i++) {
        char *name;

        if (asprintf(&name, "%s/%s", path, entries[i]->d_name) < 0)
            abort();
        replay(counts, name);
        free(name);
        free(entries[i]);
    }
    free(entries);
}

static void replay(struct counts *counts, const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0)
        report(counts, path, errno);
    else if (S_ISDIR(status.st_mode))
        replay_folder(counts, path);
    else
        replay_file(counts, path, (size_t)status.st_size);
}

/* Replays the corpus that belongs to the program's name. */
static void replay_own(struct counts *counts)
{
    static const char prefix[] = "fuzz_";
    const char *name = program_invocation_short_name;
    const char *top = getenv("LARDER_SRCDIR");
    char *path;

    if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
        name += sizeof(prefix) - 1;
    if (asprintf(&path, "%s/tests/fuzz/corpus/%s", top != NULL ? top : ".", name) < 0)
        abort();
    replay(counts, path);
    free(path);
}

int main(int argc, char **argv)
{
    struct counts counts = {0, 0};
    size_t n_passed;

    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            replay(&counts, argv[i]);
    } else {
        replay_own(&counts);
    }
    if (counts.n_checks == 0) {
        fprintf(stderr, "%s: the corpus is empty\n", program_invocation_short_name);
        counts.n_checks = 1;
        counts.n_errors = 1;
    }
    n_passed = counts.n_errors < counts.n_checks ? counts.n_checks - counts.n_errors : 0;
    printf("%zu%%: Checks: %zu, Failures: 0, Errors: %zu\n", n_passed * 100 / counts.n_checks,
           counts.n_checks, counts.n_errors);
    return counts.n_errors > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
