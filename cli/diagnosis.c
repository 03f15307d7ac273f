/* SPDX-License-Identifier: MIT */
/* What a check found, in a few plain sentences: by kinds of faults, not one by one. */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "diagnosis.h"
#include "text.h"

/* Problems that sentences speak of, by their numbers. */
enum {
	FILE_TOO_SHORT = 102,
	HEADER_SIGNATURE = 201,
	HEADER_CHECKSUM = 202,
	HEADERS_BOTH_BAD = 203,
	TABLE_SIGNATURE = 301,
	TABLE_CHECKSUM = 302,
	TABLES_BOTH_BAD = 303,
	LOG_TRUNCATED_FILE = 402,
	LOG_DIRTY = 405,
	LOG_EMPTY = 406,
	BLOCK_PLACE = 606,
	BLOCK_SHORT = 607,
	BAT_CUT = 612,
	BITMAP_PLACE = 704,
	PARENT_FIRST = 820, /* of those that are not in the image itself */
	PARENT_LAST = 829,
	SPACE_LEAKED = 901,
	FILE_SPARSE = 903,
};

#define MAX_OF_KIND 12

/* Faults that one sentence tells of. Without @many, there is never more than one to tell of. */
struct kind {
	const char *one;
	const char *many;
	uint16_t problems[MAX_OF_KIND]; /* 0 ends them */
};

static const struct kind kinds[] = {
	{"One of two headers is damaged", NULL, {HEADER_SIGNATURE, HEADER_CHECKSUM}},
	{"One of two region tables is damaged", NULL, {TABLE_SIGNATURE, TABLE_CHECKSUM}},
	{"The two region tables differ, and the first counts", NULL, {304}},
	{"There is no log that changes could be written to", NULL, {211, 212}},
	{"The headers cannot be used to write with", NULL, {209, 213}},
	{"entry of the region table breaks the format",
	 "entries of the region table break the format",
	 {306, 311, 312, 313}},
	{"fault of the metadata leaves the disk readable",
	 "faults of the metadata leave the disk readable",
	 {503, 510, 511, 512, 514, 515, 516, 518, 522, 523, 802, 809}},
	{"block has a state that means nothing", "blocks have a state that means nothing", {602}},
	{"block has a place outside the file", "blocks have a place outside the file", {606, 607}},
	{"chunk of the disk has no usable sector bitmap, which says what is the parent's",
	 "chunks of the disk have no usable sector bitmap, which says what is the parent's",
	 {703, 704}},
	{"block or sector bitmap shares its space with another structure",
	 "blocks or sector bitmaps share their space with other structures",
	 {608, 705}},
	{"entry of the BAT breaks the format, and can be understood",
	 "entries of the BAT break the format, and can be understood",
	 {603, 604, 605, 701, 702}},
	{"structure lies too far out in the file to be checked for overlaps", NULL, {902}},
};

static const struct kind windows_kinds[] = {
	{"thing is allowed, and Windows refuses the file for it",
	 "things are allowed, and Windows refuses the file for them",
	 {214, 526, 527, 528, 609, 706, 812}},
};

struct writer {
	const struct diagnosis *diagnosis;
	sentence_fn *tell;
	void *opaque;
	bool is_hopeless; /* a fault of the image itself is left that keeps repair from writing */
	unsigned told;
	char text[512];
};

__attribute__((format(printf, 2, 3))) static void add(struct writer *writer, const char *format,
						      ...)
{
	size_t used = strlen(writer->text);
	va_list args;

	va_start(args, format);
	vsnprintf(writer->text + used, sizeof(writer->text) - used, format, args);
	va_end(args);
}

static void end_sentence(struct writer *writer)
{
	add(writer, ".");
	writer->text[0] = (char)toupper((unsigned char)writer->text[0]);
	writer->tell(writer->opaque, writer->text);
	writer->text[0] = 0;
	writer->told++;
}

static const struct vhdx_problem_total *total_of(const struct writer *writer, unsigned number)
{
	return &writer->diagnosis->totals[vhdx_get_problem(number) - vhdx_problem_at(0)];
}

static bool found(const struct writer *writer, unsigned number)
{
	return total_of(writer, number)->findings;
}

/* What else is needed, or what repair does, behind a sentence on faults of the rows of @kind. */
static void add_mend(struct writer *writer, const struct kind *kind)
{
	const struct vhdx_problem *unmended = NULL;

	for (size_t i = 0; i < MAX_OF_KIND && kind->problems[i]; i++) {
		const struct vhdx_problem *problem = vhdx_get_problem(kind->problems[i]);

		if (found(writer, problem->number) && problem->mended != VHDX_MENDED_ALWAYS)
			unmended = problem;
	}
	if (!unmended)
		add(writer, writer->is_hopeless ? "" : "; vhdx repair mends it");
	else if (unmended->mended == VHDX_MENDED_NEVER)
		add(writer, *unmended->mend ? "; needed: %s" : "%s", unmended->mend);
	else
		add(writer, "; vhdx repair may mend it");
}

static void add_loss(struct writer *writer, uint64_t bytes, enum vhdx_loss loss)
{
	char size[TEXT_SIZE_MAX];

	if (!bytes)
		add(writer, "nothing is lost");
	else if (loss == VHDX_LOSS_DOUBT)
		add(writer, "%s of the disk are in doubt, or what else is there",
		    text_size(bytes, size));
	else
		add(writer, "%s of the disk are lost", text_size(bytes, size));
}

/* Without what lies behind the end of a copy that was cut short, which has its own sentence. */
static struct vhdx_problem_total sum_kind(const struct writer *writer, const struct kind *kind,
					  enum vhdx_loss *ret_loss)
{
	const struct vhdx_check_result *result = writer->diagnosis->result;
	struct vhdx_problem_total sum = {0};

	*ret_loss = VHDX_LOSS_NONE;
	for (size_t i = 0; i < MAX_OF_KIND && kind->problems[i]; i++) {
		const struct vhdx_problem_total *total = total_of(writer, kind->problems[i]);

		sum.findings += total->findings;
		sum.loss_bytes += total->loss_bytes;
		if (total->loss_bytes)
			*ret_loss = vhdx_get_problem(kind->problems[i])->loss;
	}
	if (kind->problems[0] == BLOCK_PLACE) {
		sum.findings -= result->cut_blocks;
		sum.loss_bytes -= result->cut_bytes;
	}
	return sum;
}

static void tell_kind(struct writer *writer, const struct kind *kind)
{
	enum vhdx_loss loss;
	struct vhdx_problem_total sum = sum_kind(writer, kind, &loss);

	if (!sum.findings || (writer->is_hopeless && !sum.loss_bytes))
		return;
	if (kind->many)
		add(writer, "%" PRIu64 " ", sum.findings);
	add(writer, "%s: ", sum.findings > 1 && kind->many ? kind->many : kind->one);
	add_loss(writer, sum.loss_bytes, loss);
	add_mend(writer, kind);
	end_sentence(writer);
}

/* Where both are bad there is a fatal fault, which says so. */
static bool is_told_as_fatal(const struct writer *writer, const struct kind *kind)
{
	return (kind->problems[0] == HEADER_SIGNATURE && found(writer, HEADERS_BOTH_BAD)) ||
	       (kind->problems[0] == TABLE_SIGNATURE && found(writer, TABLES_BOTH_BAD));
}

/* ---- copies that were cut short ---- */

static void tell_cut_blocks(struct writer *writer)
{
	const struct vhdx_check_result *result = writer->diagnosis->result;
	char size[TEXT_SIZE_MAX];

	add(writer, "the copy was cut short: ");
	if (result->cut_blocks)
		add(writer, "%" PRIu64 " of %" PRIu64 " blocks %s behind the end of the file%s",
		    result->cut_blocks, result->blocks, result->cut_blocks == 1 ? "lies" : "lie",
		    total_of(writer, BLOCK_SHORT)->loss_bytes ? ", all or in part" : "");
	if (result->cut_structures)
		add(writer, "%s%" PRIu64 " %sstructure%s behind the end of the file",
		    result->cut_blocks ? ", and " : "", result->cut_structures,
		    result->cut_blocks ? "other " : "",
		    result->cut_structures == 1 ? " lies" : "s lie");
	if (result->cut_bytes)
		add(writer, "; %s of the disk are lost", text_size(result->cut_bytes, size));
	end_sentence(writer);
}

static void tell_cut(struct writer *writer)
{
	static const unsigned alone[] = {FILE_TOO_SHORT, BAT_CUT, LOG_TRUNCATED_FILE};
	const struct vhdx_check_result *result = writer->diagnosis->result;

	for (size_t i = 0; i < ARRAY_SIZE(alone); i++)
		if (found(writer, alone[i])) {
			add(writer, "the copy was cut short");
			end_sentence(writer);
			return;
		}
	if (result->cut_blocks || result->cut_structures)
		tell_cut_blocks(writer);
}

/* ---- faults that cost all of the disk ---- */

static bool is_of_disk(const struct vhdx_problem *problem)
{
	return problem->loss == VHDX_LOSS_DISK;
}

static bool is_of_image(const struct vhdx_problem *problem)
{
	return problem->number < PARENT_FIRST || problem->number > PARENT_LAST;
}

static void find_hopeless(struct writer *writer)
{
	const struct vhdx_problem *problem;

	for (size_t row = 0; (problem = vhdx_problem_at(row)); row++)
		if (is_of_disk(problem) && is_of_image(problem) &&
		    problem->mended == VHDX_MENDED_NEVER && found(writer, problem->number))
			writer->is_hopeless = true;
}

static void tell_fatal(struct writer *writer, const struct vhdx_problem *problem)
{
	add(writer, "%s: %s",
	    is_of_image(problem) ? "none of the disk can be read"
				 : "the disk cannot be read by its chain",
	    problem->text);
	switch (problem->mended) {
	case VHDX_MENDED_NEVER:
		add(writer, "; needed: %s", problem->mend);
		break;
	case VHDX_MENDED_ALWAYS:
		add(writer, writer->is_hopeless ? "" : "; vhdx repair mends it");
		break;
	case VHDX_MENDED_MAYBE:
		add(writer, writer->is_hopeless ? "" : "; vhdx repair may mend it");
		break;
	case VHDX_MENDED_DISCARD_LOG:
		add(writer,
		    "; vhdx repair --discard-log mends it, and loses what only the log holds");
		break;
	}
	end_sentence(writer);
}

static void tell_all_fatal(struct writer *writer)
{
	const struct vhdx_problem *problem;

	for (size_t row = 0; (problem = vhdx_problem_at(row)); row++)
		if (is_of_disk(problem) && found(writer, problem->number))
			tell_fatal(writer, problem);
}

/* ---- the rest ---- */

static void tell_log(struct writer *writer)
{
	if (found(writer, LOG_DIRTY))
		add(writer, "the log must be replayed");
	else if (found(writer, LOG_EMPTY))
		add(writer, "the image was not closed cleanly, and its log changes nothing");
	else
		return;
	end_sentence(writer);
}

static void tell_locked(struct writer *writer)
{
	const struct vhdx_problem *problem;

	for (size_t row = 0; (problem = vhdx_problem_at(row)); row++)
		if (problem->severity == VHDX_LOCKED && found(writer, problem->number)) {
			add(writer, "the disk must not be written before it is repaired");
			end_sentence(writer);
			return;
		}
}

static void tell_leaks(struct writer *writer)
{
	const struct vhdx_check_result *result = writer->diagnosis->result;
	char size[TEXT_SIZE_MAX];

	if (!result->leaks)
		return;
	add(writer, "%s of the file belong to nothing", text_size(result->leaked_bytes, size));
	if (result->lost_bytes || result->doubtful_bytes)
		add(writer, ", and may be what is lost or in doubt");
	else if (!writer->is_hopeless)
		add(writer, "; vhdx repair releases them");
	end_sentence(writer);
}

static void tell_windows(struct writer *writer)
{
	if (!writer->diagnosis->for_windows)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(windows_kinds); i++)
		tell_kind(writer, &windows_kinds[i]);
	if (found(writer, FILE_SPARSE)) {
		add(writer, "Windows refuses the file while it has holes");
		end_sentence(writer);
	}
}

void diagnose(const struct diagnosis *diagnosis, sentence_fn *tell, void *opaque)
{
	struct writer writer = {.diagnosis = diagnosis, .tell = tell, .opaque = opaque};

	if (!diagnosis->result->damages && !diagnosis->result->leaks) {
		add(&writer, "no fault was found");
		end_sentence(&writer);
	}
	find_hopeless(&writer);
	tell_cut(&writer);
	tell_all_fatal(&writer);
	tell_log(&writer);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!is_told_as_fatal(&writer, &kinds[i]))
			tell_kind(&writer, &kinds[i]);
	if (!writer.is_hopeless)
		tell_locked(&writer);
	tell_leaks(&writer);
	tell_windows(&writer);
}
