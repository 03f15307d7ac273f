/* SPDX-License-Identifier: MIT */
/* Bytes of a ruined image on their way to the output, with what the map says of them. */
#ifndef VHDX_OPS_SALVAGEDATA_H
#define VHDX_OPS_SALVAGEDATA_H

#include "ops/salvagemap.h"
#include "store/holes.h"

#define OUTLET_BUFFER MIB

/* Set s, sink, map.s and view; end it with vhdx_outlet_end. What is put follows what was put before. */
struct outlet {
	struct salvage *s;
	struct sink *sink;
	const struct vhdx_io *view;
	struct salvage_map map;
	struct known_data known;
	uint8_t *buf; /* OUTLET_BUFFER bytes */
};

static inline uint64_t outlet_offset(const struct outlet *outlet)
{
	return outlet->map.end;
}

/* Puts zeros, for a reason; 0 or as the sink fails. */
int vhdx_outlet_zero(struct outlet *outlet, enum vhdx_salvage_kind kind, uint64_t length,
		     const char *text);

/*
 * Puts what lies at @file_offset; what the storage cannot read, and what lies behind the file's end, is
 * lost. *@lost is set to true when something is.
 */
int vhdx_outlet_copy(struct outlet *outlet, enum vhdx_salvage_kind kind, uint64_t length,
		     uint64_t file_offset, const char *text, bool *lost);

/* After each block: tells the progress. -ECANCELED when the caller wants no more. */
int vhdx_outlet_progress(const struct outlet *outlet);

#endif
