/* SPDX-License-Identifier: MIT */
/* Writes entries of the BAT to a draft, a page at a time. */
#include "ops/batwriter.h"
#include "store/io.h"

int vhdx_bat_writer_end(struct bat_writer *writer)
{
	uint64_t place = writer->image->bat.file_offset + writer->offset;
	int ret = writer->size ? vhdx_io_write(writer->io, writer->bytes, writer->size, place) : 0;

	writer->size = 0;
	return ret ? vhdx_fail_io(ret, writer->image->name, place, "the BAT cannot be written") : 0;
}

static int hold_page(struct bat_writer *writer, uint64_t offset)
{
	const struct region *bat = &writer->image->bat;
	size_t size = min_u64(PAGE_SIZE, bat->length - offset);
	int ret = vhdx_bat_writer_end(writer);

	if (!ret) {
		ret = vhdx_io_read(writer->io, writer->bytes, size, bat->file_offset + offset);
		if (ret)
			return vhdx_fail_io(ret, writer->image->name, bat->file_offset + offset,
					    "the BAT cannot be read");
		writer->offset = offset;
		writer->size = size;
	}
	return ret;
}

int vhdx_bat_writer_put(struct bat_writer *writer, uint64_t index, uint64_t entry)
{
	uint64_t at = index * BAT_ENTRY_SIZE;
	uint64_t page = round_down(at, PAGE_SIZE);
	int ret = writer->size && writer->offset == page ? 0 : hold_page(writer, page);

	if (!ret)
		*(struct le64 *)(writer->bytes + at % PAGE_SIZE) = le64_from(entry);
	return ret;
}
