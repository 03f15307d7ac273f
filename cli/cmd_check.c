/* SPDX-License-Identifier: MIT */
/* vhdx check: every fault of an image, by its number; nothing is mended. */
#include <inttypes.h>
#include <stdio.h>

#include "disk.h"
#include "diagnosis.h"
#include "findings.h"
#include "foreign.h"
#include "json.h"
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
	unsigned *seen;			   /* findings of each row of the table of problems ... */
	struct vhdx_problem_total *totals; /* ... and with those that were not told */
	FILE *kept;			   /* writes kept_text: findings, as text shows them */
	char *kept_text;
	size_t kept_size;
	bool foreign; /* it is no image, or one that needs something unknown */
};

static void check_free(struct check *check)
{
	if (check->kept)
		fclose(check->kept);
	free(check->kept_text);
	free(check->seen);
	free(check->totals);
}

static bool check_begin(struct check *check, size_t rows)
{
	check->seen = calloc(rows, sizeof(*check->seen));
	check->totals = calloc(rows, sizeof(*check->totals));
	check->kept = open_memstream(&check->kept_text, &check->kept_size);
	return check->seen && check->totals && check->kept;
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

/* Shown behind the summary, so it is kept; no more than so much of each problem is. */
static void keep_text(struct check *check, const struct vhdx_finding *finding)
{
	if (++check->seen[row_of(finding->problem)] <= SHOWN_OF_EACH)
		finding_write(check->kept, finding, check->flags & VHDX_CHECK_CHAIN);
}

static void take_finding(void *opaque, const struct vhdx_finding *finding)
{
	struct check *check = opaque;

	if (finding->problem->severity == VHDX_FOREIGN)
		check->foreign = true;
	if (check->json)
		finding_json(check->json, finding);
	else if (!check->quiet)
		keep_text(check, finding);
}

static int take_progress(void *opaque, uint64_t done, uint64_t total)
{
	struct check *check = opaque;

	return progress_update(&check->progress, done, total);
}

static void print_unshown(const struct check *check)
{
	for (size_t row = 0; vhdx_problem_at(row); row++) {
		uint64_t count = check->totals[row].findings;

		if (count > SHOWN_OF_EACH)
			printf("%u %s: %" PRIu64 " more\n", vhdx_problem_at(row)->number,
			       vhdx_problem_at(row)->name, count - SHOWN_OF_EACH);
	}
}

static void print_kept(struct check *check)
{
	fflush(check->kept);
	if (check->kept_size)
		putchar('\n');
	fwrite(check->kept_text, 1, check->kept_size, stdout);
	print_unshown(check);
}

static void print_sentence(void *opaque, const char *sentence)
{
	(void)opaque;
	puts(sentence);
}

static void print_summary(const struct check *check, const struct vhdx_check_result *result)
{
	const struct diagnosis diagnosis = {check->totals, result,
					    check->flags & VHDX_CHECK_WINDOWS};
	char leaked[TEXT_SIZE_MAX];

	diagnose(&diagnosis, print_sentence, NULL);
	printf("Faults: %" PRIu64 ", leaks: %" PRIu64 " (%s); notes: %" PRIu64
	       "; blocks present: %" PRIu64 " of %" PRIu64 ".\n",
	       result->damages, result->leaks, text_size(result->leaked_bytes, leaked),
	       result->notes, result->present, result->blocks);
}

static void add_sentence(void *opaque, const char *sentence)
{
	json_string(opaque, NULL, sentence);
}

/* The array of findings was open; the counts follow it, and qemu-img's keys last. */
static void finish_json(const struct check *check, const struct vhdx_check_result *result,
			bool failed)
{
	const struct diagnosis diagnosis = {check->totals, result,
					    check->flags & VHDX_CHECK_WINDOWS};
	struct json *json = check->json;

	json_end_array(json);
	json_begin_array(json, "summary");
	if (!failed) /* of what was not seen nothing can be said */
		diagnose(&diagnosis, add_sentence, json);
	json_end_array(json);
	json_number(json, "notes", result->notes);
	json_number(json, "leaked-bytes", result->leaked_bytes);
	json_number(json, "lost-bytes", result->lost_bytes);
	json_number(json, "doubtful-bytes", result->doubtful_bytes);
	json_number(json, "lost-blocks", result->lost_blocks);
	json_end_object(json);
	json_number(json, "check-errors", failed || check->foreign);
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

/* Of an image of another format there is nothing to say but what it is. */
static bool is_other_format(const struct check *check)
{
	const struct foreign *foreign = check->foreign ? foreign_find(check->file) : NULL;

	return foreign && !foreign->is_disk;
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
		.totals = check->totals,
		.total_count = count_problems(),
	};

	if (check->json)
		begin_json(check->json, check->file);
	progress_begin(&check->progress, options);
	bool failed = vhdx_check(disk, &how, &result);

	progress_end(&check->progress, !failed);
	if (check->json)
		finish_json(check, &result, failed);
	if (!check->json && !check->quiet && !is_other_format(check)) {
		if (!failed)
			print_summary(check, &result);
		print_kept(check);
	}
	if (failed) {
		report_failure(check->file);
		return STATUS_FAILED;
	}
	if (check->foreign)
		return conclude_foreign(check, disk);
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
	if (!check_begin(&check, count_problems()))
		return report_error(NULL, "out of memory");
	if (disk_open(check.file, &options.chain, &how, &disk))
		return STATUS_FAILED;
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
