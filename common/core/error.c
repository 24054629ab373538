/* error.c: see error.h. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/assert.h"

rd_status rd_fail(rd_error *err, rd_status status, const char *format, ...)
{
    va_list arguments;
    RD_ASSERT(err != NULL);
    va_start(arguments, format);
    err->status = status;
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return status;
}

rd_status rd_fail_context(rd_error *err, rd_status status, const char *format, ...)
{
    char before[RD_ERROR_MESSAGE_MAX];
    va_list arguments;
    RD_ASSERT(err != NULL);
    memcpy(before, err->message, sizeof before);
    va_start(arguments, format);
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    size_t used = strlen(err->message);
    (void)snprintf(err->message + used, sizeof err->message - used, ": %.*s", (int)sizeof before - 1, before);
    return rd_fail_as(err, status);
}

rd_status rd_fail_as(rd_error *err, rd_status status)
{
    RD_ASSERT(err != NULL);
    err->status = status;
    return status;
}

const char *rd_status_name(rd_status status)
{
    switch (status) {
    case RD_OK:
        return "ok";
    case RD_ERR_USAGE:
        return "usage";
    case RD_ERR_CONFIG:
        return "config";
    case RD_ERR_DATA:
        return "data";
    case RD_ERR_FORMAT:
        return "format";
    case RD_ERR_RANGE:
        return "range";
    case RD_ERR_IO:
        return "io";
    case RD_ERR_MEMORY:
        return "memory";
    case RD_ERR_STATE:
        return "state";
    case RD_ERR_NETWORK:
        return "network";
    case RD_ERR_REFUSED:
        return "refused";
    case RD_ERR_IDLE:
        return "idle";
    case RD_ERR_INTERNAL:
        return "internal";
    }
    return "unknown";
}
