/* SPDX-License-Identifier: MIT */
/* The undo file: what a repair overwrites, so that it can be put back, after a crash in the middle too. */
#ifndef VHDX_OPS_UNDO_H
#define VHDX_OPS_UNDO_H

#include "store/draft.h"

/* Where the undo file goes when there is something to write. */
struct undo_place {
	const char *name; /* for messages */
	void *opaque;
	/* Makes empty storage for it, which stays the place's. */
	int (*begin)(void *opaque, const struct vhdx_io **ret_undo);
	/* What was written and flushed is the undo file, and durable under its name. */
	int (*publish)(void *opaque);
};

/* What it keeps. */
struct undo_work {
	const struct draft *draft;
	const struct vhdx_io *io;   /* its base */
	const char *name;	    /* of that, for messages */
	uint64_t total;		    /* bytes that change, for progress ... */
	vhdx_progress_fn *progress; /* ... which may be NULL, and cancels */
	void *opaque;
};

/*
 * Makes the undo file of all that a draft changes of its base in the empty storage @undo, durable on return.
 * From then on, and until vhdx_undo_finish, it is the undo file of a repair that did not end. -ECANCELED,
 * -EFBIG, or as the storages fail.
 */
int vhdx_undo_write(const struct vhdx_io *undo, const char *undo_name,
		    const struct undo_work *work);

/* The repair that it belongs to is durable. */
int vhdx_undo_finish(const struct vhdx_io *undo, const char *undo_name);

/*
 * Puts back what the undo file holds; durable on return. Where @undo can be written it counts as that of a
 * repair that did not end from then on. -EUCLEAN when it is damaged, -ESTALE when any sector that it would put
 * back holds neither what the repair found nor what the repair wrote; then nothing was changed.
 */
int vhdx_undo_restore(const struct vhdx_io *undo, const char *undo_name, const struct vhdx_io *io,
		      const char *name);

/* Is it that of a repair that did not end? -EUCLEAN when it is no undo file, or a damaged one. */
int vhdx_undo_is_unfinished(const struct vhdx_io *undo, const char *undo_name,
			    bool *ret_unfinished);

#endif
