/* SPDX-License-Identifier: MIT */
/* The time, for waits that end: nobody sets this clock. */
#ifndef REMOTE_CLOCK_H
#define REMOTE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_A_SECOND 1000000000ll

/* In nanoseconds. */
static inline int64_t clock_now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * NS_A_SECOND + at.tv_nsec;
}

#endif
