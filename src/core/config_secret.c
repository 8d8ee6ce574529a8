/* Where larder's own password for L2 comes from; see config_secret.h. */
#include "core/config_secret.h"

#include "base/mem.h"
#include "core/config_file.h"
#include "core/config_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Takes `text` (copied). */
static void keep(struct config *config, struct bytes text)
{
    char *copy = mem_alloc(text.len + 1);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    explicit_bzero(config->upstream_secret, strlen(config->upstream_secret));
    mem_free(config->upstream_secret);
    config->upstream_secret = copy;
}

/* Drops one line break at the end. Returns NULL, or what is wrong. */
static const char *check(struct bytes *text)
{
    if (text->len > 0 && text->ptr[text->len - 1] == '\n')
        text->len--;
    if (text->len > 0 && text->ptr[text->len - 1] == '\r')
        text->len--;
    if (text->len == 0)
        return "it is empty";
    return memchr(text->ptr, '\0', text->len) != NULL ? "it holds a NUL byte" : NULL;
}

static void refuse(const struct config *config, const char *reason, char *err, size_t size)
{
    struct buf shown;
    buf_init(&shown);
    config_format_shown(bytes_of_str(config->upstream_password_file), &shown);
    snprintf(err, size, "upstream-password-file: can't use %.*s: %s", (int)shown.len, shown.data,
             reason);
    buf_deinit(&shown);
}

static bool load_file(struct config *config, char *err, size_t size)
{
    struct buf text;
    buf_init(&text);
    int fd = open(config->upstream_password_file, O_RDONLY | O_CLOEXEC);
    int status = fd < 0 ? -errno : config_file_read(fd, CONFIG_TEXT_MAX, &text);
    if (fd >= 0)
        close(fd);
    struct bytes secret = buf_bytes(&text);
    const char *reason = status < 0 ? strerror(-status) : check(&secret);
    if (reason == NULL)
        keep(config, secret);
    else
        refuse(config, reason, err, size);
    if (text.cap > 0)
        explicit_bzero(text.data, text.cap);
    buf_deinit(&text);
    return reason == NULL;
}

bool config_secret_load(struct config *config, const char *environment, char *err, size_t size)
{
    if (*config->upstream_password_file != '\0')
        return load_file(config, err, size);
    keep(config, bytes_of_str(environment != NULL ? environment : ""));
    return true;
}

const char *config_secret_password(const struct config *config)
{
    return *config->upstream_password != '\0' ? config->upstream_password : config->upstream_secret;
}
