/* error.h: how Rondo reports failure, and what every public header needs.
 *
 * A function that can fail returns rd_status and takes an rd_error as its last argument. On failure the
 * error holds one sentence for the person who has to act on it: it names the file, option, key, tensor or
 * client concerned, what was found, and what was expected. On success the error is left untouched.
 * The status says what kind of failure it is, so that programs can act on it without reading the text.
 *
 * The error may be NULL: who wants no sentence passes none. */
#ifndef RONDO_ERROR_H
#define RONDO_ERROR_H

#if defined(__GNUC__)
#define RONDO_MUST_CHECK __attribute__((warn_unused_result))
#else
#define RONDO_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rd_status {
    RD_OK = 0,
    RD_ERR_USAGE,    /* a command line that cannot be obeyed */
    RD_ERR_CONFIG,   /* run.json: unknown key, wrong type, impossible value */
    RD_ERR_DATA,     /* a data file is missing, malformed, or does not fit the model */
    RD_ERR_FORMAT,   /* bytes that are not what their format demands (safetensors, JSON of the wire) */
    RD_ERR_RANGE,    /* a number outside what can be represented or is allowed (NaN, Inf, overflow) */
    RD_ERR_IO,       /* the operating system refused: open, read, write, disk full */
    RD_ERR_MEMORY,   /* an allocation failed */
    RD_ERR_STATE,    /* the call is right but not now: stale round, run finished, other run in directory */
    RD_ERR_NETWORK,  /* the other side cannot be reached or went away; trying again may help */
    RD_ERR_REFUSED,  /* the other side understood and said no; trying again will not help */
    RD_ERR_IDLE,     /* a run has ended whose last rounds aggregated nothing */
    RD_ERR_INTERNAL, /* a bug in Rondo */
} rd_status;

#define RD_ERROR_MESSAGE_MAX 512

typedef struct rd_error {
    rd_status status;
    char message[RD_ERROR_MESSAGE_MAX];
} rd_error;

/* "data", "io", ...: the status as one lower-case word, for logs and JSON. */
const char *rd_status_name(rd_status status);

#ifdef __cplusplus
}
#endif

#endif
