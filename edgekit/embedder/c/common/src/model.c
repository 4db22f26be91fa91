#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "runtime.h"

struct model {
    struct runtime runtime;
    const struct spec *spec;
    OrtEnv *env;
    OrtSession *session;
    OrtMemoryInfo *memory;
};

/* onnxruntime's messages may have several lines, and end with one. */
static void to_one_line(char *text) {
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        bool space = *from == '\n' || *from == '\r';
        if (!space || (to > text && to[-1] != ' ' && from[1] != '\0')) {
            *to++ = space ? ' ' : *from;
        }
    }
    *to = '\0';
}

/* Turns a status into a sentence, and releases it. True where there was none. */
static bool passed(const OrtApi *api, OrtStatus *status, const char *what, struct error *error) {
    if (status == NULL) {
        return true;
    }
    struct error reason;
    fail(&reason, "%s", api->GetErrorMessage(status));
    to_one_line(reason.text);
    api->ReleaseStatus(status);
    return fail(error, "%s (%.900s).", what, reason.text);
}

static bool open_session(struct model *model, const char *path, int threads,
                         struct error *error) {
    const OrtApi *api = model->runtime.api;
    OrtSessionOptions *options = NULL;
    struct error reason;
    /* Only what is fatal is logged: every error comes back as a status. */
    bool ok = passed(api, api->CreateEnv(ORT_LOGGING_LEVEL_FATAL, model->spec->name, &model->env),
                     "onnxruntime cannot start", error) &&
              passed(api, api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault,
                                                   &model->memory),
                     "onnxruntime cannot start", error) &&
              passed(api, api->CreateSessionOptions(&options), "onnxruntime cannot start", error) &&
              passed(api, api->SetIntraOpNumThreads(options, threads),
                     "The number of threads cannot be set", error);
    if (ok && !passed(api, api->CreateSession(model->env, path, options, &model->session),
                      "its reason", &reason)) {
        ok = fail(error, "onnxruntime %s does not open the model '%.300s' of opset %d and IR version "
                         "%d: %.600s", model->runtime.version, path, model->spec->opset,
                  model->spec->ir_version, reason.text);
    }
    if (options != NULL) {
        api->ReleaseSessionOptions(options);
    }
    return ok;
}

/* What the spec says of one input or output, and how the session tells its own. */
struct side {
    const char *word;
    size_t count;
    const struct spec_tensor *tensors;
    OrtStatus *(ORT_API_CALL *count_of)(const OrtSession *, size_t *);
    OrtStatus *(ORT_API_CALL *name_of)(const OrtSession *, size_t, OrtAllocator *, char **);
    OrtStatus *(ORT_API_CALL *type_of)(const OrtSession *, size_t, OrtTypeInfo **);
};

static bool check_type(const struct model *model, const struct side *side, size_t index,
                       struct error *error) {
    const OrtApi *api = model->runtime.api;
    OrtTypeInfo *info = NULL;
    const OrtTensorTypeAndShapeInfo *tensor = NULL;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    size_t rank = 0;
    bool ok = passed(api, side->type_of(model->session, index, &info), "A type is missing", error) &&
              passed(api, api->CastTypeInfoToTensorInfo(info, &tensor), "A type is odd", error);
    /* `tensor` is a part of `info`, and NULL where the value is no tensor. */
    if (ok && tensor != NULL) {
        ok = passed(api, api->GetTensorElementType(tensor, &type), "A type is missing", error) &&
             passed(api, api->GetDimensionsCount(tensor, &rank), "A shape is missing", error);
    }
    if (info != NULL) {
        api->ReleaseTypeInfo(info);
    }
    const struct spec_tensor *wanted = &side->tensors[index];
    if (ok && ((int)type != (int)wanted->type || rank != wanted->rank)) {
        return fail(error, "The model's %s '%s' has type %d and %zu axes where this app was made "
                           "for type %d and %zu: embed the model again.",
                    side->word, wanted->name, (int)type, rank, (int)wanted->type, wanted->rank);
    }
    return ok;
}

static bool check_side(const struct model *model, const struct side *side, struct error *error) {
    const OrtApi *api = model->runtime.api;
    OrtAllocator *allocator = NULL;
    size_t count = 0;
    if (!passed(api, side->count_of(model->session, &count), "The signature is missing", error) ||
        !passed(api, api->GetAllocatorWithDefaultOptions(&allocator), "No allocator", error)) {
        return false;
    }
    if (count != side->count) {
        return fail(error, "The model has %zu %ss where this app was made for %zu: embed the model "
                           "again.", count, side->word, side->count);
    }
    for (size_t i = 0; i < count; i++) {
        char *name = NULL;
        if (!passed(api, side->name_of(model->session, i, allocator, &name), "A name is missing",
                    error)) {
            return false;
        }
        bool same = strcmp(name, side->tensors[i].name) == 0;
        if (!same) {
            fail(error, "The model's %s %zu is '%s' where this app was made for '%s': embed the "
                        "model again.", side->word, i, name, side->tensors[i].name);
        }
        if (!passed(api, api->AllocatorFree(allocator, name), "A name cannot be freed", error) ||
            !same || !check_type(model, side, i, error)) {
            return false;
        }
    }
    return true;
}

static bool check_signature(const struct model *model, struct error *error) {
    const OrtApi *api = model->runtime.api;
    const struct spec *spec = model->spec;
    struct side inputs = {"input", spec->input_count, spec->inputs, api->SessionGetInputCount,
                          api->SessionGetInputName, api->SessionGetInputTypeInfo};
    struct side outputs = {"output", spec->output_count, spec->outputs, api->SessionGetOutputCount,
                           api->SessionGetOutputName, api->SessionGetOutputTypeInfo};
    return check_side(model, &inputs, error) && check_side(model, &outputs, error);
}

bool model_open(struct model **opened, const char *path, const struct spec *spec,
                const char *library, int threads, struct error *error) {
    *opened = NULL;
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        return fail(error, "There is no memory left for the model.");
    }
    model->spec = spec;
    if (!runtime_open(&model->runtime, library, spec->minimum_minor, error) ||
        !open_session(model, path, threads, error) || !check_signature(model, error)) {
        model_close(model);
        return false;
    }
    *opened = model;
    return true;
}

const char *model_runtime_version(const struct model *model) {
    return model->runtime.version;
}

void model_close(struct model *model) {
    if (model == NULL) {
        return;
    }
    const OrtApi *api = model->runtime.api;
    if (model->session != NULL) {
        api->ReleaseSession(model->session);
    }
    if (model->memory != NULL) {
        api->ReleaseMemoryInfo(model->memory);
    }
    if (model->env != NULL) {
        api->ReleaseEnv(model->env);
    }
    free(model);
}

static bool check_input(const struct spec_tensor *wanted, const struct tensor *given,
                        struct error *error) {
    if (given->data == NULL || given->type != wanted->type || given->rank != wanted->rank) {
        return fail(error, "The input '%s' has type %d and %zu axes where type %d and %zu are "
                           "expected.", wanted->name, (int)given->type, given->rank,
                    (int)wanted->type, wanted->rank);
    }
    for (size_t axis = 0; axis < wanted->rank; axis++) {
        if (wanted->shape[axis] >= 0 && given->shape[axis] != wanted->shape[axis]) {
            return fail(error, "The input '%s' has length %lld on axis %zu where %lld is expected.",
                        wanted->name, (long long)given->shape[axis], axis,
                        (long long)wanted->shape[axis]);
        }
    }
    return true;
}

/* A value of onnxruntime with copies of the tensor's texts. */
static bool copy_texts_in(const struct model *model, const struct tensor *tensor, OrtValue **value,
                          struct error *error) {
    const OrtApi *api = model->runtime.api;
    OrtAllocator *allocator = NULL;
    size_t count = tensor_count(tensor->rank, tensor->shape);
    return passed(api, api->GetAllocatorWithDefaultOptions(&allocator), "No allocator", error) &&
           passed(api, api->CreateTensorAsOrtValue(allocator, tensor->shape, tensor->rank,
                                                   ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, value),
                  "An input cannot be given to onnxruntime", error) &&
           passed(api, api->FillStringTensor(*value, (const char *const *)tensor->data, count),
                  "A text cannot be given to onnxruntime", error);
}

/* A value of onnxruntime that reads the tensor's own memory, which it never writes. */
static bool wrap(const struct model *model, const struct tensor *tensor, OrtValue **value,
                 struct error *error) {
    if (tensor->type == TENSOR_STRING) {
        return copy_texts_in(model, tensor, value, error);
    }
    const OrtApi *api = model->runtime.api;
    size_t bytes = tensor_count(tensor->rank, tensor->shape) * tensor_element_bytes(tensor->type);
    return passed(api, api->CreateTensorWithDataAsOrtValue(
                           model->memory, tensor->data, bytes, tensor->shape, tensor->rank,
                           (ONNXTensorElementDataType)tensor->type, value),
                  "An input cannot be given to onnxruntime", error);
}

static bool read_shape(const struct model *model, const OrtValue *value, struct tensor *tensor,
                       struct error *error) {
    const OrtApi *api = model->runtime.api;
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    if (!passed(api, api->GetTensorTypeAndShape(value, &info), "An output has no shape", error)) {
        return false;
    }
    bool ok = passed(api, api->GetTensorElementType(info, &type), "An output has no type", error) &&
              passed(api, api->GetDimensionsCount(info, &tensor->rank), "An output has no shape",
                     error);
    if (ok && tensor->rank > TENSOR_MAX_RANK) {
        ok = fail(error, "The output '%s' has %zu axes and this app reads up to %d.", tensor->name,
                  tensor->rank, TENSOR_MAX_RANK);
    }
    ok = ok && passed(api, api->GetDimensions(info, tensor->shape, tensor->rank),
                      "An output has no shape", error);
    tensor->type = (enum tensor_type)type;
    api->ReleaseTensorTypeAndShapeInfo(info);
    return ok;
}

static bool copy_text_out(const struct model *model, const OrtValue *value, size_t index,
                          struct tensor *tensor, struct error *error) {
    const OrtApi *api = model->runtime.api;
    size_t size = 0;
    if (!passed(api, api->GetStringTensorElementLength(value, index, &size), "A text is missing",
                error)) {
        return false;
    }
    char *text = malloc(size + 1);
    if (text == NULL) {
        return fail(error, "There is no memory left for the output '%s'.", tensor->name);
    }
    bool ok = passed(api, api->GetStringTensorElement(value, size, index, text),
                     "A text is missing", error) &&
              (tensor_set_text(tensor, index, text, size) ||
               fail(error, "There is no memory left for the output '%s'.", tensor->name));
    free(text);
    return ok;
}

static bool copy_out(const struct model *model, OrtValue *value, struct tensor *tensor,
                     struct error *error) {
    void *data = NULL;
    if (!read_shape(model, value, tensor, error)) {
        return false;
    }
    if (!tensor_allocate(tensor)) {
        return fail(error, "There is no memory left for the output '%s'.", tensor->name);
    }
    if (tensor->type == TENSOR_STRING) {
        bool ok = true;
        size_t texts = tensor_count(tensor->rank, tensor->shape);
        for (size_t i = 0; ok && i < texts; i++) {
            ok = copy_text_out(model, value, i, tensor, error);
        }
        return ok;
    }
    if (!passed(model->runtime.api, model->runtime.api->GetTensorMutableData(value, &data),
                "An output has no data", error)) {
        return false;
    }
    size_t count = tensor_count(tensor->rank, tensor->shape);
    if (count > 0) {
        memcpy(tensor->data, data, count * tensor_element_bytes(tensor->type));
    }
    return true;
}

/* What one run holds of onnxruntime's, in arrays as long as the spec's. */
struct run {
    const char **names; /* those of the inputs, then those of the outputs */
    OrtValue **values;  /* likewise */
};

static bool run_values(struct model *model, const struct run *run, const struct tensor *inputs,
                       struct tensor *outputs, struct error *error) {
    const OrtApi *api = model->runtime.api;
    const struct spec *spec = model->spec;
    size_t first = spec->input_count;
    for (size_t i = 0; i < spec->input_count; i++) {
        run->names[i] = spec->inputs[i].name;
        if (!check_input(&spec->inputs[i], &inputs[i], error) ||
            !wrap(model, &inputs[i], &run->values[i], error)) {
            return false;
        }
    }
    for (size_t i = 0; i < spec->output_count; i++) {
        run->names[first + i] = spec->outputs[i].name;
        outputs[i].name = spec->outputs[i].name;
    }
    if (!passed(api, api->Run(model->session, NULL, run->names,
                              (const OrtValue *const *)run->values, spec->input_count,
                              run->names + first, spec->output_count, run->values + first),
                "onnxruntime failed to run the model", error)) {
        return false;
    }
    for (size_t i = 0; i < spec->output_count; i++) {
        if (!copy_out(model, run->values[first + i], &outputs[i], error)) {
            return false;
        }
    }
    return true;
}

bool model_run(struct model *model, const struct tensor *inputs, struct tensor *outputs,
               struct error *error) {
    const struct spec *spec = model->spec;
    size_t count = spec->input_count + spec->output_count;
    struct run run = {calloc(count, sizeof *run.names), calloc(count, sizeof *run.values)};
    for (size_t i = 0; i < spec->output_count; i++) {
        outputs[i].data = NULL;
    }
    bool ok = run.names != NULL && run.values != NULL;
    if (ok) {
        ok = run_values(model, &run, inputs, outputs, error);
    } else {
        fail(error, "There is no memory left for a run.");
    }
    for (size_t i = 0; run.values != NULL && i < count; i++) {
        if (run.values[i] != NULL) {
            model->runtime.api->ReleaseValue(run.values[i]);
        }
    }
    for (size_t i = 0; !ok && i < spec->output_count; i++) {
        tensor_free(&outputs[i]);
    }
    free(run.values);
    free(run.names);
    return ok;
}
