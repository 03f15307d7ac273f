/* SPDX-License-Identifier: MIT */
/* Which MiB of the file are free: handed out, taken back when what freed them is durable, grown. */
#ifndef VHDX_VDISK_SPACE_H
#define VHDX_VDISK_SPACE_H

#include "meta/journal.h"
#include "meta/spacemap.h"

/* A file does not grow beyond this: as far as its space is mapped. */
#define MAX_GROWN_FILE MAX_MAPPED_FILE

/* Space that a transaction frees. */
struct freed {
	struct freed *next;
	uint64_t offset;
	uint64_t length;
	uint64_t number; /* of the transaction */
	bool fresh;	 /* it will read as zeros whatever happens */
	/*
	 * Metadata lay there, so an entry of the log may still be applied to it, after a crash too: it is
	 * free when the log is empty, in another session.
	 */
	bool held_metadata;
};

struct space {
	struct image *image;
	const struct journal *journal; /* whose durable number says what may be used again */
	bool no_holes;
	uint64_t first_size; /* the file's when the space was mapped */

	pthread_mutex_t growth; /* held over the growth of the file */

	pthread_mutex_t lock; /* of all below; a leaf */
	struct space_map taken;
	struct space_map fresh; /* of what is not taken: it reads as zeros whatever happens */
	struct freed *freed;	/* by number */
	struct freed **last_freed;
	struct freed *held_metadata; /* what was freed of that kind, in any order */
	bool may_cut;		     /* the file below the size that it had first */
	uint64_t hints[2];	 /* where the search for blocks, and for a single MiB, begins ... */
	uint64_t fresh_hints[2]; /* ... and that for fresh space */
};

/* A range of the file for one structure. */
struct place {
	uint64_t offset;
	uint64_t length;
	bool fresh;
};

/* Takes @taken over, also on failure: what is taken of the image's file, which is made a whole number of MiB. */
int vhdx_space_init(struct space *space, struct image *image, const struct journal *journal,
		    bool no_holes, struct space_map *taken);

void vhdx_space_destroy(struct space *space);

/*
 * Takes @length bytes, whole MiB; grows the file when nothing suits. What is not fresh may hold any
 * bytes. -ENOSPC, -EFBIG, -ENOMEM, or as the storage fails.
 */
int vhdx_space_take(struct space *space, uint64_t length, struct place *ret_place);

/* Takes the lowest free @length bytes, whole MiB, that end at or below @limit. False when there are none. */
bool vhdx_space_take_below(struct space *space, uint64_t length, uint64_t limit,
			   struct place *ret_place);

/* Gives back what was taken and never came to be part of the image; it may have been written. */
void vhdx_space_give_back(struct space *space, const struct place *place);

/*
 * Within a change, under the pages lock: @freed, malloc'ed and filled in but for its number, is free once
 * transaction @number is durable. Takes @freed over.
 */
void vhdx_space_free(struct space *space, struct freed *freed, uint64_t number);

/* From now on the end of the session cuts the file behind its last structure, wherever it ended before. */
void vhdx_space_allow_cut(struct space *space);

/*
 * Cuts what the file grew by and nothing uses; all that was freed is free. No log may be live. Does nothing where the file cannot be
 * cut.
 */
int vhdx_space_cut(struct space *space);

#endif
