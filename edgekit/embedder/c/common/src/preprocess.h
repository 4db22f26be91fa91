/* From what a person has (a text, a picture, a table) to what the model takes. Every function
 * fills an input tensor as the spec has it, with a batch of one; its data belong to the caller.
 * False with a sentence where the given does not fit. */
#ifndef PREPROCESS_H
#define PREPROCESS_H

#include <stdio.h>

#include "error.h"
#include "picture.h"
#include "spec.h"

/* UTF-8 text to ids: white space around it is left out, letters become lower case if the model was
 * trained so, characters past the longest text are cut off. One character differs from Unicode's
 * rules: a capital sigma at the end of a word becomes the sigma of its middle.
 *
 * A model that has its preprocessing inside gets the text as it is. */
bool preprocess_text(const struct spec *spec, const char *text, struct tensor *input,
                     struct error *error);

/* A picture, resized as Pillow resizes (bilinear, with antialiasing) and scaled to the model's
 * range; its bytes as they are for a model that has its preprocessing inside. */
bool preprocess_picture(const struct spec *spec, const struct picture *picture,
                        struct tensor *input, struct error *error);

/* Numbers separated by commas, white space or lines, until the end of the file, for the input at
 * `index`. One free axis is as long as the numbers need; more than one cannot be known. */
bool preprocess_numbers(const struct spec *spec, size_t index, FILE *file, struct tensor *input,
                        struct error *error);

#endif
