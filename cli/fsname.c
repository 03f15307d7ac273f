/* SPDX-License-Identifier: MIT */
/* libblkid gets a sparse copy of both ends, where all that matters has its marks. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsname.h"

/* RAID has its marks at the end; VMFS, the furthest from the start, after 1 MiB. */
#define START_BYTES (4u << 20)
#define END_BYTES   (1u << 20)

/* libblkid would follow its boot sector to its tables, which are not copied. */
static bool is_ntfs(const struct probe_copy *copy)
{
	char mark[8];

	return pread(copy->fd, mark, sizeof(mark), 3) == sizeof(mark) &&
	       !memcmp(mark, "NTFS    ", sizeof(mark));
}

static int name_copied(const struct probe_copy *copy, uint32_t sector_size,
		       char ret_name[FS_NAME_SIZE])
{
	auto_probe blkid_probe probe = probe_copy_probe(copy, sector_size);
	const char *type = "";

	if (!probe)
		return -ENOMEM;
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC);
	switch (blkid_do_safeprobe(probe)) {
	case 0:
		if (blkid_probe_lookup_value(probe, "TYPE", &type, NULL))
			type = "something unknown";
		break;
	case 1:
		type = is_ntfs(copy) ? "ntfs" : "";
		break;
	case -2:
		type = "several kinds";
		break;
	default:
		return -EINVAL;
	}
	snprintf(ret_name, FS_NAME_SIZE, "%s", type);
	return 0;
}

int fs_name(struct vhdx *disk, struct range range, uint32_t sector_size,
	    char ret_name[FS_NAME_SIZE])
{
	auto_probe_copy struct probe_copy copy = {.fd = -1};
	int ret = probe_copy_open(disk, range, &copy);

	if (!ret)
		ret = probe_copy_fill(&copy, 0, START_BYTES);
	if (!ret && range.length > START_BYTES)
		ret = probe_copy_fill(&copy, range.length - END_BYTES, END_BYTES);
	if (!ret && copy.unread)
		return -EIO;
	return ret ? ret : name_copied(&copy, sector_size, ret_name);
}

bool fs_name_is_ext(const char *name)
{
	return !strcmp(name, "ext2") || !strcmp(name, "ext3") || !strcmp(name, "ext4");
}
