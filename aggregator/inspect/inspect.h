/* inspect.h: the commands of rondo-inspect, one file each. A command takes its own command line (argv[0] is
 * the command's name) and returns how it went; main.c says so and chooses the exit code. */
#ifndef RONDO_INSPECT_INSPECT_H
#define RONDO_INSPECT_INSPECT_H

#include "core/error.h"
#include "core/options.h"

#define INSPECT_EXIT_CODES "Exit codes: 0 done, 1 it could not be done, 2 wrong command line."

rd_status inspect_rounds(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_compare(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_clients(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_model(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_plot(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_export(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_forgetting(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_predict(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_sample(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_audit(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_replay(int argc, char **argv, rd_error *err) RD_MUST_CHECK;
rd_status inspect_vocabulary(int argc, char **argv, rd_error *err) RD_MUST_CHECK;

/* ---- for the commands ---- */

/* Parses a command line with exactly one operand, which messages call `what` ("DIR, a state directory").
 * *operand stays NULL where --help was answered: then there is nothing left to do. */
rd_status inspect_parse(const rd_command *command, int argc, char **argv, const char *what, const char **operand,
                        rd_error *err) RD_MUST_CHECK;

/* RD_ERR_IO where not everything could be written to standard output. */
rd_status inspect_flush(rd_error *err) RD_MUST_CHECK;

#endif
