/* SPDX-License-Identifier: MIT */
/* vhdx salvage: what can still be read of a ruined image, as a raw disk, with a map of what could not. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "disk.h"
#include "json.h"
#include "names.h"
#include "numbers.h"
#include "options.h"
#include "progress.h"
#include "remote.h"
#include "report.h"
#include "text.h"

/* Reasons that the summary tells apart. */
#define REASONS_MAX 8

/* A wrecked table makes a range of each sector: text shows so many. */
#define SHOWN_RANGES 1000

enum {
	OPTION_BLOCK_SIZE = OPTION_FIRST,
	OPTION_SIZE,
	OPTION_SECTOR_SIZE,
	OPTION_FORCE,
};

static const struct option_row rows[] = {
	{OPTION_BLOCK_SIZE, "block-size", "SIZE", "of the blocks, if it is known better"},
	{OPTION_SIZE, "size", "SIZE", "of the disk, if it is known better"},
	{OPTION_SECTOR_SIZE, "sector-size", "SIZE", "512 or 4096, if it is known better"},
	{OPTION_FORCE, "force", NULL, "replace OUT.raw if it exists"},
	{0, NULL, NULL, NULL},
};

struct reason {
	const char *text;
	uint64_t bytes;
};

struct salvage {
	struct vhdx_salvage_options how;
	const char *file;
	struct json *json; /* NULL: text */
	bool json_is_begun;
	bool quiet;
	struct progress progress;
	uint64_t shown;
	struct reason lost[REASONS_MAX];
	size_t nlost;
};

static bool take_option(void *opaque, int id, const char *value)
{
	struct salvage *salvage = opaque;

	switch (id) {
	case OPTION_BLOCK_SIZE:
		return parse_size32("block size", value, &salvage->how.block_size);
	case OPTION_SIZE:
		return parse_size("size", value, &salvage->how.virtual_size);
	case OPTION_SECTOR_SIZE:
		return parse_size32("sector size", value, &salvage->how.logical_sector_size);
	default:
		salvage->how.flags |= VHDX_SALVAGE_FORCE;
		return true;
	}
}

/* ---- The map ---- */

static void note_lost(struct salvage *salvage, const struct vhdx_salvage_range *range)
{
	size_t i = 0;

	while (i < salvage->nlost && salvage->lost[i].text != range->text)
		i++;
	if (i == REASONS_MAX)
		return;
	if (i == salvage->nlost)
		salvage->lost[salvage->nlost++] = (struct reason){range->text, 0};
	salvage->lost[i].bytes += range->length;
}

static void print_text(struct salvage *salvage, const struct vhdx_salvage_range *range)
{
	char place[TEXT_SIZE_MAX] = "";
	char start[TEXT_SIZE_MAX];
	char length[TEXT_SIZE_MAX];

	progress_hide(&salvage->progress);
	if (!salvage->shown++)
		printf("%-16s %-16s %-8s %-16s %s\n", "Start", "Length", "Kind", "Offset", "Text");
	if (salvage->shown > SHOWN_RANGES)
		return;
	snprintf(start, sizeof(start), "0x%" PRIx64, range->offset);
	snprintf(length, sizeof(length), "0x%" PRIx64, range->length);
	if (range->file_offset != VHDX_NO_OFFSET)
		snprintf(place, sizeof(place), "0x%" PRIx64, range->file_offset);
	printf("%-16s %-16s %-8s", start, length, salvage_kind_name(range->kind));
	if (*place || *range->text)
		printf(*range->text ? " %-16s " : " %s", place);
	printf("%s\n", range->text);
}

static void print_json(struct json *json, const struct vhdx_salvage_range *range)
{
	json_begin_line(json, NULL);
	json_number(json, "start", range->offset);
	json_number(json, "length", range->length);
	json_string(json, "kind", salvage_kind_name(range->kind));
	if (range->file_offset != VHDX_NO_OFFSET)
		json_number(json, "offset", range->file_offset);
	if (*range->text)
		json_string(json, "text", range->text);
	json_end_object(json);
}

/* Not before there is something: a failure prints nothing but its error. */
static void begin_json(struct salvage *salvage)
{
	struct json *json = salvage->json;

	if (salvage->json_is_begun)
		return;
	salvage->json_is_begun = true;
	json_begin_object(json, NULL);
	json_string(json, "filename", salvage->file);
	json_string(json, "format", "vhdx");
	json_begin_object(json, "vhdx");
	json_begin_array(json, "map");
}

static void take_range(void *opaque, const struct vhdx_salvage_range *range)
{
	struct salvage *salvage = opaque;

	if (range->kind == VHDX_SALVAGE_LOST)
		note_lost(salvage, range);
	if (salvage->json) {
		begin_json(salvage);
		print_json(salvage->json, range);
	} else if (!salvage->quiet) {
		print_text(salvage, range);
	}
}

static int take_progress(void *opaque, uint64_t done, uint64_t total)
{
	struct salvage *salvage = opaque;

	return progress_update(&salvage->progress, done, total);
}

/* ---- What was found ---- */

static void print_size(const char *label, uint64_t size_bytes, const struct vhdx_salvage_fact *fact)
{
	char text[TEXT_SIZE_MAX];

	text_field(label, "%s, %s", text_bytes(size_bytes, text), fact->text);
}

static void print_place(const char *label, uint64_t offset, const struct vhdx_salvage_fact *fact)
{
	if (offset == VHDX_NO_OFFSET)
		text_field(label, "%s", fact->text);
	else
		text_field(label, "at 0x%" PRIx64 ", %s", offset, fact->text);
}

static void print_facts(const struct vhdx_salvage_result *result)
{
	if (result->missing_bytes)
		text_field("File", "its first 0x%" PRIx64 " bytes are missing",
			   result->missing_bytes);
	text_field("Type", "%s, %s", type_name(result->type), result->type_fact.text);
	print_size("Size", result->virtual_size, &result->virtual_size_fact);
	print_size("Block size", result->block_size, &result->block_size_fact);
	print_size("Sector size", result->logical_sector_size, &result->logical_sector_size_fact);
	print_place("Log", result->log_offset, &result->log_fact);
	print_place("Metadata", result->metadata_offset, &result->metadata_fact);
	print_place("BAT", result->bat_offset, &result->bat_fact);
}

static void print_reasons(const struct salvage *salvage)
{
	char size[TEXT_SIZE_MAX];

	for (size_t i = 0; i < salvage->nlost; i++)
		printf("%s %s (%s)", i ? ";" : ":", salvage->lost[i].text,
		       text_size(salvage->lost[i].bytes, size));
}

static void print_summary(const struct salvage *salvage, const struct vhdx_salvage_result *result)
{
	uint64_t lost = result->lost_blocks;
	char size[TEXT_SIZE_MAX];

	printf("Found %" PRIu64 " of %" PRIu64 " block%s", result->blocks - lost, result->blocks,
	       result->blocks == 1 ? "" : "s");
	if (lost) {
		printf("; of %" PRIu64 " block%s %s %s lost", lost, lost == 1 ? "" : "s",
		       text_size(result->lost_bytes, size), result->lost_bytes == 1 ? "is" : "are");
		print_reasons(salvage);
	}
	if (result->guessed_bytes)
		printf("; %s are guesses", text_size(result->guessed_bytes, size));
	if (result->parent_bytes)
		printf("; %s are the parent's", text_size(result->parent_bytes, size));
	fputs(".\n", stdout);
}

static void print_fact(struct json *json, const char *name, const struct vhdx_salvage_fact *fact)
{
	json_begin_line(json, name);
	json_string(json, "how", salvage_how_name(fact->how));
	json_string(json, "text", fact->text);
	json_end_object(json);
}

static void print_offset(struct json *json, const char *name, uint64_t offset)
{
	if (offset != VHDX_NO_OFFSET)
		json_number(json, name, offset);
}

static void print_json_facts(struct json *json, const struct vhdx_salvage_result *result)
{
	json_begin_object(json, "facts");
	print_fact(json, "type", &result->type_fact);
	print_fact(json, "virtual-size", &result->virtual_size_fact);
	print_fact(json, "block-size", &result->block_size_fact);
	print_fact(json, "sector-size", &result->logical_sector_size_fact);
	print_fact(json, "log", &result->log_fact);
	print_fact(json, "metadata", &result->metadata_fact);
	print_fact(json, "bat", &result->bat_fact);
	json_end_object(json);
}

static void finish_json(struct json *json, const struct vhdx_salvage_result *result)
{
	json_end_array(json);
	json_string(json, "type", type_name(result->type));
	json_number(json, "block-size", result->block_size);
	json_number(json, "sector-size", result->logical_sector_size);
	print_offset(json, "log-offset", result->log_offset);
	print_offset(json, "metadata-offset", result->metadata_offset);
	print_offset(json, "bat-offset", result->bat_offset);
	json_number(json, "missing-bytes", result->missing_bytes);
	json_number(json, "zero-bytes", result->zero_bytes);
	json_number(json, "parent-bytes", result->parent_bytes);
	json_number(json, "found-bytes", result->found_bytes);
	json_number(json, "guessed-bytes", result->guessed_bytes);
	json_number(json, "lost-bytes", result->lost_bytes);
	json_number(json, "blocks", result->blocks);
	json_number(json, "lost-blocks", result->lost_blocks);
	print_json_facts(json, result);
	json_end_object(json);
	json_number(json, "virtual-size", result->virtual_size);
	json_end_object(json);
}

static bool is_guess(const struct vhdx_salvage_fact *fact)
{
	return fact->how == VHDX_SALVAGE_BY_GUESS;
}

static int conclude(const struct vhdx_salvage_result *result)
{
	bool is_certain = !result->lost_bytes && !result->guessed_bytes &&
			  !is_guess(&result->virtual_size_fact) && !is_guess(&result->type_fact);

	return is_certain ? STATUS_DONE : STATUS_INCONSISTENT;
}

static void print_result(struct salvage *salvage, const struct vhdx_salvage_result *result)
{
	if (salvage->json) {
		finish_json(salvage->json, result);
		return;
	}
	if (salvage->quiet)
		return;
	if (salvage->shown > SHOWN_RANGES)
		printf("%" PRIu64 " more ranges are listed by --json\n",
		       salvage->shown - SHOWN_RANGES);
	putchar('\n');
	print_facts(result);
	print_summary(salvage, result);
}

static int salvage_from(struct salvage *salvage, const char *output, const struct options *options,
			struct vhdx_salvage_result *ret_result)
{
	progress_begin(&salvage->progress, options);
	int ret = vhdx_salvage(salvage->file, output, &salvage->how, ret_result);

	progress_end(&salvage->progress, !ret);
	return ret;
}

/* As vhdx_salvage; > 0: the exit status, of storage that cannot be opened. */
static int salvage_image(struct salvage *salvage, const char *output, const struct options *options,
			 struct vhdx_salvage_result *ret_result)
{
	struct vhdx_io io;

	if (!remote_kind(salvage->file))
		return salvage_from(salvage, output, options, ret_result);
	int status = disk_open_storage(salvage->file, false, &options->chain, &io);

	if (status)
		return status;
	salvage->how.io = &io;
	int ret = salvage_from(salvage, output, options, ret_result);

	io.close(io.opaque);
	return ret;
}

static int run(int argc, char **argv)
{
	struct vhdx_salvage_result result = {.size = sizeof(result)};
	struct salvage salvage = {.how = {.size = sizeof(salvage.how)}};
	auto_options struct options options;
	struct json json = {.out = stdout};

	if (!options_parse(&options, &verb_salvage, argc, argv, take_option, &salvage))
		return options.status;
	salvage.file = options.operands[0];
	salvage.json = options.json ? &json : NULL;
	salvage.quiet = options.quiet;
	salvage.how.range = take_range;
	salvage.how.progress = take_progress;
	salvage.how.opaque = &salvage;
	int ret = salvage_image(&salvage, options.operands[1], &options, &result);

	if (ret > 0)
		return ret;
	if (!ret) {
		print_result(&salvage, &result);
		return conclude(&result);
	}
	if (salvage.json_is_begun)
		finish_json(&json, &result);
	if (ret == -EEXIST)
		return report_error(options.operands[1], "exists already (--force replaces it)");
	report_failure(salvage.file);
	return STATUS_FAILED;
}

const struct verb verb_salvage = {
	.name = "salvage",
	.summary = "Copy what can still be read of a ruined image to a raw disk",
	.operands = "FILE OUT.raw",
	.options = rows,
	.groups = OPTIONS_JSON | OPTIONS_PROGRESS,
	.min_operands = 2,
	.max_operands = 2,
	.failed_status = STATUS_FAILED,
	.details =
		"Nothing of FILE needs to be right, and it is not changed. What its structures do not tell\n"
		"is searched for or guessed; the map says of each range whether it was found, guessed or\n"
		"lost. Parents are not read. Exit status: 0 all was found, 1 failed, 2 something is lost or\n"
		"was guessed.",
	.run = run,
};
