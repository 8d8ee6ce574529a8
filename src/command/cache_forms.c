/* Subcommands below one of CACHE's; see cache_forms.h. */
#include "command/cache_forms.h"

#include "command/subcommand.h"

#include <stdio.h>

void cache_forms_serve(const struct cache_forms *forms, struct call *call)
{
    struct bytes word = call->argv[2];
    for (size_t i = 0; i < forms->n_forms; i++) {
        const struct cache_form *form = &forms->forms[i];
        if (!bytes_is(word, form->name))
            continue;
        if (call->argc < form->min_argc || (form->max_argc != 0 && call->argc > form->max_argc))
            call_wrong_arity(call);
        else
            form->fn(call);
        return;
    }
    reply_error(&call->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", subcommand_shown(word),
                word.ptr, forms->container);
}

void cache_forms_help(const struct cache_forms *forms, struct call *call)
{
    struct reply *reply = &call->reply;
    char line[256];
    reply_array(reply, 1 + 2 * forms->n_forms + forms->n_notes);
    snprintf(line, sizeof(line),
             "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", forms->container);
    reply_status(reply, line);
    for (size_t i = 0; i < forms->n_forms; i++) {
        snprintf(line, sizeof(line), "%s%s", forms->forms[i].name, forms->forms[i].args);
        reply_status(reply, line);
        snprintf(line, sizeof(line), "    %s", forms->forms[i].summary);
        reply_status(reply, line);
    }
    for (size_t i = 0; i < forms->n_notes; i++)
        reply_status(reply, forms->notes[i]);
}
