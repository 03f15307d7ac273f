/* SPDX-License-Identifier: MIT */
/* What one image is, gathered once for both ways of printing it. */
#ifndef CLI_INFO_H
#define CLI_INFO_H

#include <stdbool.h>

#include <vhdx.h>

#include "json.h"

struct image_info {
	struct vhdx *disk;
	struct vhdx_info info;
	bool has_actual_size; /* it is a file */
	uint64_t actual_size; /* bytes that it takes on its file system */
	/* Why the image cannot be read, or NULL; troubles with its parent are told with the parent. */
	const struct vhdx_error *fault;
};

/* Is @what, of VHDX_KNOWN_*, known of the image? */
static inline bool is_known(const struct image_info *image, uint32_t what)
{
	return image->info.known & what;
}

void info_print_text(const struct image_info *image);
void info_print_json(const struct image_info *image, struct json *json);

#endif
