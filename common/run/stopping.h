/* stopping.h: when a run ends before its last round: the test set's accuracy has reached its target, or a
 * metric has not become better for a while (Prechelt 1998), or round after round was abandoned. It is told every record in order, those of an
 * earlier process too, so a run that was killed decides as if it had not been. */
#ifndef RONDO_RUN_STOPPING_H
#define RONDO_RUN_STOPPING_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "store/store.h"

typedef struct rd_stopping {
    uint64_t version;        /* of the model after the last record */
    uint64_t changed;        /* the last round that aggregated something; 0: none has */
    uint64_t best_version;   /* of the model with the best value */
    double best;             /* NaN: none yet */
    uint64_t measured;       /* version of the last model that was; UINT64_MAX: none */
    uint64_t waited;         /* models measured since the best */
    double accuracy;         /* the best on the test set, NaN: none; for evaluation.target_accuracy ... */
    uint64_t accuracy_round; /* ... and the first round that had it */
    uint64_t abandoned;      /* rounds in a row, up to the last */
    bool reached, over;      /* the target accuracy is reached; the run is to end */
    bool given_up;           /* for too many abandoned rounds (cohort.max_abandoned) */
} rd_stopping;

#define RD_STOPPING_START ((rd_stopping){.best = NAN, .measured = UINT64_MAX, .accuracy = NAN})

void rd_stopping_tell(rd_stopping *s, const rd_config *c, const rd_round_record *record);
/* Does each record have to be known before the next round may open? One of an abandoned round always has to. */
bool rd_stopping_decides(const rd_config *c);
/* "accuracy 0.9012 has reached the target of 0.9" or "stopped early after round 31: hold-out loss has not
 * improved since round 26", where models are retained with "; its model is models/000026.safetensors". Of a run
 * that ends otherwise "target_accuracy 0.97 was not reached: best 0.9512 in round 17", or nothing. */
void rd_stopping_reason(const rd_stopping *s, const rd_config *c, const rd_round_record *last, bool retained,
                        char *text, size_t size);

#endif
