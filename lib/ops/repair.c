/* SPDX-License-Identifier: MIT */
/*
 * Repair: stages mend a draft of the image until none of them finds anything to do; then the draft is
 * checked, sealed with new headers, and written to the file.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/options.h"
#include "meta/batcheck.h"
#include "meta/headers.h"
#include "ops/mend.h"
#include "ops/settle.h"
#include "ops/undo.h"
#include "store/io.h"

/* A damaged image needs a few; more would show stages that undo each other's work. */
#define MAX_ROUNDS 64u

#define UNDO_STORAGE "(undo storage)"

#define REPAIR_FLAGS \
	(VHDX_REPAIR_DRY_RUN | VHDX_REPAIR_DISCARD_LOG | VHDX_REPAIR_NO_HOLES | VHDX_REPAIR_NO_LOCK)

static mend_stage *const stages[] = {
	vhdx_mend_identifier, vhdx_mend_headers, vhdx_mend_log,
	vhdx_mend_regions,    vhdx_mend_items,	 vhdx_mend_locator,
	vhdx_mend_bat,	      vhdx_mend_bitmaps, vhdx_mend_space,
};

#define STAGES (sizeof(stages) / sizeof(stages[0]))

void vhdx_repair_mended(struct repair *repair, enum problem problem, uint64_t offset,
			uint64_t guest_offset, uint64_t guest_length, const char *format, ...)
{
	char text[512];
	va_list args;
	struct vhdx_finding finding = {
		.size = sizeof(finding),
		.file = repair->name,
		.offset = offset,
		.text = text,
		.guest_offset = guest_offset,
		.guest_length = guest_length,
		.loss_bytes = guest_length,
	};

	assert(problem < ARRAY_SIZE(repair->told));
	repair->result.mended++;
	repair->result.lost_bytes += guest_length;
	if (!repair->options.mended || repair->told[problem]++ >= MAX_TOLD)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	vhdx_text_to_line(text);
	finding.problem = vhdx_get_problem(problem);
	repair->options.mended(repair->options.opaque, &finding);
}

static int report_progress(const struct repair *repair, uint64_t done, uint64_t total)
{
	vhdx_progress_fn *progress = repair->options.progress;

	return progress && progress(repair->options.opaque, done, total) ? -ECANCELED : 0;
}

/* One stage, on the image as the draft holds it. */
static int run_stage(struct repair *repair, mend_stage *stage)
{
	struct image image;
	int ret = vhdx_image_load(&image, repair->name, repair->io, NULL, NULL);

	if (!ret)
		ret = stage(repair, &image);
	vhdx_image_free(&image);
	return ret;
}

/* From the first stage again after each that mended something. */
static int mend(struct repair *repair)
{
	unsigned rounds = 0;

	for (size_t i = 0; i < STAGES;) {
		uint64_t before = repair->result.mended;
		int ret = report_progress(repair, rounds * STAGES + i, 0);

		if (!ret)
			ret = run_stage(repair, stages[i]);
		if (ret)
			return ret;
		if (repair->result.mended == before)
			i++;
		else if (++rounds > MAX_ROUNDS)
			return vhdx_fail(-EUCLEAN, NO_PROBLEM, repair->name, VHDX_NO_OFFSET,
					 "is not mended after %u rounds (expected fewer)", rounds);
		else
			i = 0;
	}
	return 0;
}

static void count_left(void *opaque, const struct vhdx_finding *finding)
{
	struct repair *repair = opaque;

	if (finding->problem->severity < VHDX_LEAK)
		return;
	repair->result.left++;
	if (repair->options.left && finding->text[0])
		repair->options.left(repair->options.opaque, finding);
}

/* What a check of the draft finds. A fatal fault is the repair's failure. */
static int check_draft(struct repair *repair)
{
	struct image image;
	struct bat_counts counts;
	int ret = vhdx_image_load(&image, repair->name, repair->io, count_left, repair);

	if (!ret && image.known & VHDX_KNOWN_GEOMETRY)
		ret = vhdx_check_bat(&image, repair->options.progress, repair->options.opaque,
				     &counts, NULL);
	if (!ret && image.has_fault)
		ret = vhdx_error_raise(&image.fault);
	vhdx_image_free(&image);
	return ret;
}

/* F 2.2, F 2.3: both headers are new, and tell that the file is another one now. */
static int seal(struct repair *repair)
{
	struct image image;
	int ret = vhdx_image_load(&image, repair->name, repair->io, NULL, NULL);

	if (!ret && image.current != NO_HEADER) {
		struct header contents = image.headers[image.current];

		ret = vhdx_guid_next(&repair->guids, &contents.file_write_guid);
		if (!ret && repair->reads_change)
			ret = vhdx_guid_next(&repair->guids, &contents.data_write_guid);
		if (ret)
			ret = vhdx_fail_errno(ret, repair->name, "no new GUID can be had");
		for (int i = 0; i < 2 && !ret; i++)
			ret = vhdx_headers_update(&image, &contents);
	}
	vhdx_image_free(&image);
	return ret;
}

static int repair_draft(struct repair *repair, struct draft *draft, const struct vhdx_io *io)
{
	repair->io = vhdx_draft_io(draft);
	repair->file = io;
	int ret = mend(repair);

	if (!ret && repair->result.mended)
		ret = seal(repair);
	if (!ret)
		ret = check_draft(repair);
	if (!ret && repair->result.mended)
		ret = vhdx_settle(repair, draft, io);
	return ret;
}

static int take_options(const struct vhdx_repair_options *options, struct repair *repair)
{
	int ret = vhdx_adopt_options(options, "vhdx_repair_options", sizeof(repair->options),
				     &repair->options);
	uint32_t unknown = repair->options.flags & ~REPAIR_FLAGS;

	return ret || !unknown
		       ? ret
		       : vhdx_fail_argument("vhdx_repair_options: unknown flags %#x", unknown);
}

/* Storage that knows nothing of names says no more than a number. */
static int conclude(struct repair *repair, int ret)
{
	if (ret && vhdx_last_error()->errnum != ret)
		return vhdx_fail_errno(ret, repair->name, "cannot be repaired");
	return ret;
}

int vhdx_repair_placed(const struct vhdx_io *io, const char *name,
		       const struct vhdx_repair_options *options, const struct undo_place *undo,
		       struct vhdx_repair_result *ret_result)
{
	struct repair repair = {
		.name = name ? name : "(storage)",
		.result = {.size = sizeof(repair.result)},
		.guids = vhdx_guid_source(NULL, 0),
		.undo = undo,
	};
	struct vhdx_io own;
	struct draft *draft = NULL;

	if (!io || !ret_result || ret_result->size < sizeof(*ret_result))
		return vhdx_fail_argument(
			"vhdx_repair: no storage, or the size of struct vhdx_repair_result is not set");
	int ret = take_options(options, &repair);

	if (!ret)
		ret = vhdx_io_adopt(io, &own);
	if (!ret)
		ret = vhdx_draft_open(&own, repair.options.scratch, &draft);
	if (!ret)
		ret = repair_draft(&repair, draft, &own);
	vhdx_draft_close(draft);
	if (!ret)
		*ret_result = repair.result;
	return conclude(&repair, ret);
}

static int begin_undo(void *opaque, const struct vhdx_io **ret_undo)
{
	uint64_t size;
	int ret = vhdx_io_get_size(opaque, &size);

	if (!ret && size)
		return vhdx_fail(-EEXIST, NO_PROBLEM, UNDO_STORAGE, 0,
				 "holds something (expected empty storage)");
	*ret_undo = opaque;
	return ret;
}

static int publish_undo(void *opaque)
{
	(void)opaque;
	return 0;
}

int vhdx_repair_io(const struct vhdx_io *io, const char *name,
		   const struct vhdx_repair_options *options, struct vhdx_repair_result *ret_result)
{
	struct vhdx_repair_options how;
	struct vhdx_io undo;
	const struct undo_place place = {
		.name = UNDO_STORAGE,
		.opaque = &undo,
		.begin = begin_undo,
		.publish = publish_undo,
	};
	int ret = vhdx_adopt_options(options, "vhdx_repair_options", sizeof(how), &how);

	if (!ret && how.undo)
		ret = vhdx_io_adopt(how.undo, &undo);
	return ret ? ret
		   : vhdx_repair_placed(io, name, options, how.undo ? &place : NULL, ret_result);
}
