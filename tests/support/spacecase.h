/* SPDX-License-Identifier: MIT */
/* A file whose space is handed out: 6 MiB, of which the first 4 are taken. */
#ifndef TESTS_SUPPORT_SPACECASE_H
#define TESTS_SUPPORT_SPACECASE_H

#include <errno.h>
#include <stdlib.h>

#include "support/recorder.h"
#include "support/unit.h"
#include "vdisk/space.h"

#define FIRST_SIZE (6 * MIB)
#define STEP	   (32 * MIB) /* of growth, with blocks of up to 4 MiB */

struct space_case {
	struct sparse file;
	struct recorder recorder;
	struct vhdx_io io;
	uint64_t capacity; /* a larger size is no space; 0: any */
	struct image image;
	struct journal journal;
	struct space space;
};

static struct space_case *the_case; /* whose capacity the storage has */

static inline int set_size_within(void *opaque, uint64_t size)
{
	struct vhdx_io io = recorder_io(opaque);

	if (the_case->capacity && size > the_case->capacity)
		return -ENOSPC;
	return io.set_size(opaque, size);
}

static inline int make(void **state)
{
	struct space_case *c = calloc(1, sizeof(*c));

	sparse_resize(&c->file, FIRST_SIZE);
	c->recorder.bytes = &c->file;
	c->io = recorder_io(&c->recorder);
	c->io.set_size = set_size_within;
	c->image.name = "disk.vhdx";
	c->image.file = c->image.view = &c->io;
	c->image.parameters.block_size = 2 * MIB;
	the_case = c;
	*state = c;
	return 0;
}

static inline int drop(void **state)
{
	struct space_case *c = *state;

	vhdx_space_destroy(&c->space);
	recorder_clear(&c->recorder);
	sparse_free(&c->file);
	free(c);
	return 0;
}

static inline int init(struct space_case *c, bool no_holes)
{
	struct space_map taken;

	image_set_view_size(&c->image, c->file.size);
	assert_int_equal(vhdx_space_map_init(&taken, round_up(c->file.size, MIB)), 0);
	vhdx_space_map_mark(&taken, 0, 4 * MIB, NULL);
	int ret = vhdx_space_init(&c->space, &c->image, &c->journal, no_holes, &taken);

	assert_null(taken.words);
	return ret;
}

static inline void begin(struct space_case *c)
{
	assert_int_equal(init(c, false), 0);
}

static inline struct place take(struct space_case *c, uint64_t length)
{
	struct place place = {0};

	assert_int_equal(vhdx_space_take(&c->space, length, &place), 0);
	assert_int_equal(place.length, length);
	return place;
}

static inline void expect(struct space_case *c, uint64_t length, uint64_t offset, bool fresh)
{
	struct place place = take(c, length);

	assert_int_equal(place.offset, offset);
	assert_int_equal(place.fresh, fresh);
}

static inline void free_place(struct space_case *c, uint64_t offset, uint64_t length,
			      uint64_t number, bool fresh)
{
	struct freed *freed = malloc(sizeof(*freed));

	*freed = (struct freed){.offset = offset, .length = length, .fresh = fresh};
	vhdx_space_free(&c->space, freed, number);
}

static inline void set_durable(struct space_case *c, uint64_t number)
{
	atomic_store(&c->journal.durable, number);
}

#endif
