/* SPDX-License-Identifier: MIT */
/* Everything that can be done with an open disk that is only read, within bounds. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support/exercise.h"

#define MOST_STEPS 400
#define READ_SIZE  16384

static void complain(struct exercise *exercise, const char *fault, const char *text)
{
	if (exercise->fault)
		return;
	exercise->fault = fault;
	snprintf(exercise->text, sizeof(exercise->text), "%s", text);
}

static void check_text(struct exercise *exercise, const char *text)
{
	if (!text || !*text) {
		complain(exercise, "an empty text", "");
		return;
	}
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			complain(exercise, "a text with control characters", text);
}

void exercise_note(struct exercise *exercise, int ret)
{
	const struct vhdx_error *error = vhdx_last_error();

	if (ret >= 0)
		return;
	if (!exercise->first_error)
		exercise->first_error = ret;
	if (error->errnum != ret)
		complain(exercise, "the last error is of another errno", error->text);
	check_text(exercise, error->text);
	if (ret == -EUCLEAN && !error->problem)
		complain(exercise, "EUCLEAN without a problem", error->text);
	if (error->problem && !vhdx_get_problem(error->problem))
		complain(exercise, "a problem that is not in the table", error->text);
	if (ret == -EUCLEAN && !strstr(error->text, "expected"))
		complain(exercise, "EUCLEAN that does not say what was expected", error->text);
}

static void note_finding(void *opaque, const struct vhdx_finding *finding)
{
	struct exercise *exercise = opaque;

	exercise->findings++;
	check_text(exercise, finding->text);
	if (!finding->problem || !finding->file)
		complain(exercise, "a finding without problem or file", finding->text);
	else if (finding->problem->severity != VHDX_NOTE &&
		 finding->problem->severity != VHDX_LEAK && !exercise->damage[0])
		snprintf(exercise->damage, sizeof(exercise->damage), "%s: %s", finding->file,
			 finding->text);
}

static void begin(void *opaque, const char *name)
{
	struct exercise *exercise = opaque;

	(void)name;
	exercise->depth++;
}

static void end(void *opaque)
{
	struct exercise *exercise = opaque;

	if (!exercise->depth--)
		complain(exercise, "a dump that ends what it did not begin", "");
}

static void number(void *opaque, const char *name, uint64_t value)
{
	struct exercise *exercise = opaque;

	(void)name;
	(void)value;
	exercise->values++;
}

static void boolean(void *opaque, const char *name, int value)
{
	number(opaque, name, (uint64_t)value);
}

static void string(void *opaque, const char *name, const char *value)
{
	if (!value)
		complain(opaque, "a dump of a string that is none", name);
	number(opaque, name, value ? strlen(value) : 0);
}

static void dump_all(struct vhdx *disk, struct exercise *exercise)
{
	struct vhdx_dump_visitor visitor = {
		.size = sizeof(visitor),
		.begin_object = begin,
		.end_object = end,
		.begin_array = begin,
		.end_array = end,
		.number = number,
		.offset = number,
		.boolean = boolean,
		.string = string,
		.opaque = exercise,
	};

	for (int structure = VHDX_DUMP_HEADER; structure <= VHDX_DUMP_BAT; structure++) {
		int ret = vhdx_dump(disk, (enum vhdx_structure)structure, &visitor);

		exercise_note(exercise, ret);
		if (exercise->depth && !ret)
			complain(exercise, "a dump that does not end what it began", "");
		exercise->depth = 0;
	}
}

static void read_extent(struct vhdx *disk, const struct vhdx_extent *extent,
			struct exercise *exercise)
{
	static char buf[READ_SIZE];
	uint64_t part = extent->length < READ_SIZE ? extent->length : READ_SIZE;

	exercise_note(exercise, vhdx_pread(disk, buf, part, extent->offset));
	exercise_note(exercise,
		      vhdx_pread(disk, buf, part, extent->offset + extent->length - part));
}

/* Walks the map, and over what is damaged to the next block. */
static void read_all(struct vhdx *disk, const struct vhdx_info *info, uint32_t flags,
		     struct exercise *exercise)
{
	uint64_t at = 0;

	for (int step = 0; step < MOST_STEPS && at < info->virtual_size; step++) {
		struct vhdx_extent extents[4];
		size_t count = 4;
		int ret = vhdx_extents(disk, at, info->virtual_size - at, flags, extents, &count);

		exercise_note(exercise, ret);
		if (ret) {
			at = (at / info->block_size + 1) * info->block_size;
			continue;
		}
		for (size_t i = 0; i < count; i++)
			read_extent(disk, &extents[i], exercise);
		at = extents[count - 1].offset + extents[count - 1].length;
	}
}

void exercise_disk(struct vhdx *disk, struct exercise *exercise)
{
	struct vhdx_check_options options = {
		.size = sizeof(options),
		.flags = VHDX_CHECK_CHAIN | VHDX_CHECK_WINDOWS,
		.finding = note_finding,
		.opaque = exercise,
	};
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx_candidate candidate = {.size = sizeof(candidate)};
	char byte;

	exercise_note(exercise, vhdx_get_info(disk, &info));
	exercise_note(exercise, vhdx_check(disk, &options, &result));
	exercise->damages = result.damages;
	dump_all(disk, exercise);
	for (size_t i = 0; !vhdx_get_candidate(disk, i, &candidate); i++)
		if (!candidate.key || !candidate.path || !candidate.text)
			complain(exercise, "a candidate without texts", "");
	if (vhdx_get_fault(disk))
		exercise_note(exercise, vhdx_pread(disk, &byte, 1, 0));
	else
		read_all(disk, &info, VHDX_EXTENTS_FILE_HOLES, exercise);
}
