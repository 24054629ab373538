/* log.h: lines for whoever runs the aggregator. Nobody who has something to say waits for a reader: while what the log is
 * written to takes no more (a pipe whose reader stands still, a terminal that was stopped), lines are kept, up to
 * RD_LOG_MOST_BYTES, then counted; a thread writes them when it goes on. Any thread may write. */
#ifndef RONDO_AGGREGATOR_LOG_H
#define RONDO_AGGREGATOR_LOG_H

#include <stdbool.h>

#include "core/error.h"

#define RD_LOG_LINE_MAX 1024           /* bytes; what is longer is cut */
#define RD_LOG_MOST_BYTES (256u << 10) /* of lines that wait */
/* Warnings come from the network, whose members may make any number of them: of one kind (alike but for digits) so many
 * are written in so many seconds, and the others counted. */
#define RD_LOG_ALIKE 50
#define RD_LOG_ALIKE_SECONDS 10

typedef enum rd_log_level { RD_LOG_ERROR, RD_LOG_WARNING, RD_LOG_INFO } rd_log_level;
/* "error", "warning", "info", NULL */
extern const char *const rd_log_level_names[];

typedef struct rd_log_options {
    int fd;             /* stays the caller's */
    rd_log_level level; /* lines beyond it are left out */
    bool times;         /* each line begins with the time, "2026-11-26T15:04:05.123Z " */
} rd_log_options;

typedef struct rd_log rd_log;
rd_status rd_log_open(const rd_log_options *options, rd_log **out, rd_error *err) RD_MUST_CHECK;
void rd_log_write(rd_log *l, rd_log_level level, const char *text);
/* Writes what waits, for a second at most. */
void rd_log_close(rd_log *l);

#endif
