/* Reads golden.bin: inputs with the answers that the trained model gave for them. Little-endian:
 *
 *     char[8] "EDGOLD1\n", float64 rtol, float64 min_sqnr_db, uint32 cases; for each case
 *         uint32 inputs, uint32 outputs; for each of those tensors, inputs first
 *             uint32 and the name's bytes, uint32 type, uint32 rank, int64 lengths,
 *             float64 atol, uint64 and the data's bytes
 *
 * NaN stands for a limit that there is not. Of strings (type 8) the data are, for each, uint32 and its
 * bytes. An output that is not known for a case is left out of it. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "error.h"
#include "spec.h"

struct golden_case {
    struct tensor *inputs;  /* in the spec's order */
    struct tensor *outputs; /* likewise; without data where it is not known */
    double *atol;           /* of each output */
};

struct golden {
    double rtol, min_sqnr_db;
    size_t case_count;
    struct golden_case *cases;
};

/* Reads a whole file, which has to fit the spec. Where it returns false there is nothing to close. */
bool golden_open(const char *path, const struct spec *spec, struct golden *golden,
                 struct error *error);

void golden_close(struct golden *golden, const struct spec *spec);

#endif
