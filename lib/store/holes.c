/* SPDX-License-Identifier: MIT */
/* Where storage holds data, for whoever walks it. */
#include <errno.h>

#include "base/arith.h"
#include "store/holes.h"

int vhdx_known_data(struct known_data *known, const struct vhdx_io *io, uint64_t offset,
		    uint64_t *ret_start, uint64_t *ret_end)
{
	if (known->io != io || offset < known->from || offset >= known->end) {
		uint64_t start, end;
		int ret = vhdx_io_next_data(io, offset, UINT64_MAX, &start, &end);

		if (ret && ret != -ENXIO)
			return ret;
		if (ret)
			start = end = UINT64_MAX;
		*known = (struct known_data){io, offset, start, end};
	}
	*ret_start = max_u64(offset, known->start);
	*ret_end = known->end;
	return 0;
}
