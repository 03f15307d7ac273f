/* SPDX-License-Identifier: MIT */
/*
 * Salvages a ruined image. What is told covers the disk, nothing is written but the output, and an image that
 * is sound comes out as it reads.
 */
#include <errno.h>
#include <string.h>

#include "fuzz/session.h"
#include "fuzz/target.h"

struct rescue {
	struct session session;
	struct window windows[WINDOWS]; /* as the image reads, if it can be opened */
	struct window found[WINDOWS];	/* of the output */
	bool is_readable;
	bool is_sound; /* of damaged entries a salvage may make more than a reader does */
	uint64_t told; /* of the disk, by ranges up to here */
};

/* An image whose BAT is empty counts as one whose BAT is gone. */
static void look(struct rescue *rescue)
{
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;

	memset(rescue->windows, 0, sizeof(rescue->windows));
	rescue->is_readable = false;
	rescue->is_sound = false;
	if (session_open(&rescue->session, VHDX_OPEN_NO_PARENT, &disk))
		return;
	judge_error(vhdx_get_info(disk, &info));
	judge_error(vhdx_check(disk, NULL, &result));
	rescue->is_readable = true;
	rescue->is_sound = result.present && !result.damages;
	windows_place(&info, rescue->windows);
	windows_read(disk, rescue->windows);
	vhdx_close(disk);
}

static void note_range(void *opaque, const struct vhdx_salvage_range *range)
{
	struct rescue *rescue = opaque;

	if (range->offset != rescue->told || !range->length)
		fuzz_fail("a range of %llu at %llu, where %llu was the end",
			  (unsigned long long)range->length, (unsigned long long)range->offset,
			  (unsigned long long)rescue->told);
	rescue->told += range->length;
}

static void compare(struct rescue *rescue, const struct cow *output)
{
	memcpy(rescue->found, rescue->windows, sizeof(rescue->found));
	for (unsigned i = 0; i < WINDOWS; i++)
		cow_read(output, rescue->found[i].bytes, rescue->found[i].length,
			 rescue->found[i].offset);
	uint64_t where = windows_differ(rescue->windows, rescue->found);

	if (where != UINT64_MAX)
		fuzz_fail("it came out differently at %#llx", (unsigned long long)where);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rescue rescue;
	struct fuzz_case fuzz_case;
	struct cow bytes = {0};
	struct fuzz_store output = {.bytes = &bytes, .writable = true};
	struct vhdx_salvage_options options = {
		.size = sizeof(options), .range = note_range, .opaque = &rescue};
	struct vhdx_salvage_result result = {.size = sizeof(result)};

	if (fuzz_case_make(BASE_ANY, data, size, &fuzz_case))
		return 0;
	session_init(&rescue.session, &fuzz_case);
	look(&rescue);
	if (fuzz_case.flags & INPUT_FLAG_1)
		options.block_size = (uint32_t)T_MIB;
	if (fuzz_case.flags & INPUT_FLAG_2)
		options.virtual_size = 9 * T_MIB;
	rescue.told = 0;
	struct vhdx_io io = fuzz_store_io(&rescue.session.stores[0]);
	struct vhdx_io output_io = fuzz_store_io(&output);
	int ret = vhdx_salvage_io(&io, "ruin", &output_io, &options, &result);

	judge_error(ret);
	if (!ret && rescue.told != result.virtual_size)
		fuzz_fail("ranges up to %llu, of a disk of %llu", (unsigned long long)rescue.told,
			  (unsigned long long)result.virtual_size);
	if (ret && rescue.is_readable)
		fuzz_fail("it can be opened, and not salvaged: %s", vhdx_last_error()->text);
	if (!ret && rescue.is_sound && !options.block_size && !options.virtual_size)
		compare(&rescue, &bytes);
	cow_free(&bytes);
	fuzz_case_free(&fuzz_case);
	return 0;
}
