/* SPDX-License-Identifier: MIT */
/*
 * Memory as the library takes it: counted, and refused on demand. Works in programs linked with
 * -Wl,--wrap for malloc and its kin (tests/meson.build).
 */
#ifndef TESTS_SUPPORT_ALLOC_H
#define TESTS_SUPPORT_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes and pieces that are taken now. */
size_t alloc_bytes(void);
size_t alloc_pieces(void);

/* The most bytes taken at once since the last reset, beyond those taken at the reset. */
size_t alloc_peak(void);
void alloc_reset_peak(void);

/* The @nth allocation from now on fails, counted from 1; 0: none does. */
void alloc_fail_nth(unsigned long nth);

/* Between true and false no allocation fails, and none of them counts as one: it is the test's own. */
void alloc_pause(bool pause);

/* Has it? */
bool alloc_has_failed(void);

#endif
