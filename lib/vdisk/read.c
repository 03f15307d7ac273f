/* SPDX-License-Identifier: MIT */
/* Reading within one block, from whichever file of the chain holds each piece. */
#include <inttypes.h>

#include "store/io.h"
#include "vdisk/read.h"

int vhdx_fail_read(const struct vhdx *layer, int ret, uint64_t file_offset, uint64_t length)
{
	return vhdx_fail_io(ret, layer->name, file_offset,
			    "%" PRIu64 " bytes of a block cannot be read", length);
}

static int read_piece(const struct mapping *mapping, const struct iovec *iov, int iovcnt,
		      uint64_t skip)
{
	if (mapping->type != VHDX_EXTENT_DATA) {
		iov_zero(iov, iovcnt, skip, mapping->length);
		return 0;
	}
	const struct vhdx *layer = mapping->layer;
	int ret = vhdx_io_readv(layer->image.view, iov, iovcnt, skip, mapping->length,
				mapping->file_offset);

	return ret ? vhdx_fail_read(layer, ret, mapping->file_offset, mapping->length) : 0;
}

int vhdx_read_in_block(struct vhdx *disk, uint64_t offset, uint64_t length, const struct iovec *iov,
		       int iovcnt, uint64_t skip)
{
	uint64_t done = 0;
	int ret = 0;

	while (done < length && !ret) {
		struct mapping mapping;

		ret = vhdx_map(disk, offset + done, length - done, ALL_LAYERS, &mapping);
		if (!ret)
			ret = read_piece(&mapping, iov, iovcnt, skip + done);
		if (!ret)
			done += mapping.length;
	}
	return ret;
}
