/* SPDX-License-Identifier: MIT */
/* What an image holds, by the public interface and by its raw bytes. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/look.h"

#define MIB ((uint64_t)1 << 20)

char *fault_text(const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort();
	va_end(arguments);
	return text;
}

char *fault_call(const char *what, int ret)
{
	const struct vhdx_error *error = vhdx_last_error();

	return fault_text("%s: %s: %s", what, strerror(-ret), error->text ? error->text : "");
}

static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	(void)child;
	(void)key;
	(void)path;
	*ret_io = store_io(opaque);
	return 0;
}

int look_open(struct store *store, struct store *parent, uint32_t flags, struct vhdx **ret_disk)
{
	struct vhdx_open_options options = {
		.size = sizeof(options),
		.flags = flags,
		.open_parent = parent ? open_parent : NULL,
		.opaque = parent,
		.name = "disk",
	};
	struct vhdx_io io = store_io(store);

	return vhdx_open_io(&io, &options, ret_disk);
}

char *look_read(struct vhdx *disk, const struct model *model, uint8_t *contents)
{
	struct vhdx_info info = {.size = sizeof(info)};

	vhdx_get_info(disk, &info);
	for (size_t i = 0; i < model->range_count; i++) {
		const struct model_range *range = &model->ranges[i];
		uint64_t there =
			info.virtual_size > range->offset ? info.virtual_size - range->offset : 0;

		there = there < range->length ? there : range->length;
		memset(contents + there, 0, (size_t)(range->length - there));
		int ret = vhdx_pread(disk, contents, (size_t)there, there ? range->offset : 0);

		if (ret)
			return fault_call("reading", ret);
		contents += range->length;
	}
	return NULL;
}

char *look_compare(const struct model *model, const uint8_t *found, const uint8_t *expected)
{
	char has[120], had[120];

	for (size_t i = 0; i < model->range_count; i++) {
		const struct model_range *range = &model->ranges[i];
		uint64_t at = 0;

		if (!memcmp(found, expected, (size_t)range->length))
			at = range->length;
		for (; at < range->length; at += ATOM) {
			if (!memcmp(found + at, expected + at, ATOM))
				continue;
			model_describe(found + at, has, sizeof(has));
			model_describe(expected + at, had, sizeof(had));
			return fault_text("sector %" PRIu64 " holds %s, expected %s",
					  (range->offset + at) / ATOM, has, had);
		}
		found += range->length;
		expected += range->length;
	}
	return NULL;
}

struct findings {
	bool closed;
	char *fault;
};

/* What a crash may leave: space that nothing refers to. What punching leaves: holes, and space that is one. */
static bool is_allowed(const struct vhdx_problem *problem, bool closed)
{
	if (problem->severity == VHDX_LEAK || !strcmp(problem->name, "SPACE_UNUSED") ||
	    !strcmp(problem->name, "FILE_SPARSE"))
		return true;
	/* What a resize leaves that was cut short. */
	if (!strcmp(problem->name, "BAT_PADDING") || !strcmp(problem->name, "FIXED_NOT_PRESENT"))
		return true;
	/* The file's end is looked at by judge_closed. */
	if (!strcmp(problem->name, "FILE_TRAILING_SPACE") ||
	    !strcmp(problem->name, "FILE_NOT_WHOLE_MIB"))
		return true;
	return !closed && problem->severity == VHDX_NOTE;
}

static void take_finding(void *opaque, const struct vhdx_finding *finding)
{
	struct findings *findings = opaque;

	if (!findings->fault && !is_allowed(finding->problem, findings->closed))
		findings->fault = fault_text("check finds %s at %#" PRIx64 ": %s",
					     finding->problem->name, finding->offset,
					     finding->text);
}

char *look_check(struct store *store, struct store *parent, bool closed)
{
	struct findings findings = {.closed = closed};
	struct vhdx_check_options options = {
		.size = sizeof(options), .finding = take_finding, .opaque = &findings};
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct vhdx *disk;
	int ret = look_open(store, parent, VHDX_OPEN_EXAMINE, &disk);

	if (ret)
		return fault_call("opening to check", ret);
	ret = vhdx_check(disk, &options, &result);
	vhdx_close(disk);
	if (ret && !findings.fault)
		return fault_call("checking", ret);
	return findings.fault;
}

/* F 2: FileWriteGuid, DataWriteGuid, LogGuid follow each other. */
#define GUIDS_AT   16
#define GUIDS_SIZE 48
#define LOG_GUID   32

char *look_headers(struct store *store)
{
	static const uint8_t zeros[16];
	uint8_t first[GUIDS_SIZE], second[GUIDS_SIZE];

	store_peek(store, first, sizeof(first), 64 * 1024 + GUIDS_AT);
	store_peek(store, second, sizeof(second), 128 * 1024 + GUIDS_AT);
	if (memcmp(first, second, sizeof(first)))
		return fault_text("the headers carry different GUIDs after a clean close");
	if (memcmp(first + LOG_GUID, zeros, sizeof(zeros)))
		return fault_text("the headers name a log after a clean close");
	return NULL;
}

static uint64_t entry_at(const uint8_t bytes[8])
{
	uint64_t entry = 0;

	for (int i = 7; i >= 0; i--)
		entry = entry << 8 | bytes[i];
	return entry;
}

/* Chunks that are looked at: the disks of the scenarios have no blocks behind them. */
#define CHUNKS 4

char *look_bitmaps(struct store *store, const struct vhdx_info *info)
{
	uint64_t ratio = ((uint64_t)1 << 23) * info->logical_sector_size / info->block_size;

	for (uint64_t chunk = 0; chunk < CHUNKS; chunk++) {
		uint64_t index = chunk * (ratio + 1) + ratio;
		uint8_t bytes[ATOM];

		store_peek(store, bytes, 8, info->bat_offset + index * 8);
		uint64_t bitmap = entry_at(bytes) / MIB * MIB;

		for (uint64_t at = bitmap; bitmap && at < bitmap + MIB; at += COW_PAGE) {
			store_peek(store, bytes, sizeof(bytes), at);
			if (model_is_pattern(bytes))
				return fault_text("the sector bitmap at %#" PRIx64
						  " holds what space held before",
						  bitmap);
		}
	}
	return NULL;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t look_end(struct store *store, const struct vhdx_info *info)
{
	uint64_t end = later(info->log_offset + info->log_length,
			     later(info->bat_offset + info->bat_length,
				   info->metadata_offset + info->metadata_length));
	uint64_t ratio = ((uint64_t)1 << 23) * info->logical_sector_size / info->block_size;
	uint64_t start = info->bat_offset, stop = info->bat_offset;
	uint64_t bat_end = info->bat_offset + info->bat_length;

	while (cow_next(&store->now, stop, &start, &stop) && start < bat_end) {
		uint8_t page[COW_PAGE];

		stop = start / COW_PAGE * COW_PAGE + COW_PAGE;
		cow_read(&store->now, page, sizeof(page), stop - COW_PAGE);
		for (uint64_t at = 0; at < COW_PAGE; at += 8) {
			uint64_t index = (stop - COW_PAGE + at - info->bat_offset) / 8;
			uint64_t entry = entry_at(page + at);
			bool bitmap = index % (ratio + 1) == ratio;

			if (entry >= MIB)
				end = later(end,
					    entry / MIB * MIB + (bitmap ? MIB : info->block_size));
		}
	}
	return end;
}
