/* The command: reads an input, prints the answer. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "preprocess.h"

static const char usage[] =
    "usage: predict [--model FILE] [--library FILE] [--threads N] [--top N] [INPUT ...]\n"
    "\n"
    "INPUT is what the model takes:\n"
    "  a text         each argument is one; without any, each line of the standard input\n"
    "  a picture      a PGM or PPM file, or - for the standard input\n"
    "  a series       a CSV file with a row a step, or -\n"
    "  anything else  FILE, or NAME=FILE for each of several inputs: numbers, row-major\n"
    "\n"
    "--model FILE     the model; it lies beside the command\n"
    "--library FILE   onnxruntime; else $ORT_LIBRARY, else what the system finds\n"
    "--threads N      cores that one run may use (1); 0 is onnxruntime's choice\n"
    "--top N          labels that are printed (3)\n";

struct arguments {
    bool help;
    const char *model, *library;
    int threads, top;
    int input_count;
    char **inputs;
};

static int complain(const struct error *error) {
    fprintf(stderr, "predict: %s\n", error->text);
    return 1;
}

/* A count from 0 to 1024. */
static bool parse_count(const char *text, int *count) {
    char *end;
    long value = strtol(text, &end, 10);
    *count = (int)value;
    return end != text && *end == '\0' && value >= 0 && value <= 1024;
}

static bool parse(int argc, char **argv, struct arguments *arguments) {
    *arguments = (struct arguments){.threads = 1, .top = 3};
    int at = 1;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        const char *option = argv[at];
        if (strcmp(option, "--") == 0) {
            at++;
            break;
        }
        if (strcmp(option, "--help") == 0) {
            arguments->help = true;
            return true;
        }
        const char *value = ++at < argc ? argv[at] : NULL;
        if (value == NULL) {
            return false;
        }
        if (strcmp(option, "--model") == 0) {
            arguments->model = value;
        } else if (strcmp(option, "--library") == 0) {
            arguments->library = value;
        } else if (!(strcmp(option, "--threads") == 0 && parse_count(value, &arguments->threads)) &&
                   !(strcmp(option, "--top") == 0 && parse_count(value, &arguments->top))) {
            return false;
        }
    }
    arguments->input_count = argc - at;
    arguments->inputs = argv + at;
    return true;
}

/* The model lies in the folder of the command. */
static char *beside(const char *command, const char *file) {
    const char *slash = strrchr(command, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - command) + 1;
    char *path = malloc(folder + strlen(file) + 1);
    if (path != NULL) {
        memcpy(path, command, folder);
        strcpy(path + folder, file);
    }
    return path;
}

/* --- answers --------------------------------------------------------------------------------- */

static bool has_labels(const struct tensor *answer) {
    return model_spec.label_count > 0 && answer->rank == 2 &&
           (size_t)answer->shape[1] == model_spec.label_count;
}

/* Prints the likeliest labels of one row, best first: label, tab, probability. */
static bool print_labels(const struct tensor *answer, int top, struct error *error) {
    for (size_t i = 0; i < model_spec.label_count; i++) {
        if (!isfinite(tensor_get(answer, i))) {
            return fail(error, "The model answered NaN or infinity: check the input.");
        }
    }
    bool *taken = calloc(model_spec.label_count, sizeof *taken);
    if (taken == NULL) {
        return fail(error, "There is no memory left for the answer.");
    }
    for (int rank = 0; rank < top && (size_t)rank < model_spec.label_count; rank++) {
        size_t best = model_spec.label_count;
        for (size_t i = 0; i < model_spec.label_count; i++) {
            if (!taken[i] && (best == model_spec.label_count ||
                              tensor_get(answer, i) > tensor_get(answer, best))) {
                best = i;
            }
        }
        taken[best] = true;
        printf("%s%s\t%.4f", rank > 0 ? "\t" : "", model_spec.labels[best],
               tensor_get(answer, best));
    }
    putchar('\n');
    free(taken);
    return true;
}

/* The output of this name, or NULL. */
static const struct tensor *output_of(const struct tensor *outputs, const char *name) {
    for (size_t i = 0; i < model_spec.output_count; i++) {
        if (strcmp(outputs[i].name, name) == 0) {
            return &outputs[i];
        }
    }
    return NULL;
}

/* Prints the labels of one row that the model names itself. False where it does not. */
static bool print_named(const struct tensor *outputs, int top) {
    const struct tensor *names = output_of(outputs, "top_labels");
    const struct tensor *shares = output_of(outputs, "top_probabilities");
    if (names == NULL || shares == NULL || names->type != TENSOR_STRING || names->rank != 2) {
        return false;
    }
    for (int rank = 0; rank < top && rank < (int)names->shape[1]; rank++) {
        printf("%s%s\t%.4f", rank > 0 ? "\t" : "", tensor_text(names, (size_t)rank),
               tensor_get(shares, (size_t)rank));
    }
    putchar('\n');
    return true;
}

static void print_values(const struct tensor *answer) {
    printf("%s", answer->name);
    size_t count = tensor_count(answer->rank, answer->shape);
    for (size_t i = 0; i < count; i++) {
        if (answer->type == TENSOR_STRING) {
            printf("%c%s", i > 0 ? ',' : '\t', tensor_text(answer, i));
            continue;
        }
        printf("%c%.9g", i > 0 ? ',' : '\t', tensor_get(answer, i));
    }
    putchar('\n');
}

static bool answer_one(struct model *model, const struct tensor *inputs, int top,
                       struct error *error) {
    struct tensor *outputs = calloc(model_spec.output_count, sizeof *outputs);
    if (outputs == NULL) {
        return fail(error, "There is no memory left for the answer.");
    }
    bool ok = model_run(model, inputs, outputs, error);
    if (ok && has_labels(&outputs[0])) {
        ok = print_labels(&outputs[0], top, error);
    } else if (ok && !print_named(outputs, top)) {
        for (size_t i = 0; i < model_spec.output_count; i++) {
            print_values(&outputs[i]);
        }
    }
    for (size_t i = 0; i < model_spec.output_count; i++) {
        tensor_free(&outputs[i]);
    }
    free(outputs);
    return ok;
}

/* --- inputs ---------------------------------------------------------------------------------- */

static bool answer_text(struct model *model, const char *text, int top, struct error *error) {
    struct tensor input = {0};
    bool ok = preprocess_text(&model_spec, text, &input, error) &&
              answer_one(model, &input, top, error);
    tensor_free(&input);
    return ok;
}

static bool answer_lines(struct model *model, int top, struct error *error) {
    char line[4096];
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (line[strspn(line, " \t\r\n")] == '\0') {
            continue;
        }
        if (!answer_text(model, line, top, error)) {
            return false;
        }
        fflush(stdout);
    }
    return true;
}

static FILE *open_input(const char *path, struct error *error) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (file == NULL) {
        fail(error, "The input '%s' cannot be opened (%s).", path, strerror(errno));
    }
    return file;
}

static void close_input(FILE *file) {
    if (file != stdin) {
        fclose(file);
    }
}

static bool answer_picture(struct model *model, const char *path, int top, struct error *error) {
    FILE *file = open_input(path, error);
    if (file == NULL) {
        return false;
    }
    struct picture picture = {0};
    struct tensor input = {0};
    bool ok = picture_read(file, &picture, error) &&
              preprocess_picture(&model_spec, &picture, &input, error) &&
              answer_one(model, &input, top, error);
    tensor_free(&input);
    picture_free(&picture);
    close_input(file);
    return ok;
}

/* The index of the input that NAME=FILE or FILE is for, and where its path starts. */
static bool which_input(char *given, size_t *index, const char **path, struct error *error) {
    for (*index = 0; *index < model_spec.input_count; ++*index) {
        size_t length = strlen(model_spec.inputs[*index].name);
        if (strncmp(given, model_spec.inputs[*index].name, length) == 0 &&
            given[length] == '=') {
            *path = given + length + 1;
            return true;
        }
    }
    *index = 0;
    *path = given;
    return model_spec.input_count == 1 ||
           fail(error, "'%s' names none of the model's inputs: give NAME=FILE, such as %s=%s.",
                given, model_spec.inputs[0].name, given);
}

static bool read_inputs(const struct arguments *arguments, struct tensor *inputs,
                        struct error *error) {
    for (int i = 0; i < arguments->input_count; i++) {
        size_t index;
        const char *path;
        if (!which_input(arguments->inputs[i], &index, &path, error)) {
            return false;
        }
        if (inputs[index].data != NULL) {
            return fail(error, "The input '%s' is given twice.", inputs[index].name);
        }
        FILE *file = open_input(path, error);
        if (file == NULL) {
            return false;
        }
        bool ok = preprocess_numbers(&model_spec, index, file, &inputs[index], error);
        close_input(file);
        if (!ok) {
            return false;
        }
    }
    for (size_t i = 0; i < model_spec.input_count; i++) {
        if (inputs[i].data == NULL) {
            const char *name = model_spec.inputs[i].name;
            return fail(error, "The input '%s' is missing: give %s=FILE.", name, name);
        }
    }
    return true;
}

static bool answer_numbers(struct model *model, const struct arguments *arguments,
                           struct error *error) {
    struct tensor *inputs = calloc(model_spec.input_count, sizeof *inputs);
    if (inputs == NULL) {
        return fail(error, "There is no memory left for the inputs.");
    }
    bool ok = read_inputs(arguments, inputs, error) &&
              answer_one(model, inputs, arguments->top, error);
    for (size_t i = 0; i < model_spec.input_count; i++) {
        tensor_free(&inputs[i]);
    }
    free(inputs);
    return ok;
}

static bool takes_text(void) {
    return model_spec.preprocessing == PREPROCESSING_CHARACTERS ||
           model_spec.preprocessing == PREPROCESSING_TEXT;
}

static bool takes_picture(void) {
    return model_spec.preprocessing == PREPROCESSING_IMAGE ||
           model_spec.preprocessing == PREPROCESSING_PIXELS;
}

static bool answer_all(struct model *model, const struct arguments *arguments,
                       struct error *error) {
    if (takes_text() && arguments->input_count == 0) {
        return answer_lines(model, arguments->top, error);
    }
    if (arguments->input_count == 0) {
        return fail(error, "There is no input: give a file, or - for the standard input.");
    }
    if (!takes_text() && !takes_picture()) {
        return answer_numbers(model, arguments, error);
    }
    for (int i = 0; i < arguments->input_count; i++) {
        char *given = arguments->inputs[i];
        bool ok = takes_text() ? answer_text(model, given, arguments->top, error)
                               : answer_picture(model, given, arguments->top, error);
        if (!ok) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv) {
    struct arguments arguments;
    struct error error;
    if (!parse(argc, argv, &arguments)) {
        fputs(usage, stderr);
        return 2;
    }
    if (arguments.help) {
        fputs(usage, stdout);
        return 0;
    }
    char *found = beside(argv[0], model_spec.model_file);
    const char *path = arguments.model != NULL ? arguments.model : found;
    struct model *model = NULL;
    bool ok = path != NULL || fail(&error, "There is no memory left for a path.");
    ok = ok &&
         model_open(&model, path, &model_spec, arguments.library, arguments.threads, &error) &&
         answer_all(model, &arguments, &error);
    model_close(model);
    free(found);
    return ok ? 0 : complain(&error);
}
