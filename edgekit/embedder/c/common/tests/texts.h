/* Texts with the ids that Python gives for them: what languages tend to see differently. */
#ifndef TEXTS_H
#define TEXTS_H

#include <stddef.h>
#include <stdint.h>

struct text {
    const char *text;
    size_t count;
    const int32_t *ids;
};

extern const size_t text_count;
extern const struct text texts[];

#endif
