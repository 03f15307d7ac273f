/* SPDX-License-Identifier: MIT */
/* Scoped cleanup: memory, descriptors and disks that end with the block that declares them. */
#ifndef CLI_CLEANUP_H
#define CLI_CLEANUP_H

#include <stdlib.h>

#include <vhdx.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

/* For disks that are only read: closing them has nothing to say. */
static inline void cleanup_disk(struct vhdx **disk)
{
	vhdx_close(*disk);
}

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_disk __attribute__((cleanup(cleanup_disk)))

#endif
