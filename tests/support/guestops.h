/* SPDX-License-Identifier: MIT */
/* A guest that does anything at random with a trial's disk, and compares all that it reads. */
#ifndef TESTS_SUPPORT_GUESTOPS_H
#define TESTS_SUPPORT_GUESTOPS_H

#include "support/trial.h"

/*
 * 1000 operations on a trial of each seed: reads, writes, zeros, trims, flushes, maps, closes and kills with
 * opens behind them. @count seeds, as seeds_to_run says.
 */
void guest_over_seeds(uint64_t count, enum trial_kind kind, const struct chain_style *style);

#endif
