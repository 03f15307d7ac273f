/* SPDX-License-Identifier: MIT */
/* A draft: storage that shows a base, takes changes, and keeps them beside the base, which is never written. */
#ifndef VHDX_STORE_DRAFT_H
#define VHDX_STORE_DRAFT_H

#include <stdbool.h>

#include <vhdx.h>

#define DRAFT_PAGE_SIZE 4096u

/* Most bytes of written pages that a draft holds; more is -EFBIG. Its tables then take 8 MiB. */
#define MAX_DRAFT_BYTES ((uint64_t)2 << 30)

/* Largest base, and size, of a draft. */
#define MAX_DRAFT_SIZE ((uint64_t)1 << 56)

/* Most bytes that a walk shows at once of what was written. What was released may be of any length. */
#define DRAFT_RUN_SIZE (16 * DRAFT_PAGE_SIZE)

struct draft;

/* What a draft changed. */
struct draft_range {
	uint64_t offset; /* a multiple of the page size */
	uint64_t length;
	bool released; /* a hole since, reading as zeros; else written */
};

/* Return values other than 0 end the walk, which returns them. */
typedef int draft_visitor(void *opaque, const struct draft_range *range);

/*
 * A draft over @base, which must outlive it, as must @scratch: empty, writable storage for what changes,
 * or NULL for RAM. It grows, is cut, has holes and tells them where the base does. -ENOMEM, -EFBIG,
 * or as the base fails.
 */
int vhdx_draft_open(const struct vhdx_io *base, const struct vhdx_io *scratch,
		    struct draft **ret_draft);

/* NULL is allowed. */
void vhdx_draft_close(struct draft *draft);

/* Reads and writes it, from one thread at a time. Its close does nothing. */
const struct vhdx_io *vhdx_draft_io(const struct draft *draft);

/*
 * Visits, in order of their offsets, the ranges that now differ from the base; a size is no range. Of what
 * was released, those where the base may hold data. The visitor may write to the base what it was shown.
 */
int vhdx_draft_walk(const struct draft *draft, draft_visitor *visit, void *opaque);

#endif
