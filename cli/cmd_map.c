/* SPDX-License-Identifier: MIT */
/* vhdx map: what lies where, over the chain, as a table or with qemu-img's JSON keys. */
#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "names.h"
#include "options.h"
#include "report.h"
#include "text.h"

/* Asked for at a time, for a map may be longer than memory. */
#define EXTENTS_AT_ONCE 4096

struct map {
	struct vhdx *disk;
	struct json *json; /* NULL: text */
	/* Not yet printed, since the next one may continue it; length 0: there is none. */
	struct vhdx_extent pending;
};

/* The file of the chain that lies @depth below the child. */
static const char *file_at(struct vhdx *disk, unsigned depth)
{
	struct vhdx_info info = {.size = sizeof(info)};

	while (depth-- && disk)
		disk = vhdx_get_parent(disk);
	return disk && !vhdx_get_info(disk, &info) ? info.path : "";
}

static void print_text(struct vhdx *disk, const struct vhdx_extent *extent)
{
	char start[TEXT_SIZE_MAX], length[TEXT_SIZE_MAX];

	snprintf(start, sizeof(start), "0x%" PRIx64, extent->offset);
	snprintf(length, sizeof(length), "0x%" PRIx64, extent->length);
	printf("%-16s %-16s %5u  %-7s", start, length, extent->depth,
	       extent_type_name(extent->type));
	if (extent->type == VHDX_EXTENT_DATA) {
		snprintf(start, sizeof(start), "0x%" PRIx64, extent->file_offset);
		printf("%-16s ", start);
		text_write(stdout, file_at(disk, extent->depth));
	}
	putchar('\n');
}

static void print_json(struct json *json, const struct vhdx_extent *extent)
{
	json_begin_line(json, NULL);
	json_number(json, "start", extent->offset);
	json_number(json, "length", extent->length);
	json_number(json, "depth", extent->depth);
	json_boolean(json, "present", extent->type != VHDX_EXTENT_ABSENT);
	json_boolean(json, "zero", extent->type != VHDX_EXTENT_DATA);
	json_boolean(json, "data", extent->type == VHDX_EXTENT_DATA);
	if (extent->type == VHDX_EXTENT_DATA)
		json_number(json, "offset", extent->file_offset);
	json_end_object(json);
}

static void print_pending(struct map *map)
{
	if (!map->pending.length)
		return;
	if (map->json)
		print_json(map->json, &map->pending);
	else
		print_text(map->disk, &map->pending);
	map->pending.length = 0;
}

static bool continues(const struct vhdx_extent *before, const struct vhdx_extent *extent)
{
	return before->length && before->type == extent->type && before->depth == extent->depth &&
	       (extent->type != VHDX_EXTENT_DATA ||
		before->file_offset + before->length == extent->file_offset);
}

static void add(struct map *map, const struct vhdx_extent *extent)
{
	if (continues(&map->pending, extent)) {
		map->pending.length += extent->length;
		return;
	}
	print_pending(map);
	map->pending = *extent;
}

/* Walks the disk; standard output that takes no more is a reason to stop, which main reports. */
static int walk(struct map *map, uint64_t size_bytes)
{
	auto_free struct vhdx_extent *extents = calloc(EXTENTS_AT_ONCE, sizeof(*extents));
	uint64_t offset = 0;
	int status = STATUS_DONE;

	if (!extents)
		return report_error(NULL, "out of memory");
	while (offset < size_bytes && !ferror(stdout)) {
		size_t count = EXTENTS_AT_ONCE;

		if (vhdx_extents(map->disk, offset, size_bytes - offset, 0, extents, &count)) {
			status = report_failure(NULL);
			break;
		}
		for (size_t i = 0; i < count; i++)
			add(map, &extents[i]);
		offset = extents[count - 1].offset + extents[count - 1].length;
	}
	print_pending(map);
	return status;
}

static int print_map(struct map *map)
{
	struct vhdx_info info = {.size = sizeof(info)};

	if (vhdx_get_info(map->disk, &info))
		return report_failure(NULL);
	if (map->json)
		json_begin_array(map->json, NULL);
	else
		printf("%-16s %-16s %5s  %-7s%-16s %s\n", "Start", "Length", "Depth", "Type",
		       "Offset", "File");
	int status = walk(map, info.virtual_size);

	if (map->json)
		json_end_array(map->json);
	return status;
}

static int run(int argc, char **argv)
{
	auto_options struct options options;
	auto_disk struct vhdx *disk = NULL;
	struct json json = {.out = stdout};

	if (!options_parse(&options, &verb_map, argc, argv, NULL, NULL))
		return options.status;
	struct vhdx_open_options how = chain_open_options(&options.chain, 0);

	if (vhdx_open(options.operands[0], &how, &disk))
		return report_failure(options.operands[0]);
	return print_map(&(struct map){.disk = disk, .json = options.json ? &json : NULL});
}

const struct verb verb_map = {
	.name = "map",
	.summary = "Show what lies where: data, zeros, and in which file of the chain",
	.operands = "FILE",
	.groups = OPTIONS_CHAIN | OPTIONS_JSON,
	.min_operands = 1,
	.max_operands = 1,
	.failed_status = STATUS_FAILED,
	.run = run,
};
