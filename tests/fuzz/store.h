/* SPDX-License-Identifier: MIT */
/*
 * Storage of a fuzz target: bytes in RAM, and bounds of the work that an input may cause. What goes beyond
 * them, or changes what must not change, ends the program.
 */
#ifndef TESTS_FUZZ_STORE_H
#define TESTS_FUZZ_STORE_H

#include <vhdx.h>

#include "crash/cow.h"

/* Writes behind it fail with EFBIG, as a file system's do somewhere. */
#define FUZZ_LAST_BYTE ((uint64_t)4 << 30)

struct fuzz_store {
	struct cow *bytes;
	bool writable;
	uint64_t calls;
	uint64_t read_bytes;
	uint64_t written_bytes;
	uint64_t changes; /* calls */
};

/* The store and its bytes stay the caller's. */
struct vhdx_io fuzz_store_io(struct fuzz_store *store);

/* Ends the program, saying why: a fault is found. */
void fuzz_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
