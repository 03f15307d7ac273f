/* SPDX-License-Identifier: MIT */
/* Disks that a test makes by the library itself, in its scratch folder. */
#ifndef TESTS_SUPPORT_NEWDISK_H
#define TESTS_SUPPORT_NEWDISK_H

#include <vhdx.h>

#include "support/scratch.h"

static inline struct vhdx_create_options options_of(enum vhdx_type type, uint64_t virtual_size)
{
	return (struct vhdx_create_options){
		.size = sizeof(struct vhdx_create_options),
		.flags = VHDX_CREATE_NO_SYNC,
		.type = type,
		.virtual_size = virtual_size,
	};
}

static inline void create(const char *path, enum vhdx_type type, uint64_t virtual_size,
			  uint32_t block_size)
{
	struct vhdx_create_options options = options_of(type, virtual_size);

	options.block_size = block_size;
	assert_int_equal(vhdx_create(path, &options), 0);
}

static inline void create_child(const char *path, const char *parent)
{
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_ANY_PARENT};
	struct vhdx_create_options options = options_of(VHDX_DIFFERENCING, 0);

	options.parent = parent;
	options.parent_options = &open;
	assert_int_equal(vhdx_create(path, &options), 0);
}

static inline struct vhdx *open_disk(const char *path, struct vhdx_info *ret_info)
{
	struct vhdx_open_options options = {.size = sizeof(options), .flags = VHDX_OPEN_ANY_PARENT};
	struct vhdx *disk = NULL;

	assert_int_equal(vhdx_open(path, &options, &disk), 0);
	ret_info->size = sizeof(*ret_info);
	assert_int_equal(vhdx_get_info(disk, ret_info), 0);
	return disk;
}

#endif
