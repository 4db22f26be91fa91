/* Proves the preprocessing without onnxruntime: texts against the ids that Python gives, pictures
 * against the pixels that Pillow gives, numbers against what they say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess.h"
#include "texts.h"

static int passed_count, failed_count;

static void check(bool ok, const char *what) {
    if (!ok) {
        printf("FAIL  %s\n", what);
    }
    *(ok ? &passed_count : &failed_count) += 1;
}

static FILE *file_of(const void *content, size_t size) {
    FILE *file = tmpfile();
    if (file == NULL || fwrite(content, 1, size, file) != size) {
        perror("a temporary file");
        exit(1);
    }
    rewind(file);
    return file;
}

/* --- text ------------------------------------------------------------------------------------ */

static void check_text(const struct text *known) {
    struct tensor input = {0};
    struct error error;
    bool ok = preprocess_text(&model_spec, known->text, &input, &error) &&
              (size_t)input.shape[1] >= known->count;
    for (size_t i = 0; ok && i < (size_t)input.shape[1]; i++) {
        int32_t wanted = i < known->count ? known->ids[i] : model_spec.padding;
        ok = tensor_get(&input, i) == wanted;
    }
    check(ok, known->text);
    tensor_free(&input);
}

static void check_bad_texts(void) {
    static const char *const bad[] = {"", " \t", "\xC3", "\xFF", "\xED\xA0\x80", "\xC0\xAF",
                                      "\xF5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tensor input = {0};
        struct error error;
        check(!preprocess_text(&model_spec, bad[i], &input, &error), "a bad text is refused");
        tensor_free(&input);
    }
}

/* --- pictures -------------------------------------------------------------------------------- */

static const uint8_t shrunk[] = {
    95, 111, 158, 152, 108, 116, 155, 152, 119, 99, 108, 157,
};
static const uint8_t grown[] = {
    11, 48, 85, 85, 122, 159, 171, 95, 132, 201, 39, 76, 88, 125, 162, 174, 211, 49, 118, 155, 79,
    91, 128, 165, 165, 202, 239, 18, 55, 92, 92, 129, 166, 178, 102, 139, 208, 46, 83, 95, 132,
    169, 181, 218, 56, 125, 162, 86, 98, 135, 172, 172, 209, 246, 25, 62, 99, 99, 136, 173, 185,
    109, 146, 215, 53, 90, 102, 139, 176, 188, 225, 63, 132, 169, 93, 105, 142, 130, 179, 216,
    104, 33, 70, 107, 107, 144, 181, 146, 117, 154, 140, 61, 98, 110, 147, 184, 196, 150, 71, 140,
    130, 101, 113, 150, 102, 187, 224, 5, 40, 77, 114, 114, 151, 188, 87, 124, 161, 31, 68, 105,
    117, 154, 191, 203, 41, 78, 147, 71, 108, 120, 157, 109, 194, 231, 12, 47, 84, 121, 121, 158,
    195, 94, 131, 168, 38, 75, 112, 124, 161, 198, 210, 48, 85, 154, 78, 115, 127, 164, 116, 201,
    238, 19,
};

/* 7 x 5 pixels in colour, none of them like its neighbour. */
static struct picture pattern(void) {
    char content[16 + 7 * 5 * 3];
    int header = snprintf(content, sizeof content, "P6\n7 5\n255\n");
    for (int i = 0; i < 7 * 5 * 3; i++) {
        content[header + i] = (char)(unsigned char)((i * 37 + 11) % 256);
    }
    FILE *file = file_of(content, (size_t)header + 7 * 5 * 3);
    struct picture picture = {0};
    struct error error;
    check(picture_read(file, &picture, &error), "a PPM file is read");
    fclose(file);
    return picture;
}

static void check_resize(size_t width, size_t height, size_t channels, const uint8_t *wanted,
                         const char *what) {
    struct picture picture = pattern(), fitting = {0};
    bool ok = picture_fit(&picture, width, height, channels, &fitting) &&
              memcmp(fitting.pixels, wanted, width * height * channels) == 0;
    check(ok, what);
    picture_free(&fitting);
    picture_free(&picture);
}

static void check_file(const char *content, bool wanted, const char *what) {
    FILE *file = file_of(content, strlen(content));
    struct picture picture = {0};
    struct error error;
    bool ok = picture_read(file, &picture, &error);
    check(ok == wanted && (!ok || (picture.pixels[0] == 255 && picture.width == 2)), what);
    picture_free(&picture);
    fclose(file);
}

static void check_picture_files(void) {
    check_file("P2 # a comment\n# another\n2 1\n255\n255 0\n", true, "a plain file with comments");
    check_file("P2 2 1 15 15 0", true, "a file with values to 15");
    check_file("P5 2 1 255 \xFF", false, "a file that ends early");
    check_file("P2 2 1 255 256 0", false, "a value over the largest");
    check_file("P2 0 1 255", false, "a picture without pixels");
    check_file("P2 99999999 1 255", false, "a side too long");
    check_file("P5 2 1 65535 ....", false, "sixteen bits a channel");
    check_file("\x89PNG", false, "another format");
}

/* --- numbers --------------------------------------------------------------------------------- */

static const struct spec_tensor series = {"series", TENSOR_FLOAT32, 3, {-1, -1, 2}};
static const struct spec series_spec = {.input_count = 1, .inputs = &series};

static void check_numbers(const char *content, int64_t steps) {
    FILE *file = file_of(content, strlen(content));
    struct tensor input = {0};
    struct error error;
    bool ok = preprocess_numbers(&series_spec, 0, file, &input, &error);
    check(steps == 0 ? !ok : ok && input.shape[1] == steps && tensor_get(&input, 1) == -2.5,
          content);
    tensor_free(&input);
    fclose(file);
}

int main(void) {
    for (size_t i = 0; i < text_count; i++) {
        check_text(&texts[i]);
    }
    if (model_spec.preprocessing == PREPROCESSING_CHARACTERS ||
        model_spec.preprocessing == PREPROCESSING_TEXT) {
        check_bad_texts();
    }
    check_resize(4, 3, 1, shrunk, "shrunk and grey as by Pillow");
    check_resize(9, 6, 3, grown, "grown in colour as by Pillow");
    check_picture_files();
    check_numbers("1,-2.5\n3,4e0\n5,6\n", 3);
    check_numbers("1 -2.5", 1);
    check_numbers("1,2,3", 0);
    check_numbers("", 0);
    check_numbers("a,b", 0);
    check_numbers("1,nan", 0);
    printf("preprocessing: %d passed, %d failed\n", passed_count, failed_count);
    return failed_count > 0;
}
