/* Scores of a test set: outputs made by hand, values by their definitions. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "mlp_reference.h"
#include "train/scores.h"

#define BIT(score) (1u << (score))

/* Outputs, two at a time where `pieces`, as threads would add them. */
static rd_scores scores_of(const rd_model *m, unsigned wanted, const float *y, const rd_dataset *d, bool pieces)
{
    rd_error err = {0};
    rd_scores out;
    double by_row[32];
    size_t O = rd_model_output_size(m), P = rd_model_predictions(m), samples = 0;
    rd_score_sums all = {.wanted = wanted, .by_row = rd_scores_need_rows(wanted) ? by_row : NULL};
    cr_assert_leq(d->rows, 32);
    for (size_t i = 0, step = pieces ? 2 : d->rows; i < d->rows; i += step) {
        size_t B = d->rows - i < step ? d->rows - i : step;
        rd_score_sums part = {.wanted = wanted, .by_row = all.by_row};
        const rd_predictions p = {.rows = B * P,
                                  .O = O,
                                  .y = y + i * P * O,
                                  .labels = d->labels != NULL ? d->labels + i * P : NULL,
                                  .targets = d->targets != NULL ? d->targets + i * O : NULL};
        cr_assert_eq(rd_score_add(&part, m, &p, i, &err), RD_OK, "%s", err.message);
        rd_score_merge(&all, &part);
    }
    for (size_t i = 0; i < d->rows * P; i++)
        samples += d->labels == NULL || d->labels[i] >= 0;
    cr_assert_eq(rd_score_finish(&all, d, samples, &out, &err), RD_OK);
    return out;
}

static rd_dataset labelled(int32_t *labels, size_t rows, size_t per_row)
{
    return (rd_dataset){.rows = rows, .labels = labels, .label_count = per_row};
}

/* Pairs of a 1 and a 0: 1.5 beats all three; 0.5 twice: beats two and ties one each: (3 + 2.5 + 2.5) / 9.
 * Said to be 1 (output above 0): five, of which three are. */
Test(scores, auc_counts_ties_half_and_f1_the_mistakes)
{
    float y[] = {0.5f, 1.5f, 0.5f, 0.5f, 0.25f, -1.0f};
    int32_t labels[] = {1, 1, 1, 0, 0, 0}, ones[] = {1, 1, 1, 1, 1, 1}, zeros[6] = {0};
    unsigned both = BIT(RD_SCORE_AUC) | BIT(RD_SCORE_F1);
    rd_model *m = model_from_text("{\"input\": 1, \"loss\": \"binary_cross_entropy\", \"layers\": "
                                  "[{\"type\": \"dense\", \"units\": 1}]}");
    rd_dataset d = labelled(labels, 6, 1);
    for (int pieces = 0; pieces < 2; pieces++) {
        rd_scores s = scores_of(m, both, y, &d, pieces);
        cr_assert_eq(s.value[RD_SCORE_AUC], 8.0 / 9);
        cr_assert_eq(s.value[RD_SCORE_F1], 2 * 3 / (2 * 3 + 2 + 0.0));
        cr_assert(isnan(s.value[RD_SCORE_PERPLEXITY]), "not asked for");
    }
    d.labels = ones;
    cr_assert(isnan(scores_of(m, both, y, &d, false).value[RD_SCORE_AUC]), "one class has no AUC");
    d.labels = zeros;
    cr_assert_eq(scores_of(m, both, y, &d, false).value[RD_SCORE_F1], 0, "two said, none right");
    float low[6] = {-1, -1, -1, -1, -1, -1};
    cr_assert(isnan(scores_of(m, both, low, &d, false).value[RD_SCORE_F1]), "0 / 0");
    rd_model_free(m);
}

Test(scores, two_outputs_rank_by_their_difference)
{
    float y[] = {5, 6, /* 1 */ 0, 2, /* 2 */ 3, 3, /* 0 */ 9, 8 /* -1 */};
    int32_t labels[] = {1, 0, 1, 0};
    rd_model *m = model_from_text("{\"preset\": \"softmax-regression\", \"input\": 1, \"classes\": 2}");
    rd_dataset d = labelled(labels, 4, 1);
    rd_scores s = scores_of(m, BIT(RD_SCORE_AUC) | BIT(RD_SCORE_F1), y, &d, true);
    cr_assert_eq(s.value[RD_SCORE_AUC], 2 / 4.0); /* 1 > -1, 1 < 2, 0 > -1, 0 < 2 */
    cr_assert_eq(s.value[RD_SCORE_F1], 2 * 1 / (2 * 1 + 1 + 1.0));
    rd_model_free(m);
}

/* The label's place among 12 outputs 11, 10, ... 0 is 11 minus its output; equal ones come in their order. */
Test(scores, top_k_counts_labels_among_the_k_largest)
{
    float y[4 * 12];
    int32_t labels[] = {0, 2, 9, 11};
    rd_model *m = model_from_text("{\"preset\": \"softmax-regression\", \"input\": 1, \"classes\": 12}");
    rd_dataset d = labelled(labels, 4, 1);
    unsigned tops = BIT(RD_SCORE_TOP10 + 1) - 1;
    for (size_t i = 0; i < 4 * 12; i++)
        y[i] = (float)(11 - i % 12);
    rd_scores s = scores_of(m, tops, y, &d, true);
    const double expected[] = {0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.75};
    for (size_t k = 0; k < 9; k++)
        cr_assert_eq(s.value[RD_SCORE_TOP2 + k], expected[k], "top%zu", k + 2);
    memset(y, 0, sizeof y);
    s = scores_of(m, tops, y, &d, false);
    cr_assert_eq(s.value[RD_SCORE_TOP2], 0.25, "of equal outputs the first two");
    cr_assert_eq(s.value[RD_SCORE_TOP2 + 1], 0.5);
    rd_model_free(m);
}

/* All symbols are equally likely: e^log(5), whatever the smoothing; what is not to be predicted does not
 * count. */
Test(scores, perplexity_of_a_model_that_knows_nothing_is_the_number_of_symbols)
{
    static const char *const text =
        "{\"input\": {\"tokens\": 3, \"vocabulary\": 5}, \"loss\": {\"type\": \"softmax_cross_entropy\", "
        "\"label_smoothing\": 0.1}, \"layers\": [{\"type\": \"embedding\", \"units\": 4}, {\"type\": "
        "\"dense\", "
        "\"units\": 5}]}";
    float y[2 * 3 * 5] = {0};
    int32_t labels[] = {0, -1, 4, -1, -1, 2};
    rd_model *m = model_from_text(text);
    rd_dataset d = labelled(labels, 2, 3);
    cr_assert_eq(rd_model_predictions(m), 3);
    cr_assert_float_eq(scores_of(m, BIT(RD_SCORE_PERPLEXITY), y, &d, false).value[RD_SCORE_PERPLEXITY], 5, 1e-9);
    y[0] = logf(4), y[2 * 5 + 4] = logf(4), y[5 * 5 + 2] = logf(4); /* each label: 4 in 8 */
    cr_assert_float_eq(scores_of(m, BIT(RD_SCORE_PERPLEXITY), y, &d, true).value[RD_SCORE_PERPLEXITY], 2, 1e-6);
    y[5] = 9; /* not looked at */
    rd_scores s = scores_of(m, BIT(RD_SCORE_PERPLEXITY) | BIT(RD_SCORE_TOP2), y, &d, true);
    cr_assert_float_eq(s.value[RD_SCORE_PERPLEXITY], 2, 1e-6);
    cr_assert_eq(s.value[RD_SCORE_TOP2], 1);
    rd_model_free(m);
}

/* Errors 1, -1, 2, 0 and 3e6, 0, 0, 0 against targets with the means 2.5 and 1.5e6. */
Test(scores, rmse_and_r2_over_rows_and_targets)
{
    float targets[] = {1, 0, 2, 1e6f, 3, 2e6f, 4, 3e6f}, y[] = {2, 3e6f, 1, 1e6f, 5, 2e6f, 4, 3e6f};
    rd_model *m = model_from_text("{\"input\": 1, \"loss\": \"mae\", \"layers\": [{\"type\": \"dense\", "
                                  "\"units\": 2}]}");
    rd_dataset d = {.rows = 4, .targets = targets, .target_count = 2};
    unsigned both = BIT(RD_SCORE_RMSE) | BIT(RD_SCORE_R2);
    double squares = 1 + 1 + 4 + 9e12, total = 2.25 + 0.25 + 0.25 + 2.25 + 5e12;
    for (int pieces = 0; pieces < 2; pieces++) {
        rd_scores s = scores_of(m, both, y, &d, pieces);
        cr_assert_float_eq(s.value[RD_SCORE_RMSE], sqrt(squares / 8), 1e-6);
        cr_assert_float_eq(s.value[RD_SCORE_R2], 1 - squares / total, 1e-12);
    }
    for (size_t i = 0; i < 8; i++)
        targets[i] = 7;
    cr_assert(isnan(scores_of(m, both, y, &d, false).value[RD_SCORE_R2]), "nothing varies");
    rd_model_free(m);
}

Test(scores, what_a_model_cannot_have_is_refused)
{
    rd_error err;
    rd_model *three = model_from_text("{\"preset\": \"softmax-regression\", \"input\": 1, \"classes\": 3}");
    rd_model *real = model_from_text("{\"preset\": \"linear-regression\", \"input\": 1}");
    for (int i = 0; i < RD_SCORES; i++) {
        bool suits_three = i == RD_SCORE_TOP2 || i == RD_SCORE_PERPLEXITY;
        bool suits_real = i == RD_SCORE_RMSE || i == RD_SCORE_R2;
        cr_assert_eq(rd_score_check((rd_score)i, three, &err), suits_three ? RD_OK : RD_ERR_CONFIG, "%s",
                     rd_score_names[i]);
        cr_assert(suits_three || (strstr(err.message, rd_score_names[i]) != NULL &&
                                  strstr(err.message, "softmax_cross_entropy") != NULL),
                  "%s", err.message);
        cr_assert_eq(rd_score_check((rd_score)i, real, &err), suits_real ? RD_OK : RD_ERR_CONFIG, "%s",
                     rd_score_names[i]);
    }
    rd_model_free(three);
    rd_model_free(real);
}
