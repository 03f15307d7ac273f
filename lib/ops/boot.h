/* SPDX-License-Identifier: MIT */
/* What the first sectors of a disk tell of it: its partition table. */
#ifndef VHDX_OPS_BOOT_H
#define VHDX_OPS_BOOT_H

#include "store/io.h"

enum boot_kind {
	BOOT_NONE = 0,
	BOOT_MBR = 1, /* its partitions end somewhere in the disk */
	BOOT_GPT = 2, /* it tells the disk's last sector, and the sectors' size */
};

struct boot {
	enum boot_kind kind;
	uint64_t sectors;     /* at least, or for a GPT exactly */
	uint32_t sector_size; /* 0: not known */
};

#define BOOT_SIZE (2 * 4096u) /* bytes that are looked at */

/* Looks at the first BOOT_SIZE bytes of what may be a disk. */
struct boot vhdx_boot_look(const uint8_t bytes[BOOT_SIZE]);

/* The same at @offset of @io; as the storage fails. */
int vhdx_boot_read(const struct vhdx_io *io, uint64_t offset, struct boot *ret_boot);

/* Whether a GPT's header is at @offset: at the disk's end there is one too. */
int vhdx_boot_is_gpt(const struct vhdx_io *io, uint64_t offset, bool *ret_is);

#endif
