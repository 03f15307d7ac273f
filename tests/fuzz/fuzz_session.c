/* SPDX-License-Identifier: MIT */
/*
 * Writes to a damaged disk that lets itself be opened for that: what was written must be read back then and
 * after a reopen, what was not must stay, and nothing but blocks and their mapping may change in the file.
 */
#include <errno.h>
#include <string.h>

#include "fuzz/session.h"
#include "fuzz/target.h"

enum action_kind {
	ACTION_WRITE,
	ACTION_ZERO,
	ACTION_TRIM,
	ACTION_FLUSH,
	ACTION_ZERO_BLOCKS,
	ACTION_TRIM_BLOCKS,
	ACTION_REOPEN,
	ACTION_KINDS,
};

struct guest {
	struct session *session;
	struct vhdx *disk;
	struct vhdx_info info;
	struct cow before; /* the file, after the open */
	struct window model[WINDOWS];
	struct window found[WINDOWS];
	bool has_failed; /* an operation on the storage's or the image's account */
	bool has_changed;
};

static void compare(struct guest *guest, const char *when)
{
	memcpy(guest->found, guest->model, sizeof(guest->found));
	windows_read(guest->disk, guest->found);
	uint64_t where = windows_differ(guest->model, guest->found);

	if (where != UINT64_MAX)
		fuzz_fail("%s: other bytes at %#llx", when, (unsigned long long)where);
	for (unsigned i = 0; i < WINDOWS; i++)
		if (guest->model[i].known & ~guest->found[i].known)
			fuzz_fail("%s: less can be read at %#llx", when,
				  (unsigned long long)guest->model[i].offset);
}

static void note(struct guest *guest, int ret, const uint8_t *buf, uint64_t offset, uint64_t length)
{
	judge_error(ret);
	guest->has_failed |= ret < 0;
	guest->has_changed |= !ret;
	windows_write(guest->model, buf, offset, length, ret < 0);
}

/* Makes zeros of a range. A trim may do nothing, sector by sector: what it left is taken as it is. */
static void make_zeros(struct guest *guest, bool trim, uint64_t offset, uint64_t length)
{
	uint32_t flags = offset & 4096 ? VHDX_ZERO_MAY_UNMAP : 0;
	int ret = trim ? vhdx_trim(guest->disk, offset, length, 0)
		       : vhdx_zero(guest->disk, offset, length, flags);

	if (!trim || ret) {
		note(guest, ret, NULL, offset, length);
		return;
	}
	memcpy(guest->found, guest->model, sizeof(guest->found));
	windows_read(guest->disk, guest->found);
	windows_write(guest->model, NULL, offset, length, true);
	for (unsigned i = 0; i < WINDOWS; i++)
		for (unsigned s = 0; s < WINDOW_SECTORS; s++)
			if (guest->found[i].known & ~guest->model[i].known & (uint32_t)1 << s) {
				memcpy(guest->model[i].bytes + s * 512,
				       guest->found[i].bytes + s * 512, 512);
				guest->model[i].known |= (uint32_t)1 << s;
			}
	guest->has_changed = true;
}

static void act_in_window(struct guest *guest, const struct action *action)
{
	const struct window *window = &guest->model[action->offset % WINDOWS];
	uint32_t start = (action->offset >> 5) % WINDOW_SIZE;
	uint8_t buf[WINDOW_SIZE];

	if (start >= window->length)
		return;
	uint64_t length = ((uint64_t)action->length + 1) * (action->layer & 1 ? 32 : 512);
	uint64_t offset = window->offset + start;

	if (action->layer & 2)
		offset = offset / 512 * 512;
	if (length > window->offset + window->length - offset)
		length = window->offset + window->length - offset;
	if (action->kind % ACTION_KINDS != ACTION_WRITE) {
		make_zeros(guest, action->kind % ACTION_KINDS == ACTION_TRIM, offset, length);
		return;
	}
	memset(buf, (int)(action->offset ^ action->length) | 1, length);
	note(guest,
	     vhdx_pwrite(guest->disk, buf, length, offset, action->layer == 3 ? VHDX_FUA : 0), buf,
	     offset, length);
}

static void act_on_blocks(struct guest *guest, const struct action *action, bool trim)
{
	uint64_t offset = (uint64_t)(action->offset % 64) * guest->info.block_size;
	uint64_t length = (uint64_t)(action->length % 8 + 1) * guest->info.block_size;

	if (offset >= guest->info.virtual_size)
		return;
	if (length > guest->info.virtual_size - offset)
		length = guest->info.virtual_size - offset;
	make_zeros(guest, trim, offset, length);
}

static bool open_disk(struct guest *guest)
{
	guest->disk = NULL;
	if (session_open(guest->session, VHDX_OPEN_WRITE, &guest->disk))
		return false;
	guest->info.size = sizeof(guest->info);
	judge_error(vhdx_get_info(guest->disk, &guest->info));
	return true;
}

/*
 * F 1: headers change, and what lies behind the first MiB by its rules; not the rest of the first MiB, nor the
 * metadata region.
 */
static void check_file(const struct guest *guest)
{
	const struct cow *after = guest->session->stores[0].bytes;
	uint64_t metadata = guest->info.metadata_offset;

	for (uint64_t at = 0; at < metadata + guest->info.metadata_length; at += COW_PAGE) {
		uint8_t a[COW_PAGE];
		uint8_t b[COW_PAGE];

		if (at == T_MIB && metadata > at)
			at = metadata;
		if (at == 64 * T_KIB || at == 128 * T_KIB)
			continue;
		cow_read(&guest->before, a, sizeof(a), at);
		cow_read(after, b, sizeof(b), at);
		if (memcmp(a, b, sizeof(a)) != 0)
			fuzz_fail("the file changed at %#llx", (unsigned long long)at);
	}
}

/* A clean close leaves a disk that opens, and reads as it did. */
static bool reopen(struct guest *guest)
{
	int ret = vhdx_close(guest->disk);

	judge_error(ret);
	guest->disk = NULL;
	check_file(guest);
	if (!open_disk(guest)) {
		if (!ret && guest->has_changed)
			fuzz_fail("cannot be opened again: %s", vhdx_last_error()->text);
		return false;
	}
	compare(guest, "after a reopen");
	return true;
}

static void write_at_random(struct guest *guest, const struct fuzz_case *fuzz_case)
{
	for (unsigned i = 0; i < fuzz_case->action_count && guest->disk; i++) {
		const struct action *action = &fuzz_case->actions[i];

		switch (action->kind % ACTION_KINDS) {
		case ACTION_FLUSH:
			judge_error(vhdx_flush(guest->disk));
			break;
		case ACTION_ZERO_BLOCKS:
		case ACTION_TRIM_BLOCKS:
			act_on_blocks(guest, action,
				      action->kind % ACTION_KINDS == ACTION_TRIM_BLOCKS);
			break;
		case ACTION_REOPEN:
			reopen(guest);
			break;
		default:
			act_in_window(guest, action);
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest guest;
	struct fuzz_case fuzz_case;
	struct session session;

	if (fuzz_case_make(BASE_ANY, data, size, &fuzz_case))
		return 0;
	session_init(&session, &fuzz_case);
	memset(&guest, 0, sizeof(guest));
	guest.session = &session;
	if (open_disk(&guest)) {
		cow_copy(session.stores[0].bytes, &guest.before);
		windows_place(&guest.info, guest.model);
		windows_read(guest.disk, guest.model);
		write_at_random(&guest, &fuzz_case);
		if (guest.disk)
			compare(&guest, "at the end");
		if (guest.disk && reopen(&guest))
			judge_error(vhdx_close(guest.disk));
		cow_free(&guest.before);
	}
	fuzz_case_free(&fuzz_case);
	return 0;
}
