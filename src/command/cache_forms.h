/* Subcommands below one of CACHE's (CACHE WARM LIST): a table of them serves calls and HELP.
 *
 * Must not know: what they do. */
#ifndef LARDER_COMMAND_CACHE_FORMS_H
#define LARDER_COMMAND_CACHE_FORMS_H

#include "core/larder.h"

struct cache_form {
    const char *name;
    command_fn *fn;
    size_t min_argc;
    size_t max_argc;     /* 0: any */
    const char *args;    /* behind the name, a blank before them; "": none */
    const char *summary; /* one sentence */
};

struct cache_forms {
    const char *container; /* "CACHE WARM" */
    const struct cache_form *forms;
    size_t n_forms;
    const char *const *notes; /* further lines of HELP */
    size_t n_notes;
};

/* Serves a call by the form that argv[2] names, or writes what is wrong with it. */
void cache_forms_serve(const struct cache_forms *forms, struct call *call);

/* Writes HELP: usage and summary of each form, and the notes. */
void cache_forms_help(const struct cache_forms *forms, struct call *call);

#endif
