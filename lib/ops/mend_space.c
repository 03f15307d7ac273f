/* SPDX-License-Identifier: MIT */
/* Repair of the file's space (F 1): what lies between structures and is nobody's becomes a hole. */
#include <errno.h>
#include <inttypes.h>

#include "meta/batcheck.h"
#include "ops/mend.h"
#include "store/file.h"
#include "store/io.h"

/* Whoever cannot be sure what the BAT says does not know what is nobody's. */
static void note_fault(void *opaque, const struct vhdx_finding *finding)
{
	bool *doubt = opaque;

	*doubt |= finding->problem->severity > VHDX_LEAK;
}

/* Does the range take room on storage that can tell? */
static int find_data(const struct repair *repair, uint64_t start, uint64_t end, bool *ret_data)
{
	uint64_t data_start;
	uint64_t data_end;
	int ret = vhdx_io_next_data(repair->io, start, end, &data_start, &data_end);

	*ret_data = !ret;
	return ret == -ENXIO ? 0 : ret;
}

/*
 * Some storage has the call, and no holes. Behind its end there is nothing that the question could change, but
 * for the times of a file, which therefore is not asked: whoever opened it tried elsewhere.
 */
static bool can_punch(const struct repair *repair)
{
	uint64_t size;

	return repair_may(repair, VHDX_REPAIR_DRY_RUN) || vhdx_file_fd(repair->file) >= 0 ||
	       vhdx_io_get_size(repair->file, &size) ||
	       vhdx_io_punch(repair->file, round_up_saturated(size, MIB), MIB) != -EOPNOTSUPP;
}

static int release(struct repair *repair, uint64_t start, uint64_t end)
{
	bool data;
	int ret = find_data(repair, start, end, &data);

	if (ret)
		return vhdx_fail_io(ret, repair->name, start, "cannot tell where data are");
	if (!data || !can_punch(repair))
		return 0;
	ret = vhdx_io_punch(repair->io, start, end - start);
	if (ret == -EOPNOTSUPP || ret == -EFBIG) /* there are too many holes for one repair */
		return 0;
	if (ret)
		return vhdx_fail_io(ret, repair->name, start, "space cannot be released");
	vhdx_repair_mended(repair, PROBLEM_SPACE_LEAKED, start, 0, 0,
			   "file: %" PRIu64 " bytes at %#" PRIx64
			   ", to which nothing refers, were released",
			   end - start, start);
	return 0;
}

/* What lies behind the last structure may be there for growth. */
static int release_gaps(struct repair *repair, const struct space_map *taken)
{
	uint64_t last = vhdx_space_map_end(taken);
	uint64_t at = 0;
	int ret = 0;

	while (!ret && at < last) {
		uint64_t start = vhdx_space_map_find(taken, at, false);
		uint64_t next = vhdx_space_map_find(taken, start, true);

		if (start >= last)
			break;
		ret = release(repair, start, next);
		at = next;
	}
	return ret;
}

int vhdx_mend_space(struct repair *repair, struct image *image)
{
	struct bat_counts counts;
	struct space_map taken = {0};
	bool doubt = image->has_fault || image->is_locked;

	if (doubt || image->log_state != VHDX_LOG_CLEAN || !(image->known & VHDX_KNOWN_GEOMETRY) ||
	    !repair->io->punch || !repair->io->next_data ||
	    repair_may(repair, VHDX_REPAIR_NO_HOLES))
		return 0;
	image->finding = note_fault;
	image->opaque = &doubt;
	int ret = vhdx_check_bat(image, NULL, NULL, &counts, &taken);

	if (!ret && !doubt)
		ret = release_gaps(repair, &taken);
	vhdx_space_map_free(&taken);
	return ret;
}
