/* toy_files.h: for the one file of a test program whose servers and clients show certificates: tls_files.h makes them before
 * its first test and removes them behind its last. */
#ifndef RONDO_TESTS_TOY_FILES_H
#define RONDO_TESTS_TOY_FILES_H

#include <criterion/hooks.h>

#include "toy_server.h"

ReportHook(PRE_ALL)(struct criterion_test_set *tests)
{
    (void)tests;
    curl_global_init(CURL_GLOBAL_ALL);
    if (tls_files_make() != 0)
        exit(1); /* where a failed assertion would leave Criterion waiting for ever */
}

ReportHook(POST_ALL)(struct criterion_global_stats *stats)
{
    (void)stats;
    tls_files_remove();
}

#endif
