/* The command line:
 *
 *     larder [file] [--directive value ...] [--check-config]
 *     larder --help | -h | --version | -v | --print-config conf|markdown
 *
 * The file ("-": standard input) is read first; directives of the command line replace its values.
 * Values go up to the next argument that begins with "--"; `--directive=value` takes a value as it
 * is, which is the way to give one that begins so. */
#ifndef LARDER_CORE_CONFIG_ARGS_H
#define LARDER_CORE_CONFIG_ARGS_H

#include "core/config.h"

enum config_request {
    CONFIG_RUN,
    CONFIG_CHECK, /* say that the configuration is good, and end */
    CONFIG_HELP,  /* from here on nothing but the command line was looked at */
    CONFIG_VERSION,
    CONFIG_PRINT_CONF,     /* print larder.conf */
    CONFIG_PRINT_MARKDOWN, /* print the tables of doc/configuration.md */
};

/* Reads the command line (argv[0] is skipped), the file it names, and what config_secret_load
 * reads, into an initialised configuration. Returns false with one line in `err`, such as
 * "command line: --maxmemoryy: unknown directive (did you mean maxmemory?)". */
bool config_args_load(struct config *config, int argc, char **argv, enum config_request *request,
                      char *err, size_t size) __attribute__((warn_unused_result));

#endif
