/* preset.c: models that have a name. A preset is the "layers" form with some numbers left open; the keys that
 * fill them in stand beside "preset". To add one, add an entry to the table. */
#include <string.h>

#include "model/json_key.h"
#include "model/plan.h"

#define JSON_TEXT(...) #__VA_ARGS__

typedef struct preset {
    const char *name;
    const char *const *keys; /* that must stand beside "preset"; ends with NULL */
    const char *units_key;   /* the one of them that gives the last layer's units; NULL: none does */
    const char *layout;
} preset;

static const char *const no_keys[] = {NULL};
static const char *const input_key[] = {"input", NULL};
static const char *const input_and_classes_keys[] = {"input", "classes", NULL};

/* clang-format off */
static const preset presets[] = {
    /* the 2NN of McMahan et al. 2017, section 3 */
    {"mnist-2nn", no_keys, NULL, JSON_TEXT(
        {"input": 784, "loss": "softmax_cross_entropy",
         "layers": [{"type": "dense", "units": 200, "activation": "relu"},
                    {"type": "dense", "units": 200, "activation": "relu"},
                    {"type": "dense", "units": 10}]})},
    /* the CNN of the same section: 1,663,370 parameters, for which the convolutions must keep the image's size */
    {"mnist-cnn", no_keys, NULL, JSON_TEXT(
        {"input": [1, 28, 28], "loss": "softmax_cross_entropy",
         "layers": [{"type": "conv2d", "channels": 32, "kernel": 5, "padding": 2, "activation": "relu"},
                    {"type": "max_pool", "kernel": 2},
                    {"type": "conv2d", "channels": 64, "kernel": 5, "padding": 2, "activation": "relu"},
                    {"type": "max_pool", "kernel": 2},
                    {"type": "flatten"},
                    {"type": "dense", "units": 512, "activation": "relu"},
                    {"type": "dense", "units": 10}]})},
    /* LeCun et al. 1998, with dense feature maps and a softmax: 61,706 parameters */
    {"lenet-5", no_keys, NULL, JSON_TEXT(
        {"input": [1, 28, 28], "loss": "softmax_cross_entropy",
         "layers": [{"type": "conv2d", "channels": 6, "kernel": 5, "padding": 2, "activation": "tanh"},
                    {"type": "average_pool", "kernel": 2},
                    {"type": "conv2d", "channels": 16, "kernel": 5, "activation": "tanh"},
                    {"type": "average_pool", "kernel": 2},
                    {"type": "flatten"},
                    {"type": "dense", "units": 120, "activation": "tanh"},
                    {"type": "dense", "units": 84, "activation": "tanh"},
                    {"type": "dense", "units": 10}]})},
    /* He et al. 2016, section 4.2, with n = 1, for images of 28 x 28 in grey, and with group norm (Hsieh et al. 2020) */
    {"small-resnet", no_keys, NULL, JSON_TEXT(
        {"input": [1, 28, 28], "loss": "softmax_cross_entropy",
         "layers": [{"type": "conv2d", "channels": 16, "kernel": 3, "padding": 1, "bias": false},
                    {"type": "group_norm", "groups": 4, "activation": "relu"},
                    {"type": "residual", "activation": "relu", "layers": [
                        {"type": "conv2d", "channels": 16, "kernel": 3, "padding": 1, "bias": false},
                        {"type": "group_norm", "groups": 4, "activation": "relu"},
                        {"type": "conv2d", "channels": 16, "kernel": 3, "padding": 1, "bias": false},
                        {"type": "group_norm", "groups": 4}]},
                    {"type": "residual", "activation": "relu", "layers": [
                        {"type": "conv2d", "channels": 32, "kernel": 3, "stride": 2, "padding": 1, "bias": false},
                        {"type": "group_norm", "groups": 4, "activation": "relu"},
                        {"type": "conv2d", "channels": 32, "kernel": 3, "padding": 1, "bias": false},
                        {"type": "group_norm", "groups": 4}],
                     "shortcut": [{"type": "conv2d", "channels": 32, "kernel": 1, "stride": 2, "bias": false}]},
                    {"type": "residual", "activation": "relu", "layers": [
                        {"type": "conv2d", "channels": 64, "kernel": 3, "stride": 2, "padding": 1, "bias": false},
                        {"type": "group_norm", "groups": 4, "activation": "relu"},
                        {"type": "conv2d", "channels": 64, "kernel": 3, "padding": 1, "bias": false},
                        {"type": "group_norm", "groups": 4}],
                     "shortcut": [{"type": "conv2d", "channels": 64, "kernel": 1, "stride": 2, "bias": false}]},
                    {"type": "global_average_pool"},
                    {"type": "dense", "units": 10}]})},
    {"linear-regression", input_key, NULL, JSON_TEXT(
        {"loss": "mse", "layers": [{"type": "dense", "units": 1}]})},
    {"logistic-regression", input_key, NULL, JSON_TEXT(
        {"loss": "binary_cross_entropy", "layers": [{"type": "dense", "units": 1}]})},
    {"softmax-regression", input_and_classes_keys, "classes", JSON_TEXT(
        {"loss": "softmax_cross_entropy", "layers": [{"type": "dense"}]})},
    {"linear-svm", input_key, NULL, JSON_TEXT(
        {"loss": "squared_hinge", "layers": [{"type": "dense", "units": 1}]})},
};
/* clang-format on */

enum { PRESET_COUNT = sizeof presets / sizeof *presets };

rd_status rd_preset_expand(rd_json_node section, cJSON **out, rd_error *err)
{
    static const char *const preset_key[] = {"preset", "fine_tuning", NULL};
    const char *names[PRESET_COUNT + 1] = {NULL};
    for (size_t i = 0; i < PRESET_COUNT; i++)
        names[i] = presets[i].name;

    size_t which = 0;
    cJSON *expanded = NULL;
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_choice(section, "preset", names, -1, &which, err));
    RD_TRY(rd_json_key_known(section, preset_key, presets[which].keys, err));
    expanded = cJSON_Parse(presets[which].layout);
    for (const char *const *key = presets[which].keys; *key != NULL && expanded != NULL; key++) {
        size_t value;
        RD_TRY(rd_json_key_whole(section, *key, 1, RD_LAYER_MAX_WIDTH, &value, err));
        cJSON *owner = expanded;
        const char *name = *key;
        if (presets[which].units_key != NULL && strcmp(*key, presets[which].units_key) == 0) {
            cJSON *layers = cJSON_GetObjectItemCaseSensitive(expanded, "layers");
            owner = cJSON_GetArrayItem(layers, cJSON_GetArraySize(layers) - 1);
            name = "units";
        }
        if (cJSON_AddNumberToObject(owner, name, (double)value) == NULL) {
            cJSON_Delete(expanded);
            expanded = NULL;
        }
    }
    const cJSON *fine_tuning = cJSON_GetObjectItemCaseSensitive(section.json, "fine_tuning");
    if (expanded != NULL && fine_tuning != NULL &&
        !cJSON_AddItemToObject(expanded, "fine_tuning", cJSON_Duplicate(fine_tuning, true))) {
        cJSON_Delete(expanded);
        expanded = NULL;
    }
    if (expanded == NULL)
        RD_THROW(RD_ERR_MEMORY, "%s: no memory for the preset's layers", section.path);
    *out = expanded;
    expanded = NULL;
cleanup:
    cJSON_Delete(expanded);
    return status;
}
