/* Proves the model with its golden vectors on this machine: test_golden MODEL GOLDEN [LIBRARY].
 * Prints the worst of each output, and closes with the line that ctest and CI read. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"
#include "model.h"

/* The worst evidence of one output over all cases. */
struct evidence {
    double max_abs_error, sqnr_db;
    bool ok;
};

static bool same_shape(const struct tensor *left, const struct tensor *right) {
    return left->rank == right->rank && left->type == right->type &&
           memcmp(left->shape, right->shape, left->rank * sizeof *left->shape) == 0;
}

static bool same_texts(const struct tensor *left, const struct tensor *right) {
    size_t count = tensor_count(left->rank, left->shape);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tensor_text(left, i), tensor_text(right, i)) != 0) {
            return false;
        }
    }
    return true;
}

/* Every comparison is written so that NaN fails. */
static bool judge(const struct golden *golden, double atol, const struct tensor *wanted,
                  const struct tensor *answer, struct evidence *evidence) {
    if (!same_shape(wanted, answer)) {
        return false;
    }
    if (wanted->type == TENSOR_STRING) {
        return same_texts(wanted, answer);
    }
    bool near = true;
    double signal = 0.0, noise = 0.0;
    size_t count = tensor_count(wanted->rank, wanted->shape);
    for (size_t i = 0; i < count; i++) {
        double value = tensor_get(wanted, i), difference = fabs(tensor_get(answer, i) - value);
        double allowed = isnan(atol) ? INFINITY : atol + golden->rtol * fabs(value);
        near = near && isfinite(difference) && difference <= allowed;
        evidence->max_abs_error = fmax(evidence->max_abs_error, difference);
        signal += value * value;
        noise += difference * difference;
    }
    double sqnr_db = noise > 0.0 ? 10.0 * log10(signal / noise) : INFINITY;
    if (signal > 0.0) {
        evidence->sqnr_db = fmin(evidence->sqnr_db, sqnr_db);
    }
    return near && (isnan(golden->min_sqnr_db) || !(signal > 0.0) ||
                    sqnr_db >= golden->min_sqnr_db);
}

static bool prove_case(struct model *model, const struct golden *golden, size_t index,
                       struct evidence *evidence, struct error *error) {
    const struct golden_case *one = &golden->cases[index];
    struct tensor *answers = calloc(model_spec.output_count, sizeof *answers);
    bool ok = answers != NULL ? model_run(model, one->inputs, answers, error)
                              : fail(error, "There is no memory left for the answers.");
    for (size_t i = 0; ok && i < model_spec.output_count; i++) {
        bool known = one->outputs[i].data != NULL;
        bool near = !known || judge(golden, one->atol[i], &one->outputs[i], &answers[i], &evidence[i]);
        if (!near) {
            printf("FAIL  case %zu, %s\n", index, model_spec.outputs[i].name);
            evidence[i].ok = false;
        }
    }
    for (size_t i = 0; ok && i < model_spec.output_count; i++) {
        tensor_free(&answers[i]);
    }
    free(answers);
    return ok;
}

static bool prove(struct model *model, const struct golden *golden, struct evidence *evidence,
                  struct error *error) {
    for (size_t i = 0; i < model_spec.output_count; i++) {
        evidence[i] = (struct evidence){0.0, INFINITY, true};
    }
    for (size_t i = 0; i < golden->case_count; i++) {
        if (!prove_case(model, golden, i, evidence, error)) {
            return false;
        }
    }
    return true;
}

static int report(const struct model *model, const struct golden *golden,
                  const struct evidence *evidence) {
    int passed = 0, failed = 0;
    printf("%s on onnxruntime %s, %zu cases\n", model_spec.name, model_runtime_version(model),
           golden->case_count);
    for (size_t i = 0; i < model_spec.output_count; i++) {
        if (model_spec.outputs[i].type == TENSOR_STRING) {
            printf("%s  %s: texts\n", evidence[i].ok ? "ok  " : "FAIL", model_spec.outputs[i].name);
            *(evidence[i].ok ? &passed : &failed) += 1;
            continue;
        }
        printf("%s  %s: max abs error %.3g, at least %.1f dB\n", evidence[i].ok ? "ok  " : "FAIL",
               model_spec.outputs[i].name, evidence[i].max_abs_error, evidence[i].sqnr_db);
        *(evidence[i].ok ? &passed : &failed) += 1;
    }
    printf("golden: %d passed, %d failed\n", passed, failed);
    return failed > 0;
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) {
        fputs("usage: test_golden MODEL GOLDEN [LIBRARY]\n", stderr);
        return 2;
    }
    struct error error;
    struct golden golden;
    struct model *model = NULL;
    struct evidence *evidence = calloc(model_spec.output_count, sizeof *evidence);
    int status = 1;
    if (evidence != NULL && golden_open(argv[2], &model_spec, &golden, &error)) {
        if (model_open(&model, argv[1], &model_spec, argc > 3 ? argv[3] : NULL, 1, &error) &&
            prove(model, &golden, evidence, &error)) {
            status = report(model, &golden, evidence);
        } else {
            fprintf(stderr, "test_golden: %s\n", error.text);
        }
        model_close(model);
        golden_close(&golden, &model_spec);
    } else {
        fprintf(stderr, "test_golden: %s\n", evidence != NULL ? error.text : "no memory is left");
    }
    free(evidence);
    return status;
}
