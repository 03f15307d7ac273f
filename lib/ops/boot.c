/* SPDX-License-Identifier: MIT */
/* What the first sectors of a disk tell of it: its partition table. */
#include <string.h>

#include "base/arith.h"
#include "base/le.h"
#include "format/ondisk.h"
#include "ops/boot.h"

#define GPT_SIGNATURE	"EFI PART"
#define GPT_HEADER_SIZE 92u

/* Offsets in a GPT's header, and in an MBR. */
#define GPT_SIZE_AT	 12u
#define GPT_MY_LBA_AT	 24u
#define GPT_OTHER_LBA_AT 32u
#define GPT_LAST_LBA_AT	 48u
#define MBR_ENTRIES_AT	 446u
#define MBR_ENTRY_SIZE	 16u
#define MBR_SIGNATURE_AT 510u

static uint64_t number64(const uint8_t *bytes)
{
	return le64_get(*(const struct le64 *)bytes);
}

static uint32_t number32(const uint8_t *bytes)
{
	return le32_get(*(const struct le32 *)bytes);
}

static bool is_gpt_header(const uint8_t *header)
{
	uint32_t size = number32(header + GPT_SIZE_AT);

	return !memcmp(header, GPT_SIGNATURE, sizeof(GPT_SIGNATURE) - 1) &&
	       size >= GPT_HEADER_SIZE && size <= 512;
}

static bool look_gpt(const uint8_t *bytes, uint32_t sector_size, struct boot *ret_boot)
{
	const uint8_t *header = bytes + sector_size;
	uint64_t other = number64(header + GPT_OTHER_LBA_AT);

	if (!is_gpt_header(header) || number64(header + GPT_MY_LBA_AT) != 1 || other < 2 ||
	    other >= MAX_DISK_SIZE / sector_size || number64(header + GPT_LAST_LBA_AT) >= other)
		return false;
	*ret_boot = (struct boot){BOOT_GPT, other + 1, sector_size};
	return true;
}

/* A boot sector of a file system has the signature too, but no such entries. */
static bool look_mbr(const uint8_t *bytes, struct boot *ret_boot)
{
	uint64_t end = 0;

	if (bytes[MBR_SIGNATURE_AT] != 0x55 || bytes[MBR_SIGNATURE_AT + 1] != 0xaa)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *entry = bytes + MBR_ENTRIES_AT + i * MBR_ENTRY_SIZE;
		uint64_t first = number32(entry + 8);
		uint64_t count = number32(entry + 12);

		if (entry[0] & 0x7f)
			return false;
		if (!entry[4])
			continue;
		if (!first || !count)
			return false;
		/* The entry that guards a GPT may claim more than there is. */
		end = max_u64(end, entry[4] == 0xee ? first + 1 : first + count);
	}
	*ret_boot = (struct boot){BOOT_MBR, end, 0};
	return end != 0;
}

struct boot vhdx_boot_look(const uint8_t bytes[BOOT_SIZE])
{
	struct boot boot;

	if (look_gpt(bytes, 512, &boot) || look_gpt(bytes, 4096, &boot) || look_mbr(bytes, &boot))
		return boot;
	return (struct boot){.kind = BOOT_NONE};
}

int vhdx_boot_read(const struct vhdx_io *io, uint64_t offset, struct boot *ret_boot)
{
	uint8_t bytes[BOOT_SIZE];
	int ret = vhdx_io_read(io, bytes, sizeof(bytes), offset);

	if (!ret)
		*ret_boot = vhdx_boot_look(bytes);
	return ret;
}

int vhdx_boot_is_gpt(const struct vhdx_io *io, uint64_t offset, bool *ret_is)
{
	uint8_t header[GPT_HEADER_SIZE];
	int ret = vhdx_io_read(io, header, sizeof(header), offset);

	if (!ret)
		*ret_is = is_gpt_header(header);
	return ret;
}
