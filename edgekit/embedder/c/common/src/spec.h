/* What this app's model takes and gives. The values are in spec.c, which `edgekit embed` writes
 * from the model; everything else here is the same for any model. */
#ifndef SPEC_H
#define SPEC_H

#include "tensor.h"

struct spec_tensor {
    const char *name;
    enum tensor_type type;
    size_t rank;
    int64_t shape[TENSOR_MAX_RANK]; /* -1 is a free axis */
};

enum preprocessing {
    PREPROCESSING_NONE,       /* numbers as they are */
    PREPROCESSING_CHARACTERS, /* a text becomes ids */
    PREPROCESSING_IMAGE,      /* a picture is resized and scaled */
    PREPROCESSING_SERIES,     /* rows of numbers, one row a step */
    PREPROCESSING_TEXT,       /* a text as it is: the rest is in the model's file */
    PREPROCESSING_PIXELS,     /* a picture's bytes as they are, likewise */
};

/* A Unicode character with the ids that it becomes: two where its lower case is two characters. */
struct spec_character {
    uint32_t code;
    int32_t ids[2];
    uint8_t id_count;
};

struct spec {
    const char *name;
    const char *model_file;
    int opset;
    int ir_version;
    int minimum_minor; /* the model needs onnxruntime 1.N or later */

    size_t input_count;
    const struct spec_tensor *inputs;
    size_t output_count;
    const struct spec_tensor *outputs;

    size_t label_count; /* 0 where the answer has no labels */
    const char *const *labels;

    enum preprocessing preprocessing;
    /* PREPROCESSING_CHARACTERS */
    size_t character_count;
    const struct spec_character *characters; /* in the order of their codes */
    int32_t unknown, padding;
    size_t max_length;
    /* PREPROCESSING_IMAGE, and `channels` of PREPROCESSING_SERIES */
    size_t height, width, channels;
    float low, high;
};

extern const struct spec model_spec;

#endif
