/* SPDX-License-Identifier: MIT */
/* A guest that does anything at random with a trial's disk, and compares all that it reads. */
#ifndef TESTS_SUPPORT_GUESTOPS_H
#define TESTS_SUPPORT_GUESTOPS_H

#include "support/trial.h"

/*
 * @count operations: reads, writes, zeros, trims, flushes, maps, closes and kills with opens behind them.
 * Begins with the disk closed, and leaves it so.
 */
void guest_run(struct rng *rng, struct trial *trial, uint64_t count);

#endif
