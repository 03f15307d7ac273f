/* SPDX-License-Identifier: MIT */
/* Opens, checks, dumps and reads a damaged image, which must not change. */
#include "fuzz/session.h"
#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_case fuzz_case;
	struct session session;
	struct vhdx *disk;

	if (fuzz_case_make(BASE_ANY, data, size, &fuzz_case))
		return 0;
	session_init(&session, &fuzz_case);
	if (!session_open(&session, 0, &disk))
		exercise_and_close(disk);
	if (!session_open(&session, VHDX_OPEN_EXAMINE, &disk))
		exercise_and_close(disk);
	fuzz_case_free(&fuzz_case);
	return 0;
}
