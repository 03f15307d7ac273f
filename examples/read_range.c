/* SPDX-License-Identifier: MIT */
/*
 * read_range IMAGE OFFSET LENGTH: prints a range of a virtual disk to standard output, as a guest would read
 * it: through the chain of parents, and with a dirty log replayed in memory. Nothing is written.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <vhdx.h>

#define BUFFER_SIZE ((uint64_t)1024 * 1024)

static int fail(void)
{
	fprintf(stderr, "read_range: %s\n", vhdx_last_error()->text);
	return 1;
}

static int print_range(struct vhdx *disk, uint64_t offset, uint64_t length)
{
	static char buf[BUFFER_SIZE];

	while (length) {
		size_t part = (size_t)(length < BUFFER_SIZE ? length : BUFFER_SIZE);

		if (vhdx_pread(disk, buf, part, offset))
			return fail();
		if (fwrite(buf, 1, part, stdout) != part) {
			perror("read_range: standard output");
			return 1;
		}
		offset += part;
		length -= part;
	}
	return fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct vhdx *disk;

	if (argc != 4) {
		fprintf(stderr, "usage: read_range IMAGE OFFSET LENGTH\n");
		return 1;
	}
	if (vhdx_open(argv[1], NULL, &disk))
		return fail();

	int status = print_range(disk, strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));

	vhdx_close(disk);
	return status;
}
