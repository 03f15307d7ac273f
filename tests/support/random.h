/* SPDX-License-Identifier: MIT */
/* Seeded random numbers for tests, and how long and from which seed the long ones run. */
#ifndef TESTS_SUPPORT_RANDOM_H
#define TESTS_SUPPORT_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

struct rng rng_make(uint64_t seed);
uint64_t rng_next(struct rng *rng);

/* 0 to @limit - 1; @limit is at least 1. */
uint64_t rng_below(struct rng *rng, uint64_t limit);

/* @low to @high, both included. */
uint64_t rng_between(struct rng *rng, uint64_t low, uint64_t high);

bool rng_chance(struct rng *rng, unsigned percent);
void rng_fill(struct rng *rng, void *buf, size_t size);

/* A length up to @limit, at least 1: small ones as likely as large ones. */
uint64_t rng_length(struct rng *rng, uint64_t limit);

/* @count divided by VHDX_TEST_SAMPLING, at least 1. */
uint64_t sampled(uint64_t count);

/*
 * The seeds of a test: *ret_first to *ret_last. VHDX_TEST_SEED or the program's first argument picks a
 * single one, or some ("7-20"); else there are sampled(@count) of them, from 1 on.
 */
void seeds_to_run(uint64_t count, uint64_t *ret_first, uint64_t *ret_last);

/* Remembers the arguments of main for seeds_to_run. */
void seeds_from_arguments(int argc, char **argv);

#endif
