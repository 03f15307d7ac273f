/* SPDX-License-Identifier: MIT */
/* vhdx_compare: two contents walked in step; what neither holds is not read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/zeros.h"
#include "ops/endpoint.h"
#include "base/options.h"

#define BUFFER_SIZE ((size_t)1024 * 1024)
/* Storage of the caller's own may be far away: much is asked for at once. */
#define FAR_BUFFER_SIZE ((size_t)4 * 1024 * 1024)
#define STRIDE		((size_t)4096)
#define NO_MORE		UINT64_MAX

struct side {
	struct source source;
	/* The range of data that holds or follows the place where the comparison is; NO_MORE: none. */
	uint64_t start;
	uint64_t end;
	uint8_t *buf;
};

struct comparison {
	struct side sides[2];
	struct vhdx_compare_options options;
	size_t buffer_size;
	uint64_t offset; /* all before is the same */
	bool differ;
};

static int advance(struct side *side, uint64_t offset)
{
	if (side->end > offset && offset < side->source.size)
		return 0;
	int ret = vhdx_source_next_data(&side->source, offset, side->source.size, &side->start,
					&side->end);

	if (ret == -ENXIO)
		side->start = side->end = NO_MORE;
	return ret == -ENXIO ? 0 : ret;
}

/* How far what this side holds, or does not hold, at @offset goes on. */
static uint64_t same_until(const struct side *side, uint64_t offset)
{
	return side->start > offset ? side->start : side->end;
}

/* A hole reads as zeros without being read. */
static int read_side(struct side *side, uint64_t offset, size_t size)
{
	size_t done;

	return side->start > offset
		       ? 0
		       : vhdx_source_read(&side->source, side->buf, size, offset, &done);
}

/* Place of the first byte that differs, or @size. @b NULL: zeros. */
static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t size)
{
	size_t at = 0;

	while (at < size) {
		size_t part = (size_t)min_u64(STRIDE, size - at);

		if (b ? memcmp(a + at, b + at, part) != 0 : !vhdx_is_zeros(a + at, part))
			break;
		at += part;
	}
	while (at < size && a[at] == (b ? b[at] : 0))
		at++;
	return at;
}

static int compare_piece(struct comparison *c, size_t size)
{
	struct side *a = &c->sides[0];
	struct side *b = &c->sides[1];
	bool a_holds = a->start <= c->offset;
	bool b_holds = b->start <= c->offset;
	int ret = read_side(a, c->offset, size);

	if (!ret)
		ret = read_side(b, c->offset, size);
	if (ret)
		return ret;
	size_t same = first_difference(a_holds ? a->buf : b->buf,
				       a_holds && b_holds ? b->buf : NULL, size);

	c->offset += same;
	c->differ = same < size;
	return 0;
}

static uint64_t known_size(const struct source *source)
{
	return source->size == SIZE_UNKNOWN ? 0 : source->size;
}

static int report(const struct comparison *c, uint64_t done)
{
	uint64_t total = max_u64(known_size(&c->sides[0].source), known_size(&c->sides[1].source));

	if (c->options.progress &&
	    c->options.progress(c->options.opaque, min_u64(done, total), total))
		return vhdx_fail(-ECANCELED, NO_PROBLEM, NULL, VHDX_NO_OFFSET, "stopped as asked");
	return 0;
}

static int report_idle(void *opaque)
{
	const struct comparison *c = opaque;

	return report(c, c->offset);
}

static int compare_all(struct comparison *c)
{
	for (int i = 0; i < 2; i++) {
		c->sides[i].source.stream.idle = report_idle;
		c->sides[i].source.stream.opaque = c;
	}

	struct side *a = &c->sides[0];
	struct side *b = &c->sides[1];
	int ret = 0;

	while (!c->differ) {
		ret = advance(a, c->offset);
		if (!ret)
			ret = advance(b, c->offset);
		if (ret || (a->start == NO_MORE && b->start == NO_MORE))
			break;
		c->offset = max_u64(c->offset, min_u64(a->start, b->start));
		uint64_t stop = min_u64(same_until(a, c->offset), same_until(b, c->offset));

		ret = compare_piece(c, (size_t)min_u64(stop - c->offset, c->buffer_size));
		if (!ret)
			ret = report(c, c->offset);
		if (ret)
			break;
	}
	return ret || c->differ ? ret : report(c, UINT64_MAX); /* what is left is holes */
}

static void give_result(const struct comparison *c, struct vhdx_difference *ret_difference)
{
	struct vhdx_difference result = {
		.size = ret_difference->size,
		.differ = c->differ,
		.a_size = c->sides[0].source.size,
		.b_size = c->sides[1].source.size,
	};

	result.offset = c->differ ? c->offset : min_u64(result.a_size, result.b_size);
	memcpy(ret_difference, &result, (size_t)min_u64(sizeof(result), result.size));
}

static bool is_own_storage(const struct source *source)
{
	return source->io.preadv && !source->owns_io;
}

static int run(struct comparison *c, struct vhdx_difference *ret_difference)
{
	bool is_far = is_own_storage(&c->sides[0].source) || is_own_storage(&c->sides[1].source);

	c->buffer_size = is_far ? FAR_BUFFER_SIZE : BUFFER_SIZE;
	auto_free uint8_t *a_buf = malloc(c->buffer_size);
	auto_free uint8_t *b_buf = malloc(c->buffer_size);

	if (!a_buf || !b_buf)
		return vhdx_fail_memory();
	c->sides[0].buf = a_buf;
	c->sides[1].buf = b_buf;
	int ret = compare_all(c);

	if (!ret)
		give_result(c, ret_difference);
	return ret;
}

int vhdx_compare(const struct vhdx_source *a, const struct vhdx_source *b,
		 const struct vhdx_compare_options *options, struct vhdx_difference *ret_difference)
{
	struct comparison c = {.offset = 0};

	if (!ret_difference || ret_difference->size < sizeof(ret_difference->size))
		return vhdx_fail_argument("vhdx_difference: missing, or its size is not set");
	int ret =
		vhdx_adopt_options(options, "vhdx_compare_options", sizeof(c.options), &c.options);

	if (!ret)
		ret = vhdx_source_open(a, false, &c.sides[0].source);
	if (ret)
		return ret;
	ret = vhdx_source_open(b, false, &c.sides[1].source);
	if (!ret) {
		ret = run(&c, ret_difference);
		vhdx_source_close(&c.sides[1].source);
	}
	vhdx_source_close(&c.sides[0].source);
	return ret;
}
