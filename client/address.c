/* address.c: see address.h. */
#include "address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 254

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

/* What is wrong with ":8443" at the end, or NULL. */
static const char *check_port(const char *port)
{
    if (*port != ':')
        return "the port is missing";
    size_t digits = strspn(port + 1, "0123456789");
    if (port[1 + digits] == '/' || port[1 + digits] == '?' || port[1 + digits] == '#')
        return "nothing may stand behind the port";
    if (digits == 0 || digits > 5 || port[1 + digits] != '\0' || atoi(port + 1) < 1 || atoi(port + 1) > 65535)
        return "the port is not a number from 1 to 65535";
    return NULL;
}

static const char *check_host(const char *host)
{
    char address[HOST_MAX];
    struct in6_addr parsed;
    size_t length = *host == '[' ? strcspn(host, "]") : strspn(host, letters);
    if (*host == '[') {
        if (host[length] != ']' || length >= sizeof address)
            return "the bracket is not closed";
        memcpy(address, host + 1, length - 1);
        address[length - 1] = '\0';
        return inet_pton(AF_INET6, address, &parsed) == 1 ? check_port(host + length + 1)
                                                          : "there is no IPv6 address between the brackets";
    }
    const char *colon = strchr(host, ':');
    if (colon != NULL && strchr(colon + 1, ':') != NULL && strcspn(host, "/") == strlen(host))
        return "an IPv6 address needs brackets, as in https://[::1]:8443";
    if (length == 0 || length >= HOST_MAX)
        return "the host is missing";
    if (host[length] == '/')
        return "the port is missing, or something stands behind the host";
    if (host[length] != ':' && host[length] != '\0')
        return "a host has letters, digits, dots and dashes only";
    return check_port(host + length);
}

rd_status rd_address_check(const char *url, rd_error *err)
{
    const char *what = NULL;
    if (strncmp(url, "http://", 7) == 0)
        what = "it must be https";
    else if (strncmp(url, "https://", 8) != 0)
        what = "it must begin with https://";
    else if (strchr(url, '@') != NULL)
        what = "a user or pass word has no meaning here: the certificate says who a client is";
    else
        what = check_host(url + 8);
    if (what == NULL)
        return RD_OK;
    /* A pass word is not repeated. */
    return rd_fail(err, RD_ERR_USAGE, "--aggregator: expected https://HOST:PORT%s%s%s: %s",
                   strchr(url, '@') == NULL ? ", found '" : "", strchr(url, '@') == NULL ? url : "",
                   strchr(url, '@') == NULL ? "'" : "", what);
}

const char *rd_proxy_address(const char *option)
{
    return option != NULL && strcmp(option, "none") == 0 ? "" : option;
}
