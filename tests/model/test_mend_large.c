/* SPDX-License-Identifier: MIT */
/* A disk of 64 TiB each entry of whose BAT is damaged is mended within bounds of memory. */
#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "support/alloc.h"
#include "support/fixture.h"
#include "support/scratch.h"

#define BAT_AT	    (16 * T_MIB)
#define BAT_LENGTH  (513 * T_MIB)
#define BLOCKS_AT   (1024 * T_MIB)
#define MOST_MEMORY ((size_t)64 << 20)

/* What is there before the BAT lies in the layer; the BAT is computed, and all behind it is zeros. */
struct large {
	struct layer layer;
	uint64_t blocks;
	uint64_t told;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x7fb5d329728ea185;
	return x ^ x >> 29;
}

/* Each entry has a fault, or shares its space with the next one. */
static uint64_t entry_at(const struct large *large, uint64_t index)
{
	uint64_t block = index - index / 4097;
	uint64_t place = BLOCKS_AT + block * T_MIB;

	if (block >= large->blocks)
		return 0;
	if (index % 4097 == 4096)
		return T_MIB | 6; /* a bitmap, on a disk without a parent */
	switch (mix(block / 2) % 8) {
	case 0:
		return place | 0x10 | 6;
	case 1:
		return place | 4;
	case 2:
		return place | 5;
	case 3:
		return place | 7;
	case 4:
		return place | 2;
	case 5:
		return (place + 128 * T_TIB) | 6;
	default:
		return (BLOCKS_AT + block / 2 * 2 * T_MIB) | 6;
	}
}

static void read_bat(const struct large *large, uint8_t *out, uint64_t offset, size_t size)
{
	for (size_t i = 0; i < size;) {
		uint8_t bytes[8];
		size_t skip = (offset + i) % 8;
		size_t part = 8 - skip < size - i ? 8 - skip : size - i;

		put_number(bytes, entry_at(large, (offset + i - BAT_AT) / 8), 8);
		memcpy(out + i, bytes + skip, part);
		i += part;
	}
}

static ssize_t large_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct large *large = opaque;
	size_t size = iov[0].iov_len;
	uint64_t end = offset < BAT_AT		      ? BAT_AT
		       : offset < BAT_AT + BAT_LENGTH ? BAT_AT + BAT_LENGTH
						      : UINT64_MAX;

	(void)iovcnt;
	if (size > end - offset)
		size = (size_t)(end - offset);
	if (offset < BAT_AT)
		sparse_read(&large->layer.file, iov[0].iov_base, size, offset);
	else if (offset < BAT_AT + BAT_LENGTH)
		read_bat(large, iov[0].iov_base, offset, size);
	else
		memset(iov[0].iov_base, 0, size);
	return (ssize_t)size;
}

static int large_get_size(void *opaque, uint64_t *ret_size)
{
	const struct large *large = opaque;

	*ret_size = BLOCKS_AT + large->blocks * T_MIB;
	return 0;
}

static int large_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	(void)opaque;
	if (offset >= BAT_AT + BAT_LENGTH)
		return -ENXIO;
	*ret_start = offset < 3 * T_MIB || offset >= BAT_AT ? offset : BAT_AT;
	*ret_end = *ret_start < BAT_AT ? 3 * T_MIB : BAT_AT + BAT_LENGTH;
	return 0;
}

/* ---- scratch storage that takes no memory ---- */

static ssize_t file_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	return preadv(*(int *)opaque, iov, iovcnt, (off_t)offset);
}

static ssize_t file_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	return pwritev(*(int *)opaque, iov, iovcnt, (off_t)offset);
}

static int file_flush(void *opaque)
{
	(void)opaque;
	return 0;
}

static int file_get_size(void *opaque, uint64_t *ret_size)
{
	struct stat st;

	if (fstat(*(int *)opaque, &st))
		return -errno;
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

static int file_set_size(void *opaque, uint64_t size)
{
	return ftruncate(*(int *)opaque, (off_t)size) ? -errno : 0;
}

static void count_told(void *opaque, const struct vhdx_finding *finding)
{
	struct large *large = opaque;

	(void)finding;
	large->told++;
}

static void make(struct large *large, uint64_t virtual_size)
{
	struct layer *layer = &large->layer;
	struct rng rng = rng_make(1);
	struct chain_style style = {.tidy = true};

	memset(large, 0, sizeof(*large));
	large->blocks = virtual_size / T_MIB;
	layer->virtual_size = virtual_size;
	layer->block_size = (uint32_t)T_MIB;
	layer->sector_size = 512;
	layer->physical_sector_size = 4096;
	layer->log = (struct area){T_MIB, T_MIB};
	layer->metadata = (struct area){2 * T_MIB, T_MIB};
	layer->bat = (struct area){BAT_AT, BAT_LENGTH};
	layer_write_metadata(&rng, &style, layer, NULL);
	layer_write_headers(&rng, &style, layer);
}

static void test_64_tib_of_damaged_entries_are_mended_within_64_mib(void **state)
{
	struct large large;
	int fd = open("scratch", O_RDWR | O_CREAT, 0600);
	struct vhdx_io io = {
		.size = sizeof(io),
		.opaque = &large,
		.preadv = large_preadv,
		.get_size = large_get_size,
		.next_data = large_next_data,
	};
	struct vhdx_io scratch = {
		.size = sizeof(scratch),
		.opaque = &fd,
		.preadv = file_preadv,
		.pwritev = file_pwritev,
		.flush = file_flush,
		.get_size = file_get_size,
		.set_size = file_set_size,
	};
	struct vhdx_repair_options options = {
		.size = sizeof(options),
		.flags = VHDX_REPAIR_DRY_RUN | VHDX_REPAIR_NO_HOLES,
		.mended = count_told,
		.opaque = &large,
		.scratch = &scratch,
	};
	struct vhdx_repair_result result = {.size = sizeof(result)};

	(void)state;
	make(&large, sampled(64 * T_TIB / T_MIB) * T_MIB);
	alloc_reset_peak();
	int ret = vhdx_repair_io(&io, "large.vhdx", &options, &result);

	if (ret)
		fail_msg("%d: %s", ret, vhdx_last_error()->text);
	assert_true(alloc_peak() < MOST_MEMORY);
	assert_true(result.mended >= large.blocks * 3 / 4);
	assert_true(large.told >= 1000 && large.told < 10000);
	assert_int_equal(result.left, 0);
	sparse_free(&large.layer.file);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_64_tib_of_damaged_entries_are_mended_within_64_mib),
	};

	return RUN_TESTS(tests);
}
