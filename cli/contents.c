/* SPDX-License-Identifier: MIT */
/*
 * Contents are known by the GUIDs that VHDX gives them, those of all disks of the chain: what a child names as its
 * parent can be changed. Where a session has not ended, the time of the file's last change belongs to them.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "contents.h"
#include "lineage.h"
#include "report.h"

/* FNV-1a. GUIDs are random, and nobody gains by making two chains look alike. */
#define DIGEST_BEGIN UINT64_C(0xcbf29ce484222325)
#define DIGEST_PRIME UINT64_C(0x100000001b3)

static void digest(uint64_t *state, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < size; i++)
		*state = (*state ^ at[i]) * DIGEST_PRIME;
}

static int get_info(const struct vhdx *disk, struct vhdx_info *ret_info)
{
	*ret_info = (struct vhdx_info){.size = sizeof(*ret_info)};
	return vhdx_get_info(disk, ret_info) ? report_failure(NULL) : STATUS_DONE;
}

/* ---- Identity ---- */

/* When images whose sessions have not ended were changed last. */
struct unclosed {
	bool is_any;
	struct timespec since;
};

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* A device node has a time, but not that of what the device holds. */
static int add_unclosed(const struct vhdx_info *info, struct unclosed *unclosed)
{
	struct stat st;

	if (info->log_state == VHDX_LOG_CLEAN)
		return STATUS_DONE;
	if (!info->path || stat(info->path, &st) || !S_ISREG(st.st_mode))
		return report_error(info->path,
				    "was not closed cleanly, and nothing says when it was "
				    "written last (replay it, or leave out --skip-done)");
	if (!unclosed->is_any || is_later(&st.st_mtim, &unclosed->since))
		unclosed->since = st.st_mtim;
	unclosed->is_any = true;
	return STATUS_DONE;
}

struct ancestry {
	unsigned count;
	uint64_t guids; /* digest of the DataWriteGuids, the nearest parent's first */
	struct unclosed unclosed;
};

static int trace(const struct vhdx *disk, struct ancestry *ancestry)
{
	struct vhdx_info info;
	int status = get_info(disk, &info);

	if (!status)
		status = add_unclosed(&info, &ancestry->unclosed);
	for (disk = vhdx_get_parent(disk); disk && !status; disk = vhdx_get_parent(disk)) {
		status = get_info(disk, &info);
		if (status)
			break;
		ancestry->count++;
		digest(&ancestry->guids, &info.data_write_guid, sizeof(info.data_write_guid));
		status = add_unclosed(&info, &ancestry->unclosed);
	}
	return status;
}

static void write_identity(const struct vhdx_info *info, const struct ancestry *ancestry,
			   char ret_identity[CONTENTS_IDENTITY_SIZE])
{
	const struct unclosed *unclosed = &ancestry->unclosed;
	char guid[VHDX_GUID_TEXT_SIZE], parents[64] = "", time[64] = "";

	if (ancestry->count)
		snprintf(parents, sizeof(parents), " parents %u %016" PRIx64, ancestry->count,
			 ancestry->guids);
	if (unclosed->is_any)
		snprintf(time, sizeof(time), " unclosed %lld.%09ld",
			 (long long)unclosed->since.tv_sec, unclosed->since.tv_nsec);
	snprintf(ret_identity, CONTENTS_IDENTITY_SIZE, "%s %" PRIu64 "%s%s",
		 vhdx_guid_text(&info->data_write_guid, guid), info->virtual_size, parents, time);
}

/* ---- State ---- */

/* A header's sequence number and GUIDs are other ones after each open that writes. */
static void digest_header(uint64_t *state, const struct vhdx_info *info)
{
	digest(state, &info->sequence_number, sizeof(info->sequence_number));
	digest(state, &info->file_write_guid, sizeof(info->file_write_guid));
	digest(state, &info->data_write_guid, sizeof(info->data_write_guid));
}

static void digest_file(uint64_t *state, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return;
	digest(state, &st->st_dev, sizeof(st->st_dev));
	digest(state, &st->st_ino, sizeof(st->st_ino));
	digest(state, &st->st_size, sizeof(st->st_size));
	digest(state, &st->st_mtim.tv_sec, sizeof(st->st_mtim.tv_sec));
	digest(state, &st->st_mtim.tv_nsec, sizeof(st->st_mtim.tv_nsec));
}

/* What it was when @disk was opened: by its header then, and by its file as near to that as we are. */
static int digest_opened(uint64_t *state, const struct vhdx *disk)
{
	struct vhdx_info info;
	struct stat st;
	int status = get_info(disk, &info);

	if (status || !info.path || stat(info.path, &st))
		return status;
	digest_header(state, &info);
	digest_file(state, &st);
	return STATUS_DONE;
}

/* What it is now. Opening asks a server for what is new; stat alone might be told what this host remembers. */
static int digest_again(uint64_t *state, const struct vhdx *disk)
{
	struct vhdx_open_options alone = {.size = sizeof(alone), .flags = VHDX_OPEN_NO_PARENT};
	const char *path = lineage_path(disk);
	auto_disk struct vhdx *again = NULL;
	struct stat st;

	if (!path || stat(path, &st))
		return STATUS_DONE;
	return vhdx_open(path, &alone, &again) ? report_failure(path) : digest_opened(state, again);
}

static int digest_chain(const struct vhdx *disk, int (*add)(uint64_t *, const struct vhdx *),
			uint64_t *ret_state)
{
	int status = STATUS_DONE;

	*ret_state = DIGEST_BEGIN;
	for (; disk && !status; disk = vhdx_get_parent(disk))
		status = add(ret_state, disk);
	return status;
}

int contents_identify(const struct source *source, struct contents *ret_contents)
{
	struct contents contents;
	struct ancestry ancestry = {.guids = DIGEST_BEGIN};
	struct vhdx_info info;
	int status = get_info(source->disk, &info);

	if (!status)
		status = trace(source->disk, &ancestry);
	if (!status)
		status = digest_chain(source->disk, digest_opened, &contents.state);
	if (status)
		return status;
	vhdx_guid_text(&info.disk_id, contents.disk);
	write_identity(&info, &ancestry, contents.identity);
	contents.size = info.virtual_size;
	*ret_contents = contents;
	return STATUS_DONE;
}

int contents_check_unchanged(const struct source *source, const struct contents *contents)
{
	uint64_t state;
	int status = digest_chain(source->disk, digest_again, &state);

	if (status || state == contents->state)
		return status;
	return report_error(source->name,
			    "was written to meanwhile, by somebody whom no lock keeps "
			    "out: the copy is not recorded");
}
