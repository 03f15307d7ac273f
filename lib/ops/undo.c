/* SPDX-License-Identifier: MIT */
/* Makes the undo file of a repair: first the bytes and the table, then the header that makes it one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/rules.h"
#include "base/zeros.h"
#include "ops/undo.h"
#include "ops/undofile.h"
#include "store/io.h"

_Static_assert(DRAFT_RUN_SIZE <= MAX_UNDO_WRITTEN, "what a walk shows fits a range");
_Static_assert(MAX_DRAFT_SIZE <= MAX_UNDO_IMAGE, "any draft can be undone");

struct undo_writer {
	const struct vhdx_io *undo;
	const char *undo_name;
	const struct undo_work *work;
	uint64_t kept; /* bytes */
	struct undo_header header;
	uint64_t bytes; /* where those of the next range go */
	uint8_t *chunk;
	struct undo_range_disk page[UNDO_RANGES_A_PAGE]; /* of the table, being filled */
	uint32_t done;					 /* ranges, of header.count */
};

static int fail_undo(const struct undo_writer *writer, int ret, uint64_t offset)
{
	return vhdx_fail_io(ret, writer->undo_name, offset,
			    "what repair overwrites cannot be kept");
}

static int fail_image(const struct undo_writer *writer, int ret, uint64_t offset)
{
	return vhdx_fail_io(ret, writer->work->name, offset, "cannot be read");
}

static int count_range(void *opaque, const struct draft_range *range)
{
	struct undo_writer *writer = opaque;

	(void)range;
	return ++writer->header.count > MAX_UNDO_RANGES ? -EFBIG : 0;
}

/* Visits what the draft changes, and the data that it cuts off. */
static int walk_all(struct undo_writer *writer, draft_visitor *visit)
{
	int ret = vhdx_draft_walk(writer->work->draft, visit, writer);
	uint64_t offset = writer->header.new_size;

	while (!ret && offset < writer->header.old_size) {
		struct draft_range range = {.released = true};
		uint64_t end;

		ret = vhdx_io_next_data(writer->work->io, offset, writer->header.old_size,
					&range.offset, &end);
		if (ret)
			return ret == -ENXIO ? 0 : ret;
		range.length = end - range.offset;
		ret = visit(writer, &range);
		offset = end;
	}
	return ret;
}

static int report_progress(struct undo_writer *writer, size_t part)
{
	const struct undo_work *work = writer->work;

	writer->kept += part;
	return work->progress && work->progress(work->opaque, writer->kept, work->total)
		       ? -ECANCELED
		       : 0;
}

/* Copies old bytes, and leaves holes where they are zeros. @is_there: they need no copy. */
static int keep_old(struct undo_writer *writer, struct undo_range *range, bool is_there)
{
	for (uint64_t done = 0; done < range->length;) {
		size_t part = (size_t)min_u64(range->length - done, UNDO_CHUNK);
		int ret = vhdx_io_read(writer->work->io, writer->chunk, part, range->offset + done);

		if (ret)
			return fail_image(writer, ret, range->offset + done);
		range->old_crc = vhdx_crc32c(range->old_crc, writer->chunk, part);
		if (!is_there && !vhdx_is_zeros(writer->chunk, part))
			ret = vhdx_io_write(writer->undo, writer->chunk, part, range->bytes + done);
		if (ret)
			return fail_undo(writer, ret, range->bytes + done);
		ret = report_progress(writer, part);
		if (ret)
			return ret;
		done += part;
	}
	return 0;
}

static int keep_new(struct undo_writer *writer, struct undo_range *range)
{
	size_t size = (size_t)range->length;
	int ret = vhdx_io_read(vhdx_draft_io(writer->work->draft), writer->chunk, size,
			       range->offset);

	if (ret)
		return fail_image(writer, ret, range->offset);
	range->new_crc = vhdx_crc32c(0, writer->chunk, size);
	ret = vhdx_io_write(writer->undo, writer->chunk, size, undo_new_bytes(range));
	return ret ? fail_undo(writer, ret, undo_new_bytes(range)) : 0;
}

/* Shared with the image where the file system can: what is released may be most of a disk. */
static bool clone_old(const struct undo_writer *writer, const struct undo_range *range)
{
	const struct vhdx_io *undo = writer->undo;

	return undo->clone && is_aligned(range->offset | range->length, UNDO_PAGE) &&
	       !undo->clone(undo->opaque, range->bytes, writer->work->io, range->offset,
			    range->length);
}

static int write_table_page(struct undo_writer *writer)
{
	uint32_t count = (writer->done - 1) % UNDO_RANGES_A_PAGE + 1;
	uint64_t offset = UNDO_TABLE_OFFSET + (writer->done - count) * sizeof(writer->page[0]);
	size_t size = count * sizeof(writer->page[0]);
	int ret = vhdx_io_write(writer->undo, writer->page, size, offset);

	writer->header.table_crc = vhdx_crc32c(writer->header.table_crc, writer->page, size);
	return ret ? fail_undo(writer, ret, offset) : 0;
}

static int write_range(void *opaque, const struct draft_range *visited)
{
	struct undo_writer *writer = opaque;
	struct undo_range range = {
		.offset = visited->offset,
		.length = visited->length,
		.bytes = writer->bytes,
		.kind = visited->released ? UNDO_RELEASED : UNDO_WRITTEN,
	};
	int ret = keep_old(writer, &range, visited->released && clone_old(writer, &range));

	if (!ret && !visited->released)
		ret = keep_new(writer, &range);
	if (ret)
		return ret;
	vhdx_undo_range_encode(&range, &writer->page[writer->done % UNDO_RANGES_A_PAGE]);
	writer->done++;
	writer->bytes = undo_bytes_end(&range);
	return writer->done % UNDO_RANGES_A_PAGE && writer->done < writer->header.count
		       ? 0
		       : write_table_page(writer);
}

static int write_all(struct undo_writer *writer)
{
	int ret = vhdx_io_get_size(writer->work->io, &writer->header.old_size);

	if (!ret)
		ret = vhdx_io_get_size(vhdx_draft_io(writer->work->draft),
				       &writer->header.new_size);
	if (!ret)
		ret = walk_all(writer, count_range);
	if (ret == -EFBIG)
		return vhdx_fail(ret, NO_PROBLEM, writer->work->name, VHDX_NO_OFFSET,
				 "has more than %u ranges to mend", MAX_UNDO_RANGES);
	if (ret)
		return fail_image(writer, ret, VHDX_NO_OFFSET);
	writer->bytes =
		round_up(UNDO_TABLE_OFFSET + writer->header.count * sizeof(struct undo_range_disk),
			 UNDO_PAGE);
	ret = walk_all(writer, write_range);
	if (ret)
		return ret;
	/* Old zeros at its end are a hole. */
	ret = vhdx_io_set_size(writer->undo, writer->bytes);
	if (ret)
		return fail_undo(writer, ret, VHDX_NO_OFFSET);
	return vhdx_undo_put_header(writer->undo, writer->undo_name, &writer->header);
}

int vhdx_undo_write(const struct vhdx_io *undo, const char *undo_name, const struct undo_work *work)
{
	auto_free struct undo_writer *writer = malloc(sizeof(*writer));
	auto_free uint8_t *chunk = malloc(UNDO_CHUNK);

	if (!writer || !chunk)
		return vhdx_fail_memory();
	*writer = (struct undo_writer){
		.undo = undo,
		.undo_name = undo_name,
		.work = work,
		.header = {.state = UNDO_OPEN},
		.chunk = chunk,
	};
	return write_all(writer);
}

int vhdx_undo_read_header(const struct vhdx_io *undo, const char *undo_name,
			  struct undo_header *ret_header)
{
	struct undo_header_disk disk;
	int ret = vhdx_io_read(undo, &disk, sizeof(disk), 0);

	if (ret)
		return vhdx_fail_io(ret, undo_name, 0, "cannot be read");
	if (vhdx_undo_header_decode(&disk, ret_header))
		return vhdx_fail(-EUCLEAN, NO_PROBLEM, undo_name, 0,
				 "is no undo file of a repair, or its header is damaged");
	return 0;
}

int vhdx_undo_put_header(const struct vhdx_io *undo, const char *undo_name,
			 const struct undo_header *header)
{
	struct undo_header_disk disk;

	vhdx_undo_header_encode(header, &disk);
	int ret = vhdx_io_write(undo, &disk, sizeof(disk), 0);

	if (!ret && OBEYS(RULE_UNDO_FIRST))
		ret = vhdx_io_flush(undo);
	return ret ? vhdx_fail_io(ret, undo_name, 0, "cannot be written") : 0;
}

int vhdx_undo_finish(const struct vhdx_io *undo, const char *undo_name)
{
	struct undo_header header;
	int ret = vhdx_undo_read_header(undo, undo_name, &header);

	header.state = UNDO_FINISHED;
	return ret ? ret : vhdx_undo_put_header(undo, undo_name, &header);
}

int vhdx_undo_is_unfinished(const struct vhdx_io *undo, const char *undo_name, bool *ret_unfinished)
{
	struct undo_header header;
	int ret = vhdx_undo_read_header(undo, undo_name, &header);

	if (!ret)
		*ret_unfinished = header.state == UNDO_OPEN;
	return ret;
}
