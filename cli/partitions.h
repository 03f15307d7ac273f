/* SPDX-License-Identifier: MIT */
/* Reads a disk's partition table, of whatever kind libblkid knows. */
#ifndef CLI_PARTITIONS_H
#define CLI_PARTITIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhdx.h>

#include "probecopy.h"

#define PARTITIONS_MAX 256
/* Both ends of the disk, the beginnings of partitions, the links of a chain of logical ones. */
#define TABLE_RANGES_MAX (2 + 2 * PARTITIONS_MAX)

struct partition {
	unsigned number; /* as the kernel counts them: the 1 of /dev/sda1 */
	struct range range;
};

struct partition_table {
	size_t count;
	struct partition list[PARTITIONS_MAX];
	/* What the table was read from: a change elsewhere does not change it. */
	size_t nranges;
	struct range ranges[TABLE_RANGES_MAX];
};

/* Told what is wrong with a table; @text is one line. */
typedef void table_warning_fn(const char *text);

/*
 * Reads the table of @disk, which is of @size_bytes. A disk without one, or with one that is damaged, has
 * no partitions; what is wrong with single partitions is told to @warn, which may be NULL. Every partition
 * returned lies within the disk. The only errors are the system's: -ENOMEM and the like.
 */
int partitions_read(struct vhdx *disk, uint64_t size_bytes, uint32_t sector_size,
		    table_warning_fn *warn, struct partition_table *ret_table);

/* Whether a change of @length bytes at @offset of the disk may change the table. */
bool partitions_touched(const struct partition_table *table, uint64_t offset, uint64_t length);

#endif
