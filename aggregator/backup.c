/* backup.c: `rondo-aggregator backup`: a copy of a state directory, taken while its run goes on. */
#include "backup.h"

#include <stdio.h>

#include "core/options.h"
#include "store/store.h"

static rd_status copy(const char *state, const char *to, bool quiet, rd_error *err)
{
    rd_backup_report report;
    rd_status status = rd_store_backup(state, to, &report, err);
    if (status == RD_OK && !quiet)
        printf("%s: the run after round %llu, %.1f MB\n", to, (unsigned long long)report.round,
               (double)report.bytes / 1e6);
    return status;
}

rd_status rd_backup_command(int argc, char **argv, rd_error *err)
{
    bool quiet = false;
    const rd_option options[] = {
        {RD_OPTION_FLAG, "quiet", NULL, "print nothing but errors", &quiet, false, 0, 0},
        {RD_OPTION_END, NULL, NULL, NULL, NULL, false, 0, 0},
    };
    const rd_command command = {
        "rondo-aggregator backup", "STATE TO",
        "Copies the state directory STATE of a run, which may be going on, to the new directory TO. The copy "
        "is the run as it was after its last committed round, with all that is needed to continue it: "
        "`rondo-aggregator serve --state TO`.",
        options, "Exit codes: 0 copied, 1 failure (then there is no copy), 2 command line.\n"};
    const char *words[2];
    rd_operands operands = {words, 2, 2, "two directories, STATE and TO", 0};
    rd_parse_result parsed = rd_options_parse(&command, argc, argv, &operands, err);
    return parsed == RD_PARSE_RUN ? copy(words[0], words[1], quiet, err) : rd_parse_status(parsed);
}
