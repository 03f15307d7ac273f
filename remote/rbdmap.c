/* SPDX-License-Identifier: MIT */
/*
 * Where an RBD image holds data, asked of a window of objects at a time. With a valid object map that is a look at the
 * map, which is loaded for each; else each object is asked.
 */
#include <errno.h>
#include <stdlib.h>

#include "rbdimage.h"
#include "rbdmap.h"

/* Short enough that a window is asked for in much less than the shortest time-out. */
#define WINDOW_OBJECTS	    ((uint64_t)1 << 10)
#define FAST_WINDOW_OBJECTS ((uint64_t)1 << 20)

struct question {
	struct rbdimage *image;
	struct rangemap *map;
	struct task *task;
	uint64_t start;
	uint64_t end;
	bool is_full; /* the map is: what it holds counts */
};

/* Parts come in order; what was told already is not told twice. */
static int take_part(uint64_t offset, size_t length, int exists, void *opaque)
{
	struct question *question = opaque;
	struct rangemap *map = question->map;
	uint64_t known = rangemap_end(map);
	uint64_t end = offset + length < question->end ? offset + length : question->end;

	if (!task_beat(question->task))
		return -ECANCELED;
	if (!exists || end <= known)
		return 0;
	if (offset > known && !rangemap_add(map, offset - known, false))
		question->is_full = true;
	else if (!rangemap_add(map, end - rangemap_end(map), true))
		question->is_full = true;
	return question->is_full ? -ENOBUFS : 0;
}

static int ask(struct task *task, void *opaque)
{
	struct question *question = opaque;
	const struct rbdimage *image = question->image;
	uint64_t length = question->end - question->start;

	question->task = task;
	int ret = rbd.diff_iterate2(image->image, NULL, question->start, length, 1,
				    image->tells_fast, take_part, question);

	if (question->is_full)
		return 0;
	uint64_t known = rangemap_end(question->map);

	if (!ret && known < question->end)
		question->is_full = !rangemap_add(question->map, question->end - known, false);
	return ret;
}

/* Windows begin and end with whole objects: of a part of one, some versions of librbd tell too little. */
int rbdmap_ask(void *opaque, struct rangemap *map, uint64_t offset)
{
	struct rbdimage *image = opaque;
	struct question *question = calloc(1, sizeof(*question));
	uint64_t window =
		image->object_size * (image->tells_fast ? FAST_WINDOW_OBJECTS : WINDOW_OBJECTS);
	uint64_t periods = window / image->period ? window / image->period : 1;

	if (!question)
		return -ENOMEM;
	question->image = image;
	question->map = map;
	question->start = offset - offset % image->period;
	question->end = map->size;
	if (question->end - question->start > periods * image->period)
		question->end = question->start + periods * image->period;
	rangemap_restart(map, question->start);
	int ret = patience_call(&image->link.patience, ask, question);

	if (patience_lost(&image->link.patience))
		return ret ? ret : -ETIMEDOUT;
	/* Where it cannot be told there may be data. */
	if (ret && ret != -ECANCELED) {
		rangemap_restart(map, question->start);
		rangemap_add(map, question->end - question->start, true);
		ret = 0;
	}
	free(question);
	return ret;
}
