/* dataset.h: samples in memory, whatever file they came from.
 *
 * A dataset is N rows of D features with one label (classification) or T targets (regression) each. Images
 * stay bytes until a batch is gathered: Fashion-MNIST takes 47 MB instead of 188. Datasets are read-only
 * once loaded, so threads share them; a client's share is a list of row numbers (rd_rows). */
#ifndef RONDO_DATA_DATASET_H
#define RONDO_DATA_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto.h"
#include "core/error.h"

typedef struct rd_dataset {
    size_t rows;     /* N */
    size_t features; /* D, the product of shape[] */
    int rank;        /* dimensions of one sample, 1 to 3 */
    size_t shape[3]; /* images: {28, 28}; tables: {D} */

    /* Exactly one of the two holds the features, (N,D) row-major. */
    float *x_f32;
    uint8_t *x_u8; /* a byte b stands for the feature b / 255, or for token b */
    bool tokens;   /* the D numbers of a row are tokens, symbols of a text by their number */

    /* Exactly one of the two holds what is to be predicted. */
    int32_t *labels;     /* (N, label_count) classes in [0, classes); -1 where nothing is to be predicted */
    size_t label_count;  /* of a row: 1, or one for every position of a sequence; 0 for regression */
    float *targets;      /* (N,T) */
    size_t classes;      /* 1 + the largest label, or as the file declares; 0 for regression */
    size_t target_count; /* T; 0 for classification */

    /* Natural owners of the rows (LEAF users, values of a CSV column); NULL where the file knows none. */
    int32_t *group;     /* (N) index into group_names */
    char **group_names; /* (group_count) */
    size_t group_count;

    size_t left_out; /* rows of the file that are not among the N, because values are missing */
    char *note;      /* for people: what was read and what was guessed; NULL: nothing to say */
    char *schema;    /* JSON: the features were made through this settled schema; NULL: unknown, or not of a table */
} rd_dataset;

/* Some rows of a dataset, in the order in which their owner keeps them. index NULL stands for rows
 * 0..count-1. */
typedef struct rd_rows {
    const uint32_t *index;
    size_t count;
} rd_rows;

rd_rows rd_dataset_all_rows(const rd_dataset *d);

/* Rows and the dataset that they are of. */
typedef struct rd_row_set {
    const rd_dataset *data;
    rd_rows rows;
} rd_row_set;
rd_row_set rd_dataset_all(const rd_dataset *d);

/* Copies the features of rows pick[0..B) of view into x (B,D) as float32, and their labels (B, label_count)
 * or targets (B,T) into whichever of y_class / y_real is not NULL and is there. pick[i] < view.count. */
void rd_dataset_gather(const rd_dataset *d, rd_rows view, const uint32_t *pick, size_t B, float *x, int32_t *y_class,
                       float *y_real);

/* How many labels of rows pick[0..B) of view say what is to be predicted; B where a row has one, or targets.
 */
size_t rd_dataset_count_labels(const rd_dataset *d, rd_rows view, const uint32_t *pick, size_t B);

/* SHA-256 of all samples and labels in their order, whatever file they came from. */
void rd_dataset_sha256(const rd_dataset *d, char hex[RD_SHA256_HEX]);

/* A quick checksum of the same and of the groups, for sets too large to be digested at every start (2 GB/s). */
uint32_t rd_dataset_crc32(const rd_dataset *d);

/* Frees everything inside; the struct itself is the caller's. A zeroed struct is an empty dataset. */
void rd_dataset_free(rd_dataset *d);

#endif
