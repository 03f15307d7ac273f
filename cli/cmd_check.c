/* SPDX-License-Identifier: MIT */
/* vhdx check: every fault of an image, by its number; nothing is mended. */
#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "names.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "text.h"

#define STATUS_CLEAN  0
#define STATUS_LEAKED 3

/* A damaged table has the same fault thousands of times: text shows so many of each. */
#define SHOWN_OF_EACH 100

enum {
	OPTION_CHAIN = OPTION_FIRST,
	OPTION_WINDOWS,
};

static const struct option_row rows[] = {
	{OPTION_CHAIN, "chain", NULL, "count the faults of the parents too"},
	{OPTION_WINDOWS, "windows", NULL, "count what Windows is known to refuse"},
	{0, NULL, NULL, NULL},
};

struct check {
	uint32_t flags; /* VHDX_CHECK_* */
	const char *file;
	struct json *json; /* NULL: text */
	bool quiet;
	struct progress progress;
	uint64_t *seen; /* of each row of the table of problems */
	bool foreign;	/* it is no image, or one that needs something unknown */
};

static void check_free(struct check *check)
{
	free(check->seen);
}

static bool take_option(void *opaque, int id, const char *value)
{
	struct check *check = opaque;

	(void)value;
	check->flags |= id == OPTION_CHAIN ? VHDX_CHECK_CHAIN : VHDX_CHECK_WINDOWS;
	return true;
}

static size_t count_problems(void)
{
	size_t count = 0;

	while (vhdx_problem_at(count))
		count++;
	return count;
}

static size_t row_of(const struct vhdx_problem *problem)
{
	size_t row = 0;

	while (vhdx_problem_at(row)->number != problem->number)
		row++;
	return row;
}

static void print_text(struct check *check, const struct vhdx_finding *finding)
{
	const struct vhdx_problem *problem = finding->problem;

	if (++check->seen[row_of(problem)] > SHOWN_OF_EACH)
		return;
	progress_hide(&check->progress);
	if (check->flags & VHDX_CHECK_CHAIN) {
		text_write(stdout, finding->file);
		fputs(": ", stdout);
	}
	printf("%u %s %s", problem->number, problem->name, severity_name(problem->severity));
	if (finding->offset != VHDX_NO_OFFSET)
		printf(" at %" PRIu64, finding->offset);
	fputs(": ", stdout);
	text_write(stdout, finding->text);
	printf(" [F %s]\n", problem->section);
}

static void print_json(struct json *json, const struct vhdx_finding *finding)
{
	const struct vhdx_problem *problem = finding->problem;

	json_begin_line(json, NULL);
	json_number(json, "problem", problem->number);
	json_string(json, "name", problem->name);
	json_string(json, "severity", severity_name(problem->severity));
	json_string(json, "file", finding->file);
	if (finding->offset != VHDX_NO_OFFSET)
		json_number(json, "offset", finding->offset);
	json_string(json, "text", finding->text);
	json_string(json, "section", problem->section);
	if (*problem->mend)
		json_string(json, "mend", problem->mend);
	if (finding->guest_length) {
		json_number(json, "guest-offset", finding->guest_offset);
		json_number(json, "guest-length", finding->guest_length);
	}
	json_end_object(json);
}

static void take_finding(void *opaque, const struct vhdx_finding *finding)
{
	struct check *check = opaque;

	if (finding->problem->severity == VHDX_FOREIGN)
		check->foreign = true;
	if (check->json)
		print_json(check->json, finding);
	else if (!check->quiet)
		print_text(check, finding);
}

static int take_progress(void *opaque, uint64_t done, uint64_t total)
{
	struct check *check = opaque;

	return progress_update(&check->progress, done, total);
}

static void print_unshown(const struct check *check)
{
	for (size_t row = 0; vhdx_problem_at(row); row++)
		if (check->seen[row] > SHOWN_OF_EACH)
			printf("%u %s: %" PRIu64 " more are listed by --json\n",
			       vhdx_problem_at(row)->number, vhdx_problem_at(row)->name,
			       check->seen[row] - SHOWN_OF_EACH);
}

static void print_summary(const struct check *check, const struct vhdx_check_result *result)
{
	char leaked[TEXT_SIZE_MAX];

	print_unshown(check);
	if (!result->damages && !result->leaks)
		fputs("No fault was found", stdout);
	else
		printf("Faults: %" PRIu64 ", leaks: %" PRIu64 " (%s)", result->damages,
		       result->leaks, text_size(result->leaked_bytes, leaked));
	printf("; notes: %" PRIu64 "; blocks present: %" PRIu64 " of %" PRIu64 ".\n", result->notes,
	       result->present, result->blocks);
}

/* The array of findings was open; the counts follow it, and qemu-img's keys last. */
static void finish_json(struct json *json, const struct vhdx_check_result *result, bool checked)
{
	json_end_array(json);
	json_number(json, "notes", result->notes);
	json_number(json, "leaked-bytes", result->leaked_bytes);
	json_end_object(json);
	json_number(json, "check-errors", !checked);
	json_number(json, "corruptions", result->damages);
	json_number(json, "leaks", result->leaks);
	json_number(json, "total-clusters", result->blocks);
	json_number(json, "allocated-clusters", result->present);
	json_end_object(json);
}

static void begin_json(struct json *json, const char *file)
{
	json_begin_object(json, NULL);
	json_string(json, "filename", file);
	json_string(json, "format", "vhdx");
	json_begin_object(json, "vhdx");
	json_begin_array(json, "findings");
}

/* The disk's own fault says best why it is foreign; a parent's was shown as a finding. */
static int conclude_foreign(const struct check *check, const struct vhdx *disk)
{
	const struct vhdx_error *fault = vhdx_get_fault(disk);

	if (fault)
		report_fault(check->file, fault);
	else
		report_error(check->file, "a parent is no image that can be checked");
	return STATUS_FAILED;
}

static int conclude(const struct vhdx_check_result *result)
{
	if (result->damages)
		return STATUS_INCONSISTENT;
	return result->leaks ? STATUS_LEAKED : STATUS_CLEAN;
}

static int check_disk(struct check *check, struct vhdx *disk, const struct options *options)
{
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct vhdx_check_options how = {
		.size = sizeof(how),
		.flags = check->flags,
		.finding = take_finding,
		.progress = take_progress,
		.opaque = check,
	};

	if (check->json)
		begin_json(check->json, check->file);
	progress_begin(&check->progress, options);
	bool failed = vhdx_check(disk, &how, &result);

	progress_end(&check->progress, !failed);
	if (check->json)
		finish_json(check->json, &result, !failed && !check->foreign);
	if (failed) {
		report_failure(check->file);
		return STATUS_FAILED;
	}
	if (check->foreign)
		return conclude_foreign(check, disk);
	if (!check->json && !check->quiet)
		print_summary(check, &result);
	return conclude(&result);
}

static int run(int argc, char **argv)
{
	__attribute__((cleanup(check_free))) struct check check = {.seen = NULL};
	auto_options struct options options;
	auto_disk struct vhdx *disk = NULL;
	struct json json = {.out = stdout};

	if (!options_parse(&options, &verb_check, argc, argv, take_option, &check))
		return options.status;
	struct vhdx_open_options how = chain_open_options(&options.chain, VHDX_OPEN_EXAMINE);

	check.file = options.operands[0];
	check.json = options.json ? &json : NULL;
	check.quiet = options.quiet;
	check.seen = calloc(count_problems(), sizeof(*check.seen));
	if (!check.seen)
		return report_error(NULL, "out of memory");
	if (vhdx_open(check.file, &how, &disk)) {
		report_failure(check.file);
		return STATUS_FAILED;
	}
	return check_disk(&check, disk, &options);
}

const struct verb verb_check = {
	.name = "check",
	.summary = "Find every fault of an image, and change nothing",
	.operands = "FILE",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_JSON | OPTIONS_PROGRESS,
	.min_operands = 1,
	.max_operands = 1,
	.failed_status = STATUS_FAILED,
	.details =
		"Exit status: 0 no fault (notes do not count), 1 the check could not be made, 2 there are\n"
		"faults, 3 only space is lost.",
	.run = run,
};
