/* SPDX-License-Identifier: MIT */
/*
 * The gate that the first change of a session passes: the space of the file is mapped, the log's is
 * reserved, and the journal starts. And what is done when the session ends.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "base/rules.h"
#include "meta/batcheck.h"
#include "meta/headers.h"
#include "store/io.h"
#include "vdisk/writer.h"

/* Of the headers: two to start the journal, two when guest data change after metadata, two to stop it. */
#define SESSION_UPDATES 6u

int vhdx_writer_make(struct vhdx *disk)
{
	struct writer *writer = calloc(1, sizeof(*writer));

	if (!writer)
		return vhdx_fail_memory();
	pthread_mutex_init(&writer->lock, NULL);
	pthread_mutex_init(&writer->new_bitmap, NULL);
	disk->writer = writer;
	int ret = vhdx_patch_areas_init(&writer->areas, &disk->shared->cache, &disk->image);

	if (ret)
		vhdx_writer_free(disk);
	return ret;
}

/* Proves that all structures lie in the file and none overlaps another; *ret_taken is their space. */
static int map_space(struct vhdx *disk, struct space_map *ret_taken)
{
	struct image *image = &disk->image;
	struct bat_counts counts;
	int ret = vhdx_check_bat(image, NULL, NULL, &counts, ret_taken);

	if (ret || !image->is_locked)
		return ret;
	vhdx_space_map_free(ret_taken);
	return vhdx_error_raise(&image->lock_reason);
}

static int new_guid(const struct vhdx *disk, struct vhdx_guid *ret_guid)
{
	struct guid_source source = vhdx_guid_source(NULL, 0);
	int ret = vhdx_guid_next(&source, ret_guid);

	return ret ? vhdx_fail_errno(ret, disk->name, "there is no randomness for its GUIDs") : 0;
}

/* The DataWriteGuid of a session that changes what a guest sees. */
static int data_guid(const struct vhdx *disk, struct vhdx_guid *ret_guid)
{
	if (guid_is_zero(&disk->writer->given_data_write))
		return new_guid(disk, ret_guid);
	*ret_guid = disk->writer->given_data_write;
	return 0;
}

static int make_guids(const struct vhdx *disk, enum gate gate, struct session_guids *ret_guids)
{
	struct session_guids guids = {{{0}}, {{0}}, {{0}}};
	int ret = new_guid(disk, &guids.log);

	/* A replay of this session's has changed it already (F 2.2). */
	guids.file_write = disk->info.file_write_guid;
	if (!ret && !disk->info.replayed_entries)
		ret = new_guid(disk, &guids.file_write);
	if (!ret && gate == GATE_DATA)
		ret = data_guid(disk, &guids.data_write);
	if (!ret)
		*ret_guids = guids;
	return ret;
}

static int start_journal(struct vhdx *disk, enum gate gate, uint64_t needed_end)
{
	struct writer *writer = disk->writer;
	struct session_guids guids;
	int ret = make_guids(disk, gate, &guids);

	if (ret)
		return ret;
	ret = vhdx_journal_start(&writer->journal, &disk->image, &disk->shared->cache, &guids,
				 needed_end);
	/* What failed before a header named the new log may be tried again. */
	writer->was_started = !ret || atomic_load(&writer->journal.failed);
	if (!writer->was_started)
		vhdx_journal_free(&writer->journal);
	return ret;
}

static int open_gate(struct vhdx *disk, enum gate gate)
{
	struct writer *writer = disk->writer;
	struct space_map taken;
	int ret = vhdx_headers_check_number(&disk->image, SESSION_UPDATES);

	if (!ret)
		ret = map_space(disk, &taken);
	if (ret)
		return ret;
	/* The log must not meet a full file system half way. */
	ret = vhdx_image_reserve(&disk->image, disk->image.log.offset, disk->image.log.length,
				 "its log");
	if (ret) {
		vhdx_space_map_free(&taken);
		return ret;
	}
	/* Of structures only: a part of a MiB that the space leaves unused may end behind the file. */
	uint64_t needed_end = vhdx_space_map_end(&taken);

	ret = vhdx_space_init(&writer->space, &disk->image, &writer->journal,
			      disk->open_flags & VHDX_OPEN_NO_HOLES, &taken);
	if (ret)
		return ret;
	ret = start_journal(disk, gate, needed_end);
	if (ret)
		vhdx_space_destroy(&writer->space);
	return ret;
}

/* The session began with metadata alone, and now the guest's data change too. */
static int open_for_data(struct vhdx *disk)
{
	struct vhdx_guid guid;
	int ret = data_guid(disk, &guid);

	return ret ? ret : vhdx_journal_new_data(&disk->writer->journal, &guid);
}

/* Under the gate's lock. */
static int pass_slowly(struct vhdx *disk, enum gate gate)
{
	struct writer *writer = disk->writer;
	enum gate passed = atomic_load(&writer->passed);
	int ret = writer->was_started ? vhdx_journal_check(&writer->journal) : 0;

	if (disk->image.is_locked)
		return vhdx_error_raise(&disk->image.lock_reason);
	if (ret || passed >= gate)
		return ret;
	ret = passed == GATE_CLOSED ? open_gate(disk, gate) : open_for_data(disk);
	if (ret)
		return ret;
	vhdx_disk_refresh_info(disk);
	atomic_store(&writer->passed, gate);
	return 0;
}

int vhdx_gate_pass(struct vhdx *disk, enum gate gate)
{
	struct writer *writer = disk->writer;

	if (!writer)
		return vhdx_fail(-EROFS, NO_PROBLEM, disk->name, VHDX_NO_OFFSET,
				 "is not open for writing");
	if (atomic_load_explicit(&writer->passed, memory_order_acquire) >= gate)
		return vhdx_journal_check(&writer->journal);
	LOCK_SCOPED(&writer->lock);
	return pass_slowly(disk, gate);
}

int vhdx_writer_stop(struct vhdx *disk)
{
	struct writer *writer = disk->writer;
	int ret = 0;

	if (!writer || !writer->was_started)
		return 0;
	ret = vhdx_journal_check(&writer->journal);
	if (!ret && !OBEYS(RULE_CUT_LAST))
		ret = vhdx_space_cut(&writer->space);
	if (!ret)
		ret = vhdx_journal_stop(&writer->journal);
	if (!ret)
		ret = vhdx_space_cut(&writer->space);
	return ret;
}

void vhdx_writer_free(struct vhdx *disk)
{
	struct writer *writer = disk->writer;

	if (!writer)
		return;
	if (atomic_load(&writer->passed) != GATE_CLOSED)
		vhdx_space_destroy(&writer->space);
	if (writer->was_started)
		vhdx_journal_free(&writer->journal);
	vhdx_patch_areas_destroy(&writer->areas);
	pthread_mutex_destroy(&writer->new_bitmap);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
	disk->writer = NULL;
}
