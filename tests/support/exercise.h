/* SPDX-License-Identifier: MIT */
/* Everything that can be done with an open disk that is only read, within bounds; for damaged images too. */
#ifndef TESTS_SUPPORT_EXERCISE_H
#define TESTS_SUPPORT_EXERCISE_H

#include <vhdx.h>

/* What went on: set by exercise_disk, and to be looked at after a failure. */
struct exercise {
	int first_error;   /* the first errno that any call returned, 0 when none failed */
	const char *fault; /* what a test must not see: a text of two lines, ...; NULL: none */
	char text[600];	   /* of that */
	uint64_t findings;
	uint64_t damages; /* that check counted */
	char damage[600]; /* the first finding that is neither a note nor a leak */
	uint64_t values;  /* of the dumps */
	int depth;	  /* of the dump's tree */
};

/* Info, check, dump of every structure, the map, and a part of each extent's bytes. */
void exercise_disk(struct vhdx *disk, struct exercise *exercise);

/* Looks at this thread's last error after @ret was returned. */
void exercise_note(struct exercise *exercise, int ret);

#endif
