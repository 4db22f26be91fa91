/* Pictures of eight bits a channel: read from PGM and PPM files, resized as Pillow does it. */
#ifndef PICTURE_H
#define PICTURE_H

#include <stdint.h>
#include <stdio.h>

#include "error.h"

struct picture {
    size_t width, height, channels; /* 1: grey, 3: red, green, blue */
    uint8_t *pixels;                /* rows from the top, channels last; owned */
};

/* Reads a PGM or PPM file (P2, P3, P5 or P6, up to 255). Any tool writes one, for example
 * `magick photo.jpg photo.ppm`. */
bool picture_read(FILE *file, struct picture *picture, struct error *error);

/* Makes a picture of this size and number of channels. False where there is no memory. */
bool picture_fit(const struct picture *picture, size_t width, size_t height, size_t channels,
                 struct picture *fitting);

void picture_free(struct picture *picture);

#endif
