/* SPDX-License-Identifier: MIT */
/* Whether the replay of a log would change anything that is read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arith.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "ops/logeffect.h"
#include "store/io.h"

#define PIECE_SIZE (64 * KIB)

/* More is not compared to tell whether a replay changes something: it does, then. */
#define MAX_COMPARED (256 * MIB)

#define DIFFERS 1

struct comparison {
	struct log_effect *effect;
	const struct vhdx_io *view;
	uint8_t *pieces[2];
};

static int compare_range(const struct comparison *comparison, uint64_t offset, uint64_t end)
{
	struct log_effect *effect = comparison->effect;

	while (offset < end) {
		size_t size = (size_t)min_u64(PIECE_SIZE, end - offset);

		effect->compared += size;
		if (effect->compared > MAX_COMPARED)
			return DIFFERS;
		int ret = vhdx_io_read(effect->file, comparison->pieces[0], size, offset);

		if (!ret)
			ret = vhdx_io_read(comparison->view, comparison->pieces[1], size, offset);
		if (ret)
			return vhdx_fail_io(ret, effect->name, offset,
					    "cannot be read for its log");
		if (memcmp(comparison->pieces[0], comparison->pieces[1], size) != 0)
			return DIFFERS;
		offset += size;
	}
	return 0;
}

/* Zeros over what the file does not hold change nothing; a later page over them is compared for itself. */
static int compare_change(void *opaque, const struct logged_change *change)
{
	const struct comparison *comparison = opaque;
	uint64_t offset = change->descriptor.file_offset;
	uint64_t end = offset + change->descriptor.length;
	uint64_t data_end;
	int ret = 0;

	if (!change->descriptor.is_zero)
		return compare_range(comparison, offset, end);
	for (; !ret && offset < end; offset = data_end) {
		ret = vhdx_io_next_data(comparison->effect->file, offset, end, &offset, &data_end);
		if (ret == -ENXIO)
			return 0;
		if (!ret)
			ret = compare_range(comparison, offset, data_end);
	}
	return ret;
}

int vhdx_log_changes_anything(struct log_effect *effect, const struct vhdx_io *view,
			      const struct log_place *session, const struct log_scan *scan)
{
	auto_free uint8_t *pieces = malloc(2 * PIECE_SIZE);
	struct log_reader reader;

	if (!pieces)
		return vhdx_fail_memory();
	struct comparison comparison = {effect, view, {pieces, pieces + PIECE_SIZE}};
	int ret = vhdx_log_reader_open(effect->file, session, &reader);

	if (ret)
		return ret;
	for (size_t i = 0; i < scan->active_count && !ret; i++)
		ret = vhdx_log_walk_changes(&reader, &scan->spans[scan->active[i]], compare_change,
					    &comparison);
	vhdx_log_reader_close(&reader);
	return ret;
}
