#include "golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More cases, or more bytes of a tensor, are a broken file. */
enum { MOST_CASES = 1000000 };

static bool read(FILE *file, void *into, size_t size) {
    return fread(into, 1, size, file) == size;
}

static bool read_name(FILE *file, const char *wanted) {
    uint32_t size;
    size_t length = strlen(wanted);
    if (!read(file, &size, sizeof size) || size != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (getc(file) != (unsigned char)wanted[i]) {
            return false;
        }
    }
    return true;
}

/* Strings: each its number of bytes and the bytes, `left` in all. */
static bool read_texts(FILE *file, struct tensor *tensor, size_t count, uint64_t left) {
    for (size_t i = 0; i < count; i++) {
        uint32_t size;
        if (left < sizeof size || !read(file, &size, sizeof size) || left - sizeof size < size) {
            return false;
        }
        left -= sizeof size + size;
        char *text = malloc(size + 1);
        bool ok = text != NULL && read(file, text, size) && tensor_set_text(tensor, i, text, size);
        free(text);
        if (!ok) {
            return false;
        }
    }
    return left == 0;
}

/* What comes after a tensor's name. */
static bool read_tensor(FILE *file, const struct spec_tensor *wanted, struct tensor *tensor,
                        double *atol) {
    uint32_t type, rank;
    uint64_t size;
    if (!read(file, &type, sizeof type) || !read(file, &rank, sizeof rank) || rank > TENSOR_MAX_RANK) {
        return false;
    }
    *tensor = (struct tensor){.name = wanted->name, .type = (enum tensor_type)type, .rank = rank};
    if (!read(file, tensor->shape, rank * sizeof *tensor->shape) ||
        !read(file, atol, sizeof *atol) || !read(file, &size, sizeof size)) {
        return false;
    }
    size_t count = tensor_count(rank, tensor->shape);
    if (tensor->type == TENSOR_STRING) {
        return count <= size / sizeof(uint32_t) && tensor_allocate(tensor) &&
               read_texts(file, tensor, count, size);
    }
    return count != SIZE_MAX && count * tensor_element_bytes(tensor->type) == size &&
           tensor_allocate(tensor) && read(file, tensor->data, (size_t)size);
}

static bool read_case(FILE *file, const struct spec *spec, struct golden_case *one) {
    uint32_t counts[2];
    one->inputs = calloc(spec->input_count, sizeof *one->inputs);
    one->outputs = calloc(spec->output_count, sizeof *one->outputs);
    one->atol = calloc(spec->output_count, sizeof *one->atol);
    bool ok = one->inputs != NULL && one->outputs != NULL && one->atol != NULL &&
              read(file, counts, sizeof counts) && counts[0] == spec->input_count &&
              counts[1] <= spec->output_count;
    double none;
    for (size_t i = 0; ok && i < spec->input_count; i++) {
        ok = read_name(file, spec->inputs[i].name) &&
             read_tensor(file, &spec->inputs[i], &one->inputs[i], &none);
    }
    uint32_t known = 0;
    for (size_t i = 0; ok && i < spec->output_count && known < counts[1]; i++) {
        long start = ftell(file);
        if (read_name(file, spec->outputs[i].name)) {
            ok = read_tensor(file, &spec->outputs[i], &one->outputs[i], &one->atol[i]);
            known++;
        } else {
            ok = start >= 0 && fseek(file, start, SEEK_SET) == 0;
        }
    }
    return ok && known == counts[1];
}

static bool read_file(FILE *file, const struct spec *spec, struct golden *golden) {
    char magic[8];
    uint32_t count;
    if (!read(file, magic, sizeof magic) || memcmp(magic, "EDGOLD1\n", sizeof magic) != 0 ||
        !read(file, &golden->rtol, sizeof golden->rtol) ||
        !read(file, &golden->min_sqnr_db, sizeof golden->min_sqnr_db) ||
        !read(file, &count, sizeof count) || count > MOST_CASES) {
        return false;
    }
    golden->cases = calloc(count, sizeof *golden->cases);
    while (golden->cases != NULL && golden->case_count < count) {
        golden->case_count++; /* what was read of a broken case is freed too */
        if (!read_case(file, spec, &golden->cases[golden->case_count - 1])) {
            return false;
        }
    }
    return golden->case_count > 0 && getc(file) == EOF;
}

bool golden_open(const char *path, const struct spec *spec, struct golden *golden,
                 struct error *error) {
    *golden = (struct golden){0};
    FILE *file = fopen(path, "rb");
    bool ok = file != NULL && read_file(file, spec, golden);
    if (file != NULL) {
        fclose(file);
    }
    if (!ok) {
        golden_close(golden, spec);
        return fail(error, "The golden vectors '%s' are not there whole, or are another model's: "
                           "embed the model again.", path);
    }
    return true;
}

static void free_tensors(struct tensor *tensors, size_t count) {
    for (size_t i = 0; tensors != NULL && i < count; i++) {
        tensor_free(&tensors[i]);
    }
    free(tensors);
}

void golden_close(struct golden *golden, const struct spec *spec) {
    for (size_t i = 0; i < golden->case_count; i++) {
        free_tensors(golden->cases[i].inputs, spec->input_count);
        free_tensors(golden->cases[i].outputs, spec->output_count);
        free(golden->cases[i].atol);
    }
    free(golden->cases);
    *golden = (struct golden){0};
}
