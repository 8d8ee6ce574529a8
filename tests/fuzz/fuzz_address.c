/* Feeds arbitrary text to the parser of upstream addresses: what it accepts is complete and comes
 * out of address_format as something that it accepts again; what it refuses leaves nothing. */
#include "fuzz.h"

#include "base/mem.h"
#include "upstream/address.h"

#include <ctype.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static bool equal_texts(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_accepted(const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];
    char error[200];
    struct address again;
    CHECK((address->host == NULL) != (address->path == NULL));
    CHECK(address->host == NULL || (address->port >= 1 && address->port <= 65535));
    CHECK(address->username == NULL || address->username[0] != '\0');
    CHECK(address->password == NULL || address->password[0] != '\0');
    address_format(address, text, sizeof(text));
    CHECK(strlen(text) < sizeof(text) - 1);
    if (equal_texts(address->host, "unix"))
        return; /* with its port it reads like a socket's path */
    CHECK(address_parse(&again, text, error, sizeof(error)));
    CHECK(equal_texts(address->host, again.host) && equal_texts(address->path, again.path));
    CHECK(address->port == again.port);
    CHECK(again.username == NULL && again.password == NULL && again.db == 0);
    address_deinit(&again);
}

static void check_refused(const struct address *address, const char *error)
{
    CHECK(address->host == NULL && address->path == NULL);
    CHECK(address->username == NULL && address->password == NULL);
    CHECK(*error != '\0');
    for (; *error != '\0'; error++)
        CHECK(isprint((unsigned char)*error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    char *text = mem_alloc(n_bytes + 1); /* ends at its NUL, which may come early */
    char error[200] = "";
    struct address address;
    if (n_bytes > 0)
        memcpy(text, data, n_bytes);
    text[n_bytes] = '\0';
    if (address_parse(&address, text, error, sizeof(error))) {
        check_accepted(&address);
        address_deinit(&address);
    } else {
        check_refused(&address, error);
    }
    mem_free(text);
    return 0;
}
