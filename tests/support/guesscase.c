/* SPDX-License-Identifier: MIT */
/* Disks that a guest wrote, and what vhdx_salvage makes of the images that hold them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/ondisk.h"
#include "support/guesscase.h"

int guessed_make(void **state)
{
	struct guessed *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->rng = rng_make(1);
	write_store_init(&g->file);
	write_store_init(&g->output);
	g->create = (struct vhdx_create_options){
		.size = sizeof(g->create),
		.virtual_size = 60 * MIB + 512 * 8,
		.block_size = 2 * MIB,
		.logical_sector_size = 512,
	};
	g->options.size = sizeof(g->options);
	*state = g;
	return 0;
}

int guessed_free(void **state)
{
	struct guessed *g = *state;

	write_store_free(&g->file);
	write_store_free(&g->output);
	sparse_free(&g->guest);
	free(g);
	return 0;
}

/* ---- The disk ---- */

static void guest_write(struct guessed *g, struct vhdx *disk, const void *buf, size_t size,
			uint64_t offset)
{
	sparse_write(&g->guest, buf, size, offset);
	assert_int_equal(vhdx_pwrite(disk, buf, size, offset, 0), 0);
}

static void write_gpt(struct guessed *g, struct vhdx *disk, uint32_t sector)
{
	uint64_t last = g->create.virtual_size / sector - 1;
	uint8_t header[92] = "EFI PART";

	put_number(header + 12, sizeof(header), 4);
	put_number(header + 24, 1, 8);
	put_number(header + 32, last, 8);
	put_number(header + 48, last - 34, 8);
	guest_write(g, disk, header, sizeof(header), sector);
	put_number(header + 24, last, 8);
	put_number(header + 32, 1, 8);
	guest_write(g, disk, header, sizeof(header), last * sector);
}

void guessed_write_table(struct guessed *g, struct vhdx *disk, enum table table)
{
	uint8_t mbr[66] = {0, 0, 0, 0, table == TABLE_GPT ? 0xee : 0x07};

	if (table == TABLE_NONE)
		return;
	put_number(mbr + 8, table == TABLE_GPT ? 1 : 2048, 4);
	put_number(mbr + 12, (g->create.virtual_size - MIB) / 512, 4);
	put_number(mbr + 64, 0xaa55, 2);
	guest_write(g, disk, mbr, sizeof(mbr), 446);
	if (table == TABLE_GPT)
		write_gpt(g, disk, g->create.logical_sector_size);
}

/* A few bytes in each of those blocks, in that order; 0 is there already where there is a table. */
void guessed_write_blocks(struct guessed *g, struct vhdx *disk, const uint64_t *blocks,
			  size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[3000];
		uint64_t start = blocks[i] * g->create.block_size;
		uint64_t rest = min_u64(g->create.block_size, g->create.virtual_size - start);

		rng_fill(&g->rng, bytes, sizeof(bytes));
		guest_write(g, disk, bytes, sizeof(bytes),
			    start + (rest > 40000 ? 20000 + rng_below(&g->rng, rest - 40000) : 0));
	}
}

struct vhdx *guessed_open_image(struct guessed *g)
{
	struct vhdx_open_options how = {.size = sizeof(how), .flags = VHDX_OPEN_WRITE};
	struct vhdx_io io = write_store_io(&g->file, 0);
	struct vhdx *disk;

	how.flags |= VHDX_OPEN_NO_LOCK;
	assert_int_equal(vhdx_open_io(&io, &how, &disk), 0);
	return disk;
}

void guessed_make_disk(struct guessed *g, enum table table, const uint64_t *blocks, size_t count)
{
	struct vhdx_io io = write_store_io(&g->file, 0);

	assert_int_equal(vhdx_create_io(&io, &g->create), 0);
	sparse_resize(&g->guest, g->create.virtual_size);
	struct vhdx *disk = guessed_open_image(g);

	guessed_write_table(g, disk, table);
	guessed_write_blocks(g, disk, blocks, count);
	g->info.size = sizeof(g->info);
	assert_int_equal(vhdx_get_info(disk, &g->info), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

/* ---- Its ruin ---- */

void guessed_wipe(struct guessed *g, uint64_t offset, uint64_t length)
{
	sparse_zero(&g->file.bytes, offset, length);
}

void guessed_wipe_metadata(struct guessed *g)
{
	guessed_wipe(g, g->info.metadata_offset, g->info.metadata_length);
}

void guessed_wipe_bat(struct guessed *g)
{
	guessed_wipe(g, g->info.bat_offset, g->info.bat_length);
}

void guessed_wipe_log(struct guessed *g)
{
	guessed_wipe(g, MIB, MIB);
}

int guessed_try_salvage(struct guessed *g)
{
	struct vhdx_io io = write_store_io(&g->file, 0);
	struct vhdx_io output = write_store_io(&g->output, 0);

	g->result.size = sizeof(g->result);
	return vhdx_salvage_io(&io, NULL, &output, &g->options, &g->result);
}

void guessed_salvage(struct guessed *g)
{
	int ret = guessed_try_salvage(g);

	if (ret)
		fail_msg("salvage: %d: %s", ret, vhdx_last_error()->text);
	assert_int_equal(g->output.bytes.size, g->result.virtual_size);
}

void guessed_check_range(struct guessed *g, uint64_t offset, uint64_t length)
{
	uint8_t a[4096];
	uint8_t b[4096];

	for (uint64_t at = offset; at < offset + length; at += sizeof(a)) {
		sparse_read(&g->guest, a, sizeof(a), at);
		sparse_read(&g->output.bytes, b, sizeof(b), at);
		if (memcmp(a, b, sizeof(a)) != 0)
			fail_msg("wrong at %#" PRIx64, at);
	}
}

void guessed_check_contents(struct guessed *g)
{
	guessed_check_range(g, 0, g->guest.size);
}
