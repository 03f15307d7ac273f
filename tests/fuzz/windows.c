/* SPDX-License-Identifier: MIT */
/* Windows on a disk: what it reads at places spread over it, before and after something. */
#include <string.h>

#include "fuzz/session.h"

static void place_window(const struct vhdx_info *info, uint64_t offset, struct window *ret_window)
{
	offset = offset / 4096 * 4096;
	offset = offset < WINDOW_SIZE / 2 ? 0 : offset - WINDOW_SIZE / 2;
	*ret_window = (struct window){.offset = offset};
	if (offset < info->virtual_size)
		ret_window->length = info->virtual_size - offset < WINDOW_SIZE
					     ? (uint32_t)(info->virtual_size - offset)
					     : WINDOW_SIZE;
}

void windows_place(const struct vhdx_info *info, struct window windows[WINDOWS])
{
	unsigned half = WINDOWS / 2;

	for (unsigned i = 0; i < half; i++)
		place_window(info, (uint64_t)i * info->block_size, &windows[i]);
	for (unsigned i = 0; i < half; i++)
		place_window(info, info->virtual_size / half * (i + 1), &windows[half + i]);
}

void windows_read(struct vhdx *disk, struct window windows[WINDOWS])
{
	for (unsigned i = 0; i < WINDOWS; i++) {
		struct window *window = &windows[i];

		memset(window->bytes, 0, sizeof(window->bytes));
		window->known = UINT32_MAX;
		if (!window->length ||
		    !vhdx_pread(disk, window->bytes, window->length, window->offset))
			continue;
		for (uint32_t at = 0; at < window->length; at += 512) {
			uint32_t part = window->length - at < 512 ? window->length - at : 512;
			int ret = vhdx_pread(disk, window->bytes + at, part, window->offset + at);

			judge_error(ret);
			if (ret)
				window->known &= ~((uint32_t)1 << at / 512);
		}
	}
}

uint64_t windows_differ(const struct window a[WINDOWS], const struct window b[WINDOWS])
{
	for (unsigned i = 0; i < WINDOWS; i++)
		for (unsigned s = 0; s < WINDOW_SECTORS && s * 512 < a[i].length; s++)
			if (a[i].known & b[i].known & (uint32_t)1 << s &&
			    memcmp(a[i].bytes + s * 512, b[i].bytes + s * 512, 512) != 0)
				return a[i].offset + s * 512;
	return UINT64_MAX;
}

static void write_sector(struct window *window, unsigned sector, const uint8_t *buf,
			 uint64_t offset, uint64_t length, bool failed)
{
	uint64_t start = window->offset + sector * 512;
	uint64_t from = offset > start ? offset : start;
	uint64_t to = offset + length < start + 512 ? offset + length : start + 512;

	if (from >= to)
		return;
	if (failed)
		window->known &= ~((uint32_t)1 << sector);
	else if (buf)
		memcpy(window->bytes + (from - window->offset), buf + (from - offset), to - from);
	else
		memset(window->bytes + (from - window->offset), 0, to - from);
}

void windows_write(struct window windows[WINDOWS], const uint8_t *buf, uint64_t offset,
		   uint64_t length, bool failed)
{
	for (unsigned i = 0; i < WINDOWS; i++)
		for (unsigned s = 0; s < WINDOW_SECTORS && s * 512 < windows[i].length; s++)
			write_sector(&windows[i], s, buf, offset, length, failed);
}
