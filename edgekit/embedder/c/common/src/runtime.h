/* Finds onnxruntime when the program runs, not when it is linked: one binary runs with any version
 * that the model can do with. The only file besides model.c that knows onnxruntime. */
#ifndef RUNTIME_H
#define RUNTIME_H

#include "error.h"
#include "onnxruntime_c_api.h"

struct runtime {
    const OrtApi *api;   /* valid up to `api_version`: a function that came later is not in it */
    uint32_t api_version;
    const char *version; /* such as "1.32.0", owned by the library */
};

/* Opens the library at `path`; where that is NULL, the one that $ORT_LIBRARY names, else the one
 * that the system finds under onnxruntime's own name. False with a sentence where there is none, or
 * where it is older than 1.`minimum_minor`. */
bool runtime_open(struct runtime *runtime, const char *path, int minimum_minor,
                  struct error *error);

#endif
