/* blas.h: cblas.h without the letter I, which it takes from complex.h and which shapes need. */
#ifndef RONDO_MODEL_BLAS_H
#define RONDO_MODEL_BLAS_H

#include <cblas.h>
#undef I

#endif
