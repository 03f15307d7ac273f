/* SPDX-License-Identifier: MIT */
/* Making the disk of a trial smaller, with all that must hold afterwards. Failures end the test. */
#ifndef TESTS_SUPPORT_COMPACTCASE_H
#define TESTS_SUPPORT_COMPACTCASE_H

#include "support/trial.h"

/* Writes data, zeros, or whole blocks of zeros somewhere, zeroes or trims. */
void compact_case_change(struct rng *rng, struct trial *trial);

/* The same many times. */
void compact_case_fill(struct rng *rng, struct trial *trial, unsigned changes);

/*
 * Makes it smaller: as a dry run says before, with the same contents and identity, and as small as it can be.
 * @seed: unless 0, so many ranges at random are said to be free, whose contents may go.
 */
void compact_case_run(struct trial *trial, uint64_t seed);

/* A new image of it, which is looked at as this one is. */
void compact_case_rewrite(struct trial *trial, uint64_t seed);

/* No structure at the file's end fits into the space before it. */
void compact_case_check_end(struct trial *trial);

#endif
