/* SPDX-License-Identifier: MIT */
/* Signatures of other formats. A file whose content has one is hardly ever meant as the bytes of a disk. */
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "foreign.h"

#define SIGNATURE_MAX 16
#define SECTOR	      512

#define BY_QEMU "qemu-img convert -O raw makes a raw disk of it"
#define UNPACK	"unpack it first, by "
#define A_DISK	"vhdx convert -f raw makes a VHDX of it"

/* An offset below zero counts from the file's end. */
static const struct signature {
	long offset;
	const char *bytes;
	size_t size;
	struct foreign foreign;
} signatures[] = {
#define AT(offset, text) (offset), (text), sizeof(text) - 1
	{AT(0, "QFI\xfb"), {"a qcow2 image", BY_QEMU, false}},
	{AT(0, "QED\0"), {"a QED image", BY_QEMU, false}},
	{AT(0, "KDMV"), {"a VMDK image", BY_QEMU, false}},
	{AT(0, "COWD"), {"a VMDK image", BY_QEMU, false}},
	{AT(0, "# Disk Descripto"), {"the descriptor of a VMDK image", BY_QEMU, false}},
	{AT(0x40, "\x7f\x10\xda\xbe"), {"a VDI image", BY_QEMU, false}},
	{AT(0, "WithoutFreeSpace"), {"a Parallels image", BY_QEMU, false}},
	{AT(0, "WithouFreSpacExt"), {"a Parallels image", BY_QEMU, false}},
	{AT(0, "conectix"), {"a VHD image, the format before VHDX", BY_QEMU, false}},
	{AT(-SECTOR, "conectix"), {"a VHD image, the format before VHDX", BY_QEMU, false}},
	{AT(0, "EVF\x09\x0d\x0a\xff\0"),
	 {"an EWF image", "ewfexport makes a raw disk of it", false}},
	{AT(0, "\x1f\x8b\x08"), {"packed by gzip", UNPACK "gunzip", false}},
	{AT(0, "\xfd\x37zXZ"), {"packed by xz", UNPACK "unxz", false}},
	{AT(0, "\x28\xb5\x2f\xfd"), {"packed by zstd", UNPACK "unzstd", false}},
	{AT(0, "BZh91AY&SY"), {"packed by bzip2", UNPACK "bunzip2", false}},
	{AT(0, "\x04\x22\x4d\x18"), {"packed by lz4", UNPACK "unlz4", false}},
	{AT(0, "PK\x03\x04"), {"a zip archive", UNPACK "unzip", false}},
	{AT(0, "7z\xbc\xaf\x27\x1c"), {"a 7z archive", UNPACK "7z x", false}},
	{AT(257, "ustar"), {"a tar archive", UNPACK "tar -xf", false}},
	{AT(0, "MSWIM\0\0\0"), {"a WIM archive", "wimapply writes it to a disk", false}},
	{AT(32769, "CD001"), {"a CD's image", A_DISK, true}},
	{AT(510, "\x55\xaa"), {"a raw disk", A_DISK, true}},
	{AT(1080, "\x53\xef"), {"a raw disk, with a file system and no partitions", A_DISK, true}},
#undef AT
};

static bool matches(int fd, off_t size, const struct signature *signature)
{
	off_t offset = signature->offset < 0 ? size + signature->offset : signature->offset;
	char found[SIGNATURE_MAX];

	return offset >= 0 &&
	       pread(fd, found, signature->size, offset) == (ssize_t)signature->size &&
	       !memcmp(found, signature->bytes, signature->size);
}

static const struct foreign *find(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);

	for (size_t i = 0; i < ARRAY_SIZE(signatures) && size > 0; i++)
		if (matches(fd, size, &signatures[i]))
			return &signatures[i].foreign;
	return NULL;
}

/* Opening a pipe or a device may wait, or do something. */
const struct foreign *foreign_find(const char *path)
{
	struct stat st;

	if (stat(path, &st) || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return NULL;
	const struct foreign *found = find(fd);

	close(fd);
	return found;
}

bool foreign_suffix(const char *name)
{
	static const char *const suffixes[] = {".qcow2", ".qcow", ".qed", ".vmdk", ".vdi", ".vhd",
					       ".hdd",	 ".e01",  ".gz",  ".xz",   ".zst", ".bz2",
					       ".zip",	 ".7z",	  ".ova", ".tar"};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(suffixes); i++)
		if (!strcasecmp(dot, suffixes[i]))
			return true;
	return false;
}
