/* SPDX-License-Identifier: MIT */
/* Changes inputs by their structure (input.h), so that what comes out damages what means something. */
#ifndef TESTS_FUZZ_MUTATE_H
#define TESTS_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

/* Changes the @size bytes of @data, which has room for @room. Returns the new size. */
size_t fuzz_mutate(uint8_t *data, size_t size, size_t room, unsigned seed);

/* Writes a mixture of both inputs' records to @out. Returns its size. */
size_t fuzz_cross(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
		  size_t room, unsigned seed);

#endif
