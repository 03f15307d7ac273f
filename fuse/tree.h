/* SPDX-License-Identifier: MIT */
/* The files that a mount shows: the disk and its partitions, by inode number; which bytes each one is. */
#ifndef FUSE_TREE_H
#define FUSE_TREE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <vhdx.h>

#include "partitions.h"

#define INODE_ROOT 1
#define INODE_DISK 2

/* "p" and a number. */
#define FILE_NAME_SIZE 16

struct tree {
	struct vhdx *disk;
	uint64_t size_bytes;
	uint32_t sector_size; /* logical */
	uint32_t io_size;     /* below which writing costs more */
	bool writable;

	struct stat model;	 /* what the files' attributes are alike in */
	int image;		 /* the image's file, for its times and its space */
	uint64_t parents_blocks; /* of 512 bytes, in the parents' files */

	/* The partitions. A change of the table changes them when somebody looks for names. */
	pthread_mutex_t reading; /* held while the table is read again */
	atomic_bool stale;
	pthread_rwlock_t lock; /* for what is below */
	struct partition_table *table;
	uint64_t inodes[PARTITIONS_MAX];
	uint64_t last_inode;
};

/*
 * Shows @disk, which was opened from @path (NULL: it is no file). Attributes are made from those of the
 * image. After a failure too, tree_end frees all but the disk.
 */
int tree_begin(struct tree *tree, struct vhdx *disk, const char *path, bool writable,
	       table_warning_fn *warn);

void tree_end(struct tree *tree);

/*
 * The bytes of the disk that a file shows. False when there is no such file, any more: a partition that
 * was moved is another file.
 */
bool tree_range(struct tree *tree, uint64_t inode, struct range *ret_range);

/* The inode of the file of that name, 0 when there is none. Looks for new partitions. */
uint64_t tree_find(struct tree *tree, const char *name);

/*
 * File number @index of the folder: its name and inode; false past the last. Number 0 looks for new
 * partitions.
 */
bool tree_list(struct tree *tree, uint64_t index, char ret_name[FILE_NAME_SIZE],
	       uint64_t *ret_inode);

/* Attributes of the folder or of a file; false when there is no such file. */
bool tree_stat(struct tree *tree, uint64_t inode, struct stat *ret_stat);

/* To be called after a change of the disk: it may have been the partition table's. */
void tree_changed(struct tree *tree, uint64_t offset, uint64_t length);

#endif
