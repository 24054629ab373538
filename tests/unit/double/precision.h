/* precision.h: put in front of every file of common/model by the compiler's -include, this turns its
 * arithmetic from float to double, so that gradients can be compared with finite differences to eight digits.
 * The headers whose functions really take floats come first. */
#ifndef RONDO_TESTS_DOUBLE_PRECISION_H
#define RONDO_TESTS_DOUBLE_PRECISION_H

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/random.h"
#include "model/blas.h"

#define float double
#define cblas_sgemm cblas_dgemm
#define cblas_saxpy cblas_daxpy
#define cblas_sdot cblas_ddot
#define expf exp
#define fabsf fabs

#endif
