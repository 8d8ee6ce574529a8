/* The command line; see config_args.h. */
#include "core/config_args.h"

#include "base/mem.h"
#include "core/config_file.h"
#include "core/config_format.h"
#include "core/config_secret.h"

#include <stdio.h>
#include <stdlib.h>

struct args {
    struct config *config;
    int argc;
    char **argv;
    enum config_request request;
    const char *file; /* NULL: none */
    char *err;
    size_t size;
};

static bool refuse(struct args *args, const char *reason)
{
    snprintf(args->err, args->size, "command line: %s", reason);
    return false;
}

/* Refuses an argument that is nobody's. */
static bool refuse_argument(struct args *args, const char *argument, const char *reason)
{
    struct buf shown;
    buf_init(&shown);
    config_format_shown(bytes_of_str(argument), &shown);
    config_format_text(bytes_of(" ", 1), &shown);
    config_format_text(bytes_of(reason, strlen(reason) + 1), &shown);
    refuse(args, shown.data);
    buf_deinit(&shown);
    return false;
}

static bool is_option(const char *argument)
{
    return strncmp(argument, "--", 2) == 0;
}

/* The number of arguments behind position i that belong to it. */
static int count_values(const struct args *args, int i)
{
    int n = 0;
    while (i + 1 + n < args->argc && !is_option(args->argv[i + 1 + n]))
        n++;
    return n;
}

/* What an option asks for that is no directive; CONFIG_RUN for any other. */
static enum config_request request_of(const char *option)
{
    if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0)
        return CONFIG_HELP;
    if (strcmp(option, "--version") == 0 || strcmp(option, "-v") == 0)
        return CONFIG_VERSION;
    return strcmp(option, "--check-config") == 0 ? CONFIG_CHECK : CONFIG_RUN;
}

static bool take_file(struct args *args, const char *path)
{
    if (args->file != NULL)
        return refuse_argument(args, path, "is a second configuration file");
    if (path[0] == '-' && path[1] != '\0')
        return refuse_argument(args, path, "is not an option");
    args->file = path;
    return true;
}

static bool take_print(struct args *args, int i)
{
    const char *form = i + 1 < args->argc ? args->argv[i + 1] : "";
    if (strcmp(form, "conf") == 0)
        args->request = CONFIG_PRINT_CONF;
    else if (strcmp(form, "markdown") == 0)
        args->request = CONFIG_PRINT_MARKDOWN;
    else
        return refuse(args, "--print-config: conf or markdown expected");
    return true;
}

static bool is_final(enum config_request request)
{
    return request != CONFIG_RUN && request != CONFIG_CHECK;
}

/* Finds the file and the request; directives are passed over. Ends at a request that needs nothing
 * more. */
static bool scan(struct args *args)
{
    for (int i = 1; i < args->argc && !is_final(args->request); i++) {
        const char *argument = args->argv[i];
        enum config_request request = request_of(argument);
        if (request != CONFIG_RUN) {
            args->request = request;
        } else if (strcmp(argument, "--print-config") == 0) {
            if (!take_print(args, i))
                return false;
        } else if (!is_option(argument)) {
            if (!take_file(args, argument))
                return false;
        } else if (strchr(argument, '=') == NULL) {
            i += count_values(args, i);
        }
    }
    return true;
}

/* Sets one directive: `--name=value`, or `--name` and the n values behind position i. */
static bool apply_option(struct args *args, int i, int n)
{
    char reason[CONFIG_ERR_SIZE];
    struct bytes name = bytes_of_str(args->argv[i] + 2);
    const char *equals = strchr(name.ptr, '=');
    size_t n_values = equals != NULL ? 1 : (size_t)n;
    struct bytes *values = mem_alloc((n_values + 1) * sizeof(*values));
    for (size_t j = 0; j < n_values && equals == NULL; j++)
        values[j] = bytes_of_str(args->argv[(size_t)i + 1 + j]);
    if (equals != NULL) {
        name.len = (size_t)(equals - name.ptr);
        values[0] = bytes_of_str(equals + 1);
    }
    bool good = config_assign(args->config, name, values, n_values, reason, sizeof(reason));
    mem_free(values);
    if (!good)
        snprintf(args->err, args->size, "command line: --%s", reason);
    return good;
}

static bool apply_options(struct args *args)
{
    for (int i = 1; i < args->argc; i++) {
        const char *argument = args->argv[i];
        if (request_of(argument) != CONFIG_RUN || !is_option(argument))
            continue;
        int n = strchr(argument, '=') != NULL ? 0 : count_values(args, i);
        if (!apply_option(args, i, n))
            return false;
        i += n;
    }
    return true;
}

static bool finish(struct args *args)
{
    char reason[CONFIG_ERR_SIZE];
    const char *name = config_check(args->config, reason, sizeof(reason));
    if (name != NULL) {
        snprintf(args->err, args->size, "%s: %s", name, reason);
        return false;
    }
    return config_secret_load(args->config, getenv(CONFIG_SECRET_VARIABLE), args->err, args->size);
}

bool config_args_load(struct config *config, int argc, char **argv, enum config_request *request,
                      char *err, size_t size)
{
    struct args args = {config, argc, argv, CONFIG_RUN, NULL, err, size};
    if (!scan(&args))
        return false;
    *request = args.request;
    if (is_final(args.request))
        return true;
    if (args.file != NULL && !config_file_load(config, args.file, err, size))
        return false;
    return apply_options(&args) && finish(&args);
}
