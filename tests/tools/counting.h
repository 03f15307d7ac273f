/* SPDX-License-Identifier: MIT */
/* Storage that counts the calls that reach it. */
#ifndef TESTS_TOOLS_COUNTING_H
#define TESTS_TOOLS_COUNTING_H

#include <stdatomic.h>
#include <stdio.h>

#include <vhdx.h>

struct counts {
	atomic_ulong reads;
	atomic_ulong writes;
	atomic_ulong flushes;
	atomic_ulong sizes; /* of set_size */
	atomic_ulong punches;
	atomic_ulong zeros;
	atomic_ulong reserves;
	atomic_ulong asks;     /* of next_data */
	atomic_ullong written; /* bytes */
	atomic_ullong read;    /* bytes */
};

/*
 * Makes *@io, which stays in use below, count into @counts. Success takes *@io over: closing ret_io closes it.
 * -ENOMEM.
 */
int count_calls(const struct vhdx_io *io, struct counts *counts, struct vhdx_io *ret_io);

/* Prints the counts in one line, and begins anew. */
void print_counts(struct counts *counts, FILE *out);

#endif
