/* SPDX-License-Identifier: MIT */
/* What is lost with a log that is discarded: the changes that only it held. */
#ifndef VHDX_OPS_LOGLOSSES_H
#define VHDX_OPS_LOGLOSSES_H

#include "meta/image.h"

struct log_losses {
	uint64_t entries;      /* that are valid and may have had to be replayed */
	uint64_t changes;      /* in them */
	uint64_t blocks;       /* entries of the BAT that would have become other ones */
	uint64_t first;	       /* file offset of the lowest change ... */
	uint64_t end;	       /* ... and behind the highest one */
	uint64_t guest_offset; /* the part of the disk whose blocks the log maps otherwise ... */
	uint64_t guest_end;
};

/*
 * Of the log of @image, which cannot be replayed: of its active sequence, or of all entries of its session
 * where there is none. The BAT counts where it can be read without the log. -ENOMEM, or as the storage fails.
 */
int vhdx_log_losses(const struct image *image, struct log_losses *ret_losses);

#endif
