/* SPDX-License-Identifier: MIT */
/* Records that are log entries: valid by their form and checksums, hostile by what they say. */
#ifndef TESTS_FUZZ_LOGRECORD_H
#define TESTS_FUZZ_LOGRECORD_H

#include "fuzz/base.h"

/* The entries that an input gives a layer: a sequence of their own. */
struct log_records {
	unsigned count;
	uint64_t position; /* of the next one */
};

/*
 * Adds an entry to the layer's log and makes the headers name its GUID. Payload: flags, an argument, then
 * 6 bytes a descriptor: unit of the target (4 bits), what is wrong with it (3), zero (1); target page in
 * that unit (16 bits), place in the page (16 bits), byte.
 */
void fuzz_log_record(struct log_records *log, const struct layer *layer, struct cow *file,
		     const uint8_t *payload, unsigned length);

#endif
