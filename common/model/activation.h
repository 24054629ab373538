/* activation.h: element-wise functions at the end of a layer. All of them have a derivative that follows from
 * the function's value, so nothing but y is kept for the backward pass. */
#ifndef RONDO_MODEL_ACTIVATION_H
#define RONDO_MODEL_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rd_activation {
    const char *name;
    bool rectifies; /* half of the signal is lost, for which He's initial weights make up */
    /* y (n) in place; NULL for the identity. NaN stays NaN, so that divergence is seen in the loss. */
    void (*forward)(float *y, size_t n);
    /* dy (n) *= f'(.), from y = f(.) */
    void (*backward)(const float *y, float *dy, size_t n);
} rd_activation;

extern const rd_activation rd_activations[];    /* in the order of rd_activation_names; the first is "none" */
extern const char *const rd_activation_names[]; /* ends with NULL */

#endif
