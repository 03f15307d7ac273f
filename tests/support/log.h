/* SPDX-License-Identifier: MIT */
/* Log entries for tests, made from F 4.1 alone. */
#ifndef TESTS_SUPPORT_LOG_H
#define TESTS_SUPPORT_LOG_H

#include "support/image.h"

struct log_entry_spec {
	uint8_t guid[16];
	uint32_t tail;
	uint64_t sequence;
	uint64_t flushed;
	uint64_t last;
};

struct log_change_spec {
	uint64_t target;
	uint64_t length;     /* of zeros, when there is no page */
	const uint8_t *page; /* 4096 bytes */
};

/* The bytes of an entry, malloc'ed. Returns their number. */
size_t log_entry_make(const struct log_entry_spec *spec, const struct log_change_spec *changes,
		      uint32_t count, uint8_t **ret_bytes);

/* Writes whole sectors at @position of a log, on over its end. */
void log_put(struct sparse *file, struct area log, uint64_t position, const uint8_t *bytes,
	     size_t size);

#endif
