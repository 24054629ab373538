/* data_check.c: do the data fit the model? Asked once, before the first batch, so that no pass has to. */
#include "train/local_round.h"

static rd_status check_labels(const rd_model *m, const rd_dataset *d, const char *whose, rd_error *err)
{
    size_t classes = rd_model_class_count(m), per_row = d->label_count;
    if (per_row != rd_model_predictions(m))
        return rd_fail(err, RD_ERR_DATA, "%s: a sample has %zu label%s, but the model makes %zu prediction%s of each",
                       whose, per_row, per_row == 1 ? "" : "s", rd_model_predictions(m),
                       rd_model_predictions(m) == 1 ? "" : "s");
    for (size_t i = 0; i < d->rows * per_row; i++)
        if (d->labels[i] < (per_row == 1 ? 0 : -1) || (d->labels[i] >= 0 && (size_t)d->labels[i] >= classes))
            return rd_fail(err, RD_ERR_DATA,
                           "%s: sample %zu (the first is 0) has class %d, but the model's %zu outputs stand for "
                           "classes 0 to %zu",
                           whose, i / per_row, (int)d->labels[i], rd_model_output_size(m), classes - 1);
    return RD_OK;
}

/* Where the model takes tokens, every number must be one of them. */
static rd_status check_tokens(const rd_model *m, const rd_dataset *d, const char *whose, rd_error *err)
{
    size_t vocabulary = rd_model_input(m)->vocabulary;
    if (!d->tokens)
        return rd_fail(err, RD_ERR_DATA, "%s: holds features, but layer '%s' takes tokens of %zu symbols", whose,
                       rd_model_layer_info(m, 0).name, vocabulary);
    for (size_t i = 0; i < d->rows * d->features; i++) {
        double token = d->x_u8 != NULL ? d->x_u8[i] : (double)d->x_f32[i];
        if (!(token >= 0 && token < (double)vocabulary) || token != (double)(size_t)token)
            return rd_fail(err, RD_ERR_DATA,
                           "%s: sample %zu (the first is 0) has token %g at position %zu, but layer '%s' "
                           "knows tokens 0 to %zu",
                           whose, i / d->features, token, i % d->features, rd_model_layer_info(m, 0).name,
                           vocabulary - 1);
    }
    return RD_OK;
}

rd_status rd_data_check_features(const rd_model *m, const rd_dataset *d, const char *whose, rd_error *err)
{
    if (d->rows == 0)
        return rd_fail(err, RD_ERR_DATA, "%s: holds no samples", whose);
    if (d->features != rd_model_input_size(m)) {
        char input[RD_SHAPE_TEXT_MAX], sample[RD_SHAPE_TEXT_MAX];
        rd_shape shape = {.rank = d->rank, .size = {d->shape[0], d->shape[1], d->shape[2]}};
        rd_shape_text(rd_model_input(m), input);
        rd_shape_text(&shape, sample);
        return rd_fail(err, RD_ERR_DATA, "%s: a sample has %zu features, %s, but the model's input is %s", whose,
                       d->features, sample, input);
    }
    if (rd_model_input(m)->vocabulary > 0) {
        rd_status status = check_tokens(m, d, whose, err);
        if (status != RD_OK)
            return status;
    } else if (d->tokens) {
        return rd_fail(err, RD_ERR_DATA, "%s: holds tokens, but layer '%s' takes features", whose,
                       rd_model_layer_info(m, 0).name);
    }
    return RD_OK;
}

rd_status rd_data_check(const rd_model *m, const rd_dataset *d, const char *whose, rd_error *err)
{
    rd_status status = rd_data_check_features(m, d, whose, err);
    if (status != RD_OK)
        return status;
    if (rd_model_loss(m) == RD_LOSS_INERTIA)
        return RD_OK;
    if (rd_model_classifies(m)) {
        if (d->labels == NULL)
            return rd_fail(err, RD_ERR_DATA,
                           "%s: holds real targets (regression), but the model's loss %s needs classes", whose,
                           rd_model_loss_name(m));
        return check_labels(m, d, whose, err);
    }
    if (d->targets == NULL)
        return rd_fail(err, RD_ERR_DATA, "%s: holds classes, but the model's loss %s needs real targets (regression)",
                       whose, rd_model_loss_name(m));
    if (d->target_count != rd_model_output_size(m))
        return rd_fail(err, RD_ERR_DATA, "%s: a sample has %zu targets, but the model's output is %zu", whose,
                       d->target_count, rd_model_output_size(m));
    return RD_OK;
}
