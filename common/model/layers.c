#include "model/layer.h"

const rd_layer_type *const rd_layer_types[] = {
    &rd_layer_dense,
    NULL,
};
