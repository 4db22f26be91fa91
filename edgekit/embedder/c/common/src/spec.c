/* What this app's model takes and gives, written by edgekit {{edgekit}} from the model. */
#include "spec.h"

static const struct spec_tensor inputs[] = {
{{inputs}}
};

static const struct spec_tensor outputs[] = {
{{outputs}}
};

static const char *const labels[] = {
{{labels}}
};

static const struct spec_character characters[] = {
{{characters}}
};

const struct spec model_spec = {
    .name = "{{name}}",
    .model_file = "{{model}}",
    .opset = {{opset}},
    .ir_version = {{ir_version}},
    .minimum_minor = {{minimum_minor}},
    .input_count = sizeof inputs / sizeof *inputs,
    .inputs = inputs,
    .output_count = sizeof outputs / sizeof *outputs,
    .outputs = outputs,
    .label_count = {{label_count}},
    .labels = labels,
    .character_count = {{character_count}},
    .characters = characters,
{{preprocessing}}
};
