/* SPDX-License-Identifier: MIT */
/* A sparse copy in memory of parts of a disk, for libblkid, which reads descriptors. */
#ifndef CLI_PROBECOPY_H
#define CLI_PROBECOPY_H

#include <stdbool.h>
#include <stdint.h>

#include <blkid.h>

#include <vhdx.h>

/* Bytes of a disk. */
struct range {
	uint64_t start;
	uint64_t length;
};

struct probe_copy {
	struct vhdx *disk;
	struct range range; /* of the disk; the copy begins at its start, and is as long */
	int fd;
	bool unread; /* part of it could not be read, and is zeros: vhdx_last_error() */
};

/* Makes a copy of nothing yet: zeros. 0 or the system's error. */
int probe_copy_open(struct vhdx *disk, struct range range, struct probe_copy *ret_copy);

/* Copies @length bytes from @start of the range on, as far as it goes. 0 or the system's error. */
int probe_copy_fill(struct probe_copy *copy, uint64_t start, uint64_t length);

void probe_copy_close(struct probe_copy *copy);

#define auto_probe_copy __attribute__((cleanup(probe_copy_close)))

/* A new probe of what is copied; NULL when there is no memory. It keeps what it read. */
blkid_probe probe_copy_probe(const struct probe_copy *copy, uint32_t sector_size);

static inline void free_probe(blkid_probe *probe)
{
	if (*probe)
		blkid_free_probe(*probe);
}

#define auto_probe __attribute__((cleanup(free_probe)))

#endif
