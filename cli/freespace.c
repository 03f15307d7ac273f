/* SPDX-License-Identifier: MIT */
/*
 * Looks at the whole disk, then at its partitions. Where two of them, or a file system and a table, claim the
 * same bytes, nothing is free.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ext2groups.h"
#include "freemap.h"
#include "freespace.h"
#include "fsname.h"
#include "partitions.h"
#include "report.h"

/* Room for some of many; the last is cut. */
#define OTHERS_SIZE 512

struct free_space {
	struct free_map map;
	char others[OTHERS_SIZE];
};

struct search {
	struct vhdx *disk;
	const char *name;
	uint64_t size_bytes;
	uint32_t sector_size;
	struct partition_table *table;
	struct free_space *space;
	unsigned nfound; /* file systems whose free space is known */
};

#define PLACE_SIZE 32

/* "on the whole disk", "in partition 3"; a partition's number is not 0. */
static const char *place_of(unsigned number, char ret_place[PLACE_SIZE])
{
	if (number)
		snprintf(ret_place, PLACE_SIZE, "in partition %u", number);
	else
		snprintf(ret_place, PLACE_SIZE, "on the whole disk");
	return ret_place;
}

static void add_other(struct search *search, const char *type, unsigned number)
{
	char *others = search->space->others;
	size_t used = strlen(others);
	char place[PLACE_SIZE];

	snprintf(others + used, OTHERS_SIZE - used, "%s%s %s", used ? ", " : "", type,
		 place_of(number, place));
}

static int report_why(const struct search *search, const char *type, unsigned number, int errnum,
		      const struct ext2_why *why)
{
	const char *advice = "";
	char place[PLACE_SIZE];

	if (errnum == -ECANCELED)
		return report_error(search->name, "interrupted");
	if (!*why->text)
		return report_failure(search->name);
	if (errnum == -EBUSY)
		advice = " (mount and unmount it, or run e2fsck on it, first)";
	else if (errnum == -EUCLEAN)
		advice = " (run e2fsck on it first)";
	return report_error(search->name, "the %s %s %s%s", type, place_of(number, place),
			    why->text, advice);
}

static int read_ext(struct search *search, const char *type, unsigned number, struct range range)
{
	auto_ext2 ext2_filsys fs = NULL;
	struct ext2_why why = {{0}};
	errcode_t code = ext2io_open(search->disk, range, &fs);
	int ret = code ? ext2_distrust_code(&why, code, "reading its superblock")
		       : ext2_judge(fs, range.length, &why);

	if (!ret)
		ret = ext2_groups_read(fs, range, &search->space->map, &why);
	if (ret)
		return report_why(search, type, number, ret, &why);
	search->nfound++;
	return STATUS_DONE;
}

static int name_range(struct search *search, struct range range, char ret_type[FS_NAME_SIZE])
{
	int ret = fs_name(search->disk, range, search->sector_size, ret_type);

	if (ret == -EIO)
		return report_failure(search->name);
	if (ret)
		return report_errno(search->name, "cannot look for file systems", -ret);
	return STATUS_DONE;
}

static int look_into(struct search *search, unsigned number, struct range range)
{
	char type[FS_NAME_SIZE];
	int status = name_range(search, range, type);

	if (status)
		return status;
	if (fs_name_is_ext(type))
		return read_ext(search, type, number, range);
	if (*type)
		add_other(search, type, number);
	return STATUS_DONE;
}

/* What two partitions share, and what the table lies in, belongs to none. */
static void occupy_shared(struct search *search)
{
	const struct partition_table *table = search->table;
	struct free_map *map = &search->space->map;

	for (size_t i = 0; i < table->nranges; i++)
		free_map_occupy(map, table->ranges[i]);
	for (size_t i = 0; i < table->count; i++) {
		struct range a = table->list[i].range;

		for (size_t j = i + 1; j < table->count; j++) {
			struct range b = table->list[j].range;
			uint64_t start = a.start > b.start ? a.start : b.start;
			uint64_t a_end = a.start + a.length;
			uint64_t b_end = b.start + b.length;
			uint64_t end = a_end < b_end ? a_end : b_end;

			if (start < end)
				free_map_occupy(map, (struct range){start, end - start});
		}
	}
}

static int look_into_partitions(struct search *search)
{
	char type[FS_NAME_SIZE];
	int status = name_range(search, (struct range){0, search->size_bytes}, type);

	if (status)
		return status;
	if (*type)
		return report_error(search->name,
				    "holds %s on the whole disk and a partition table: which of "
				    "them is in use cannot be told",
				    type);
	for (size_t i = 0; i < search->table->count && !status; i++)
		status = look_into(search, search->table->list[i].number,
				   search->table->list[i].range);
	occupy_shared(search);
	return status;
}

static int look(struct search *search)
{
	int ret = partitions_read(search->disk, search->size_bytes, search->sector_size, NULL,
				  search->table);

	if (ret)
		return report_errno(search->name, "cannot look for partitions", -ret);
	int status = search->table->count
			     ? look_into_partitions(search)
			     : look_into(search, 0, (struct range){0, search->size_bytes});

	if (status || search->nfound)
		return status;
	const char *others = search->space->others;

	return report_error(search->name, "no ext2, ext3 or ext4 whose free space is known (%s%s)",
			    *others ? "there is " : "nothing is recognized", others);
}

int free_space_open(struct vhdx *disk, const char *name, struct free_space **ret_space)
{
	struct vhdx_info info = {.size = sizeof(info)};

	if (vhdx_get_info(disk, &info))
		return report_failure(name);
	auto_free struct partition_table *table = calloc(1, sizeof(*table));
	struct free_space *space = calloc(1, sizeof(*space));
	struct search search = {
		.disk = disk,
		.name = name,
		.size_bytes = info.virtual_size,
		.sector_size = info.logical_sector_size,
		.table = table,
		.space = space,
	};
	int status;

	if (!table || !space || free_map_make(info.virtual_size, &space->map))
		status = report_errno(name, "cannot look for free space", ENOMEM);
	else
		status = look(&search);
	if (status)
		free_space_close(space);
	else
		*ret_space = space;
	return status;
}

int free_space_covers(void *opaque, uint64_t offset, uint64_t length)
{
	const struct free_space *space = opaque;

	return free_map_covers(&space->map, (struct range){offset, length});
}

const char *free_space_others(const struct free_space *space)
{
	return space->others;
}

void free_space_close(struct free_space *space)
{
	if (!space)
		return;
	free_map_free(&space->map);
	free(space);
}
