/* SPDX-License-Identifier: MIT */
/* What tells the contents of a disk from others, or from what it held before, without reading them. */
#ifndef CLI_CONTENTS_H
#define CLI_CONTENTS_H

#include <stdint.h>

#include <vhdx.h>

#include "source.h"

/* Room for what tells one content from another. */
#define CONTENTS_IDENTITY_SIZE 192

struct contents {
	char disk[VHDX_GUID_TEXT_SIZE];	       /* which disk this is, whatever it holds */
	char identity[CONTENTS_IDENTITY_SIZE]; /* of what it holds, by itself and its parents */
	uint64_t size;
	uint64_t state; /* of all files and devices that it is read from */
};

/*
 * Identifies what @source, a VHDX, holds. Returns STATUS_DONE, or the exit status, with the error reported: where
 * that has no identity.
 */
int contents_identify(const struct source *source, struct contents *ret_contents);

/*
 * Refuses a @source that was written since it was identified as @contents, by somebody whom no lock kept out.
 * Of storage behind an address this cannot be told. As contents_identify.
 */
int contents_check_unchanged(const struct source *source, const struct contents *contents);

#endif
