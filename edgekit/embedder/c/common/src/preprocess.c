#include "preprocess.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Starts an input of the spec's type and rank, with a batch of one. */
static struct tensor begin(const struct spec_tensor *wanted) {
    struct tensor input = {.name = wanted->name, .type = wanted->type, .rank = wanted->rank};
    for (size_t axis = 0; axis < wanted->rank; axis++) {
        input.shape[axis] = wanted->shape[axis];
    }
    if (input.rank > 0 && input.shape[0] < 0) {
        input.shape[0] = 1;
    }
    return input;
}

static bool allocate(struct tensor *input, struct error *error) {
    return tensor_allocate(input) ||
           fail(error, "There is no memory left for the input '%s'.", input->name);
}

/* --- text ------------------------------------------------------------------------------------ */

/* Reads one character, and moves `text` behind it. False for what is not UTF-8. */
static bool next_character(const unsigned char **text, uint32_t *code) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *at = *text;
    size_t length = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
    if (length == 0) {
        return false;
    }
    *code = length == 1 ? *at : *at & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (at[i] >> 6 != 2) {
            return false;
        }
        *code = *code << 6 | (at[i] & 0x3Fu);
    }
    *text = at + length;
    return *code >= smallest[length] && *code <= 0x10FFFF && (*code < 0xD800 || *code > 0xDFFF);
}

static bool is_space(uint32_t code) {
    return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
           code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
           code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

static int compare_codes(const void *wanted, const void *row) {
    uint32_t left = *(const uint32_t *)wanted;
    uint32_t right = ((const struct spec_character *)row)->code;
    return (left > right) - (left < right);
}

/* Writes the ids of a whole text, and how many there are without the white space at its ends; room
 * is needed for two a byte. False for what is not UTF-8. */
static bool encode(const struct spec *spec, const char *text, int32_t *ids, size_t *count) {
    const unsigned char *at = (const unsigned char *)text;
    size_t written = 0;
    *count = 0;
    while (*at != '\0') {
        uint32_t code;
        if (!next_character(&at, &code)) {
            return false;
        }
        if (is_space(code) && written == 0) {
            continue;
        }
        const struct spec_character *known =
            bsearch(&code, spec->characters, spec->character_count, sizeof *spec->characters,
                    compare_codes);
        if (known == NULL) {
            ids[written++] = spec->unknown;
        } else {
            for (uint8_t i = 0; i < known->id_count; i++) {
                ids[written++] = known->ids[i];
            }
        }
        if (!is_space(code)) {
            *count = written;
        }
    }
    return true;
}

static bool as_it_is(const struct spec *spec, const char *text, struct tensor *input,
                     struct error *error) {
    const unsigned char *at = (const unsigned char *)text;
    bool empty = true;
    while (*at != '\0') {
        uint32_t code;
        if (!next_character(&at, &code)) {
            return fail(error, "The text is not UTF-8: convert it.");
        }
        empty = empty && is_space(code);
    }
    if (empty) {
        return fail(error, "The text is empty: give at least one character.");
    }
    *input = begin(&spec->inputs[0]);
    return allocate(input, error) &&
           (tensor_set_text(input, 0, text, strlen(text)) ||
            fail(error, "There is no memory left for the text."));
}

bool preprocess_text(const struct spec *spec, const char *text, struct tensor *input,
                     struct error *error) {
    if (spec->preprocessing == PREPROCESSING_TEXT) {
        return as_it_is(spec, text, input, error);
    }
    int32_t *ids = malloc((2 * strlen(text) + 1) * sizeof *ids);
    if (ids == NULL) {
        return fail(error, "There is no memory left for the text.");
    }
    size_t count = 0;
    bool ok = encode(spec, text, ids, &count) || fail(error, "The text is not UTF-8: convert it.");
    if (ok && count == 0) {
        ok = fail(error, "The text is empty: give at least one character.");
    }
    *input = begin(&spec->inputs[0]);
    count = count < spec->max_length ? count : spec->max_length;
    if (input->shape[1] < 0) {
        input->shape[1] = (int64_t)count;
    }
    if (ok && (int64_t)count > input->shape[1]) {
        ok = fail(error, "The text has %zu characters and the model takes %lld: shorten it.", count,
                  (long long)input->shape[1]);
    }
    ok = ok && allocate(input, error);
    for (size_t i = 0; ok && i < (size_t)input->shape[1]; i++) {
        tensor_set(input, i, i < count ? ids[i] : spec->padding);
    }
    free(ids);
    return ok;
}

/* --- pictures -------------------------------------------------------------------------------- */

static bool copy_pixels(const struct spec *spec, const struct picture *picture,
                        struct tensor *input, struct error *error) {
    *input = begin(&spec->inputs[0]);
    input->shape[1] = (int64_t)picture->height;
    input->shape[2] = (int64_t)picture->width;
    input->shape[3] = (int64_t)picture->channels;
    if (!allocate(input, error)) {
        return false;
    }
    memcpy(input->data, picture->pixels, picture->height * picture->width * picture->channels);
    return true;
}

bool preprocess_picture(const struct spec *spec, const struct picture *picture,
                        struct tensor *input, struct error *error) {
    if (spec->preprocessing == PREPROCESSING_PIXELS) {
        return copy_pixels(spec, picture, input, error);
    }
    struct picture fitting = {0};
    if (!picture_fit(picture, spec->width, spec->height, spec->channels, &fitting)) {
        return fail(error, "There is no memory left for the picture.");
    }
    *input = begin(&spec->inputs[0]);
    bool ok = allocate(input, error);
    size_t count = spec->width * spec->height * spec->channels;
    for (size_t i = 0; ok && i < count; i++) {
        float share = (float)fitting.pixels[i] / 255.0f;
        tensor_set(input, i, spec->low + share * (spec->high - spec->low));
    }
    picture_free(&fitting);
    return ok;
}

/* --- numbers --------------------------------------------------------------------------------- */

struct numbers {
    double *values;
    size_t count, room;
};

static bool append(struct numbers *numbers, double value) {
    if (numbers->count == numbers->room) {
        size_t room = numbers->room > 0 ? 2 * numbers->room : 256;
        double *values = realloc(numbers->values, room * sizeof *values);
        if (values == NULL) {
            return false;
        }
        numbers->values = values;
        numbers->room = room;
    }
    numbers->values[numbers->count++] = value;
    return true;
}

/* Reads the next word between separators into `word`. False at the end of the file. */
static bool next_word(FILE *file, char *word, size_t size) {
    int c = getc(file);
    while (c != EOF && (isspace(c) || c == ',' || c == ';')) {
        c = getc(file);
    }
    size_t length = 0;
    for (; c != EOF && !isspace(c) && c != ',' && c != ';'; c = getc(file)) {
        if (length + 1 < size) {
            word[length++] = (char)c;
        }
    }
    word[length] = '\0';
    return length > 0;
}

static bool read_numbers(FILE *file, struct numbers *numbers, struct error *error) {
    char word[64];
    while (next_word(file, word, sizeof word)) {
        char *end;
        double value = strtod(word, &end);
        if (*end != '\0' || !isfinite(value)) {
            return fail(error, "'%s' is not a number: give numbers separated by commas, without a "
                               "header.", word);
        }
        if (!append(numbers, value)) {
            return fail(error, "There is no memory left for the numbers.");
        }
    }
    if (ferror(file)) {
        return fail(error, "The numbers cannot be read (%s).", strerror(errno));
    }
    return true;
}

/* Gives the one free axis the length that `count` numbers need. */
static bool settle_shape(struct tensor *input, size_t count, struct error *error) {
    int64_t each = 1; /* numbers for a length of one */
    int64_t *unsettled = NULL;
    for (size_t axis = 0; axis < input->rank; axis++) {
        if (input->shape[axis] >= 0) {
            each *= input->shape[axis];
        } else if (unsettled == NULL) {
            unsettled = &input->shape[axis];
        } else {
            return fail(error, "The input '%s' has more than one free axis, so its shape cannot be "
                               "known from its numbers: use model_run.", input->name);
        }
    }
    int64_t length = each > 0 ? (int64_t)count / each : 0;
    if (length == 0 || (size_t)(each * length) != count || (unsettled == NULL && length != 1)) {
        return fail(error, "The input '%s' got %zu numbers where %s%lld are expected.", input->name,
                    count, unsettled != NULL ? "a multiple of " : "", (long long)each);
    }
    if (unsettled != NULL) {
        *unsettled = length;
    }
    return true;
}

bool preprocess_numbers(const struct spec *spec, size_t index, FILE *file, struct tensor *input,
                        struct error *error) {
    struct numbers numbers = {0};
    *input = begin(&spec->inputs[index]);
    bool ok = read_numbers(file, &numbers, error) &&
              settle_shape(input, numbers.count, error) && allocate(input, error);
    for (size_t i = 0; ok && i < numbers.count; i++) {
        tensor_set(input, i, numbers.values[i]);
    }
    free(numbers.values);
    return ok;
}
