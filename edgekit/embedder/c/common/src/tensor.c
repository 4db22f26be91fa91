#include "tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t tensor_element_bytes(enum tensor_type type) {
    switch (type) {
    case TENSOR_UINT8:
    case TENSOR_INT8:
    case TENSOR_BOOL:
        return 1;
    case TENSOR_UINT16:
    case TENSOR_INT16:
        return 2;
    case TENSOR_FLOAT32:
    case TENSOR_INT32:
    case TENSOR_UINT32:
        return 4;
    case TENSOR_INT64:
    case TENSOR_FLOAT64:
    case TENSOR_UINT64:
        return 8;
    case TENSOR_STRING:
        return sizeof(char *);
    }
    return 0;
}

size_t tensor_count(size_t rank, const int64_t *shape) {
    size_t count = 1;
    for (size_t axis = 0; axis < rank; axis++) {
        if (shape[axis] < 0) {
            return SIZE_MAX;
        }
        /* 8 is the widest element: the bytes fit too. */
        if (shape[axis] > 0 && count > SIZE_MAX / 8 / (size_t)shape[axis]) {
            return SIZE_MAX;
        }
        count *= (size_t)shape[axis];
    }
    return count;
}

bool tensor_allocate(struct tensor *tensor) {
    size_t count = tensor_count(tensor->rank, tensor->shape);
    size_t bytes = tensor_element_bytes(tensor->type);
    if (count == SIZE_MAX || bytes == 0) {
        return false;
    }
    /* One element at least: calloc of nothing may give NULL. */
    void *data = calloc(count > 0 ? count : 1, bytes);
    if (data == NULL) {
        return false;
    }
    tensor->data = data;
    return true;
}

void tensor_free(struct tensor *tensor) {
    if (tensor->type == TENSOR_STRING && tensor->data != NULL) {
        size_t count = tensor_count(tensor->rank, tensor->shape);
        for (size_t i = 0; i < count; i++) {
            free(((char **)tensor->data)[i]);
        }
    }
    free(tensor->data);
    tensor->data = NULL;
}

const char *tensor_text(const struct tensor *tensor, size_t index) {
    const char *text = ((char *const *)tensor->data)[index];
    return text != NULL ? text : "";
}

bool tensor_set_text(struct tensor *tensor, size_t index, const char *text, size_t size) {
    char *copy = malloc(size + 1);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    free(((char **)tensor->data)[index]);
    ((char **)tensor->data)[index] = copy;
    return true;
}

double tensor_get(const struct tensor *tensor, size_t index) {
    switch (tensor->type) {
    case TENSOR_FLOAT32:
        return ((const float *)tensor->data)[index];
    case TENSOR_FLOAT64:
        return ((const double *)tensor->data)[index];
    case TENSOR_UINT8:
        return ((const uint8_t *)tensor->data)[index];
    case TENSOR_INT8:
        return ((const int8_t *)tensor->data)[index];
    case TENSOR_UINT16:
        return ((const uint16_t *)tensor->data)[index];
    case TENSOR_INT16:
        return ((const int16_t *)tensor->data)[index];
    case TENSOR_INT32:
        return ((const int32_t *)tensor->data)[index];
    case TENSOR_UINT32:
        return ((const uint32_t *)tensor->data)[index];
    case TENSOR_INT64:
        return (double)((const int64_t *)tensor->data)[index];
    case TENSOR_UINT64:
        return (double)((const uint64_t *)tensor->data)[index];
    case TENSOR_BOOL:
        return ((const uint8_t *)tensor->data)[index] != 0;
    case TENSOR_STRING:
        return NAN;
    }
    return 0.0;
}

void tensor_set(struct tensor *tensor, size_t index, double value) {
    switch (tensor->type) {
    case TENSOR_FLOAT32:
        ((float *)tensor->data)[index] = (float)value;
        break;
    case TENSOR_FLOAT64:
        ((double *)tensor->data)[index] = value;
        break;
    case TENSOR_UINT8:
        ((uint8_t *)tensor->data)[index] = (uint8_t)value;
        break;
    case TENSOR_INT8:
        ((int8_t *)tensor->data)[index] = (int8_t)value;
        break;
    case TENSOR_UINT16:
        ((uint16_t *)tensor->data)[index] = (uint16_t)value;
        break;
    case TENSOR_INT16:
        ((int16_t *)tensor->data)[index] = (int16_t)value;
        break;
    case TENSOR_INT32:
        ((int32_t *)tensor->data)[index] = (int32_t)value;
        break;
    case TENSOR_UINT32:
        ((uint32_t *)tensor->data)[index] = (uint32_t)value;
        break;
    case TENSOR_INT64:
        ((int64_t *)tensor->data)[index] = (int64_t)value;
        break;
    case TENSOR_UINT64:
        ((uint64_t *)tensor->data)[index] = (uint64_t)value;
        break;
    case TENSOR_BOOL:
        ((uint8_t *)tensor->data)[index] = value != 0.0;
        break;
    case TENSOR_STRING:
        break;
    }
}
