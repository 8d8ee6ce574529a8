/* Where larder's own password for L2 comes from. In this order, the first that is not empty:
 * `upstream-password`; `upstream-password-file`, or without one the environment variable
 * LARDER_UPSTREAM_PASSWORD; the password in the URL of `upstream`.
 *
 * Must not know: how URLs are taken apart (upstream/address.h). */
#ifndef LARDER_CORE_CONFIG_SECRET_H
#define LARDER_CORE_CONFIG_SECRET_H

#include "core/config.h"

#define CONFIG_SECRET_VARIABLE "LARDER_UPSTREAM_PASSWORD"

/* Reads the password file, or takes `environment` (the variable's value, NULL without one; copied)
 * where no file is named, into config->upstream_secret. Returns false with one line in `err` when
 * the file can't be read, is empty, holds a NUL byte or more than CONFIG_TEXT_MAX bytes. */
bool config_secret_load(struct config *config, const char *environment, char *err, size_t size)
    __attribute__((warn_unused_result));

/* The password that goes before the URL's, borrowed until the configuration changes; "" when there
 * is none: take the URL's. */
const char *config_secret_password(const struct config *config);

#endif
