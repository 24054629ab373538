/* attack.h: what simulated attackers do (run.json "simulation.attack"). They train on their own data as everybody
 * does, and then send something else; or they train on something else.
 *
 *   sign_flip          delta <- -scale delta
 *   gaussian           delta <- N(0, deviation^2)
 *   little_is_enough   mean - z deviation of the attackers' own honest deltas, the same for all (Baruch et al. 2019)
 *   inner_product      -epsilon times that mean (Xie et al. 2020)
 *   label_flip         samples of class y are trained on as class C - 1 - y
 *   backdoor           a share of the samples carries a trigger and the label `target`; delta <- scale delta
 *                      (Bagdasaryan et al. 2020) */
#ifndef RONDO_SIMULATIONS_ATTACK_H
#define RONDO_SIMULATIONS_ATTACK_H

#include "config/simulation_section.h"
#include "data/dataset.h"
#include "model/model.h"

/* RD_ERR_CONFIG: the attack makes no sense for this model. */
rd_status rd_attack_check(const rd_attack_config *a, const rd_model *m, rd_error *err) RD_MUST_CHECK;
/* RD_ERR_CONFIG: a fraction above 0 of so many clients is none of them. */
rd_status rd_attack_check_fraction(const rd_attack_config *a, size_t clients, rd_error *err) RD_MUST_CHECK;
/* round(fraction * clients) of the clients are attackers: those that a permutation of their numbers, drawn from the
 * seed, puts first. Needs no memory. */
bool rd_attack_is_attacker(const rd_attack_config *a, uint64_t seed, size_t client, size_t clients);
/* sign_flip, gaussian, backdoor; the others leave the delta (n) alone. */
void rd_attack_change(const rd_attack_config *a, uint64_t seed, uint64_t round, uint64_t client_key, float *delta,
                      size_t n);
/* little_is_enough and inner_product: out (n) from the attackers' honest deltas rows (attackers); cohort: clients of
 * the round. */
bool rd_attack_colludes(const rd_attack_config *a);
void rd_attack_craft(const rd_attack_config *a, const float *const *rows, size_t attackers, size_t cohort, size_t n,
                     float *out);
/* z_max of Baruch et al. 2019: the largest deviation that enough honest clients exceed. */
double rd_attack_z(size_t cohort, size_t attackers);

/* label_flip and backdoor: what an attacker trains on. */
bool rd_attack_poisons(const rd_attack_config *a);
typedef struct rd_poison {
    const rd_attack_config *attack;
    const rd_model *model;
    uint64_t state; /* of a stream: set to anything that depends on client and round */
} rd_poison;
/* As rd_local_task.poison, with an rd_poison. */
void rd_attack_poison(void *poison, float *x, int32_t *labels, size_t B);
/* A copy of a test set in which every sample that is not of the target class carries the trigger, and all are labelled
 * as the target: its accuracy is the backdoor's success. */
rd_status rd_attack_stamp(const rd_attack_config *a, const rd_model *m, const rd_dataset *test, rd_dataset *out,
                          rd_error *err) RD_MUST_CHECK;

#endif
