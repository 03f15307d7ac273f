/* SPDX-License-Identifier: MIT */
/* Replays a damaged log in memory and to the file: both must agree, and the file must then be clean. */
#include <errno.h>
#include <string.h>

#include "fuzz/session.h"
#include "fuzz/target.h"

/* What an open without parents finds. */
struct view {
	int error;
	struct vhdx_info info;
	struct window windows[WINDOWS];
};

static void look(struct session *session, uint32_t flags, struct view *ret_view)
{
	struct vhdx *disk;

	ret_view->error = session_open(session, flags | VHDX_OPEN_NO_PARENT, &disk);
	if (ret_view->error)
		return;
	ret_view->info.size = sizeof(ret_view->info);
	judge_error(vhdx_get_info(disk, &ret_view->info));
	windows_place(&ret_view->info, ret_view->windows);
	windows_read(disk, ret_view->windows);
	if (flags & VHDX_OPEN_WRITE)
		judge_error(vhdx_close(disk));
	else
		exercise_and_close(disk);
}

static void compare(const struct view *before, const struct view *after, const char *what)
{
	uint64_t where = windows_differ(before->windows, after->windows);

	if (after->error)
		fuzz_fail("%s: %s", what, vhdx_last_error()->text);
	if (before->info.virtual_size != after->info.virtual_size ||
	    before->info.block_size != after->info.block_size)
		fuzz_fail("%s: it is another disk", what);
	if (where != UINT64_MAX)
		fuzz_fail("%s: it reads differently at %#llx", what, (unsigned long long)where);
	for (unsigned i = 0; i < WINDOWS; i++)
		if (before->windows[i].known & ~after->windows[i].known)
			fuzz_fail("%s: less can be read", what);
}

/* How long any log entry in the file wants it to be. */
static uint64_t longest(const struct cow *file)
{
	uint64_t most = file->size;
	uint64_t start;
	uint64_t end = 0;

	while (cow_next(file, end, &start, &end))
		for (uint64_t at = start / 4096 * 4096; at < end; at += 4096) {
			uint8_t head[64];

			cow_read(file, head, sizeof(head), at);
			uint64_t last = get_number(head + 56, 8);

			if (!memcmp(head, "loge", 4) && last > most)
				most = last;
		}
	return most;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct view in_memory;
	static struct view in_file;
	static struct view again;
	struct fuzz_case fuzz_case;
	struct session session;

	if (fuzz_case_make(BASE_DIRTY, data, size, &fuzz_case))
		return 0;
	session_init(&session, &fuzz_case);
	uint64_t most = longest(session.stores[0].bytes);

	look(&session, 0, &in_memory);
	look(&session, VHDX_OPEN_WRITE, &in_file);
	if (in_memory.error && !in_file.error)
		fuzz_fail("it can be opened for writing only");
	if (session.stores[0].bytes->size > most)
		fuzz_fail("the file grew to %#llx, and its log says %#llx",
			  (unsigned long long)session.stores[0].bytes->size,
			  (unsigned long long)most);
	if (in_file.error && in_file.error != -EUCLEAN && in_file.error != in_memory.error &&
	    !(in_file.error == -EFBIG && most > FUZZ_LAST_BYTE))
		fuzz_fail("it cannot be opened for writing: %d", in_file.error);
	if (!in_file.error) {
		compare(&in_memory, &in_file, "replayed to the file");
		look(&session, 0, &again);
		compare(&in_memory, &again, "opened again");
		if (again.info.log_state != VHDX_LOG_CLEAN)
			fuzz_fail("the log is not clean after a writer closed");
	}
	fuzz_case_free(&fuzz_case);
	return 0;
}
