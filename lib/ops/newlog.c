/* SPDX-License-Identifier: MIT */
/* A new, empty log for an image whose log cannot be used and has nothing to replay. */
#include <errno.h>
#include <inttypes.h>

#include "meta/headers.h"
#include "ops/claims.h"
#include "ops/newlog.h"
#include "store/fill.h"
#include "store/io.h"

#define NEW_LOG_LENGTH (1 * MIB) /* as everyone makes it */

/* What lay in free space before may be entries of other sessions. */
static int clear(const struct image *image, uint64_t offset)
{
	uint64_t held =
		min_u64(NEW_LOG_LENGTH, image->file_size - min_u64(offset, image->file_size));
	int ret = held < NEW_LOG_LENGTH ? vhdx_io_set_size(image->file, offset + NEW_LOG_LENGTH)
					: 0;

	return ret || !held ? ret : vhdx_fill_holes(image->file, offset, held);
}

int vhdx_make_log(struct repair *repair, struct image *image, enum problem problem, uint64_t offset)
{
	struct header contents = image->headers[image->current];
	struct claims claims;
	uint64_t place;

	if (!(image->known & VHDX_KNOWN_GEOMETRY))
		return 0;
	int ret = vhdx_claims_make(image, &claims);

	if (ret)
		return ret;
	bool has_room = vhdx_claims_find_room(&claims, NEW_LOG_LENGTH, &place);

	if (has_room)
		ret = clear(image, place);
	vhdx_claims_free(&claims);
	if (!has_room || ret == -EOPNOTSUPP) /* a device cannot grow */
		return 0;
	if (ret)
		return vhdx_fail_io(ret, image->name, place, "no new log can be made");
	contents.log_version = 0;
	contents.log_offset = place;
	contents.log_length = NEW_LOG_LENGTH;
	ret = vhdx_headers_update(image, &contents);
	if (!ret)
		vhdx_repair_mended(repair, problem, offset, 0, 0,
				   "the log is now %" PRIu64 " bytes at %#" PRIx64
				   ", all of them zero: there was nothing to replay",
				   NEW_LOG_LENGTH, place);
	return ret;
}
