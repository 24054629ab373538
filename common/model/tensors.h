/* tensors.h: tables of tensors that lie one behind the other in a vector of floats: what the codecs, model files and the
 * staging of uploads know of a model, of an update, or of what a server keeps.
 *
 * A table is a view: names, shapes and places, not the floats. */
#ifndef RONDO_MODEL_TENSORS_H
#define RONDO_MODEL_TENSORS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

#define RD_TENSOR_NAME_MAX 80
#define RD_TENSOR_MAX_RANK 4

typedef enum rd_tensor_role {
    RD_TENSOR_TRAINED,   /* has a gradient */
    RD_TENSOR_STATISTIC, /* follows the data, without a gradient: batch norm's running mean; it travels and is
                            averaged like a trained one */
    RD_TENSOR_FROZEN,    /* never changes and never travels */
} rd_tensor_role;

typedef struct rd_tensor {
    char name[RD_TENSOR_NAME_MAX];
    int rank;
    size_t shape[RD_TENSOR_MAX_RANK];
    size_t offset; /* of its first element in the vector */
    size_t count;  /* product of shape */
    rd_tensor_role role;
    bool local; /* every client trains and keeps its own: it never travels */
} rd_tensor;

typedef struct rd_tensor_table {
    const rd_tensor *tensors; /* (count) by rising offset, without gaps */
    size_t count;
    size_t first;    /* offset of the first one in the vector */
    size_t elements; /* of all of them */
} rd_tensor_table;

/* The tensors of `of`, and behind them the same again under each prefix + name: (1 + count) times as many elements.
 * RD_ERR_CONFIG: a name becomes too long. */
rd_status rd_tensor_table_repeat(rd_tensor_table of, const char *const *prefixes, size_t count, rd_tensor_table *out,
                                 rd_error *err) RD_MUST_CHECK;
/* Vectors with these names and sizes. */
rd_status rd_tensor_table_of_vectors(const char *const *names, const size_t *sizes, size_t count, rd_tensor_table *out,
                                     rd_error *err) RD_MUST_CHECK;
/* Of a table that one of these has made, or a zeroed one; a model's tables are the model's. */
void rd_tensor_table_free(rd_tensor_table *t);

#endif
