/* strategy.h: how the updates of a round become the next model (run.json "strategy"). A strategy is one file,
 * strategies/NAME.c: a table of what it asks for (keys, companions, what it refuses) and of functions for what it does
 * differently from fedavg, at the client and at the server. Everybody else goes through that table and knows no
 * strategy by name. All of it is pure: no file, no clock, no thread.
 *
 *   at a client     before       once a round: the correction that is subtracted from the gradient of every mini-batch
 *                   proximal     how strongly training is pulled to the model that came
 *                   after        once a round: what goes up beside the delta, and what the client keeps
 *   at the server   weigh        one update: its weight in the sum, and what it is multiplied with
 *                   combine      in place of the sum: all updates of a round at once
 *                   factor       the mean is multiplied with it
 *                   direct       from the mean delta to the direction of the step, with what the server keeps
 *                   (take)       what came up beside the deltas (companion.h)
 *   beside these    check        which training it refuses
 *                   buffering    whether its rounds are asynchronous, and how
 *                   least_updates  the fewest that a round needs
 *
 * The step itself is w += eta * direction for tensors that are trained and w += mean for statistics. A delta is
 * local - global: it points where the model is to go, so it is added. A function that is NULL does what fedavg does. */
#ifndef RONDO_ROUND_STRATEGY_H
#define RONDO_ROUND_STRATEGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"
#include "round/companion.h"

#define RD_STRATEGY_KEYS_MAX 4
#define RD_STRATEGIES_MAX 64

typedef struct rd_strategy_kind rd_strategy_kind;

/* run.json "strategy" */
typedef struct rd_strategy {
    const rd_strategy_kind *kind;
    double server_learning_rate;        /* eta */
    bool uniform;                       /* "weighting": "uniform": every update counts the same, not by its samples */
    double value[RD_STRATEGY_KEYS_MAX]; /* what its own keys come to, in the order of kind->keys */
} rd_strategy;

/* A key of run.json that a strategy knows beside "server_learning_rate" and "weighting". */
typedef struct rd_strategy_key {
    const char *name;
    double least, most;
    bool above; /* `least` itself is refused */
    bool whole; /* a whole number */
    bool required;
    double preset; /* where it is absent */
} rd_strategy_key;

/* What is collected of the updates that come, because the strategy must see more than their pieces. */
typedef enum rd_collect_kind {
    RD_COLLECTS_NOTHING, /* each goes piece by piece into the exact sum */
    RD_COLLECTS_EACH, /* each until it is whole, because its weight depends on all of it; then it goes into the sum */
    RD_COLLECTS_ALL,  /* all of a round until its end: cohort * n * 4 bytes */
} rd_collect_kind;

/* ---- what a strategy is told, and what it answers ---- */

/* What the rest of run.json says, as far as strategies care. */
typedef struct rd_strategy_setting {
    bool sgd;        /* training.optimizer */
    double momentum; /* training.momentum */
    double learning_rate;
    uint64_t epochs, batch_size;
    bool train_loss; /* evaluation.train_loss */
} rd_strategy_setting;

/* What is known of an update when it has come. */
typedef struct rd_update_facts {
    uint64_t samples;
    uint64_t steps;       /* of local training; 0: it does not say */
    double loss;          /* of the global model on the client's training rows; NaN: it was not measured */
    double learning_rate; /* that clients train with in this round */
    double momentum;      /* of the clients' SGD */
    uint64_t staleness;   /* rounds since the model that it was trained from */
    double norm, cosine;  /* of the delta, and with the server's own; 0 before all of it is known */
    double own_norm;      /* of the server's own delta */
    uint64_t most_weight; /* that its samples may count in this round; 0: as many as they are */
} rd_update_facts;

/* The update enters the sum as weight * (scale * update). */
typedef struct rd_contribution {
    uint32_t weight; /* 0: it counts nothing */
    double scale;    /* not negative, finite */
    double extra;    /* a number of the strategy's own, not negative: `factor` gets the mean, weighted as the updates */
} rd_contribution;

/* All updates of a round, in rising order of their clients' keys, which no order of arrival can change. */
typedef struct rd_collected_updates {
    const float *const *values; /* (count) of n finite floats each */
    const uint32_t *weights;    /* (count) */
    size_t count, n;
} rd_collected_updates;

/* A part of the vectors of a client, all within a tensor that travels and is trained. */
typedef struct rd_client_view {
    size_t count;
    const float *down[RD_COMPANIONS_MAX];
    float *kept[RD_COMPANIONS_MAX];
    /* after training: */
    const float *delta; /* local - global */
    float *up[RD_COMPANIONS_MAX];
    uint64_t steps;
    double learning_rate; /* of this round */
} rd_client_view;

/* Asynchronous rounds (round.h). */
typedef struct rd_buffering {
    uint64_t buffer_size, concurrency, most_staleness;
} rd_buffering;

/* ---- the table ---- */

struct rd_strategy_kind {
    const char *name;
    const rd_strategy_key keys[RD_STRATEGY_KEYS_MAX]; /* the first without a name ends them */
    const rd_companion companions[RD_COMPANIONS_MAX]; /* the first that is nowhere ends them */
    double server_learning_rate;                      /* its default; 0: 1 */
    bool uniform;                                     /* the default of "weighting" */
    bool weighted;      /* "weighting" is a key; else the default holds, as in the paper */
    bool server_trains; /* the server makes a delta of its own, on data.root */
    bool prunes;        /* pruned models are all right */
    bool counts;        /* and so are models that learn by counting */
    rd_collect_kind collects;
    struct {
        size_t among, each; /* f arbitrary updates are withstood among `among` + `each` * f; 0: no number is promised */
    } withstands;

    /* RD_ERR_CONFIG: not with such a configuration. */
    rd_status (*check)(const rd_strategy *s, const rd_strategy_setting *c, rd_error *err);
    /* Rounds are asynchronous, and how. */
    rd_buffering (*buffering)(const rd_strategy *s);

    /* The mu of a term mu/2 |w - w_global|^2 in the clients' loss. */
    double (*proximal)(const rd_strategy *s);
    /* Writes the gradient correction (v->count), on the scale of a mini-batch's mean gradient and to be subtracted:
     * each becomes gradient - correction, so scaffold's g - c_k + c has the correction c_k - c. Once a round, before
     * the first. */
    void (*before)(const rd_strategy *s, const rd_client_view *v, float *correction);
    /* Once a round, after the last mini-batch. What goes up of other tensors (statistics) is 0. */
    void (*after)(const rd_strategy *s, const rd_client_view *v);

    /* out begins as weight by samples or 1, scale 1. RD_ERR_RANGE, RD_ERR_DATA: it cannot use such an update, and why. */
    rd_status (*weigh)(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out, rd_error *err);
    /* With RD_COLLECTS_ALL: out (n). RD_ERR_RANGE: the updates are too few. */
    rd_status (*combine)(const rd_strategy *s, const rd_collected_updates *updates, float *out, rd_error *err);
    size_t (*least_updates)(const rd_strategy *s); /* NULL: as `withstands` says */
    double (*factor)(const rd_strategy *s, double mean_extra, double learning_rate);
    /* `count` elements of the mean delta become the direction of the step. companions: the same elements of what the
     * server keeps. */
    void (*direct)(const rd_strategy *s, double *mean, size_t count, float *const companions[RD_COMPANIONS_MAX]);
};

extern const rd_strategy_kind *const rd_strategy_kinds[];
extern const size_t rd_strategy_kind_count;

/* With its defaults. */
rd_strategy rd_strategy_of(const rd_strategy_kind *kind);
size_t rd_strategy_key_count(const rd_strategy_kind *kind);
/* What the key comes to; 0 where the strategy does not know it. */
double rd_strategy_value(const rd_strategy *s, const char *key);

/* ---- what everybody asks of it; s may be NULL where clients ask: as fedavg ---- */

double rd_strategy_proximal(const rd_strategy *s);
/* Does an update count by its samples? Else the same as any other, or what the strategy makes of it. */
bool rd_strategy_counts_samples(const rd_strategy *s);
/* The fewest updates that a round needs: robust rules withstand strategy.byzantine attackers only among so many. */
size_t rd_strategy_least_updates(const rd_strategy *s);
/* What it needs so many for: "NAME withstands strategy.byzantine 4". */
void rd_strategy_promise(const rd_strategy *s, char *text, size_t size);

/* RD_ERR_RANGE, RD_ERR_DATA: this strategy cannot use such an update, and why. Where the update's norm plays a part
 * and is not known yet, the result says nothing but that the rest will do. */
rd_status rd_strategy_weigh(const rd_strategy *s, const rd_update_facts *u, rd_contribution *out,
                            rd_error *err) RD_MUST_CHECK;
/* The sum is divided by the total weight and multiplied with this. */
double rd_strategy_factor(const rd_strategy *s, double mean_extra, double learning_rate);

/* Makes the server's step for `count` elements of trained tensors: mean is changed, and so are the companions.
 * Returns the sum of squares of the changes. */
double rd_server_step(const rd_strategy *s, double *mean, size_t count, float *parameters,
                      float *const companions[RD_COMPANIONS_MAX]);
/* Without a strategy: statistics, and parameters in scattered places. */
double rd_server_add(const double *mean, size_t count, float *parameters);

/* ---- for several strategies' `check` ---- */

/* RD_ERR_CONFIG: clients do not train with plain SGD, whose steps the strategy's arithmetic follows from. */
rd_status rd_strategy_needs_sgd(const rd_strategy *s, const rd_strategy_setting *c, bool momentum_too,
                                rd_error *err) RD_MUST_CHECK;
/* A step of plain SGD along mu (w - w0) leaves 1 - lr mu of the distance: from lr mu = 2 on, that is more than there
 * was, on the other side. RD_ERR_CONFIG then. key: where mu was said. */
rd_status rd_strategy_check_proximal(const char *key, double mu, const rd_strategy_setting *c,
                                     rd_error *err) RD_MUST_CHECK;

#endif
