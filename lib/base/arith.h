/* SPDX-License-Identifier: MIT */
/* Arithmetic on numbers that nobody vouches for: every result that could wrap is checked. */
#ifndef VHDX_BASE_ARITH_H
#define VHDX_BASE_ARITH_H

#include <stdbool.h>
#include <stdint.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* a + b, or false when it wraps. */
static inline bool add_fits(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
	return !__builtin_add_overflow(a, b, ret_sum);
}

/* Does [offset, offset + length) lie in [0, limit)? */
static inline bool range_within(uint64_t offset, uint64_t length, uint64_t limit)
{
	return offset <= limit && length <= limit - offset;
}

/* Do two ranges share a byte? Neither may wrap. */
static inline bool ranges_meet(uint64_t a, uint64_t a_length, uint64_t b, uint64_t b_length)
{
	return a_length && b_length && (a < b ? b - a < a_length : a - b < b_length);
}

/* @unit is a power of two. */
static inline bool is_aligned(uint64_t value, uint64_t unit)
{
	return !(value & (unit - 1));
}

static inline bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

static inline uint64_t round_down(uint64_t value, uint64_t unit)
{
	return value - value % unit;
}

/* The caller knows that it fits: every limit in format/ondisk.h leaves room for it. */
static inline uint64_t round_up(uint64_t value, uint64_t unit)
{
	return round_down(value + unit - 1, unit);
}

/* For a value of any size: the highest multiple where rounding up would wrap. */
static inline uint64_t round_up_saturated(uint64_t value, uint64_t unit)
{
	return value > UINT64_MAX - (unit - 1) ? round_down(UINT64_MAX, unit)
					       : round_up(value, unit);
}

static inline uint64_t div_round_up(uint64_t value, uint64_t unit)
{
	return value / unit + (value % unit != 0);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
