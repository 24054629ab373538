/* packing.h: the parameters that are left of a pruned model, without the zeros in between.
 *
 * Pruning sets the smallest weights to zero, for good (magnitude pruning, Han et al. 2015; by a schedule, Zhu
 * and Gupta 2017). From then on only the others are trained, summed and sent: as one tensor "kept" (K), in
 * the order of the parameter vector. A model that is fetched has a second one, "mask", which says where they
 * belong: bit b of number j (a whole number below 2^16 as a float) is set where parameter 16 j + b remains.
 */
#ifndef RONDO_MODEL_PACKING_H
#define RONDO_MODEL_PACKING_H

#include "model/model.h"

#define RD_PRUNING_TARGETS 8

/* run.json "pruning" */
typedef struct rd_pruning {
    double sparsity;   /* share of the targets' weights that are zero in the end; 0: no pruning */
    uint64_t from, to; /* rounds: after round r of them the share is sparsity (1 - (1 - (r - from + 1) / (to -
                          from + 1))^3) */
    char targets[RD_PRUNING_TARGETS][RD_TENSOR_NAME_MAX]; /* names of tensors, with * and ? */
    size_t target_count;
} rd_pruning;

/* Share of zeros after this round. */
double rd_pruning_level(const rd_pruning *p, uint64_t round);
/* Does it change the model of this round? */
bool rd_pruning_is_due(const rd_pruning *p, uint64_t round);
/* Has the model of this version been pruned? */
bool rd_pruning_has_begun(const rd_pruning *p, uint64_t version);
/* Sets the smallest of the targets' weights, by magnitude and then by place, to zero until this share of them
 * is. */
rd_status rd_pruning_apply(const rd_pruning *p, const rd_model *m, uint64_t round, float *parameters,
                           rd_error *err) RD_MUST_CHECK;

typedef struct rd_packing {
    size_t all, remaining;    /* n, of what travels, and K */
    uint32_t *index;          /* (K) places in the vector, rising */
    uint8_t *mask;            /* (n) 1: remains */
    rd_tensor_table update;   /* what an update holds, for the codecs: "kept" (K) */
    rd_tensor_table download; /* what a fetched model holds: "kept" (K), "mask" (ceil(n / 16)) */
} rd_packing;

/* Leaves everything but the targets' zeros. */
rd_status rd_packing_create(const rd_pruning *p, const rd_model *m, const float *parameters, rd_packing **out,
                            rd_error *err) RD_MUST_CHECK;
void rd_packing_free(rd_packing *p);
/* values (n) -> values (K), in place */
void rd_packing_pack(const rd_packing *p, float *values);

/* What a fetched model with K of n parameters holds; the caller frees it. */
rd_status rd_packing_table(size_t remaining, size_t all, rd_tensor_table *out, rd_error *err) RD_MUST_CHECK;
/* parameters (n) -> body (K + ceil(n / 16)) */
void rd_packing_write(const rd_packing *p, const float *parameters, float *body);
/* The other way. RD_ERR_FORMAT: the mask does not have K bits. */
rd_status rd_packing_read(const float *body, size_t remaining, size_t all, float *parameters, rd_packing **out,
                          rd_error *err) RD_MUST_CHECK;

#endif
