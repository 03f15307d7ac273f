/* SPDX-License-Identifier: MIT */
/* Repair of the file type identifier, and of a file length that is no whole number of MiB (F 1). */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ops/claims.h"
#include "ops/mend.h"
#include "store/io.h"

/* The creator stays, unless it is lost too. */
static int write_identifier(struct repair *repair, const struct image *image)
{
	struct identifier_disk disk;
	char creator[64];
	size_t size = sizeof(disk);

	snprintf(creator, sizeof(creator), "libvhdx %s", vhdx_version());
	int ret = vhdx_identifier_encode(creator, &disk, sizeof(disk));

	if (image->identifier.creator_is_text)
		size = sizeof(disk.signature);
	if (!ret)
		ret = vhdx_io_write(repair->io, &disk, size, IDENTIFIER_OFFSET);
	if (ret)
		return vhdx_fail_io(ret, image->name, IDENTIFIER_OFFSET,
				    "the file type identifier cannot be written");
	vhdx_repair_mended(repair, PROBLEM_IDENTIFIER, IDENTIFIER_OFFSET, 0, 0,
			   "the file type identifier is written anew%s",
			   size == sizeof(disk) ? ", with a creator: that was lost" : "");
	return 0;
}

/*
 * Where a block goes on behind the file's end, what is missing of it must be told first; and a log may
 * have to say first whether the file was cut.
 */
static int mend_length(struct repair *repair, const struct image *image)
{
	struct claims claims;

	if (is_aligned(image->file_size, MIB) || !(image->known & VHDX_KNOWN_LOG) ||
	    !(image->known & VHDX_KNOWN_GEOMETRY) || image->log_state != VHDX_LOG_CLEAN)
		return 0;
	int ret = vhdx_claims_make(image, &claims);

	if (ret)
		return ret;
	bool reach_out = claims.reach_out;
	uint64_t size = claims.end;

	vhdx_claims_free(&claims);
	if (reach_out)
		return 0;
	ret = vhdx_io_set_size(repair->io, size);
	if (ret == -EOPNOTSUPP) /* a device, of the size that it has */
		return 0;
	if (ret)
		return vhdx_fail_errno(ret, image->name, "cannot grow to %" PRIu64 " bytes", size);
	vhdx_repair_mended(repair, PROBLEM_FILE_NOT_WHOLE_MIB, image->file_size, 0, 0,
			   "the file is extended from %" PRIu64 " bytes to %" PRIu64,
			   image->file_size, size);
	return 0;
}

int vhdx_mend_identifier(struct repair *repair, struct image *image)
{
	if (image->file_size < HEADER_SECTION_SIZE)
		return 0;
	if (image->identifier.has_signature)
		return mend_length(repair, image);
	if (image->headers[0].has_signature || image->headers[1].has_signature)
		return write_identifier(repair, image);
	return 0;
}
