/* synthetic.h: data that are made up, with clients that differ as much as one likes: synthetic(alpha, beta)
 * of Li et al. 2020 (FedProx, section 5.1), after Shamir et al. 2014. Client k has 60 features and 10
 * classes:
 *
 *   y = argmax(W_k x + b_k),  W_k, b_k ~ N(u_k, 1),  u_k ~ N(0, alpha^2)   alpha: how much the models differ
 *   x ~ N(v_k, diag(j^-1.2)), v_k ~ N(B_k, 1),       B_k ~ N(0, beta^2)    beta: how much the data differ
 *
 * and 50 + exp(N(4, 2^2)) samples. iid: one W and b ~ N(0, 1) for all, and v = 0. The owners are the data's
 * groups. */
#ifndef RONDO_DATA_SYNTHETIC_H
#define RONDO_DATA_SYNTHETIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "data/dataset.h"

enum {
    RD_SYNTHETIC_FEATURES = 60,
    RD_SYNTHETIC_CLASSES = 10,
    RD_SYNTHETIC_MOST = 1000000 /* samples a client */
};

typedef enum rd_synthetic_part { RD_SYNTHETIC_ALL, RD_SYNTHETIC_TRAIN, RD_SYNTHETIC_TEST } rd_synthetic_part;

typedef struct rd_synthetic {
    double alpha, beta;
    uint64_t clients, seed;
    bool iid;
    rd_synthetic_part part; /* of each client's samples: the first 9 of every 10, every tenth, or all */
} rd_synthetic;

rd_status rd_synthetic_make(const rd_synthetic *s, rd_dataset *out, rd_error *err) RD_MUST_CHECK;

#endif
