/* IDX: two bytes say where the images end and the labels begin. */
#include "../memory_input.h"
#include "data/parse.h"
#include "dataset_holds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    rd_error ignored;
    rd_dataset d;
    if (count < 2)
        return 0;
    size_t left = count - 2, x_size = bytes[0] | (size_t)bytes[1] << 8;
    x_size = x_size < left ? x_size : left;
    rd_input images = memory_input("images", bytes + 2, x_size);
    rd_input labels = memory_input("labels", bytes + 2 + x_size, left - x_size);
    dataset_holds(rd_idx_read(&images, &labels, &d, &ignored), &d);
    return 0;
}
