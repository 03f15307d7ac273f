/* SPDX-License-Identifier: MIT */
/* Bytes of a ruined image on their way to the output, with what the map says of them. */
#include <errno.h>

#include "base/zeros.h"
#include "ops/salvagedata.h"

#define WRITTEN_PIECE (64 * KIB) /* of zeros, pieces of that size are left out */

static const char cut_off[] = "behind the end of the file";
static const char unreadable[] = "the storage cannot read it";

int vhdx_outlet_progress(const struct outlet *outlet)
{
	const struct vhdx_salvage_options *options = &outlet->s->options;

	if (options->progress && options->progress(options->opaque, outlet_offset(outlet),
						   outlet->s->image.virtual_size))
		return vhdx_fail(-ECANCELED, NO_PROBLEM, outlet->s->name, VHDX_NO_OFFSET,
				 "stopped as asked");
	return 0;
}

static int make_zeros(struct outlet *outlet, uint64_t offset, uint64_t length)
{
	if (outlet->sink->reads_zeros || !length)
		return 0;
	return outlet->sink->functions->zero(outlet->sink, offset, length);
}

int vhdx_outlet_zero(struct outlet *outlet, enum vhdx_salvage_kind kind, uint64_t length,
		     const char *text)
{
	int ret = make_zeros(outlet, outlet_offset(outlet), length);

	if (!ret)
		vhdx_salvage_map_add(&outlet->map, kind, length, VHDX_NO_OFFSET, text);
	return ret;
}

/* Runs of pieces that are zeros, or not. */
static int write_buffer(struct outlet *outlet, size_t size, uint64_t offset)
{
	int ret = 0;

	for (size_t at = 0; at < size && !ret;) {
		size_t end = at;
		bool zeros = vhdx_is_zeros(outlet->buf + at, min_u64(WRITTEN_PIECE, size - at));

		do {
			end += min_u64(WRITTEN_PIECE, size - end);
		} while (end < size && vhdx_is_zeros(outlet->buf + end,
						     min_u64(WRITTEN_PIECE, size - end)) == zeros);
		ret = zeros ? make_zeros(outlet, offset + at, end - at)
			    : outlet->sink->functions->write(outlet->sink, outlet->buf + at,
							     end - at, offset + at);
		at = end;
	}
	return ret;
}

struct piece {
	enum vhdx_salvage_kind kind;
	const char *text;
	uint64_t file_offset;
	size_t size;
};

static int read_strictly(struct outlet *outlet, size_t size, uint64_t file_offset)
{
	outlet->s->ruin.strict = true;
	int ret = vhdx_io_read(outlet->view, outlet->buf, size, file_offset);

	outlet->s->ruin.strict = false;
	return ret;
}

static int put_piece(struct outlet *outlet, const struct piece *piece)
{
	int ret = write_buffer(outlet, piece->size, outlet_offset(outlet));

	if (!ret)
		vhdx_salvage_map_add(&outlet->map, piece->kind, piece->size, piece->file_offset,
				     piece->text);
	return ret;
}

/* Of a piece that cannot be read in one go, whatever can be. */
static int put_parts(struct outlet *outlet, const struct piece *piece, bool *lost)
{
	int ret = 0;

	for (size_t at = 0; at < piece->size && !ret;) {
		struct piece part = *piece;

		part.file_offset += at;
		part.size = min_u64(piece->size - at, RUIN_PIECE - part.file_offset % RUIN_PIECE);
		at += part.size;
		ret = read_strictly(outlet, part.size, part.file_offset);
		if (!ret)
			ret = put_piece(outlet, &part);
		if (ret != -EIO)
			continue;
		*lost = true;
		ret = vhdx_outlet_zero(outlet, VHDX_SALVAGE_LOST, part.size, unreadable);
	}
	return ret;
}

static int put_data(struct outlet *outlet, const struct piece *piece, bool *lost)
{
	int ret = read_strictly(outlet, piece->size, piece->file_offset);

	if (ret == -EIO)
		return put_parts(outlet, piece, lost);
	if (ret)
		return vhdx_fail_io(ret, outlet->s->name, piece->file_offset, "cannot be read");
	return put_piece(outlet, piece);
}

/* What is a hole of the file is not read. */
static int put_hole(struct outlet *outlet, const struct piece *piece, uint64_t length)
{
	int ret = make_zeros(outlet, outlet_offset(outlet), length);

	if (!ret)
		vhdx_salvage_map_add(&outlet->map, piece->kind, length, piece->file_offset,
				     piece->text);
	return ret;
}

static int copy_held(struct outlet *outlet, struct piece *piece, uint64_t length, bool *lost)
{
	int ret = 0;

	while (length && !ret) {
		uint64_t start;
		uint64_t end;

		ret = vhdx_known_data(&outlet->known, outlet->view, piece->file_offset, &start,
				      &end);
		if (ret)
			return vhdx_fail_io(ret, outlet->s->name, piece->file_offset,
					    "cannot be read");
		uint64_t part = min_u64(length, start - piece->file_offset);

		if (part) {
			ret = put_hole(outlet, piece, part);
		} else {
			part = min_u64(min_u64(length, end - start), OUTLET_BUFFER);
			piece->size = (size_t)part;
			ret = put_data(outlet, piece, lost);
		}
		piece->file_offset += part;
		length -= part;
		if (!ret)
			ret = vhdx_outlet_progress(outlet);
	}
	return ret;
}

int vhdx_outlet_copy(struct outlet *outlet, enum vhdx_salvage_kind kind, uint64_t length,
		     uint64_t file_offset, const char *text, bool *lost)
{
	uint64_t size = image_view_size(&outlet->s->image);
	uint64_t held = file_offset < size ? min_u64(length, size - file_offset) : 0;
	struct piece piece = {.kind = kind, .text = text, .file_offset = file_offset};
	int ret = copy_held(outlet, &piece, held, lost);

	if (ret || held == length)
		return ret;
	*lost = true;
	return vhdx_outlet_zero(outlet, VHDX_SALVAGE_LOST, length - held, cut_off);
}
