/* SPDX-License-Identifier: MIT */
/*
 * Puts back a repair from a damaged undo file, or onto an image that changed. What is refused changes
 * nothing; what is whole brings every byte back.
 */
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "format/undofile.h"
#include "fuzz/session.h"
#include "fuzz/target.h"

/* Where an action's payload goes. */
enum undo_place {
	PLACE_HEADER,
	PLACE_TABLE,
	PLACE_BYTES,
	PLACE_IMAGE,
	PLACE_END, /* the undo file is cut */
	PLACES,
};

#define MOST_MENDED_RANGES 1024u

/* Cuts and patches make no file longer, but for its size in an image. */
static void patch(struct cow *file, const struct action *action, uint64_t offset)
{
	uint64_t size = file->size;

	cow_write(file, action->payload, action->length, offset);
	cow_resize(file, size);
}

static void damage(const struct fuzz_case *fuzz_case, struct cow *undo, struct cow *image)
{
	for (unsigned i = 0; i < fuzz_case->action_count; i++) {
		const struct action *action = &fuzz_case->actions[i];

		switch ((enum undo_place)(action->kind % PLACES)) {
		case PLACE_TABLE:
			patch(undo, action, UNDO_TABLE_OFFSET + action->offset % 1024);
			break;
		case PLACE_BYTES:
			patch(undo, action, action->offset % (undo->size + 1));
			break;
		case PLACE_IMAGE:
			patch(image, action, action->offset % (image->size + 1));
			break;
		case PLACE_END:
			cow_resize(undo, action->offset % (undo->size + 1));
			break;
		default:
			patch(undo, action, action->offset % 48);
			break;
		}
	}
}

static void mend_checksums(struct cow *undo)
{
	static uint8_t table[MOST_MENDED_RANGES * sizeof(struct undo_range_disk)];
	struct undo_header_disk header;
	uint64_t size = undo->size;

	cow_read(undo, &header, sizeof(header), 0);
	uint64_t length = (uint64_t)le32_get(header.count) * sizeof(struct undo_range_disk);

	if (length > sizeof(table))
		length = sizeof(table);
	cow_read(undo, table, length, UNDO_TABLE_OFFSET);
	header.table_crc = le32_from(vhdx_crc32c(0, table, length));
	header.checksum = le32_from(0);
	header.checksum = le32_from(vhdx_crc32c(0, &header, sizeof(header)));
	cow_write(undo, &header, sizeof(header), 0);
	cow_resize(undo, size);
}

static int repair(struct fuzz_store *image, struct fuzz_store *undo)
{
	struct vhdx_io io = fuzz_store_io(image);
	struct vhdx_io undo_io = fuzz_store_io(undo);
	struct vhdx_repair_options options = {
		.size = sizeof(options), .flags = VHDX_REPAIR_DISCARD_LOG, .undo = &undo_io};
	struct vhdx_repair_result result = {.size = sizeof(result)};
	int ret = vhdx_repair_io(&io, "patient", &options, &result);

	return ret ? ret : result.is_written ? 0 : -ENODATA;
}

static void put_back(struct fuzz_store *image, struct fuzz_store *undo, const struct cow *original,
		     bool is_whole)
{
	struct vhdx_io io = fuzz_store_io(image);
	struct vhdx_io undo_io = fuzz_store_io(undo);
	struct cow before;

	cow_copy(image->bytes, &before);
	int ret = vhdx_undo_repair_io(&io, "patient", &undo_io, "undo");

	if (ret != -EUCLEAN) /* an undo file's faults have no numbers */
		judge_error(ret);
	if ((ret == -EUCLEAN || ret == -ESTALE) && !cow_same(&before, image->bytes))
		fuzz_fail("what is refused changed the image");
	if (is_whole && (ret || !cow_same(original, image->bytes)))
		fuzz_fail("undone, it is not what it was");
	cow_free(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_case fuzz_case;
	struct cow original;
	struct cow undo_file = {0};

	if (fuzz_case_make(BASE_ANY, data, size, &fuzz_case))
		return 0;
	struct fuzz_store image = {.bytes = &fuzz_case.files[0], .writable = true};
	struct fuzz_store undo = {.bytes = &undo_file, .writable = true};

	cow_copy(image.bytes, &original);
	if (!repair(&image, &undo)) {
		damage(&fuzz_case, undo.bytes, image.bytes);
		if (data[0] & INPUT_MEND)
			mend_checksums(undo.bytes);
		put_back(&image, &undo, &original, !fuzz_case.action_count);
	}
	cow_free(&original);
	cow_free(&undo_file);
	fuzz_case_free(&fuzz_case);
	return 0;
}
