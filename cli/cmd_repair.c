/* SPDX-License-Identifier: MIT */
/* vhdx repair: mends what check finds, keeps what it overwrites, and puts that back. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "disk.h"
#include "findings.h"
#include "json.h"
#include "names.h"
#include "options.h"
#include "progress.h"
#include "remote.h"
#include "report.h"
#include "text.h"

/* A damaged table has the same fault thousands of times: text shows so many lines. */
#define SHOWN_LINES 1000

enum {
	OPTION_DRY_RUN = OPTION_FIRST,
	OPTION_UNDO,
	OPTION_DISCARD_LOG,
	OPTION_UNDO_FROM,
};

static const struct option_row rows[] = {
	{OPTION_DRY_RUN, "dry-run", NULL, "write nothing: say what would be mended"},
	{OPTION_UNDO, "undo", "UNDOFILE", "keep what is overwritten there (default FILE.undo)"},
	{OPTION_DISCARD_LOG, "discard-log", NULL,
	 "discard a log that cannot be replayed; what only it holds is lost"},
	{OPTION_UNDO_FROM, "undo-from", "UNDOFILE",
	 "mend nothing: put back what a repair overwrote"},
	{0, NULL, NULL, NULL},
};

struct repair {
	const char *file;
	struct vhdx_repair_options how;
	struct vhdx_repair_result result;
	const char *undo_from;
	struct vhdx_io there; /* how.io, of storage with a scheme */
	struct json *json;    /* NULL: text */
	bool quiet;
	bool log_is_discarded;
	bool tells_left; /* faults that were mended have all been told of */
	struct progress progress;

	/* Lines are kept until it is known that they are true. */
	FILE *kept;
	char *kept_text;
	size_t kept_size;
	uint64_t lines;
};

static void repair_free(struct repair *repair)
{
	if (repair->kept)
		fclose(repair->kept);
	free(repair->kept_text);
	if (repair->there.close)
		repair->there.close(repair->there.opaque);
}

static bool is_dry_run(const struct repair *repair)
{
	return repair->how.flags & VHDX_REPAIR_DRY_RUN;
}

static bool take_option(void *opaque, int id, const char *value)
{
	struct repair *repair = opaque;

	switch (id) {
	case OPTION_DRY_RUN:
		repair->how.flags |= VHDX_REPAIR_DRY_RUN;
		return true;
	case OPTION_UNDO:
		repair->how.undo_path = value;
		return true;
	case OPTION_DISCARD_LOG:
		repair->how.flags |= VHDX_REPAIR_DISCARD_LOG;
		return true;
	case OPTION_UNDO_FROM:
		repair->undo_from = value;
		return true;
	default:
		return false;
	}
}

/* ---- One fault after the other ---- */

static bool line_is_shown(struct repair *repair)
{
	return !repair->quiet && ++repair->lines <= SHOWN_LINES;
}

/* A block that was cut loose is lost; what shows through a new bitmap or without the log may be wrong. */
static enum vhdx_loss cost_of(const struct vhdx_finding *finding)
{
	if (!finding->guest_length || finding->problem->loss == VHDX_LOSS_NONE)
		return VHDX_LOSS_NONE;
	return finding->problem->number / 100 == 6 ? VHDX_LOSS_PART : VHDX_LOSS_DOUBT;
}

static void write_cost(FILE *out, const struct vhdx_finding *finding)
{
	enum vhdx_loss cost = cost_of(finding);

	if (cost == VHDX_LOSS_NONE)
		return;
	fprintf(out, "  bytes %" PRIu64 "-%" PRIu64 " of the disk %s\n", finding->guest_offset,
		finding->guest_offset + finding->guest_length - 1,
		cost == VHDX_LOSS_DOUBT ? "are in doubt" : "are lost");
}

/* What was mended, not what the fault would cost. */
static void mended_json(struct json *json, const struct vhdx_finding *finding)
{
	json_begin_line(json, NULL);
	json_number(json, "problem", finding->problem->number);
	json_string(json, "name", finding->problem->name);
	json_string(json, "file", finding->file);
	if (finding->offset != VHDX_NO_OFFSET)
		json_number(json, "offset", finding->offset);
	json_string(json, "text", finding->text);
	json_string(json, "section", finding->problem->section);
	if (finding->guest_length) {
		json_string(json, "loss", loss_name(cost_of(finding)));
		json_number(json, "guest-offset", finding->guest_offset);
		json_number(json, "guest-length", finding->guest_length);
	}
	json_end_object(json);
}

static void take_mended(void *opaque, const struct vhdx_finding *finding)
{
	struct repair *repair = opaque;

	if (finding->problem->mended == VHDX_MENDED_DISCARD_LOG)
		repair->log_is_discarded = true;
	if (repair->json) {
		mended_json(repair->json, finding);
		return;
	}
	if (!line_is_shown(repair))
		return;
	fprintf(repair->kept, "%s %u %s: ", is_dry_run(repair) ? "would mend" : "mended",
		finding->problem->number, finding->problem->name);
	text_write(repair->kept, finding->text);
	fputc('\n', repair->kept);
	write_cost(repair->kept, finding);
}

static void begin_left(struct repair *repair)
{
	if (repair->json && !repair->tells_left) {
		json_end_array(repair->json);
		json_begin_array(repair->json, "left");
	}
	repair->tells_left = true;
}

static void take_left(void *opaque, const struct vhdx_finding *finding)
{
	struct repair *repair = opaque;

	begin_left(repair);
	if (repair->json) {
		finding_json(repair->json, finding);
	} else if (line_is_shown(repair)) {
		fputs("left ", repair->kept);
		finding_write(repair->kept, finding, false);
	}
}

static int take_progress(void *opaque, uint64_t done, uint64_t total)
{
	struct repair *repair = opaque;

	return progress_update(&repair->progress, done, total);
}

/* ---- All in all ---- */

/* "1 fault", "3 faults". */
static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void print_undo_file(const struct repair *repair)
{
	char size[TEXT_SIZE_MAX];
	char path[4096];
	struct stat st;
	int length = repair->how.undo_path
			     ? snprintf(path, sizeof(path), "%s", repair->how.undo_path)
			     : snprintf(path, sizeof(path), "%s.undo", repair->file);

	if (length < 0 || (size_t)length >= sizeof(path) || stat(path, &st))
		return;
	fputs("What was overwritten is in ", stdout);
	text_write(stdout, path);
	printf(" (%s): 'vhdx repair --undo-from ", text_size((uint64_t)st.st_size, size));
	text_write(stdout, path);
	putchar(' ');
	text_write(stdout, repair->file);
	puts("' puts it back.");
}

static void print_mended(const struct repair *repair)
{
	const struct vhdx_repair_result *result = &repair->result;
	char size[TEXT_SIZE_MAX];

	printf("%s %" PRIu64 " fault%s; ", is_dry_run(repair) ? "Would mend" : "Mended",
	       result->mended, plural(result->mended));
	if (result->lost_bytes)
		printf("%s of the disk %s lost or in doubt", text_size(result->lost_bytes, size),
		       is_dry_run(repair) ? "would be" : "are");
	else if (repair->log_is_discarded)
		fputs("what only the log held is lost", stdout);
	else
		fputs("nothing of the disk is lost", stdout);
	if (result->released_bytes)
		printf("; %s that nothing refers to %s released",
		       text_size(result->released_bytes, size),
		       is_dry_run(repair) ? "would be" : "are");
	puts(".");
	if (result->is_written)
		print_undo_file(repair);
}

static void print_text(struct repair *repair)
{
	const struct vhdx_repair_result *result = &repair->result;

	fflush(repair->kept);
	if (result->undo_was_used)
		printf("What an earlier repair did %s undone first.\n",
		       is_dry_run(repair) ? "would be" : "was");
	fwrite(repair->kept_text, 1, repair->kept_size, stdout);
	if (repair->lines > SHOWN_LINES)
		printf("%" PRIu64 " more are listed by --json\n", repair->lines - SHOWN_LINES);
	if (result->mended)
		print_mended(repair);
	else
		puts("Nothing to mend.");
	if (result->left)
		printf("%" PRIu64 " fault%s %s left.\n", result->left, plural(result->left),
		       result->left == 1 ? "is" : "are");
}

static void begin_json(struct json *json, const char *file)
{
	json_begin_object(json, NULL);
	json_string(json, "filename", file);
	json_begin_array(json, "mended");
}

static void finish_json(struct repair *repair, bool failed)
{
	const struct vhdx_repair_result *result = &repair->result;
	struct json *json = repair->json;

	begin_left(repair);
	json_end_array(json);
	json_boolean(json, "dry-run", is_dry_run(repair));
	json_boolean(json, "failed", failed);
	json_boolean(json, "written", result->is_written);
	json_boolean(json, "undone-first", result->undo_was_used);
	json_number(json, "mended-faults", result->mended);
	json_number(json, "left-faults", result->left);
	json_number(json, "lost-bytes", result->lost_bytes);
	json_number(json, "changed-bytes", result->changed_bytes);
	json_number(json, "released-bytes", result->released_bytes);
	json_end_object(json);
}

/* A fatal fault that is left, and what is needed instead of repair; nothing was written. */
static int conclude_failed(const struct repair *repair)
{
	struct vhdx_error error = *vhdx_last_error();
	const struct vhdx_problem *problem = vhdx_get_problem(error.problem);
	bool discards = problem && problem->mended == VHDX_MENDED_DISCARD_LOG;
	auto_free char *text = NULL;
	int length = 0;

	if (problem && discards)
		length = asprintf(&text,
				  "%s; --discard-log mends it, and loses what only the log holds",
				  error.text);
	else if (problem && problem->mended != VHDX_MENDED_NEVER)
		length = asprintf(&text, "%s; it cannot be repaired: repair can only %s",
				  error.text, problem->mend);
	else if (problem && problem->mended == VHDX_MENDED_MAYBE)
		length = asprintf(&text, "%s; repair can only: %s", error.text, problem->mend);
	else if (problem && *problem->mend)
		length = asprintf(&text, "%s; it cannot be repaired and needs: %s", error.text,
				  problem->mend);
	if (length < 0)
		return report_error(NULL, "out of memory");
	if (text)
		error.text = text;
	return report_fault(repair->file, &error);
}

static int repair_file(struct repair *repair, const struct options *options)
{
	if (repair->json)
		begin_json(repair->json, repair->file);
	progress_begin(&repair->progress, options);
	bool failed = vhdx_repair(repair->file, &repair->how, &repair->result);

	progress_end(&repair->progress, !failed);
	if (repair->json)
		finish_json(repair, failed);
	if (failed)
		return conclude_failed(repair);
	if (!repair->json && !repair->quiet)
		print_text(repair);
	return repair->result.left ? STATUS_INCONSISTENT : STATUS_DONE;
}

static int put_back(const struct repair *repair)
{
	struct vhdx_io undo;

	if (!repair->how.io)
		return vhdx_undo_repair(repair->file, repair->undo_from, repair->how.flags);
	int ret = vhdx_file_io(repair->undo_from, VHDX_FILE_WRITE, &undo);

	if (ret)
		return ret;
	ret = vhdx_undo_repair_io(repair->how.io, repair->file, &undo, repair->undo_from);
	undo.close(undo.opaque);
	return ret;
}

static int undo_repair(const struct repair *repair)
{
	struct json json = {.out = stdout};

	if (repair->how.undo_path || repair->how.flags & ~VHDX_REPAIR_NO_LOCK)
		return report_error(
			NULL, "--undo-from mends nothing: the other options do not go with it");
	if (put_back(repair)) {
		report_failure(repair->file);
		return STATUS_FAILED;
	}
	if (repair->json) {
		json_begin_object(&json, NULL);
		json_string(&json, "filename", repair->file);
		json_string(&json, "undo-file", repair->undo_from);
		json_boolean(&json, "undone", true);
		json_end_object(&json);
	} else if (!repair->quiet) {
		puts("Put back what repair had overwritten.");
	}
	return STATUS_DONE;
}

/* Storage with a scheme: no file can be made beside it. */
static int open_there(struct repair *repair, const struct options *options)
{
	bool writes = repair->undo_from || !is_dry_run(repair);

	if (!remote_kind(repair->file))
		return STATUS_DONE;
	if (writes && !repair->undo_from && !repair->how.undo_path)
		return report_error(repair->file,
				    "has no place for the undo file (expected --undo UNDOFILE)");
	int status = disk_open_storage(repair->file, writes, &options->chain, &repair->there);

	if (!status)
		repair->how.io = &repair->there;
	return status;
}

static int run(int argc, char **argv)
{
	__attribute__((cleanup(repair_free))) struct repair repair = {
		.how = {.size = sizeof(repair.how)},
		.result = {.size = sizeof(repair.result)},
	};
	auto_options struct options options;
	struct json json = {.out = stdout};

	if (!options_parse(&options, &verb_repair, argc, argv, take_option, &repair))
		return options.status;
	repair.file = options.operands[0];
	repair.json = options.json ? &json : NULL;
	repair.quiet = options.quiet;
	repair.how.mended = take_mended;
	repair.how.left = take_left;
	repair.how.progress = take_progress;
	repair.how.opaque = &repair;
	if (options.chain.write_flags & VHDX_OPEN_NO_HOLES)
		repair.how.flags |= VHDX_REPAIR_NO_HOLES;
	if (options.chain.write_flags & VHDX_OPEN_NO_LOCK)
		repair.how.flags |= VHDX_REPAIR_NO_LOCK;
	int status = open_there(&repair, &options);

	if (status)
		return status;
	if (repair.undo_from)
		return undo_repair(&repair);
	repair.kept = open_memstream(&repair.kept_text, &repair.kept_size);
	if (!repair.kept)
		return report_error(NULL, "out of memory");
	return repair_file(&repair, &options);
}

const struct verb verb_repair = {
	.name = "repair",
	.summary = "Mend what check finds, and keep what is overwritten",
	.operands = "FILE",
	.options = rows,
	.groups = OPTIONS_WRITE | OPTIONS_JSON | OPTIONS_PROGRESS,
	.min_operands = 1,
	.max_operands = 1,
	.failed_status = STATUS_FAILED,
	.details =
		"Parents are neither read nor changed; children keep their parent unless it reads differently\n"
		"afterwards. What can be read before reads the same, or repair says which part does not. A crash or\n"
		"a signal leaves an image that a second repair mends: it undoes first what the first one did. Exit\n"
		"status: 0 no fault is left, 1 failed, 2 faults are left; while one of them keeps the disk from being\n"
		"opened, nothing is written.",
	.run = run,
};
