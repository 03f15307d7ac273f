/* SPDX-License-Identifier: MIT */
/* The same for AFL++: a library that AFL_CUSTOM_MUTATOR_LIBRARY names. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/mutate.h"

/* What AFL++ calls. */
void *afl_custom_init(void *afl, unsigned seed);
size_t afl_custom_fuzz(void *opaque, uint8_t *buf, size_t size, uint8_t **ret_buf, uint8_t *add,
		       size_t add_size, size_t max_size);
void afl_custom_deinit(void *opaque);

struct mutator {
	unsigned seed;
	size_t room;
	uint8_t *buf;
};

void *afl_custom_init(void *afl, unsigned seed)
{
	struct mutator *mutator = calloc(1, sizeof(*mutator));

	(void)afl;
	if (mutator)
		mutator->seed = seed;
	return mutator;
}

size_t afl_custom_fuzz(void *opaque, uint8_t *buf, size_t size, uint8_t **ret_buf, uint8_t *add,
		       size_t add_size, size_t max_size)
{
	struct mutator *mutator = opaque;
	unsigned seed = mutator->seed++;

	if (mutator->room < max_size) {
		free(mutator->buf);
		mutator->buf = malloc(max_size);
		mutator->room = mutator->buf ? max_size : 0;
	}
	if (!mutator->buf || size > max_size)
		return 0;
	*ret_buf = mutator->buf;
	if (add && seed % 8 == 0)
		return fuzz_cross(buf, size, add, add_size, mutator->buf, max_size, seed);
	memcpy(mutator->buf, buf, size);
	return fuzz_mutate(mutator->buf, size, max_size, seed);
}

void afl_custom_deinit(void *opaque)
{
	struct mutator *mutator = opaque;

	free(mutator->buf);
	free(mutator);
}
