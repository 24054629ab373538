/* activation.h: element-wise functions at the end of a layer. */
#ifndef RONDO_MODEL_ACTIVATION_H
#define RONDO_MODEL_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

typedef struct rd_activation {
    const char *name;
    bool rectifies;   /* half of the signal is lost, for which He's initial weights make up */
    bool saves_input; /* the derivative needs x; otherwise it follows from y, and x need not be saved */
    /* x (n) -> y (n), which may be the same; NULL for the identity. NaN stays NaN, so that divergence is seen
     * in the loss. */
    void (*forward)(const float *x, float *y, size_t n);
    /* dy (n) *= f'(.), from saved = x or y as saves_input says */
    void (*backward)(const float *saved, float *dy, size_t n);
} rd_activation;

enum { RD_ACTIVATION_GELU = 5 };                /* places of those that layers use inside */
extern const rd_activation rd_activations[];    /* in the order of rd_activation_names; the first is "none" */
extern const char *const rd_activation_names[]; /* ends with NULL */

#endif
