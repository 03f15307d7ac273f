/* SPDX-License-Identifier: MIT */
/* What of a disk the file systems inside do not use, as far as they can be trusted to say so. */
#ifndef CLI_FREESPACE_H
#define CLI_FREESPACE_H

#include <stdint.h>

#include <vhdx.h>

struct free_space;

/*
 * Looks for ext2, ext3 and ext4 on the whole of @disk, or in its partitions, and reads which of their space is
 * free; all of it, so that nothing is left to fail later. Everything else is in use: other file systems, gaps,
 * tables, what cannot be told. The disk must not change while this is used. Memory: 1 bit a MiB of the disk,
 * and what libext2fs takes, under 48 MiB together.
 *
 * Returns STATUS_DONE, or the exit status, with the error reported on @name: a file system that is not clean,
 * that is damaged, none of that kind.
 */
int free_space_open(struct vhdx *disk, const char *name, struct free_space **ret_space);

/*
 * 1 when nothing of @length bytes at @offset of the disk is in use, 0 when it may be; never an error. Whole
 * MiB count: one that a file system shares with anything else is in use. @opaque is the struct free_space.
 */
int free_space_covers(void *opaque, uint64_t offset, uint64_t length);

/*
 * What else was found on the disk, and left alone, for people: "vfat in partition 1, swap in partition 3"; ""
 * when there is nothing.
 */
const char *free_space_others(const struct free_space *space);

/* NULL is allowed. */
void free_space_close(struct free_space *space);

#endif
