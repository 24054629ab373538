/* fine_tuning.c: which parameters of a model are trained. Patterns are those of a shell ("encoder.*"),
 * matched against the names of tensors; LoRA's own tensors are never frozen, and the weights that it changes
 * always. */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "model/json_key.h"
#include "model/plan.h"

static rd_status read_patterns(rd_json_node at, const char *key, const cJSON **out, rd_error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(at.json, key), *item;
    *out = NULL;
    if (list == NULL)
        return RD_OK;
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) > 0;
    cJSON_ArrayForEach(item, list) good = good && cJSON_IsString(item);
    if (!good)
        return rd_fail(err, RD_ERR_CONFIG, "%s.%s: expected a list of names of tensors, which may hold * and ?",
                       at.path, key);
    *out = list;
    return RD_OK;
}

static rd_status read_lora(rd_json_node at, rd_fine_tuning *out, rd_error *err)
{
    static const char *const keys[] = {"rank", "alpha", "targets", NULL};
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_object(at, err));
    RD_TRY(rd_json_key_known(at, keys, NULL, err));
    RD_TRY(rd_json_key_whole(at, "rank", 1, 65536, &out->lora_rank, err));
    RD_TRY(rd_json_key_number(at, "alpha", 1e-6, 1e6, (double)out->lora_rank, &out->lora_alpha, err));
    RD_TRY(read_patterns(at, "targets", &out->lora_targets, err));
    if (out->lora_targets == NULL)
        status = rd_fail(err, RD_ERR_CONFIG, "%s.targets is missing: which weights are changed, such as [\"*.weight\"]",
                         at.path);
cleanup:
    return status;
}

rd_status rd_fine_tuning_read(rd_json_node section, rd_fine_tuning *out, rd_error *err)
{
    static const char *const keys[] = {"freeze", "train", "local", "lora", NULL};
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(section.json, "fine_tuning");
    const cJSON *lora = cJSON_GetObjectItemCaseSensitive(object, "lora");
    char path[RD_JSON_PATH_MAX];
    memset(out, 0, sizeof *out);
    if (object == NULL)
        return RD_OK;
    (void)snprintf(path, sizeof path, "%s.fine_tuning", section.path);
    const rd_json_node at = {object, path};
    rd_status status = RD_OK;
    RD_TRY(rd_json_key_object(at, err));
    RD_TRY(rd_json_key_known(at, keys, NULL, err));
    RD_TRY(read_patterns(at, "freeze", &out->freeze, err));
    RD_TRY(read_patterns(at, "train", &out->train, err));
    RD_TRY(read_patterns(at, "local", &out->local, err));
    if (lora != NULL)
        RD_TRY(read_lora((rd_json_node){lora, "model.fine_tuning.lora"}, out, err));
cleanup:
    return status;
}

static bool matches(const cJSON *patterns, const char *name)
{
    const cJSON *pattern;
    cJSON_ArrayForEach(pattern, patterns)
    {
        if (fnmatch(pattern->valuestring, name, 0) == 0)
            return true;
    }
    return false;
}

bool rd_fine_tuning_freezes(const rd_fine_tuning *f, const char *tensor)
{
    if (strstr(tensor, "lora_A.") != NULL || strstr(tensor, "lora_B.") != NULL)
        return false;
    if (f->lora_rank > 0 && matches(f->lora_targets, tensor))
        return true;
    return matches(f->freeze, tensor) && !matches(f->train, tensor);
}

bool rd_fine_tuning_keeps_local(const rd_fine_tuning *f, const char *tensor)
{
    return matches(f->local, tensor) && !rd_fine_tuning_freezes(f, tensor);
}
