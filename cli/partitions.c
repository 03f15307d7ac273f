/* SPDX-License-Identifier: MIT */
/*
 * libblkid reads a descriptor. It gets a sparse copy of the disk in memory that holds only the ranges where
 * tables lie, and is asked again when it has found where more of them may be.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "partitions.h"

/* Tables lie within this much of the disk's ends. */
#define END_BYTES (1u << 20)
/* And tables within partitions of DOS tables (BSD, Solaris, Minix) within this much of their beginnings. */
#define LABEL_BYTES (64u << 10)
/* The ends; then partitions, and the logical ones; then labels within these. More would be a puzzle. */
#define PASSES_MAX 5
/* What libblkid may list before it is not believed, containers of logical partitions included. */
#define LISTED_MAX 1024

/* DOS partition tables: a sector's last two bytes, its four entries, and those of them that hold others. */
#define DOS_SIGNATURE_OFFSET 510
#define DOS_ENTRIES_OFFSET   446
#define DOS_ENTRY_SIZE	     16
#define DOS_ENTRIES	     4
#define DOS_SECTOR	     512

struct view {
	uint64_t size_bytes;
	uint32_t sector_size;
	struct probe_copy copy;
	table_warning_fn *warn;
	struct partition_table *table;
};

static void close_view(struct view *view)
{
	free(view->table);
	probe_copy_close(&view->copy);
}

static __attribute__((format(printf, 2, 3))) void warn(const struct view *view, const char *format,
						       ...)
{
	char text[160];
	va_list args;

	if (!view->warn)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	view->warn(text);
}

/* ---- The copy ---- */

static bool is_copied(const struct view *view, struct range range)
{
	for (size_t i = 0; i < view->table->nranges; i++) {
		const struct range *copied = &view->table->ranges[i];

		if (range.start >= copied->start && range.length <= copied->length &&
		    range.start - copied->start <= copied->length - range.length)
			return true;
	}
	return false;
}

/* What cannot be read stays zeros in the copy, and so holds no table. */
static int copy(struct view *view, uint64_t start, uint64_t length)
{
	if (start >= view->size_bytes)
		return 0;
	if (length > view->size_bytes - start)
		length = view->size_bytes - start;

	struct range range = {start, length};

	if (view->table->nranges == TABLE_RANGES_MAX || is_copied(view, range))
		return 0;
	view->table->ranges[view->table->nranges++] = range;
	view->copy.unread = false;
	int ret = probe_copy_fill(&view->copy, start, length);

	if (view->copy.unread)
		warn(view, "partitions may be missing: %s", vhdx_last_error()->text);
	return ret;
}

static uint32_t le32(const unsigned char *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

/* Where the next link of the chain lies, in sectors from the container's start; 0 at the chain's end. */
static uint32_t next_link(const unsigned char sector[DOS_SECTOR])
{
	if (sector[DOS_SIGNATURE_OFFSET] != 0x55 || sector[DOS_SIGNATURE_OFFSET + 1] != 0xaa)
		return 0;
	for (int i = 0; i < DOS_ENTRIES; i++) {
		const unsigned char *entry =
			sector + DOS_ENTRIES_OFFSET + (ptrdiff_t)i * DOS_ENTRY_SIZE;
		unsigned char type = entry[4];

		if ((type == 0x05 || type == 0x0f || type == 0x85) && le32(entry + 12))
			return le32(entry + 8);
	}
	return 0;
}

/* Logical partitions: each link names the next. A circle ends with the count, and libblkid sees it. */
static int copy_chain(struct view *view, uint64_t container)
{
	unsigned char sector[DOS_SECTOR];
	uint64_t at = container;
	uint32_t next;

	for (int links = 0; links < PARTITIONS_MAX; links++) {
		int ret = copy(view, at, view->sector_size);

		if (ret)
			return ret;
		if (pread(view->copy.fd, sector, sizeof(sector), (off_t)at) != sizeof(sector))
			return 0;
		next = next_link(sector);
		if (!next)
			return 0;
		at = container + (uint64_t)next * view->sector_size;
		if (at >= view->size_bytes)
			return 0;
	}
	return 0;
}

/* ---- What libblkid finds ---- */

/* libblkid keeps what it read, so each look needs a new one. */
static blkid_partlist probe_copy(struct view *view, blkid_probe *ret_probe)
{
	blkid_probe probe = probe_copy_probe(&view->copy, view->sector_size);

	*ret_probe = probe;
	if (!probe)
		return NULL;
	blkid_probe_enable_superblocks(probe, 0);
	blkid_probe_enable_partitions(probe, 1);
	return blkid_probe_get_partitions(probe);
}

static int count_listed(blkid_partlist list)
{
	int count = blkid_partlist_numof_partitions(list);

	return count < LISTED_MAX ? count : LISTED_MAX;
}

/* In bytes; false when it begins past the disk's end. It may end there. */
static bool place(const struct view *view, blkid_partition found, struct range *ret_range)
{
	blkid_loff_t start = blkid_partition_get_start(found);
	blkid_loff_t sectors = blkid_partition_get_size(found);

	if (start < 0 || sectors <= 0 || (uint64_t)start >= view->size_bytes / 512)
		return false;
	ret_range->start = (uint64_t)start * 512;
	ret_range->length = (uint64_t)sectors > UINT64_MAX / 512 ? UINT64_MAX
								 : (uint64_t)sectors * 512;
	return true;
}

static bool is_dos(blkid_partition found)
{
	const char *type = blkid_parttable_get_type(blkid_partition_get_table(found));

	return type && !strcmp(type, "dos");
}

/* Copies where more tables may lie, by those that were found. */
static int copy_more(struct view *view, blkid_partlist list)
{
	struct range range;
	int ret = 0;

	for (int i = 0; i < count_listed(list) && !ret; i++) {
		blkid_partition found = blkid_partlist_get_partition(list, i);

		if (!found || !place(view, found, &range))
			continue;
		if (blkid_partition_is_extended(found))
			ret = copy_chain(view, range.start);
		else if (is_dos(found))
			ret = copy(view, range.start, LABEL_BYTES);
	}
	return ret;
}

static bool is_kept(const struct partition_table *table, unsigned number)
{
	for (size_t i = 0; i < table->count; i++)
		if (table->list[i].number == number)
			return true;
	return false;
}

static void keep_one(struct view *view, blkid_partition found)
{
	struct partition_table *table = view->table;
	int number = blkid_partition_get_partno(found);
	struct range range;

	if (number < 1 || blkid_partition_is_extended(found) || is_kept(table, (unsigned)number))
		return;
	if (!place(view, found, &range)) {
		warn(view, "partition %d begins past the end of the disk, and is left out", number);
		return;
	}
	if (range.length > view->size_bytes - range.start) {
		warn(view, "partition %d reaches past the end of the disk, and is cut there",
		     number);
		range.length = view->size_bytes - range.start;
	}
	table->list[table->count++] = (struct partition){(unsigned)number, range};
}

static void keep(struct view *view, blkid_partlist list)
{
	for (int i = 0; i < count_listed(list); i++) {
		blkid_partition found = blkid_partlist_get_partition(list, i);

		if (view->table->count == PARTITIONS_MAX) {
			warn(view, "only the first %d partitions are shown", PARTITIONS_MAX);
			return;
		}
		if (found)
			keep_one(view, found);
	}
}

/* Until a look finds no place that the one before did not. */
static int look(struct view *view)
{
	size_t ncopied = 0;

	for (int pass = 0; pass < PASSES_MAX; pass++) {
		auto_probe blkid_probe probe = NULL;
		blkid_partlist list = probe_copy(view, &probe);

		if (!list)
			return 0;
		ncopied = view->table->nranges;
		int ret = copy_more(view, list);

		if (ret)
			return ret;
		if (view->table->nranges == ncopied || pass == PASSES_MAX - 1) {
			keep(view, list);
			return 0;
		}
	}
	return 0;
}

int partitions_read(struct vhdx *disk, uint64_t size_bytes, uint32_t sector_size,
		    table_warning_fn *warning, struct partition_table *ret_table)
{
	__attribute__((cleanup(close_view))) struct view view = {
		.size_bytes = size_bytes,
		.sector_size = sector_size,
		.copy = {.fd = -1},
		.warn = warning,
		.table = calloc(1, sizeof(*view.table)),
	};
	int ret;

	if (!view.table)
		return -ENOMEM;
	ret = probe_copy_open(disk, (struct range){0, size_bytes}, &view.copy);
	if (!ret)
		ret = copy(&view, 0, END_BYTES);
	if (!ret && size_bytes > END_BYTES)
		ret = copy(&view, size_bytes - END_BYTES, END_BYTES);
	if (!ret)
		ret = look(&view);
	if (!ret)
		*ret_table = *view.table;
	return ret;
}

bool partitions_touched(const struct partition_table *table, uint64_t offset, uint64_t length)
{
	for (size_t i = 0; i < table->nranges; i++) {
		const struct range *range = &table->ranges[i];

		if (offset < range->start + range->length && range->start < offset + length)
			return true;
	}
	return false;
}
