/* SPDX-License-Identifier: MIT */
/* vhdx_compare: are two contents the same, and where do they first differ? */
#include <string.h>

#include "base/error.h"
#include "base/options.h"
#include "ops/differ.h"

/* No failure, so none of the errors. */
#define FOUND 1

static int stop_at_first(void *opaque, uint64_t offset, uint64_t length, const void *bytes)
{
	uint64_t *ret_offset = opaque;

	(void)length;
	(void)bytes;
	*ret_offset = offset;
	return FOUND;
}

static void give_result(const struct source *a, const struct source *b, bool differ,
			uint64_t offset, struct vhdx_difference *ret_difference)
{
	struct vhdx_difference result = {
		.size = ret_difference->size,
		.differ = differ,
		.offset = differ ? offset : min_u64(a->size, b->size),
		.a_size = a->size,
		.b_size = b->size,
	};

	memcpy(ret_difference, &result, (size_t)min_u64(sizeof(result), result.size));
}

static int compare_sources(struct source *a, struct source *b,
			   const struct vhdx_compare_options *options,
			   struct vhdx_difference *ret_difference)
{
	uint64_t offset = 0;
	struct differ differ = {
		.first = a,
		.second = b,
		.sector_size = 1,
		.end = UINT64_MAX,
		.found = stop_at_first,
		.opaque = &offset,
		.progress = options->progress,
		.progress_opaque = options->opaque,
	};
	int ret = vhdx_differ(&differ);

	if (ret < 0)
		return ret;
	give_result(a, b, ret == FOUND, offset, ret_difference);
	return 0;
}

int vhdx_compare(const struct vhdx_source *a, const struct vhdx_source *b,
		 const struct vhdx_compare_options *options, struct vhdx_difference *ret_difference)
{
	struct vhdx_compare_options own;
	struct source a_source, b_source;

	if (!ret_difference || ret_difference->size < sizeof(ret_difference->size))
		return vhdx_fail_argument("vhdx_difference: missing, or its size is not set");
	int ret = vhdx_adopt_options(options, "vhdx_compare_options", sizeof(own), &own);

	if (!ret)
		ret = vhdx_source_open(a, false, &a_source);
	if (ret)
		return ret;
	ret = vhdx_source_open(b, false, &b_source);
	if (!ret) {
		ret = compare_sources(&a_source, &b_source, &own, ret_difference);
		vhdx_source_close(&b_source);
	}
	vhdx_source_close(&a_source);
	return ret;
}
