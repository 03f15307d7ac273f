/* SPDX-License-Identifier: MIT */
/*
 * read_range IMAGE OFFSET LENGTH: prints a range of a virtual disk to standard output, as a guest would read
 * it: through the chain of parents, and with a dirty log replayed in memory. Nothing is written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <vhdx.h>

#define BUFFER_SIZE ((uint64_t)1024 * 1024)

static int fail(void)
{
	const struct vhdx_error *error = vhdx_last_error();

	fprintf(stderr, "read_range: %s: %s\n", error->file, error->text);
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
	if (fflush(stdout)) {
		perror("read_range: standard output");
		return 1;
	}
	return 0;
}

static int parse(const char *text, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 0);
	if (!errno && *text >= '0' && *text <= '9' && !*end)
		return 0;
	fprintf(stderr, "read_range: '%s' is no number of bytes\n", text);
	return -1;
}

int main(int argc, char **argv)
{
	uint64_t offset, length;
	struct vhdx *disk;

	if (argc != 4) {
		fprintf(stderr, "usage: read_range IMAGE OFFSET LENGTH\n");
		return 1;
	}
	if (parse(argv[2], &offset) || parse(argv[3], &length))
		return 1;
	if (vhdx_open(argv[1], NULL, &disk))
		return fail();

	int status = print_range(disk, offset, length);

	vhdx_close(disk);
	return status;
}
