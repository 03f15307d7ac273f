/* SPDX-License-Identifier: MIT */
/* Findings of check and repair, as text and as JSON. */
#include <inttypes.h>

#include "findings.h"
#include "json.h"
#include "names.h"
#include "text.h"

#define BLOCK_SHORT 607 /* lost bytes can be read all the same, as zeros */

/* What the finding costs, which may be less than its problem can. */
static enum vhdx_loss loss_of(const struct vhdx_finding *finding)
{
	enum vhdx_loss loss = finding->problem->loss;

	return loss == VHDX_LOSS_DISK || finding->loss_bytes ? loss : VHDX_LOSS_NONE;
}

static const char *said_of_loss(const struct vhdx_finding *finding)
{
	if (finding->problem->loss == VHDX_LOSS_DOUBT)
		return "are in doubt";
	return finding->problem->number == BLOCK_SHORT ? "are lost, and read as zeros"
						       : "cannot be read";
}

static void write_loss(FILE *out, const struct vhdx_finding *finding)
{
	enum vhdx_loss loss = loss_of(finding);

	if (finding->problem->severity == VHDX_NOTE)
		return;
	fputs("  loss: ", out);
	if (loss == VHDX_LOSS_NONE)
		fputs("nothing", out);
	else if (loss == VHDX_LOSS_DISK)
		fputs("none of the disk can be read", out);
	else {
		if (finding->loss_bytes != finding->guest_length)
			fprintf(out, "%" PRIu64 " of the ", finding->loss_bytes);
		fprintf(out, "bytes %" PRIu64 "-%" PRIu64 " of the disk %s", finding->guest_offset,
			finding->guest_offset + finding->guest_length - 1, said_of_loss(finding));
	}
	fputc('\n', out);
}

static void write_mend(FILE *out, const struct vhdx_problem *problem)
{
	static const char *const by[] = {
		[VHDX_MENDED_NEVER] = "needs",
		[VHDX_MENDED_ALWAYS] = "repair",
		[VHDX_MENDED_MAYBE] = "repair",
		[VHDX_MENDED_DISCARD_LOG] = "repair --discard-log",
	};

	if (*problem->mend)
		fprintf(out, "  %s: %s\n", by[problem->mended], problem->mend);
}

void finding_write(FILE *out, const struct vhdx_finding *finding, bool with_file)
{
	const struct vhdx_problem *problem = finding->problem;

	if (with_file) {
		text_write(out, finding->file);
		fputs(": ", out);
	}
	fprintf(out, "%u %s %s", problem->number, problem->name, severity_name(problem->severity));
	if (finding->offset != VHDX_NO_OFFSET)
		fprintf(out, " at %" PRIu64, finding->offset);
	fputs(": ", out);
	text_write(out, finding->text);
	fprintf(out, " [F %s]\n", problem->section);
	write_loss(out, finding);
	write_mend(out, problem);
}

void finding_json(struct json *json, const struct vhdx_finding *finding)
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
	json_string(json, "loss", loss_name(loss_of(finding)));
	if (finding->guest_length) {
		json_number(json, "guest-offset", finding->guest_offset);
		json_number(json, "guest-length", finding->guest_length);
		json_number(json, "loss-bytes", finding->loss_bytes);
	}
	json_string(json, "repair", mended_name(problem->mended));
	if (*problem->mend)
		json_string(json, problem->mended == VHDX_MENDED_NEVER ? "needs" : "mend",
			    problem->mend);
	json_end_object(json);
}
