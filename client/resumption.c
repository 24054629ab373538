/* resumption.c: see resumption.h. libcurl 7.88 turns session tickets off for TLS 1.2 and has no option that turns them on.
 * But it shows the context of its TLS library to a callback. That is OpenSSL's own, and we are not linked with it, so the one
 * function is looked up where libcurl has it from; the number is part of OpenSSL 3's binary interface. */
#include "resumption.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#define SESSION_TICKETS_OFF (UINT64_C(1) << 14) /* SSL_OP_NO_TICKET */

typedef uint64_t change_options(void *context, uint64_t options);

static CURLcode on_context(CURL *curl, void *context, void *user)
{
    (void)curl, (void)user;
    change_options *clear = NULL;
    void *found = dlsym(RTLD_DEFAULT, "SSL_CTX_clear_options");
    memcpy(&clear, &found, sizeof clear); /* ISO C has no conversion between the two */
    if (clear != NULL)
        (void)clear(context, SESSION_TICKETS_OFF);
    return CURLE_OK;
}

void rd_resumption_allow(CURL *curl)
{
    static const char ours[] = "OpenSSL/3.";
    const char *library = curl_version_info(CURLVERSION_NOW)->ssl_version;
    if (library != NULL && strncmp(library, ours, sizeof ours - 1) == 0)
        (void)curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, on_context);
}
