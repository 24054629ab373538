/* An allow list: every name that was read is found again, in order, and none has what a line cannot hold. */
#include <string.h>

#include "allow.h"
#include "memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_allow list;
    rd_error err;
    char path[64];
    int fd = memory_file(bytes, count, path);
    rd_status status = rd_allow_load(path, &list, &err);
    close(fd);
    if (status != RD_OK)
        return list.count == 0 && list.names == NULL && list.text == NULL ? 0 : (abort(), 0);
    for (size_t i = 0; i < list.count; i++) {
        const char *name = list.names[i];
        if (name[0] == '\0' || strpbrk(name, "\r\n") != NULL || !rd_allow_has(&list, name) ||
            (i > 0 && strcmp(list.names[i - 1], name) > 0))
            abort();
    }
    rd_allow_free(&list);
    return 0;
}
