#include "picture.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A side of a picture that a phone or a scanner may give; more is a broken or hostile file. */
enum { LONGEST_SIDE = 32768 };

static bool allocate(struct picture *picture) {
    picture->pixels = calloc(picture->width * picture->height, picture->channels);
    return picture->pixels != NULL;
}

void picture_free(struct picture *picture) {
    free(picture->pixels);
    picture->pixels = NULL;
}

/* The next character that is neither white space nor in a comment, which runs from # to the end of
 * its line. */
static int next_visible(FILE *file) {
    bool comment = false;
    for (;;) {
        int c = getc(file);
        comment = c != '\n' && (comment || c == '#');
        if (c == EOF || (!comment && !isspace(c))) {
            return c;
        }
    }
}

/* The next number of a header or of a plain file; one character behind it is read too. -1 where
 * there is none. */
static long next_number(FILE *file) {
    int c = next_visible(file);
    if (!isdigit(c)) {
        return -1;
    }
    long number = 0;
    for (; isdigit(c); c = getc(file)) {
        number = number < 1000000 ? 10 * number + (c - '0') : number;
    }
    return number;
}

static bool read_plain(FILE *file, const struct picture *picture) {
    size_t count = picture->width * picture->height * picture->channels;
    for (size_t i = 0; i < count; i++) {
        long value = next_number(file);
        if (value < 0 || value > 255) {
            return false;
        }
        picture->pixels[i] = (uint8_t)value;
    }
    return true;
}

static bool read_pixels(FILE *file, bool plain, const struct picture *picture) {
    size_t count = picture->width * picture->height * picture->channels;
    return plain ? read_plain(file, picture) : fread(picture->pixels, 1, count, file) == count;
}

/* Spreads a darker scale, such as 0 to 15, over 0 to 255. */
static void scale_to_255(const struct picture *picture, long largest) {
    size_t count = picture->width * picture->height * picture->channels;
    for (size_t i = 0; i < count; i++) {
        long value = picture->pixels[i] < largest ? picture->pixels[i] : largest;
        picture->pixels[i] = (uint8_t)((value * 255 + largest / 2) / largest);
    }
}

bool picture_read(FILE *file, struct picture *picture, struct error *error) {
    int p = getc(file), kind = getc(file);
    if (p != 'P' || (kind != '2' && kind != '3' && kind != '5' && kind != '6')) {
        return fail(error, "The picture is neither PGM nor PPM: convert it, for example with "
                           "`magick photo.jpg photo.ppm`.");
    }
    long width = next_number(file), height = next_number(file), largest = next_number(file);
    if (width < 1 || width > LONGEST_SIDE || height < 1 || height > LONGEST_SIDE || largest < 1 ||
        largest > 255) {
        return fail(error, "The picture is %ld x %ld with values to %ld: sides up to %d and values "
                           "up to 255 are read.", width, height, largest, LONGEST_SIDE);
    }
    *picture = (struct picture){
        .width = (size_t)width,
        .height = (size_t)height,
        .channels = kind == '2' || kind == '5' ? 1 : 3,
    };
    if (!allocate(picture)) {
        return fail(error, "There is no memory left for a picture of %ld x %ld.", width, height);
    }
    if (!read_pixels(file, kind == '2' || kind == '3', picture)) {
        picture_free(picture);
        return fail(error, "The picture ends before its %ld x %ld pixels.", width, height);
    }
    if (largest < 255) {
        scale_to_255(picture, largest);
    }
    return true;
}

/* --- channels and sizes ---------------------------------------------------------------------- */

/* ITU-R 601-2 luma in 16-bit fixed point, as Pillow rounds it. */
static uint8_t luma(const uint8_t *rgb) {
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

static bool with_channels(const struct picture *from, size_t channels, struct picture *to) {
    *to = (struct picture){.width = from->width, .height = from->height, .channels = channels};
    if (!allocate(to)) {
        return false;
    }
    size_t count = from->width * from->height;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixel = &from->pixels[i * from->channels];
        if (channels == from->channels) {
            memcpy(&to->pixels[i * channels], pixel, channels);
        } else if (channels == 1) {
            to->pixels[i] = luma(pixel);
        } else {
            memset(&to->pixels[i * channels], *pixel, channels);
        }
    }
    return true;
}

/* The pixels of a line that one pixel of the shorter or longer line is a weighted mean of. The
 * weights are in fixed point, so that every machine rounds alike. */
struct window {
    size_t first, count;
    int32_t *weights;
};

enum { FRACTION_BITS = 22 };

/* A triangle around the pixel's centre, as wide as two source pixels, or two of the target's where
 * the line gets shorter. Writes into `room`, which has place for `window_room` weights. */
static struct window window_of(size_t at, size_t from, size_t to, double *room, int32_t *weights) {
    double scale = (double)from / (double)to;
    double radius = scale > 1.0 ? scale : 1.0;
    double centre = ((double)at + 0.5) * scale;
    double low = floor(centre - radius + 0.5), high = floor(centre + radius + 0.5);
    size_t first = low > 0.0 ? (size_t)low : 0;
    size_t last = high < (double)from ? (size_t)high : from;
    double sum = 0.0;
    for (size_t i = first; i < last; i++) {
        double distance = fabs(((double)i + 0.5 - centre) / radius);
        room[i - first] = distance < 1.0 ? 1.0 - distance : 0.0;
        sum += room[i - first];
    }
    for (size_t i = 0; i < last - first; i++) {
        weights[i] = (int32_t)floor(room[i] / sum * (1 << FRACTION_BITS) + 0.5);
    }
    return (struct window){first, last - first, weights};
}

static size_t window_room(size_t from, size_t to) {
    double scale = (double)from / (double)to;
    return 2 * (size_t)ceil(scale > 1.0 ? scale : 1.0) + 2;
}

/* One direction of a resize: `step` is from a pixel of a line to its next, `across` from a line to
 * the next, in values. */
struct lines {
    size_t length, step, across;
    uint8_t *values;
};

static bool resample(const struct lines *from, const struct lines *to, size_t line_count,
                     size_t channels) {
    size_t most = window_room(from->length, to->length);
    double *room = malloc(most * sizeof *room);
    int32_t *weights = malloc(most * sizeof *weights);
    bool ok = room != NULL && weights != NULL;
    for (size_t at = 0; ok && at < to->length; at++) {
        struct window window = window_of(at, from->length, to->length, room, weights);
        for (size_t line = 0; line < line_count * channels; line++) {
            size_t channel = line % channels, offset = line / channels;
            const uint8_t *source = &from->values[offset * from->across + channel];
            int64_t sum = INT64_C(1) << (FRACTION_BITS - 1);
            for (size_t i = 0; i < window.count; i++) {
                sum += (int64_t)source[(window.first + i) * from->step] * window.weights[i];
            }
            sum >>= FRACTION_BITS;
            to->values[offset * to->across + at * to->step + channel] =
                (uint8_t)(sum > 255 ? 255 : sum);
        }
    }
    free(weights);
    free(room);
    return ok;
}

/* First along the rows, then along the columns, each rounded to eight bits: Pillow's order. */
static bool resize(const struct picture *from, size_t width, size_t height, struct picture *to) {
    size_t channels = from->channels;
    struct picture narrow = {.width = width, .height = from->height, .channels = channels};
    *to = (struct picture){.width = width, .height = height, .channels = channels};
    bool ok = allocate(&narrow) && allocate(to);
    if (ok) {
        struct lines source = {from->width, channels, from->width * channels, from->pixels};
        struct lines row = {width, channels, width * channels, narrow.pixels};
        struct lines column = {from->height, width * channels, channels, narrow.pixels};
        struct lines target = {height, width * channels, channels, to->pixels};
        ok = resample(&source, &row, from->height, channels) &&
             resample(&column, &target, width, channels);
    }
    picture_free(&narrow);
    if (!ok) {
        picture_free(to);
    }
    return ok;
}

bool picture_fit(const struct picture *picture, size_t width, size_t height, size_t channels,
                 struct picture *fitting) {
    struct picture converted = {0};
    bool ok = with_channels(picture, channels, &converted) &&
              resize(&converted, width, height, fitting);
    picture_free(&converted);
    return ok;
}
