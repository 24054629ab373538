#include "rondo/version.h"

const char *rd_version(void)
{
    return RONDO_VERSION;
}
