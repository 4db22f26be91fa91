/* An open model: plain arrays in, plain arrays out.
 *
 *     struct model *model;
 *     struct error error;
 *     if (model_open(&model, "model.onnx", &model_spec, NULL, 1, &error)) {
 *         struct tensor answer = {0};
 *         if (model_run(model, &input, &answer, &error)) {
 *             ...
 *             tensor_free(&answer);
 *         }
 *         model_close(model);
 *     }
 *
 * A model may be run from several threads at once; opening and closing is one thread's work. */
#ifndef MODEL_H
#define MODEL_H

#include "error.h"
#include "spec.h"
#include "tensor.h"

struct model;

/* Opens the file at `path` with the onnxruntime at `library` (NULL: see runtime.h). `threads` is
 * how many cores one run may use, 0 is onnxruntime's choice. What the file takes and gives is
 * checked against the spec. */
bool model_open(struct model **model, const char *path, const struct spec *spec,
                const char *library, int threads, struct error *error);

/* The version of the onnxruntime that was found, such as "1.32.0". */
const char *model_runtime_version(const struct model *model);

/* Runs the model on the spec's inputs, in its order, and fills as many outputs as it has. Their data
 * belong to the caller afterwards: tensor_free each. Where it returns false none has data. */
bool model_run(struct model *model, const struct tensor *inputs, struct tensor *outputs,
               struct error *error);

/* Frees everything; safe on NULL. */
void model_close(struct model *model);

#endif
