/* SPDX-License-Identifier: MIT */
/* Arithmetic of sizes and offsets. */
#ifndef REMOTE_ARITH_H
#define REMOTE_ARITH_H

#include <stdint.h>

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif
