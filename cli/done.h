/* SPDX-License-Identifier: MIT */
/*
 * Which copies are complete already: what a copy was made of is recorded, in DST.done beside a file, or with
 * an image in a cluster, so that a job that died is run again and does only what is left.
 */
#ifndef CLI_DONE_H
#define CLI_DONE_H

#include <vhdx.h>

#include "contents.h"
#include "destination.h"
#include "options.h"
#include "source.h"

enum done_state {
	DONE_NOT_THERE = 0, /* or nothing that tells us more than a copy would */
	DONE_COMPLETE,	    /* holds what the source holds */
	DONE_OUTDATED,	    /* as it was written, of what the same disk held then */
	DONE_UNKNOWN, /* there, without a record that fits: made by others or otherwise, changed, or never recorded */
};

/* Room for what options decide of a copy. */
#define DONE_SHAPE_SIZE 96

struct done {
	const char *name; /* of the copy */
	enum vhdx_format format;
	char shape[DONE_SHAPE_SIZE]; /* its format, and of a VHDX its type and sizes */
	bool has_no_holes;
	const struct remote_options *remote; /* of a name in a cluster; NULL of a file */
	const struct source *source;
	struct contents contents; /* of the source, before it is copied */
};

/*
 * Prepares to judge and record @name as a copy of @source that @image shapes. Returns STATUS_DONE, or the exit status, with the
 * error reported: where contents have no identity, or a record has no place.
 */
int done_begin(struct done *done, const struct source *source, const char *name,
	       enum vhdx_format format, const struct vhdx_create_options *image,
	       const struct options *options);

/*
 * Looks at what there is and at its record, and refuses a file that lies where the record is to be. What a cluster has
 * is never DONE_OUTDATED, and DONE_COMPLETE if it was once and has its size still: nothing there says
 * whether it was written since. As done_begin.
 */
int done_look(const struct done *done, enum done_state *ret_state);

/*
 * Compares the file that is there with the source: a process may have died after the copy and before its record. What is
 * the same is recorded, and DONE_COMPLETE. As done_begin.
 */
int done_compare(const struct done *done, const struct options *options,
		 enum done_state *ret_state);

/*
 * Puts the record into a copy that has no name yet: where it is recorded so, else it does nothing. As done_begin; a
 * source that was changed meanwhile is refused here or by done_record.
 */
int done_note(const struct done *done, const struct destination *destination);

/* Records, durably, that the file is complete; the copy is durable itself. As done_begin. */
int done_record(const struct done *done);

#endif
