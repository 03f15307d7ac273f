/* SPDX-License-Identifier: MIT */
/*
 * Repairs a damaged image. Where that succeeds a check finds what was told as left and nothing else, another
 * repair does nothing, what could be read reads as before, and the undo file puts every byte back. Where it
 * fails, and on a dry run, nothing changes.
 */
#include <errno.h>
#include <string.h>

#include "fuzz/session.h"
#include "fuzz/target.h"

#define MOST_MENDED 256u

struct range {
	uint64_t offset;
	uint64_t length;
};

struct patient {
	struct session session;
	struct fuzz_case fuzz_case;
	struct range mended[MOST_MENDED]; /* of the disk */
	unsigned mended_count;
	bool too_many; /* to know them all */
	struct window before[WINDOWS];
	struct window after[WINDOWS];
};

/* What is there to be found, as vhdx_check counts. */
struct diagnosis {
	bool is_readable;
	bool is_fatal;
	uint64_t faults; /* leaks too */
	struct vhdx_info info;
};

static void diagnose(struct patient *patient, struct window windows[WINDOWS],
		     struct diagnosis *ret_diagnosis)
{
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct vhdx *disk;

	memset(ret_diagnosis, 0, sizeof(*ret_diagnosis));
	ret_diagnosis->info.size = sizeof(ret_diagnosis->info);
	if (session_open(&patient->session, VHDX_OPEN_EXAMINE | VHDX_OPEN_NO_PARENT, &disk))
		fuzz_fail("cannot be examined: %s", vhdx_last_error()->text);
	judge_error(vhdx_get_info(disk, &ret_diagnosis->info));
	ret_diagnosis->is_fatal = vhdx_get_fault(disk);
	judge_error(vhdx_check(disk, NULL, &result));
	ret_diagnosis->faults = result.damages + result.leaks;
	ret_diagnosis->is_readable = !ret_diagnosis->is_fatal;
	if (ret_diagnosis->is_readable) {
		windows_place(&ret_diagnosis->info, windows);
		windows_read(disk, windows);
	}
	vhdx_close(disk);
}

static void note_mended(void *opaque, const struct vhdx_finding *finding)
{
	struct patient *patient = opaque;

	if (!finding->text[0])
		fuzz_fail("something was mended, and nothing is said");
	if (!finding->guest_length)
		return;
	if (patient->mended_count == MOST_MENDED)
		patient->too_many = true;
	else
		patient->mended[patient->mended_count++] =
			(struct range){finding->guest_offset, finding->guest_length};
}

static int repair(struct patient *patient, uint32_t flags, struct cow *undo,
		  struct vhdx_repair_result *ret_result)
{
	struct fuzz_store undo_store = {.bytes = undo, .writable = true};
	struct vhdx_io undo_io = fuzz_store_io(&undo_store);
	struct vhdx_io io = fuzz_store_io(&patient->session.stores[0]);
	struct vhdx_repair_options options = {.size = sizeof(options),
					      .flags = flags,
					      .mended = note_mended,
					      .opaque = patient,
					      .undo = &undo_io};
	struct cow before;

	if (patient->fuzz_case.flags & INPUT_FLAG_1)
		options.flags |= VHDX_REPAIR_DISCARD_LOG;
	if (patient->fuzz_case.flags & INPUT_FLAG_2)
		options.flags |= VHDX_REPAIR_NO_HOLES;
	patient->mended_count = 0;
	patient->too_many = false;
	patient->session.stores[0].writable = !(flags & VHDX_REPAIR_DRY_RUN);
	cow_copy(patient->session.stores[0].bytes, &before);
	*ret_result = (struct vhdx_repair_result){.size = sizeof(*ret_result)};
	int ret = vhdx_repair_io(&io, "patient", &options, ret_result);

	judge_error(ret);
	/* Storage that fails in the middle leaves a mixture, and the undo file for it. */
	bool may_change = ret == -EFBIG ? undo->size != 0 : !ret && ret_result->is_written;

	if ((flags & VHDX_REPAIR_DRY_RUN || !may_change) &&
	    !cow_same(&before, patient->session.stores[0].bytes))
		fuzz_fail("the file changed, though it must not");
	if (ret_result->is_written && !undo->size)
		fuzz_fail("the file changed, and there is no undo file");
	cow_free(&before);
	return ret;
}

static bool may_differ(const struct patient *patient, uint64_t offset)
{
	for (unsigned i = 0; i < patient->mended_count; i++)
		if (offset + 512 > patient->mended[i].offset &&
		    offset < patient->mended[i].offset + patient->mended[i].length)
			return true;
	return patient->too_many;
}

/* It is another disk when the repair mended the geometry, or found that there is a parent. */
static void compare(struct patient *patient, const struct diagnosis *before,
		    const struct diagnosis *after)
{
	uint64_t where;

	if (!before->is_readable || before->info.virtual_size != after->info.virtual_size ||
	    before->info.block_size != after->info.block_size ||
	    before->info.type != after->info.type)
		return;
	while ((where = windows_differ(patient->before, patient->after)) != UINT64_MAX) {
		if (!may_differ(patient, where))
			fuzz_fail("it reads differently at %#llx", (unsigned long long)where);
		windows_write(patient->before, NULL, where, 512, true);
	}
	for (unsigned i = 0; i < WINDOWS; i++)
		if (patient->before[i].known & ~patient->after[i].known)
			fuzz_fail("less can be read at %#llx",
				  (unsigned long long)patient->before[i].offset);
}

static void undo_all(struct patient *patient, struct cow *undo)
{
	struct fuzz_store undo_store = {.bytes = undo, .writable = true};
	struct vhdx_io undo_io = fuzz_store_io(&undo_store);
	struct vhdx_io io = fuzz_store_io(&patient->session.stores[0]);

	patient->session.stores[0].writable = true;
	if (vhdx_undo_repair_io(&io, "patient", &undo_io, "undo"))
		fuzz_fail("the repair cannot be undone: %s", vhdx_last_error()->text);
}

/* After a repair that succeeded. */
static void examine(struct patient *patient, const struct diagnosis *before,
		    const struct vhdx_repair_result *result)
{
	struct diagnosis after;
	struct vhdx_repair_result again;
	struct cow undo = {0};

	diagnose(patient, patient->after, &after);
	if (after.is_fatal || after.faults != result->left)
		fuzz_fail("%llu faults are left, and %llu were told",
			  (unsigned long long)after.faults, (unsigned long long)result->left);
	compare(patient, before, &after);
	if (repair(patient, 0, &undo, &again) || again.mended || again.changed_bytes ||
	    again.is_written)
		fuzz_fail("a second repair finds something to do");
	cow_free(&undo);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct patient patient;
	struct diagnosis before;
	struct vhdx_repair_result dry;
	struct vhdx_repair_result result;
	struct cow undo = {0};
	struct cow original;

	if (fuzz_case_make(BASE_ANY, data, size, &patient.fuzz_case))
		return 0;
	session_init(&patient.session, &patient.fuzz_case);
	cow_copy(&patient.fuzz_case.files[0], &original);
	diagnose(&patient, patient.before, &before);
	int dry_ret = repair(&patient, VHDX_REPAIR_DRY_RUN, &undo, &dry);
	int ret = repair(&patient, 0, &undo, &result);

	/* A log may ask for a file that is longer than storage can be. */
	bool is_too_long = ret == -EFBIG && !dry_ret;

	if (!is_too_long && (ret != dry_ret || result.mended != dry.mended ||
			     result.left != dry.left || result.lost_bytes != dry.lost_bytes))
		fuzz_fail("a dry run says %d (%s), a repair %d", dry_ret, vhdx_last_error()->text,
			  ret);
	if (!ret)
		examine(&patient, &before, &result);
	if (undo.size) {
		undo_all(&patient, &undo);
		if (!cow_same(&original, &patient.fuzz_case.files[0]))
			fuzz_fail("undone, it is not what it was");
	}
	cow_free(&original);
	cow_free(&undo);
	fuzz_case_free(&patient.fuzz_case);
	return 0;
}
