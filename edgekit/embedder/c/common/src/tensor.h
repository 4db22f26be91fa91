/* A tensor in plain memory: what a model takes and gives. Knows nothing of onnxruntime. */
#ifndef TENSOR_H
#define TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TENSOR_MAX_RANK 8

/* The numbers are ONNX's own (TensorProto.DataType), so that they need no translation. */
enum tensor_type {
    TENSOR_FLOAT32 = 1,
    TENSOR_UINT8 = 2,
    TENSOR_INT8 = 3,
    TENSOR_UINT16 = 4,
    TENSOR_INT16 = 5,
    TENSOR_INT32 = 6,
    TENSOR_INT64 = 7,
    TENSOR_STRING = 8,
    TENSOR_BOOL = 9,
    TENSOR_FLOAT64 = 11,
    TENSOR_UINT32 = 12,
    TENSOR_UINT64 = 13,
};

struct tensor {
    const char *name; /* not owned: points into the spec */
    enum tensor_type type;
    size_t rank;
    int64_t shape[TENSOR_MAX_RANK];
    void *data; /* row-major, owned; NULL where there is nothing yet; of strings: char *, owned */
};

/* Bytes of one element; 0 for a type that is not listed above. */
size_t tensor_element_bytes(enum tensor_type type);

/* Elements of a shape; SIZE_MAX where a length is negative or the product does not fit. */
size_t tensor_count(size_t rank, const int64_t *shape);

/* Allocates zeroed data for the type and shape that are set. False where there is no memory for
 * it; the tensor is then as it was. */
bool tensor_allocate(struct tensor *tensor);

/* Frees the data; the tensor may be allocated again. Safe on one without data. */
void tensor_free(struct tensor *tensor);

/* The text at a flat index of a tensor of strings, UTF-8; and a copy of `size` bytes put there. False
 * where there is no memory for it. */
const char *tensor_text(const struct tensor *tensor, size_t index);
bool tensor_set_text(struct tensor *tensor, size_t index, const char *text, size_t size);

/* The element at a flat index as a double, and back; a value is truncated towards zero for the
 * integers. A string is no number: NaN, and setting one does nothing. 64-bit integers past 2^53 lose their last digits. */
double tensor_get(const struct tensor *tensor, size_t index);
void tensor_set(struct tensor *tensor, size_t index, double value);

#endif
