/* SPDX-License-Identifier: MIT */
/* A disk that a test writes: opened, closed and killed, with what must hold each time. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "support/trial.h"

#define MAP_EXTENTS 16
/* What changes the bytes of the file. */
#define CALLS_THAT_WRITE (STORE_CHANGES & ~STORE_BIT(STORE_FLUSH))

static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	struct trial *trial = opaque;

	return fixture_open_parent(&trial->parents, child, key, path, ret_io);
}

static int open_store(struct trial *trial, uint32_t flags, struct vhdx **ret_disk)
{
	struct vhdx_io io = write_store_io(&trial->store, trial->without);
	struct vhdx_open_options options = {
		.size = sizeof(options),
		.flags = flags,
		.open_parent = open_parent,
		.opaque = trial,
		.name = "the disk",
	};

	return vhdx_open_io(&io, &options, ret_disk);
}

static void note_finding(void *opaque, const struct vhdx_finding *finding)
{
	(void)opaque;
	if (finding->problem->severity >= VHDX_DAMAGE)
		print_error("%s: %s\n", finding->file, finding->text);
}

uint64_t trial_check_image(struct trial *trial)
{
	struct vhdx_check_options options = {.size = sizeof(options), .finding = note_finding};
	struct vhdx_check_result result = {.size = sizeof(result)};
	unsigned long changes = write_store_changes(&trial->store);
	struct vhdx *disk;
	int ret = open_store(trial, VHDX_OPEN_EXAMINE, &disk);

	CHECK(!ret, "examine: %d, %s", ret, vhdx_last_error()->text);
	ret = vhdx_check(disk, &options, &result);
	CHECK(!ret, "check: %d, %s", ret, vhdx_last_error()->text);
	CHECK(!result.damages, "check: %" PRIu64 " faults", result.damages);
	CHECK(!vhdx_get_fault(disk), "%s", vhdx_get_fault(disk)->text);
	vhdx_close(disk);
	CHECK(write_store_changes(&trial->store) == changes, "a check wrote to the file");
	return result.leaked_bytes;
}

static void begin_session(struct trial *trial)
{
	struct written_header header;
	struct written_space space;

	written_current_header(&trial->store.bytes, &header);
	memcpy(trial->guid_at_open, header.data_write_guid, 16);
	trial->has_guid = false;
	trial->must_change = false;
	trial->may_change = false;
	trial->changes_at_open = write_store_count(&trial->store, CALLS_THAT_WRITE);
	trial->punches_at_open = write_store_count(&trial->store, STORE_BIT(STORE_PUNCH));
	trial->size_at_open = trial->store.bytes.size;
	written_space(&trial->store.bytes, &trial->info, &space);
	trial->most_free = trial->size_at_open > space.used ? trial->size_at_open - space.used : 0;
}

/* A replay changes no guest's data, and so no DataWriteGuid. */
int trial_try_open(struct trial *trial, uint32_t flags)
{
	struct written_header before;
	struct written_header after;

	written_current_header(&trial->store.bytes, &before);
	int ret = open_store(trial, VHDX_OPEN_WRITE | flags, &trial->disk);

	written_current_header(&trial->store.bytes, &after);
	CHECK(!memcmp(before.data_write_guid, after.data_write_guid, 16),
	      "an open changed DataWriteGuid");
	if (ret)
		return ret;
	trial->info.size = sizeof(trial->info);
	assert_int_equal(vhdx_get_info(trial->disk, &trial->info), 0);
	trial->no_holes = flags & VHDX_OPEN_NO_HOLES;
	begin_session(trial);
	return 0;
}

void trial_open(struct trial *trial, uint32_t flags)
{
	int ret = trial_try_open(trial, flags);

	CHECK(!ret, "open: %d, %s", ret, vhdx_last_error()->text);
}

/* DataWriteGuid becomes another one once, at the first change. */
static void check_guid(struct trial *trial)
{
	struct written_header header;

	written_current_header(&trial->store.bytes, &header);
	bool is_old = !memcmp(header.data_write_guid, trial->guid_at_open, 16);

	CHECK(!trial->must_change || !is_old, "the disk changed, DataWriteGuid did not");
	CHECK(trial->must_change || trial->may_change || is_old,
	      "DataWriteGuid changed, the disk did not");
	CHECK(!trial->has_guid || !memcmp(header.data_write_guid, trial->guid, 16),
	      "DataWriteGuid changed twice");
	trial->has_guid = !is_old;
	memcpy(trial->guid, header.data_write_guid, 16);
}

void trial_note_change(struct trial *trial, bool must, bool may)
{
	bool is_first = must && !trial->must_change;

	trial->must_change |= must;
	trial->may_change |= may;
	if (is_first)
		check_guid(trial);
}

static void end_session(struct trial *trial)
{
	check_guid(trial);
	if (!trial->must_change && !trial->may_change)
		CHECK(write_store_count(&trial->store, CALLS_THAT_WRITE) == trial->changes_at_open,
		      "nothing was changed, and the file was");
	if (trial->no_holes || trial->info.type == VHDX_FIXED)
		CHECK(write_store_count(&trial->store, STORE_BIT(STORE_PUNCH)) ==
			      trial->punches_at_open,
		      "a file that must have no holes was punched");
	fixture_check_unchanged(&trial->parents);
	trial->disk = NULL;
}

void trial_kill(struct trial *trial)
{
	atomic_store(&trial->store.dead, true);
	vhdx_close(trial->disk);
	atomic_store(&trial->store.dead, false);
	end_session(trial);
}

static void check_headers(struct trial *trial)
{
	static const uint8_t none[16];
	struct written_header headers[2];

	written_headers(&trial->store.bytes, headers);
	CHECK(headers[0].valid && headers[1].valid, "a header is not valid");
	CHECK(!memcmp(headers[0].file_write_guid, headers[1].file_write_guid, 16),
	      "the headers have different FileWriteGuids");
	CHECK(!memcmp(headers[0].data_write_guid, headers[1].data_write_guid, 16),
	      "the headers have different DataWriteGuids");
	CHECK(!memcmp(headers[0].log_guid, none, 16) && !memcmp(headers[1].log_guid, none, 16),
	      "a header has a LogGuid after a clean close");
}

static void check_sizes(struct trial *trial, uint64_t leaked)
{
	uint64_t size = trial->store.bytes.size;
	struct written_space space;

	written_space(&trial->store.bytes, &trial->info, &space);
	CHECK(size % T_MIB == 0 || size == trial->size_at_open,
	      "the file has %#" PRIx64 " bytes, no whole MiB", size);
	CHECK(size <= space.end || size <= trial->size_at_open,
	      "the file has %#" PRIx64 " bytes, and ends at %#" PRIx64, size, space.end);
	CHECK(leaked <= trial->most_free,
	      "%#" PRIx64 " bytes leaked, at most %#" PRIx64 " were free", leaked,
	      trial->most_free);
}

void trial_close(struct trial *trial)
{
	unsigned long closes = trial->store.closes;
	int ret = vhdx_close(trial->disk);
	bool wrote = write_store_count(&trial->store, CALLS_THAT_WRITE) != trial->changes_at_open;

	CHECK(!ret, "close: %d, %s", ret, vhdx_last_error()->text);
	CHECK(trial->store.closes == closes + 1, "the store was not closed once");
	end_session(trial);
	if (wrote)
		check_headers(trial);
	check_sizes(trial, trial_check_image(trial));
}

/* The store of the layer that a map names. */
static const struct sparse *bytes_of_layer(const struct trial *trial, unsigned depth)
{
	return depth ? &trial->chain.layers[trial->first_parent + depth - 1].file
		     : &trial->store.bytes;
}

/* The beginning and the end of it are in the file where the map says. */
static void check_data(struct trial *trial, const struct vhdx_extent *extent)
{
	uint8_t in_file[4096];
	uint8_t expected[4096];
	uint64_t length = extent->length < sizeof(in_file) ? extent->length : sizeof(in_file);
	uint64_t skips[2] = {0, extent->length - length};

	for (unsigned i = 0; i < 2; i++) {
		sparse_read(bytes_of_layer(trial, extent->depth), in_file, length,
			    extent->file_offset + skips[i]);
		sparse_read(&trial->flat.bytes, expected, length, extent->offset + skips[i]);
		CHECK(!memcmp(in_file, expected, length),
		      "mapped to depth %u, %#" PRIx64 ": other bytes than at %#" PRIx64
		      " of the disk",
		      extent->depth, extent->file_offset + skips[i], extent->offset + skips[i]);
	}
}

/* Walks the map of a range; calls @visit for each extent. */
static void walk(struct trial *trial, uint64_t offset, uint64_t length, uint32_t flags,
		 void (*visit)(struct trial *trial, const struct vhdx_extent *extent, void *opaque),
		 void *opaque)
{
	uint64_t end = offset + length;

	while (offset < end) {
		struct vhdx_extent extents[MAP_EXTENTS];
		size_t count = MAP_EXTENTS;
		int ret = vhdx_extents(trial->disk, offset, end - offset, flags, extents, &count);

		CHECK(!ret && count, "map at %#" PRIx64 ": %d, %s", offset, ret,
		      vhdx_last_error()->text);
		for (size_t i = 0; i < count; i++) {
			CHECK(extents[i].offset == offset && extents[i].length &&
				      extents[i].length <= end - offset,
			      "map: an extent at %#" PRIx64 " for %#" PRIx64, extents[i].offset,
			      offset);
			visit(trial, &extents[i], opaque);
			offset += extents[i].length;
		}
	}
}

static void visit_map(struct trial *trial, const struct vhdx_extent *extent, void *opaque)
{
	(void)opaque;
	if (extent->type == VHDX_EXTENT_DATA)
		check_data(trial, extent);
	else
		flat_check_zeros(&trial->flat, extent->offset, extent->length);
}

void trial_check_map(struct trial *trial, uint64_t offset, uint64_t length, uint32_t flags)
{
	walk(trial, offset, length, flags, visit_map, NULL);
}

/* Zeros are read at their ends only: there may be many TiB of them. */
static void visit_all(struct trial *trial, const struct vhdx_extent *extent, void *opaque)
{
	uint64_t part = extent->length < 4096 ? extent->length : 4096;

	visit_map(trial, extent, opaque);
	if (extent->type == VHDX_EXTENT_DATA) {
		flat_check(&trial->flat, trial->disk, extent->offset, extent->length);
		return;
	}
	flat_check(&trial->flat, trial->disk, extent->offset, part);
	flat_check(&trial->flat, trial->disk, extent->offset + extent->length - part, part);
}

void trial_compare(struct trial *trial)
{
	bool holes = !(trial->without & STORE_BIT(STORE_NEXT_DATA));

	walk(trial, 0, trial->info.virtual_size, holes ? VHDX_EXTENTS_FILE_HOLES : 0, visit_all,
	     NULL);
}

static void visit_data(struct trial *trial, const struct vhdx_extent *extent, void *opaque)
{
	(void)trial;
	*(bool *)opaque |= extent->type == VHDX_EXTENT_DATA;
}

bool trial_has_space(struct trial *trial, uint64_t offset, uint64_t length)
{
	bool found = false;

	walk(trial, offset, length, 0, visit_data, &found);
	return found;
}

struct whole_blocks {
	uint64_t next; /* block */
	uint64_t bytes;
};

static void visit_blocks(struct trial *trial, const struct vhdx_extent *extent, void *opaque)
{
	struct whole_blocks *whole = opaque;
	uint64_t size = trial->info.block_size;
	uint64_t first = extent->offset / size;
	uint64_t end = (extent->offset + extent->length + size - 1) / size;

	if (extent->type != VHDX_EXTENT_DATA)
		return;
	first = first > whole->next ? first : whole->next;
	if (end > first) {
		whole->bytes += (end - first) * size;
		whole->next = end;
	}
}

uint64_t trial_whole_blocks(struct trial *trial, uint64_t offset, uint64_t length)
{
	struct whole_blocks whole = {0};

	walk(trial, offset, length, VHDX_EXTENTS_THIS_LAYER, visit_blocks, &whole);
	return whole.bytes;
}
