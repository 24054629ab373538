/* descriptors.c: see descriptors.h. */
#include "descriptors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

rd_status rd_descriptors_reserve(uint64_t *connections, char *note, size_t size, rd_error *err)
{
    struct rlimit limit;
    note[0] = '\0';
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return rd_fail(err, RD_ERR_IO, "limit of open files: %s", strerror(errno));
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    const uint64_t all = limit.rlim_cur;
    const uint64_t room = all > RD_DESCRIPTORS_BESIDE ? all - RD_DESCRIPTORS_BESIDE : 1;
    if (*connections > room)
        return rd_fail(err, RD_ERR_USAGE,
                       "--max-connections %llu: this process may have %llu files open, of which it needs %d beside the "
                       "connections; raise the limit (ulimit -Hn, LimitNOFILE=) or ask for at most %llu",
                       (unsigned long long)*connections, (unsigned long long)all, RD_DESCRIPTORS_BESIDE,
                       (unsigned long long)room);
    if (*connections != 0)
        return RD_OK;
    *connections = room < RD_CONNECTIONS_DEFAULT ? room : RD_CONNECTIONS_DEFAULT;
    if (room < RD_CONNECTIONS_DEFAULT)
        (void)snprintf(note, size,
                       "at most %llu connections, not %d: this process may have %llu files open (ulimit -Hn, "
                       "LimitNOFILE=)",
                       (unsigned long long)room, RD_CONNECTIONS_DEFAULT, (unsigned long long)all);
    return RD_OK;
}
