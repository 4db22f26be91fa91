/* One sentence of what went wrong: what came, what was expected, what to do. */
#ifndef ERROR_H
#define ERROR_H

#include <stdbool.h>

struct error {
    char text[1024];
};

/* Writes the sentence (cut where it is too long) and returns false, so that a caller can
 * `return fail(error, ...)`. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
bool fail(struct error *error, const char *format, ...);

#endif
