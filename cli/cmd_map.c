/* SPDX-License-Identifier: MIT */
/* vhdx map: what lies where, over the chain, as a table or with qemu-img's JSON keys; or as pictures. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "disk.h"
#include "digits.h"
#include "draw.h"
#include "json.h"
#include "layout.h"
#include "lineage.h"
#include "names.h"
#include "options.h"
#include "page.h"
#include "picture.h"
#include "report.h"
#include "text.h"

/* Asked for at a time, for a map may be longer than memory. */
#define EXTENTS_AT_ONCE 4096

struct map {
	struct vhdx *disk;
	struct json *json; /* NULL: text */
	/* Not yet printed, since the next one may continue it; length 0: there is none. */
	struct vhdx_extent pending;
	const char *file; /* NULL: not asked for yet */
	unsigned file_depth;
};

/* printf, and asking for a file's name, would take most of the time where there are millions of lines. */
struct line {
	char text[128];
	size_t length;
};

static void add_padding(struct line *line, size_t end)
{
	while (line->length < end)
		line->text[line->length++] = ' ';
}

static void add_field(struct line *line, const char *text, size_t length, size_t width)
{
	size_t start = line->length;

	memcpy(line->text + start, text, length);
	line->length += length;
	add_padding(line, start + width);
}

static void add_hex(struct line *line, uint64_t value)
{
	char text[2 + DIGITS_MAX] = "0x";

	add_field(line, text, 2 + digits_hex(value, text + 2), 16);
	add_padding(line, line->length + 1);
}

static void add_depth(struct line *line, unsigned depth)
{
	char text[DIGITS_MAX];
	size_t length = digits_decimal(depth, text);

	add_padding(line, line->length + 5 - (length < 5 ? length : 5));
	add_field(line, text, length, length + 2);
}

/* The file of the chain that lies @depth below the child. */
static const char *file_at(struct map *map, unsigned depth)
{
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk = map->disk;

	if (map->file && map->file_depth == depth)
		return map->file;
	for (unsigned i = 0; i < depth && disk; i++)
		disk = vhdx_get_parent(disk);
	map->file_depth = depth;
	map->file = disk && !vhdx_get_info(disk, &info) ? info.path : "";
	return map->file;
}

static void print_text(struct map *map, const struct vhdx_extent *extent)
{
	const char *type = extent_type_name(extent->type);
	struct line line;

	line.length = 0; /* the text needs no zeros */
	add_hex(&line, extent->offset);
	add_hex(&line, extent->length);
	add_depth(&line, extent->depth);
	add_field(&line, type, strlen(type), 7);
	if (extent->type == VHDX_EXTENT_DATA)
		add_hex(&line, extent->file_offset);
	fwrite_unlocked(line.text, 1, line.length, stdout);
	if (extent->type == VHDX_EXTENT_DATA)
		text_write(stdout, file_at(map, extent->depth));
	putchar_unlocked('\n');
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
		print_text(map, &map->pending);
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

/* ---- Pictures ---- */

enum {
	OPTION_SVG = OPTION_FIRST,
	OPTION_HTML,
	OPTION_FORCE,
};

static const struct option_row rows[] = {
	{OPTION_SVG, "svg", "OUT.svg",
	 "draw where the blocks lie in the file ('-': standard output)"},
	{OPTION_HTML, "html", "OUT.html", "the same as a page to look into with a browser"},
	{OPTION_FORCE, "force", NULL, "replace OUT if it exists"},
	{0, NULL, NULL, NULL},
};

struct pictures {
	const char *svg;
	const char *html;
	bool replace;
};

static int check_pictures(const struct pictures *pictures, bool json)
{
	bool drawn = pictures->svg || pictures->html;

	if (drawn && json)
		return report_error(NULL,
				    "--json is for the table, which --svg and --html replace");
	if (pictures->svg && pictures->html && !strcmp(pictures->svg, pictures->html))
		return report_error(NULL, "--svg and --html need files of their own");
	return STATUS_DONE;
}

static bool take_option(void *opaque, int id, const char *value)
{
	struct pictures *pictures = opaque;

	switch (id) {
	case OPTION_SVG:
		pictures->svg = value;
		return true;
	case OPTION_HTML:
		pictures->html = value;
		return true;
	case OPTION_FORCE:
		pictures->replace = true;
		return true;
	default:
		return false;
	}
}

static bool is_in_chain(struct vhdx *disk, const char *path)
{
	struct stat st;

	return strcmp(path, "-") && !stat(path, &st) && lineage_find(disk, &st) >= 0;
}

static int draw_part(struct vhdx *disk, const struct layout *layout, const char *name,
		     const char *path, bool replace, draw_fn *function)
{
	if (!path)
		return STATUS_DONE;
	if (is_in_chain(disk, path))
		return report_error(path,
				    "is the image, or one of its parents (expected another file)");
	return draw_to(layout, name, path, replace, function);
}

static int draw_all(struct vhdx *disk, const char *name, const struct pictures *pictures)
{
	struct layout *layout = NULL;
	int result = layout_make(disk, &layout);

	if (result)
		return result == -ENOMEM ? report_error(NULL, "out of memory")
					 : report_failure(name);
	int status =
		draw_part(disk, layout, name, pictures->svg, pictures->replace, picture_write_svg);
	if (!status)
		status = draw_part(disk, layout, name, pictures->html, pictures->replace,
				   page_write);
	layout_free(layout);
	return status;
}

static int run(int argc, char **argv)
{
	struct pictures pictures = {0};
	auto_options struct options options;
	auto_disk struct vhdx *disk = NULL;
	struct json json = {.out = stdout};

	if (!options_parse(&options, &verb_map, argc, argv, take_option, &pictures))
		return options.status;
	int status = check_pictures(&pictures, options.json);

	if (status)
		return status;
	struct vhdx_open_options how = chain_open_options(&options.chain, 0);

	status = disk_open(options.operands[0], &options.chain, &how, &disk);
	if (status)
		return status;
	if (pictures.svg || pictures.html)
		return draw_all(disk, options.operands[0], &pictures);
	return print_map(&(struct map){.disk = disk, .json = options.json ? &json : NULL});
}

const struct verb verb_map = {
	.name = "map",
	.summary = "Show what lies where: data, zeros, and in which file of the chain",
	.operands = "FILE",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_JSON,
	.min_operands = 1,
	.max_operands = 1,
	.failed_status = STATUS_FAILED,
	.details =
		"With --svg or --html nothing is printed, and FILE is shown without its parents.",
	.run = run,
};
