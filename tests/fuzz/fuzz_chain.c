/* SPDX-License-Identifier: MIT */
/* Opens a damaged chain, whose locators may name any of its files, and reads through it. */
#include <vhdx.h>

#include "format/ondisk.h"
#include "fuzz/session.h"
#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_case fuzz_case;
	struct session session;
	struct vhdx *disk;
	uint32_t flags = 0;

	if (fuzz_case_make(BASE_CHAIN, data, size, &fuzz_case))
		return 0;
	session_init(&session, &fuzz_case);
	session.hostile_parents = fuzz_case.flags & INPUT_FLAG_1;
	if (fuzz_case.flags & INPUT_FLAG_2)
		flags |= VHDX_OPEN_IGNORE_ID_MISMATCH;
	if (fuzz_case.flags & INPUT_FLAG_3)
		flags |= VHDX_OPEN_EXAMINE;
	if (!session_open(&session, flags, &disk))
		exercise_and_close(disk);
	/* Of each layer: three paths and the linkages are tried. */
	if (session.opened > 3 * MAX_CHAIN_DEPTH)
		fuzz_fail("%u parents were opened", session.opened);
	fuzz_case_free(&fuzz_case);
	return 0;
}
