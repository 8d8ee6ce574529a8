/* The history checker's record: what each client asked, when, and what came back.
 *
 * A *register* is a key that holds one value or nothing: a string, a hash with one field, a list with one
 * element. Each value is written once, by one operation, so a value that is read tells which write it saw. A
 * *counter* only grows. Keys are new in each round, so that nothing of a round lives on in the next.
 *
 * A *view* is where operations go: 0 is L2 itself, 1 and up are the larders.
 *
 * Time is CLOCK_MONOTONIC in nanoseconds. `begin_ns` is read before the command is sent, `end_ns` after its
 * reply was read, so an operation takes place between them. Operations stand in the order in which they were
 * sent, those of one connection so in its own. */
#ifndef LARDER_TESTS_HISTORY_H
#define LARDER_TESTS_HISTORY_H

#include "random.h"

#include <stddef.h>
#include <stdint.h>

#define HISTORY_VIEWS 3
#define HISTORY_KEYS_MAX 256
#define HISTORY_NAME_MAX 48

#define NS_PER_MS INT64_C(1000000)

/* The end of what has no reply, or none that says what happened. */
#define OP_NEVER INT64_MAX

/* Value of a register without one. */
#define VALUE_NIL 0
/* Something was read that nobody wrote. */
#define VALUE_STRANGE (-1)

/* `extra` of an OP_TTL_WRITE that takes the deadline away. */
#define TTL_PERSIST (-1)

enum op_kind {
    OP_VALUE_READ,    /* value: what was there */
    OP_PRESENCE_READ, /* value: 1 there, 0 not */
    OP_VALUE_WRITE,   /* value; extra: time to live in ms, 0: none */
    OP_NIL_WRITE,     /* the key is gone */
    OP_TTL_WRITE,     /* extra: as above, or TTL_PERSIST */
    OP_COUNT_READ,    /* value: the counter */
    OP_COUNT_WRITE,   /* value: the counter after it; extra: by how much it grew */
};

enum op_state {
    OP_UNKNOWN, /* a write that may have been executed, or be later */
    OP_MAYBE,   /* a write that was executed before its end, or not at all */
    OP_DONE,    /* executed between begin and end */
    OP_NOTHING, /* a write that certainly did nothing, a read without a reply */
};

struct op {
    int64_t begin_ns;
    int64_t end_ns;
    int64_t value;
    int32_t extra;
    uint32_t command; /* place of the first operation of the same command */
    uint16_t conn;
    uint16_t key; /* of history.keys */
    uint8_t kind;
    uint8_t state;
    uint8_t view;
    uint8_t is_loose; /* a write that no promise of its larder covers, as if made at L2 */
    const char *verb; /* for people */
};

enum key_type { KEY_STRING, KEY_HASH, KEY_LIST, KEY_COUNTER, KEY_TYPES };

/* Who writes a key. */
enum key_writers { WRITTEN_BY_ALL, WRITTEN_AT_L2, WRITTEN_THROUGH_LARDERS };

struct key {
    char name[HISTORY_NAME_MAX];
    enum key_type type;
    enum key_writers writers;
};

/* For people: what else happened, such as a fault. */
struct note {
    int64_t at_ns;
    char text[80];
};

/* A reply that no rule allows. */
struct oddity {
    size_t op; /* first operation of the command; SIZE_MAX: of none */
    char text[160];
};

#define NOTES_MAX 4096
#define ODDITIES_MAX 64

struct history {
    int64_t start_ns;
    unsigned round;
    unsigned n_views;
    unsigned n_keys;
    struct key keys[HISTORY_KEYS_MAX];
    struct op *ops; /* owned */
    size_t n_ops, ops_cap;
    uint32_t *writes; /* owned; by value: the operation that wrote it; [0] is not used */
    size_t n_values, values_cap;
    struct note *notes; /* owned, NOTES_MAX; later ones are not kept */
    size_t n_notes;
    struct oddity *oddities; /* owned, ODDITIES_MAX; later ones are only counted */
    size_t n_oddities;
};

void history_init(struct history *history, unsigned n_views);
void history_deinit(struct history *history);

/* Forgets everything and names `n` registers and a third as many counters for a round. */
void history_begin(struct history *history, unsigned round, unsigned n, uint64_t seed);

/* Appends an operation without a reply yet. Returns its place. */
size_t history_add(struct history *history, const struct op *op);

/* A new value, to be written by the operation that is added next with it. */
int64_t history_new_value(struct history *history);

/* Text of a value, always of the same length: no NUL. */
#define VALUE_TEXT_LEN 20
void history_value_text(const struct history *history, int64_t value, char *text);
/* The value of a text; VALUE_STRANGE: nobody has written it in this round. */
int64_t history_value_of(const struct history *history, const char *text, size_t len);

void history_note(struct history *history, int64_t at_ns, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void history_odd(struct history *history, size_t op, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Grows an array to hold one more item; aborts without memory. */
void *history_grow(void *array, size_t n, size_t *cap, size_t item_size);

int64_t history_now_ns(void);

#endif
