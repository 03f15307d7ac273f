/* SPDX-License-Identifier: MIT */
/* vhdx dump: the structures of an image as they stand, as indented text or JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "disk.h"
#include "json.h"
#include "options.h"
#include "report.h"
#include "text.h"

#define IDENTIFIER_PROBLEM 101u /* the file is no image at all */

/* ---- as JSON ---- */

static void json_visit_number(void *opaque, const char *name, uint64_t value)
{
	json_number(opaque, name, value);
}

static void json_visit_boolean(void *opaque, const char *name, int value)
{
	json_boolean(opaque, name, value);
}

static void json_visit_string(void *opaque, const char *name, const char *value)
{
	json_string(opaque, name, value);
}

static void json_visit_begin_object(void *opaque, const char *name)
{
	json_begin_object(opaque, name);
}

static void json_visit_end_object(void *opaque)
{
	json_end_object(opaque);
}

static void json_visit_begin_array(void *opaque, const char *name)
{
	json_begin_array(opaque, name);
}

static void json_visit_end_array(void *opaque)
{
	json_end_array(opaque);
}

static struct vhdx_dump_visitor json_visitor(struct json *json)
{
	return (struct vhdx_dump_visitor){
		.size = sizeof(struct vhdx_dump_visitor),
		.begin_object = json_visit_begin_object,
		.end_object = json_visit_end_object,
		.begin_array = json_visit_begin_array,
		.end_array = json_visit_end_array,
		.number = json_visit_number,
		.offset = json_visit_number,
		.boolean = json_visit_boolean,
		.string = json_visit_string,
		.opaque = json,
	};
}

/* ---- as text: a line a value, containers indented, items of arrays marked with a dash ---- */

struct outline {
	unsigned depth; /* of containers, the outermost one, which has no line, included */
	bool dash;	/* the next line begins an item */
};

/* Begins a line: what lies in the outermost container is not indented. */
static void outline_line(struct outline *outline, const char *name)
{
	int columns = outline->depth ? (int)(outline->depth - 1) * 2 : 0;

	if (outline->dash)
		printf("%*s- ", columns - 2, "");
	else
		printf("%*s", columns, "");
	outline->dash = false;
	if (name)
		printf("%s:", name);
	else
		putchar('-');
}

static void outline_begin(void *opaque, const char *name)
{
	struct outline *outline = opaque;

	if (name) {
		outline_line(outline, name);
		putchar('\n');
	} else if (outline->depth) {
		outline->dash = true;
	}
	outline->depth++;
}

static void outline_end(void *opaque)
{
	struct outline *outline = opaque;

	outline->depth--;
	outline->dash = false;
}

static void outline_number(void *opaque, const char *name, uint64_t value)
{
	outline_line(opaque, name);
	printf(" %" PRIu64 "\n", value);
}

static void outline_offset(void *opaque, const char *name, uint64_t value)
{
	outline_line(opaque, name);
	printf(" 0x%" PRIx64 "\n", value);
}

static void outline_boolean(void *opaque, const char *name, int value)
{
	outline_line(opaque, name);
	puts(value ? " yes" : " no");
}

static void outline_string(void *opaque, const char *name, const char *value)
{
	outline_line(opaque, name);
	putchar(' ');
	text_write(stdout, value);
	putchar('\n');
}

static struct vhdx_dump_visitor text_visitor(struct outline *outline)
{
	return (struct vhdx_dump_visitor){
		.size = sizeof(struct vhdx_dump_visitor),
		.begin_object = outline_begin,
		.end_object = outline_end,
		.begin_array = outline_begin,
		.end_array = outline_end,
		.number = outline_number,
		.offset = outline_offset,
		.boolean = outline_boolean,
		.string = outline_string,
		.opaque = outline,
	};
}

/* ---- the verb ---- */

static bool find_structure(const char *text, enum vhdx_structure *ret_structure)
{
	static const char *const names[] = {
		[VHDX_DUMP_HEADER] = "header",	   [VHDX_DUMP_REGION] = "region",
		[VHDX_DUMP_METADATA] = "metadata", [VHDX_DUMP_LOG] = "log",
		[VHDX_DUMP_BAT] = "bat",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], text)) {
			*ret_structure = (enum vhdx_structure)i;
			return true;
		}
	return false;
}

static bool parse_structure(char *const operands[2], enum vhdx_structure *ret_structure)
{
	if (find_structure(operands[0], ret_structure))
		return true;
	if (find_structure(operands[1], ret_structure))
		report_error(NULL, "the file stands before the structure (expected %s %s)",
			     operands[1], operands[0]);
	else
		report_error(
			NULL,
			"structure '%s' is unknown (expected header, region, metadata, log or bat)",
			operands[0]);
	return false;
}

/* The library names the values; the object around them is ours. */
static int dump(struct vhdx *disk, const char *file, enum vhdx_structure structure,
		const struct vhdx_dump_visitor *visitor)
{
	visitor->begin_object(visitor->opaque, NULL);
	visitor->string(visitor->opaque, "filename", file);
	int result = vhdx_dump(disk, structure, visitor);

	visitor->end_object(visitor->opaque);
	return result ? report_failure(file) : STATUS_DONE;
}

static int run(int argc, char **argv)
{
	auto_options struct options options;
	auto_disk struct vhdx *disk = NULL;
	enum vhdx_structure structure;
	struct json json = {.out = stdout};
	struct outline outline = {0};

	if (!options_parse(&options, &verb_dump, argc, argv, NULL, NULL))
		return options.status;
	if (!parse_structure(options.operands, &structure))
		return STATUS_FAILED;
	struct vhdx_open_options how = chain_open_options(&options.chain, VHDX_OPEN_EXAMINE);
	struct vhdx_dump_visitor visitor = options.json ? json_visitor(&json)
							: text_visitor(&outline);

	int status = disk_open(options.operands[1], &options.chain, &how, &disk);

	if (status)
		return status;
	const struct vhdx_error *fault = vhdx_get_fault(disk);

	/* What is no image has no structures; everything else is shown as it stands. */
	if (fault && fault->problem == IDENTIFIER_PROBLEM)
		return report_fault(options.operands[1], fault);
	return dump(disk, options.operands[1], structure, &visitor);
}

const struct verb verb_dump = {
	.name = "dump",
	.summary = "Show the structures of an image as they stand",
	.operands = "header|region|metadata|log|bat FILE",
	.groups = OPTIONS_CHAIN | OPTIONS_JSON,
	.min_operands = 2,
	.max_operands = 2,
	.failed_status = STATUS_FAILED,
	.run = run,
};
