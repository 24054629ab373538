// predict.cpp: what an exported model says of the rows of a table.
//
//     rondo-inspect export runs/first --out model.safetensors
//     g++ -std=c++17 predict.cpp $(pkg-config --cflags --libs rondo) -o predict
//     ./predict model.safetensors < rows.csv
#include <rondo/rondo.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using Predictor = std::unique_ptr<rd_predictor, decltype(&rd_predictor_close)>;

static void check(rd_status status, const rd_error &err)
{
    if (status != RD_OK)
        throw std::runtime_error(err.message);
}

static void predict(const char *path, const std::string &table)
{
    rd_error err;
    rd_predictor *opened = nullptr;
    check(rd_predictor_open(path, &opened, &err), err);
    Predictor model(opened, rd_predictor_close);
    float *features = nullptr;
    size_t rows = 0;
    check(rd_predictor_read_table(model.get(), table.data(), table.size(), &features, &rows, &err), err);
    std::unique_ptr<float, decltype(&std::free)> x(features, std::free);
    const size_t outputs = rd_predictor_outputs(model.get());
    std::vector<float> y(rows * outputs);
    check(rd_predictor_run(model.get(), x.get(), rows, y.data(), &err), err);
    for (size_t row = 0; row < rows; row++) {
        const float *of_row = &y[row * outputs];
        char name[256];
        if (rd_predictor_classes(model.get()) > 0) {
            rd_predictor_class_name(model.get(), rd_predictor_class(model.get(), of_row), name, sizeof name);
            std::cout << name << '\n';
        } else {
            std::cout << of_row[0] << '\n';
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        std::cerr << "Usage: predict MODEL.safetensors < TABLE.csv\n";
        return 2;
    }
    try {
        predict(argv[1], std::string(std::istreambuf_iterator<char>(std::cin), {}));
    } catch (const std::exception &failure) {
        std::cerr << "predict: " << failure.what() << '\n';
        return 1;
    }
    return 0;
}
