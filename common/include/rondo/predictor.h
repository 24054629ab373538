/* predictor.h: what a trained model says of new samples, in a program of one's own.
 *
 * `rondo-inspect export DIR --out model.safetensors` writes all that a predictor needs into one file: parameters, the
 * layers, and, of a model of tables, what the columns and classes mean.
 *
 * Letters: D numbers of a sample, Y numbers that the model puts out for it. One thread at a time may use a predictor;
 * threads that share none of them do not meet. Memory: 4 bytes a parameter, and the activations of at most 256
 * samples (32 MB where one sample does not need more). */
#ifndef RONDO_PREDICTOR_H
#define RONDO_PREDICTOR_H

#include <stddef.h>

#include "rondo/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rd_predictor rd_predictor;

/* Opens an exported model. RD_ERR_IO, RD_ERR_FORMAT: no such file, or not one that export wrote; err says why.
 * rd_predictor_close frees it. */
rd_status rd_predictor_open(const char *path, rd_predictor **out, rd_error *err) RONDO_MUST_CHECK;
void rd_predictor_close(rd_predictor *p); /* NULL: nothing */

size_t rd_predictor_inputs(const rd_predictor *p);  /* D */
size_t rd_predictor_outputs(const rd_predictor *p); /* Y */

/* Samples out of a table as text: a heading line and rows, separated by comma, semicolon, tab or bar, read through what
 * the columns meant in training: by their names, in any order, with its scales, categories and missing values. A label
 * may be missing. *x (rows, D) is the caller's to free(). RD_ERR_DATA names line, column and field; RD_ERR_STATE: the
 * model is not one of tables. */
rd_status rd_predictor_read_table(const rd_predictor *p, const char *text, size_t size, float **x, size_t *rows,
                                  rd_error *err) RONDO_MUST_CHECK;

/* y (rows, Y) of x (rows, D): logits of classes, or numbers in the units of the label. RD_ERR_DATA names the sample
 * that has a number which is not finite, or no token of the model's. */
rd_status rd_predictor_run(rd_predictor *p, const float *x, size_t rows, float *y, rd_error *err) RONDO_MUST_CHECK;

/* How many classes there are; 0: the outputs are no classes. */
size_t rd_predictor_classes(const rd_predictor *p);
/* The class that y stands for: the first of the Y outputs of a sample that is one prediction. */
size_t rd_predictor_class(const rd_predictor *p, const float *y);
/* Its name, at most size bytes with the final 0: the word in the table, or its number. */
void rd_predictor_class_name(const rd_predictor *p, size_t class_number, char *name, size_t size);

#ifdef __cplusplus
}
#endif

#endif
