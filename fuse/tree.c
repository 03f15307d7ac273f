/* SPDX-License-Identifier: MIT */
/*
 * The disk is a file, and each partition; they have different numbers and, where the table changes, new
 * ones, so that what is open goes on to mean the same bytes or none.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

/* What each file system of Linux uses for its blocks. */
#define IO_SIZE_MIN 4096

/* ---- The partitions ---- */

static uint64_t inode_of(const struct tree *tree, const struct partition *partition)
{
	for (size_t i = 0; i < tree->table->count; i++) {
		const struct partition *known = &tree->table->list[i];

		if (known->number == partition->number &&
		    known->range.start == partition->range.start &&
		    known->range.length == partition->range.length)
			return tree->inodes[i];
	}
	return 0;
}

/* Partitions that are what they were keep their inodes. */
static void install(struct tree *tree, struct partition_table *table)
{
	uint64_t inodes[PARTITIONS_MAX];

	pthread_rwlock_wrlock(&tree->lock);
	for (size_t i = 0; i < table->count; i++) {
		inodes[i] = inode_of(tree, &table->list[i]);
		if (!inodes[i])
			inodes[i] = ++tree->last_inode;
	}
	memcpy(tree->inodes, inodes, sizeof(*inodes) * table->count);
	*tree->table = *table;
	pthread_rwlock_unlock(&tree->lock);
}

static int read_table(struct tree *tree, table_warning_fn *warn)
{
	struct partition_table *table = malloc(sizeof(*table));
	int ret = table ? partitions_read(tree->disk, tree->size_bytes, tree->sector_size, warn,
					  table)
			: -ENOMEM;

	if (!ret)
		install(tree, table);
	free(table);
	return ret;
}

/* The mark is taken before the table is read: a change that comes meanwhile sets it again. */
static void renew(struct tree *tree)
{
	pthread_mutex_lock(&tree->reading);
	if (atomic_exchange(&tree->stale, false) && read_table(tree, NULL))
		atomic_store(&tree->stale, true);
	pthread_mutex_unlock(&tree->reading);
}

void tree_changed(struct tree *tree, uint64_t offset, uint64_t length)
{
	if (atomic_load_explicit(&tree->stale, memory_order_relaxed))
		return;
	pthread_rwlock_rdlock(&tree->lock);
	bool touched = partitions_touched(tree->table, offset, length);

	pthread_rwlock_unlock(&tree->lock);
	if (touched)
		atomic_store(&tree->stale, true);
}

/* ---- The files ---- */

static bool find_range(const struct tree *tree, uint64_t inode, struct range *ret_range)
{
	if (inode == INODE_DISK) {
		*ret_range = (struct range){0, tree->size_bytes};
		return true;
	}
	for (size_t i = 0; i < tree->table->count; i++) {
		if (tree->inodes[i] == inode) {
			*ret_range = tree->table->list[i].range;
			return true;
		}
	}
	return false;
}

bool tree_range(struct tree *tree, uint64_t inode, struct range *ret_range)
{
	pthread_rwlock_rdlock(&tree->lock);
	bool found = find_range(tree, inode, ret_range);

	pthread_rwlock_unlock(&tree->lock);
	return found;
}

static void name_file(const struct tree *tree, uint64_t index, char ret_name[FILE_NAME_SIZE],
		      uint64_t *ret_inode)
{
	if (!index) {
		strcpy(ret_name, "disk");
		*ret_inode = INODE_DISK;
	} else {
		snprintf(ret_name, FILE_NAME_SIZE, "p%u", tree->table->list[index - 1].number);
		*ret_inode = tree->inodes[index - 1];
	}
}

bool tree_list(struct tree *tree, uint64_t index, char ret_name[FILE_NAME_SIZE],
	       uint64_t *ret_inode)
{
	if (!index)
		renew(tree);
	pthread_rwlock_rdlock(&tree->lock);
	bool exists = index <= tree->table->count;

	if (exists)
		name_file(tree, index, ret_name, ret_inode);
	pthread_rwlock_unlock(&tree->lock);
	return exists;
}

uint64_t tree_find(struct tree *tree, const char *name)
{
	char other[FILE_NAME_SIZE];
	uint64_t found = 0;

	renew(tree);
	pthread_rwlock_rdlock(&tree->lock);
	for (uint64_t i = 0; i <= tree->table->count && !found; i++) {
		uint64_t inode;

		name_file(tree, i, other, &inode);
		if (!strcmp(other, name))
			found = inode;
	}
	pthread_rwlock_unlock(&tree->lock);
	return found;
}

/* ---- Attributes ---- */

/*
 * What blocks are present is not counted, which would read the whole BAT: the space of the chain's files
 * is near enough. It must not be 0, from which tar concludes that nothing is there; and where it is less
 * than the size, cp looks for holes.
 */
static blkcnt_t estimate_blocks(const struct tree *tree, const struct stat *image, uint64_t length)
{
	uint64_t whole = length / 512;
	uint64_t held = (uint64_t)image->st_blocks + tree->parents_blocks;

	if (!S_ISREG(image->st_mode) || held > whole)
		return (blkcnt_t)whole;
	return held ? (blkcnt_t)held : 1;
}

bool tree_stat(struct tree *tree, uint64_t inode, struct stat *ret_stat)
{
	struct stat image, out = tree->model;
	struct range range;

	if (fstat(tree->image, &image))
		image = tree->model;
	out.st_ino = inode;
	out.st_atim = image.st_atim;
	out.st_mtim = image.st_mtim;
	out.st_ctim = image.st_ctim;
	if (inode == INODE_ROOT) {
		/* Whoever may read the files may list them. */
		out.st_mode = S_IFDIR | (out.st_mode & 0444) | (out.st_mode & 0444) >> 2;
		out.st_nlink = 2;
	} else if (tree_range(tree, inode, &range)) {
		out.st_mode |= S_IFREG;
		out.st_size = (off_t)range.length;
		out.st_blocks = estimate_blocks(tree, &image, range.length);
	} else {
		return false;
	}
	*ret_stat = out;
	return true;
}

/* The files are the mounting user's; to others they are what the image is to its group and to the rest. */
static struct stat make_model(const struct tree *tree, const struct stat *image)
{
	mode_t own = tree->writable ? 0600 : 0400;
	mode_t others = image->st_mode & (tree->writable ? 0066 : 0044);

	return (struct stat){
		.st_mode = own | others,
		.st_nlink = 1,
		.st_uid = geteuid(),
		.st_gid = image->st_gid,
		.st_blksize = tree->io_size,
		.st_atim = image->st_atim,
		.st_mtim = image->st_mtim,
		.st_ctim = image->st_ctim,
	};
}

/* What there is no file of is the mounting user's alone, and as old as the mount. */
static int stat_image(const struct tree *tree, const char *path, struct stat *ret_stat)
{
	struct timespec now;

	if (path)
		return tree->image < 0 || fstat(tree->image, ret_stat) ? -errno : 0;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret_stat = (struct stat){
		.st_gid = getegid(),
		.st_atim = now,
		.st_mtim = now,
		.st_ctim = now,
	};
	return 0;
}

static uint64_t count_parents_blocks(const struct vhdx *disk)
{
	struct vhdx_info info = {.size = sizeof(info)};
	uint64_t blocks = 0;
	struct stat file;

	while ((disk = vhdx_get_parent(disk)))
		if (!vhdx_get_info(disk, &info) && info.path && !stat(info.path, &file))
			blocks += (uint64_t)file.st_blocks;
	return blocks;
}

int tree_begin(struct tree *tree, struct vhdx *disk, const char *path, bool writable,
	       table_warning_fn *warn)
{
	struct vhdx_info info = {.size = sizeof(info)};
	struct stat image;
	int ret = vhdx_get_info(disk, &info);

	*tree = (struct tree){
		.disk = disk,
		.size_bytes = info.virtual_size,
		.sector_size = info.logical_sector_size,
		.io_size = info.physical_sector_size,
		.writable = writable,
		.image = path ? open(path, O_PATH | O_CLOEXEC) : -1,
		.table = calloc(1, sizeof(*tree->table)),
		.last_inode = INODE_DISK,
	};
	pthread_mutex_init(&tree->reading, NULL);
	pthread_rwlock_init(&tree->lock, NULL);
	if (ret)
		return ret;
	if (!tree->table)
		return -ENOMEM;
	ret = stat_image(tree, path, &image);
	if (ret)
		return ret;
	if (tree->io_size < IO_SIZE_MIN)
		tree->io_size = IO_SIZE_MIN;
	tree->model = make_model(tree, &image);
	tree->parents_blocks = count_parents_blocks(disk);
	return read_table(tree, warn);
}

void tree_end(struct tree *tree)
{
	free(tree->table);
	if (tree->image >= 0)
		close(tree->image);
	pthread_rwlock_destroy(&tree->lock);
	pthread_mutex_destroy(&tree->reading);
}
