/* SPDX-License-Identifier: MIT */
/*
 * Judges the states that a crash left: each opens, read-only and for writing, with the same contents, which
 * the guest may expect; is sound; can be gone on with; and survives a crash while it is being mended.
 */
#ifndef TESTS_CRASH_JUDGE_H
#define TESTS_CRASH_JUDGE_H

#include "crash/look.h"
#include "crash/states.h"

struct judge {
	struct model *model;  /* frozen */
	struct store *parent; /* NULL: none */
	uint32_t sector_size; /* of the guest */
	uint32_t flags;	      /* VHDX_OPEN_*, of opens for writing */
	uint64_t seed;
	bool nested_single; /* of a single state, only this nested one */
	unsigned nested_interval;
	uint64_t nested_number;

	unsigned long states; /* judged, nested ones too */
	unsigned long nested;
	unsigned long continued;
	char *fault; /* the first one, ... */
	char id[80]; /* ... and of which state: "interval/number[/interval/number]" */

	/* Of the state under judgement: contents of all ranges, read in two ways. */
	uint8_t *read_only;
	uint8_t *writable;
	struct vhdx_info info;
	char current[80];
};

void judge_init(struct judge *judge, struct model *model, struct store *parent, uint64_t seed);
void judge_free(struct judge *judge);

/* A state_fn, with a struct judge: 1 at a fault. */
int judge_state(void *judge, const struct state *state);

/*
 * Looks at a store whose image was just closed cleanly: its headers, what check finds, its end, which may not
 * lie behind @size_at_open unless structures do. NULL, or what is wrong. A session that wrote nothing leaves
 * the notes that a crash left.
 */
char *judge_closed(struct store *store, struct store *parent, const struct vhdx_info *info,
		   bool wrote, uint64_t size_at_open);

#endif
