/* SPDX-License-Identifier: MIT */
/*
 * What a guest did to a disk, when, and so what each sector may hold after a crash at any time: its contents
 * as of the last flush that was over, or any content given to it since. Every sector says what it is.
 */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include <pthread.h>

#include <vhdx.h>

#include "crash/sizes.h"
#include "crash/store.h"

/* Whose contents: the disk's or its parent's. */
enum origin {
	ORIGIN_DISK = 1,
	ORIGIN_PARENT = 2,
	ORIGIN_JUDGE = 3,    /* written by the judge, after a crash */
	ORIGIN_LEFTOVER = 4, /* put into space that is nobody's */
};

struct model_sector;

/* A part of the disk that is compared. */
struct model_range {
	uint64_t offset;
	uint64_t length;
	/* Once frozen: */
	uint8_t *initial;		     /* what was there before anything was done */
	const struct model_sector **sectors; /* those that were changed */
};

/* One write or zeroing of the guest. */
struct model_change {
	uint64_t offset;
	uint64_t length;
	uint64_t begin;
	uint64_t end;	/* NEVER while in flight */
	uint8_t *bytes; /* of the sectors that it touches, whole */
};

struct model_flush {
	uint64_t begin;
	uint64_t end;
};

/* From an open of the disk, or a change of its size, to the next. */
struct model_session {
	uint64_t begin;
	uint64_t size;		   /* of the disk */
	struct vhdx_guid at_start; /* the DataWriteGuid */
	struct vhdx_guid changed;  /* the one that was seen instead, ... */
	bool has_changed;	   /* ... if any was */
};

struct model {
	pthread_mutex_t lock;
	uint64_t generation;
	uint64_t disk_size; /* the largest that it will have; what the disk lacks reads as zeros */
	struct sizes sizes;
	uint64_t parent_filled; /* so many bytes begin as the parent's, the rest as zeros, ... */
	uint64_t hidden_from;	/* ... and so do these */
	uint64_t hidden_to;
	struct model_sector *sectors; /* a hash table */
	size_t sector_count;
	size_t sector_room;
	struct model_change **changes;
	size_t change_count;
	struct model_flush *flushes;
	size_t flush_count;
	struct model_session *sessions;
	size_t session_count;
	struct model_range *ranges; /* disjoint and in order once frozen */
	size_t range_count;
	uint64_t total; /* bytes of all ranges */
};

void model_init(struct model *model, uint64_t disk_size, uint64_t parent_filled);
void model_free(struct model *model);

/* The self-describing contents of a sector. */
void model_pattern(enum origin origin, uint64_t generation, uint64_t sector,
		   uint8_t ret_bytes[ATOM]);

/* Whether these are such contents, of any sector. */
bool model_is_pattern(const uint8_t bytes[ATOM]);

/* Says in a few words what 512 bytes are. */
void model_describe(const uint8_t bytes[ATOM], char *ret_text, size_t size);

/* Asks that a range be compared, besides what is changed and its neighbours. */
void model_watch(struct model *model, uint64_t offset, uint64_t length);

/*
 * A change begins: a write of new contents, which are in ret_data (to be freed), or zeros, where that is
 * NULL. The change is over at model_end; until then and until a flush the old contents may stay.
 */
struct model_change *model_begin(struct model *model, uint64_t begin, uint64_t offset,
				 uint64_t length, uint8_t **ret_data);
void model_end(struct model *model, struct model_change *change, uint64_t end);

/*
 * A range was read, and it is known that nothing is under way there: sectors keep what they hold. NULL, or
 * what is wrong: a sector holds neither its newest contents nor those before.
 */
char *model_settle(struct model *model, uint64_t time, uint64_t offset, uint64_t length,
		   const uint8_t *bytes);

/* A range holds, from now on and durably, what it held before all changes. */
void model_revert(struct model *model, uint64_t time, uint64_t offset, uint64_t length);

/* A flush was over: all that had ended before its begin is durable. */
void model_flush(struct model *model, uint64_t begin, uint64_t end);

void model_session(struct model *model, uint64_t begin, const struct vhdx_info *info);

/* The newest contents of a range. */
void model_newest(struct model *model, uint8_t *buf, uint64_t length, uint64_t offset);

/* No more changes: makes the ranges. */
void model_freeze(struct model *model);

/* Goes on after a crash, from contents that were read of the ranges; forgets what was before. */
void model_adopt(struct model *model, const uint8_t *contents);

/*
 * Whether a crash at that time may leave these contents of all ranges, and a disk with that DataWriteGuid
 * and size. NULL, or what is wrong, to be freed.
 */
char *model_judge(struct model *model, uint64_t crash, const uint8_t *contents,
		  const struct vhdx_info *info);

#endif
