/* SPDX-License-Identifier: MIT */
/* What bench/commits writes to: a disk of ours, or a raw file that is flushed in one of two ways. */
#ifndef BENCH_TARGETS_H
#define BENCH_TARGETS_H

#include <stddef.h>
#include <stdint.h>

#include "tools/counting.h"

struct target {
	const char *name;
	int (*write)(struct target *target, const void *buf, size_t count, uint64_t offset);
	int (*flush)(struct target *target);
	int (*close)(struct target *target);
	struct counts counts;
	void *opaque;
};

/*
 * Makes a disk of @size bytes at @path, or beside it, of which nothing is present: "vhdx" in blocks of
 * @block_size; "raw", a sparse file of which each thread flushes for itself; "shared", one whose threads share
 * flushes as well as they can. Exits with a message when it cannot.
 */
struct target *target_make(const char *name, const char *path, uint64_t size, uint32_t block_size);

/* Closes it, and removes its file. */
void target_drop(struct target *target, const char *path);

#endif
