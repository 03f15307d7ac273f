/* SPDX-License-Identifier: MIT */
/* Walks two contents in step, reads what either holds, and tells in which sectors they differ. */
#ifndef VHDX_OPS_DIFFER_H
#define VHDX_OPS_DIFFER_H

#include "ops/endpoint.h"

/*
 * Receives a run of sectors that all differ, in the order of the disk; neighbours may come one by one.
 * @bytes: what the second holds there, at most a MiB that no multiple of a MiB divides; NULL: zeros, of
 * any length. The last sector may reach beyond the ends. Another value than 0 ends the walk.
 */
typedef int differing_fn(void *opaque, uint64_t offset, uint64_t length, const void *bytes);

struct differ {
	struct source *first;
	struct source *second; /* another one than the first */
	uint32_t sector_size;  /* runs are of whole ones: a power of two up to 4096; 1: exact */
	uint64_t end;	       /* a multiple of it, or UINT64_MAX: up to the longer one's end */
	differing_fn *found;
	void *opaque;
	vhdx_progress_fn *progress; /* in bytes; may be NULL */
	void *progress_opaque;
};

/*
 * Beyond its end, the shorter one reads as zeros. What neither holds is not read, nor what both would read
 * from one place of one file, as chains with a parent in common do. Both sources must be new. Returns 0,
 * what @found ended the walk with, -ECANCELED, -ENOMEM, or as reading fails. Takes a few MiB of memory.
 */
int vhdx_differ(const struct differ *differ);

#endif
