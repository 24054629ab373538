/* JSON from strangers: what is accepted is accepted again when cJSON prints it, no object has a name twice, and every
 * number is finite. What is refused is refused at a byte of the text, in words. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/foreign.h"
#include "format/sniff.h"

static void must(int holds)
{
    if (!holds)
        abort();
}

static void check(const cJSON *item)
{
    must(!cJSON_IsNumber(item) || isfinite(item->valuedouble));
    for (const cJSON *a = item->child; a != NULL; a = a->next) {
        if (cJSON_IsObject(item))
            for (const cJSON *b = a->next; b != NULL; b = b->next)
                must(strcmp(a->string, b->string) != 0);
        check(a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_foreign_fault fault = {.line = 0};
    char *text = malloc(count > 0 ? count : 1); /* of the very size */
    memcpy(text, bytes, count);
    must(strncmp(rd_sniff_describe(rd_sniff(text, count)), "is ", 3) == 0);
    cJSON *root = rd_foreign_json(text, count, &fault);
    free(text);
    if (root == NULL) {
        must(fault.at <= count && fault.line >= 1 && fault.column >= 1 && fault.what[0] != '\0');
        return 0;
    }
    check(root);
    char *printed = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    root = printed != NULL ? rd_foreign_json(printed, strlen(printed), &fault) : NULL;
    must(printed == NULL || root != NULL);
    cJSON_Delete(root);
    free(printed);
    return 0;
}
