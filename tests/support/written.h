/* SPDX-License-Identifier: MIT */
/* What lies in the file of an image whose log is empty, read without the library's help. */
#ifndef TESTS_SUPPORT_WRITTEN_H
#define TESTS_SUPPORT_WRITTEN_H

#include <vhdx.h>

#include "support/sparse.h"

struct written_header {
	bool valid;
	uint64_t sequence;
	uint8_t file_write_guid[16];
	uint8_t data_write_guid[16];
	uint8_t log_guid[16];
};

void written_headers(const struct sparse *file, struct written_header ret_headers[2]);

/* The valid one with the higher sequence number (F 2.1). */
void written_current_header(const struct sparse *file, struct written_header *ret_header);

struct written_space {
	uint64_t end;  /* of the last structure */
	uint64_t used; /* bytes that something refers to, the header section included */
};

void written_space(const struct sparse *file, const struct vhdx_info *info,
		   struct written_space *ret_space);

#endif
