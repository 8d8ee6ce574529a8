/* Configuration text (src/core/config_file.h): any bytes give a configuration or one line of error;
 * what was accepted is the same after CONFIG REWRITE and reading again, and a second rewrite
 * changes nothing; CONFIG SET with the words of the first lines leaves everything consistent. */
#include "core/config_file.h"

#include "core/config_rewrite.h"
#include "core/config_value.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static bool read_text(struct config *config, struct bytes text, char *err)
{
    memset(err, 'x', CONFIG_ERR_SIZE);
    bool good = config_file_parse(config, text, "fuzz.conf", NULL, NULL, err, CONFIG_ERR_SIZE);
    if (!good) {
        MUST(memchr(err, '\0', CONFIG_ERR_SIZE) != NULL);
        for (const char *p = err; *p != '\0'; p++)
            MUST(*p >= 0x20 && *p < 0x7f);
    }
    return good;
}

static void must_equal(const struct config *a, const struct config *b)
{
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        union config_value value_a;
        union config_value value_b;
        config_value_borrow(a, &rows[i], &value_a);
        config_value_borrow(b, &rows[i], &value_b);
        MUST(config_value_equal(&rows[i], &value_a, &value_b));
    }
}

/* The first words of the first lines as a CONFIG SET. */
static void set_words(struct config *config, struct bytes text)
{
    struct bytes pairs[8];
    size_t n = 0;
    char err[CONFIG_ERR_SIZE];
    struct config before;
    config_init(&before);
    const char *p = text.ptr;
    const char *end = p + text.len;
    while (p < end && n < 8) {
        const char *stop = p;
        while (stop < end && *stop != ' ' && *stop != '\n')
            stop++;
        pairs[n++] = bytes_of(p, (size_t)(stop - p));
        p = stop < end ? stop + 1 : end;
    }
    if (!config_set(config, pairs, n / 2, NULL, NULL, err, sizeof(err)))
        must_equal(config, &before);
    MUST(config_check(config, err, sizeof(err)) == NULL);
    config_deinit(&before);
}

static void visit(void *ctx, struct bytes name, struct bytes value)
{
    size_t *n = ctx;
    *n += name.len + value.len > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct config config;
    struct config again;
    struct buf once;
    struct buf twice;
    char err[CONFIG_ERR_SIZE];
    struct bytes text = bytes_of((const char *)data, n_bytes);
    struct bytes all = BYTES("*");
    size_t n_visited = 0;
    config_init(&config);
    set_words(&config, text);
    config_deinit(&config);
    config_init(&config);
    config_init(&again);
    buf_init(&once);
    buf_init(&twice);
    if (read_text(&config, text, err)) {
        MUST(config_rewrite_text(&config, text, &once));
        MUST(read_text(&again, buf_bytes(&once), err));
        must_equal(&config, &again);
        MUST(config_rewrite_text(&again, buf_bytes(&once), &twice));
        MUST(bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    }
    MUST(config_get(&config, &all, 1, visit, &n_visited) == n_visited);
    buf_deinit(&once);
    buf_deinit(&twice);
    config_deinit(&config);
    config_deinit(&again);
    return 0;
}
