/* SPDX-License-Identifier: MIT */
/* Seeded random numbers for tests (xorshift64*), and how long the long ones run. */
#include <stdlib.h>

#include "support/random.h"

static const char *seed_argument;

struct rng rng_make(uint64_t seed)
{
	struct rng rng = {(seed + 1) * 0x9e3779b97f4a7c15};

	if (!rng.state)
		rng.state = 1;
	for (int i = 0; i < 4; i++)
		rng_next(&rng);
	return rng;
}

uint64_t rng_next(struct rng *rng)
{
	uint64_t x = rng->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	rng->state = x;
	return x * 0x2545f4914f6cdd1d;
}

uint64_t rng_below(struct rng *rng, uint64_t limit)
{
	return (rng_next(rng) >> 8) % limit;
}

uint64_t rng_between(struct rng *rng, uint64_t low, uint64_t high)
{
	return low + rng_below(rng, high - low + 1);
}

bool rng_chance(struct rng *rng, unsigned percent)
{
	return rng_below(rng, 100) < percent;
}

void rng_fill(struct rng *rng, void *buf, size_t size)
{
	uint8_t *bytes = buf;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(rng_next(rng) >> 32);
}

uint64_t rng_length(struct rng *rng, uint64_t limit)
{
	unsigned bits = 64 - (unsigned)__builtin_clzll(limit);
	uint64_t length = rng_below(rng, (uint64_t)1 << rng_between(rng, 1, bits)) + 1;

	return length < limit ? length : limit;
}

uint64_t sampled(uint64_t count)
{
	const char *text = getenv("VHDX_TEST_SAMPLING");
	uint64_t divisor = text ? strtoull(text, NULL, 10) : 1;

	if (divisor > 1)
		count /= divisor;
	return count ? count : 1;
}

void seeds_from_arguments(int argc, char **argv)
{
	seed_argument = argc > 1 ? argv[1] : NULL;
}

void seeds_to_run(uint64_t count, uint64_t *ret_first, uint64_t *ret_last)
{
	const char *text = seed_argument ? seed_argument : getenv("VHDX_TEST_SEED");

	if (text) {
		char *end;

		*ret_first = strtoull(text, &end, 10);
		*ret_last = *end == '-' ? strtoull(end + 1, NULL, 10) : *ret_first;
	} else {
		*ret_first = 1;
		*ret_last = sampled(count);
	}
}
