/* SPDX-License-Identifier: MIT */
/*
 * freespace IMAGE [N]: the MiB of the disk that no file system inside uses, "FIRST COUNT" a line, asked for in
 * pieces of N MiB (1); then what else is there.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "freespace.h"
#include "report.h"

#define MIB (UINT64_C(1) << 20)

struct pieces {
	struct free_space *space;
	uint64_t size_bytes; /* of the disk */
	uint64_t piece_bytes;
};

static bool is_free(const struct pieces *pieces, uint64_t index)
{
	uint64_t start = index * pieces->piece_bytes;
	uint64_t left = pieces->size_bytes - start;

	return start < pieces->size_bytes &&
	       free_space_covers(pieces->space, start,
				 left < pieces->piece_bytes ? left : pieces->piece_bytes);
}

static void print_free(const struct pieces *pieces)
{
	uint64_t each = pieces->piece_bytes / MIB;
	uint64_t first = 0;

	for (uint64_t i = 0; i * pieces->piece_bytes < pieces->size_bytes; i++) {
		if (!is_free(pieces, i))
			first = i + 1;
		else if (!is_free(pieces, i + 1))
			printf("%" PRIu64 " %" PRIu64 "\n", first * each, (i + 1 - first) * each);
	}
	printf("others: %s\n", free_space_others(pieces->space));
}

int main(int argc, char **argv)
{
	struct vhdx_info info = {.size = sizeof(info)};
	struct pieces pieces = {.piece_bytes = MIB};
	auto_disk struct vhdx *disk = NULL;

	report_begin("freespace", STATUS_FAILED);
	if (argc > 2)
		pieces.piece_bytes = strtoull(argv[2], NULL, 10) * MIB;
	if (argc < 2 || !pieces.piece_bytes)
		return report_error(NULL, "expected IMAGE, and perhaps a number of MiB");
	if (vhdx_open(argv[1], NULL, &disk) || vhdx_get_info(disk, &info))
		return report_failure(argv[1]);
	pieces.size_bytes = info.virtual_size;
	int status = free_space_open(disk, argv[1], &pieces.space);

	if (!status)
		print_free(&pieces);
	free_space_close(pieces.space);
	return status;
}
