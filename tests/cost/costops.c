/* SPDX-License-Identifier: MIT */
/*
 * costops OPERATION: one of the operations whose instructions instructions.py counts, on storage in memory and in
 * one thread. Only what measured() calls is counted. costops --list names them; --build names what built it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/random.h"
#include "support/writestore.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

#define PAGE (4 * KIB)
#define SEED "cost"

/* What an operation works on. */
struct bench {
	struct write_store store;
	struct write_store other; /* what convert reads */
	struct vhdx *disk;	  /* open on the store */
	struct rng rng;
	uint64_t size;
};

static uint8_t buffer[1 << 20];

static void must(int ret)
{
	if (!ret)
		return;
	fprintf(stderr, "costops: %s\n", vhdx_last_error()->text);
	exit(1);
}

static struct vhdx_io storage(struct write_store *store)
{
	return write_store_io(store, STORE_BIT(STORE_NEXT_DATA));
}

static void create(struct bench *bench, uint64_t size, uint32_t block_size)
{
	struct vhdx_io io = storage(&bench->store);
	struct vhdx_create_options options = {
		.size = sizeof(options),
		.virtual_size = size,
		.block_size = block_size,
		.seed = SEED,
		.seed_size = sizeof(SEED),
	};

	must(vhdx_create_io(&io, &options));
	bench->size = size;
}

static void open_disk(struct bench *bench, uint32_t flags)
{
	struct vhdx_io io = storage(&bench->store);
	struct vhdx_open_options options = {.size = sizeof(options), .flags = flags};

	must(vhdx_open_io(&io, &options, &bench->disk));
}

static void close_disk(struct bench *bench)
{
	must(vhdx_close(bench->disk));
	bench->disk = NULL;
}

/* ---- Reads and overwrites of blocks that are there ---- */

#define REQUESTS 10000

static uint64_t random_page(struct bench *bench)
{
	return rng_below(&bench->rng, bench->size / PAGE) * PAGE;
}

static void set_up_present(struct bench *bench)
{
	create(bench, GIB, 2 * MIB);
	open_disk(bench, VHDX_OPEN_WRITE);
	for (uint64_t at = 0; at < bench->size; at += 2 * MIB)
		must(vhdx_pwrite(bench->disk, buffer, PAGE, at, 0));
	must(vhdx_flush(bench->disk));
}

static void read_pages(struct bench *bench)
{
	for (int i = 0; i < REQUESTS; i++)
		must(vhdx_pread(bench->disk, buffer, PAGE, random_page(bench)));
}

static void overwrite_pages(struct bench *bench)
{
	for (int i = 0; i < REQUESTS; i++)
		must(vhdx_pwrite(bench->disk, buffer, PAGE, random_page(bench), 0));
}

/* ---- Writes that allocate, and the commits that make them durable ---- */

#define ALLOCATIONS	1000
#define WRITES_OF_FLUSH 10

static void set_up_empty(struct bench *bench)
{
	create(bench, 4096 * GIB, MIB);
	open_disk(bench, VHDX_OPEN_WRITE);
}

static void allocate(struct bench *bench)
{
	for (int i = 0; i < ALLOCATIONS; i++) {
		must(vhdx_pwrite(bench->disk, buffer, PAGE, random_page(bench), 0));
		if (i % WRITES_OF_FLUSH == WRITES_OF_FLUSH - 1)
			must(vhdx_flush(bench->disk));
	}
	close_disk(bench);
}

/* ---- Many blocks: open, map, check, close ---- */

#define BLOCKS		  100000
#define BLOCKS_OF_CHUNK	  4096 /* F 6.2, of blocks of 1 MiB and sectors of 512 bytes */
#define STEP		  7919 /* apart in the file are blocks that are neighbours on the disk */
#define FULLY_PRESENT	  6    /* F 6.3 */
#define EXTENTS_AT_A_TIME 256

/* Blocks are put into the BAT by hand: writing them takes longer than all that is counted. */
static void set_up_many(struct bench *bench)
{
	struct vhdx_info info = {.size = sizeof(info)};

	create(bench, BLOCKS * MIB, MIB);
	open_disk(bench, 0);
	must(vhdx_get_info(bench->disk, &info));

	uint64_t first = (info.file_size + MIB - 1) / MIB;

	for (uint64_t block = 0; block < BLOCKS; block++) {
		uint64_t place = first + block * STEP % BLOCKS;
		uint64_t entry = place * MIB | FULLY_PRESENT;
		uint8_t bytes[8];

		for (unsigned i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(entry >> 8 * i);
		sparse_write(&bench->store.bytes, bytes, sizeof(bytes),
			     info.bat_offset + 8 * (block + block / BLOCKS_OF_CHUNK));
	}
	sparse_resize(&bench->store.bytes, (first + BLOCKS) * MIB);
	close_disk(bench);
}

static void map(struct bench *bench)
{
	static struct vhdx_extent extents[EXTENTS_AT_A_TIME];
	uint64_t seen = 0;

	for (uint64_t at = 0; at < bench->size;) {
		size_t count = EXTENTS_AT_A_TIME;

		must(vhdx_extents(bench->disk, at, bench->size - at, 0, extents, &count));
		at = extents[count - 1].offset + extents[count - 1].length;
		seen += count;
	}
	if (seen != BLOCKS) {
		fprintf(stderr, "costops: %ju extents\n", (uintmax_t)seen);
		exit(1);
	}
}

static void map_and_check(struct bench *bench)
{
	struct vhdx_check_options options = {.size = sizeof(options)};
	struct vhdx_check_result result = {.size = sizeof(result)};

	open_disk(bench, VHDX_OPEN_EXAMINE);
	map(bench);
	must(vhdx_check(bench->disk, &options, &result));
	close_disk(bench);
	if (result.present != BLOCKS || result.damages || result.leaks) {
		fprintf(stderr, "costops: the image is not sound\n");
		exit(1);
	}
}

/* ---- Convert ---- */

#define CONTENTS (64 * MIB)

/* Every other 128 KiB are zeros, and the third quarter is. */
static void set_up_contents(struct bench *bench)
{
	rng_fill(&bench->rng, buffer, 128 * KIB);
	for (uint64_t at = 0; at < CONTENTS; at += 256 * KIB)
		if (at / (CONTENTS / 4) != 2)
			sparse_write(&bench->other.bytes, buffer, 128 * KIB, at);
	sparse_resize(&bench->other.bytes, CONTENTS);
}

static void convert(struct bench *bench)
{
	struct vhdx_io from = storage(&bench->other);
	struct vhdx_io to = storage(&bench->store);
	struct vhdx_create_options make = {
		.size = sizeof(make),
		.block_size = MIB,
		.seed = SEED,
		.seed_size = sizeof(SEED),
	};
	struct vhdx_source source = {.size = sizeof(source), .io = &from};
	struct vhdx_destination destination = {
		.size = sizeof(destination),
		.format = VHDX_FORMAT_VHDX,
		.io = &to,
		.create = &make,
	};
	struct vhdx_convert_options options = {.size = sizeof(options), .threads = 1};

	must(vhdx_convert(&source, &destination, &options));

	/* And back. */
	open_disk(bench, 0);
	source = (struct vhdx_source){.size = sizeof(source), .disk = bench->disk};
	destination = (struct vhdx_destination){
		.size = sizeof(destination),
		.format = VHDX_FORMAT_RAW,
		.io = &from,
	};
	must(vhdx_convert(&source, &destination, &options));
	close_disk(bench);
}

/* ---- The table ---- */

static const struct operation {
	const char *name;
	void (*set_up)(struct bench *bench);
	void (*run)(struct bench *bench);
} operations[] = {
	{"read", set_up_present, read_pages},	    {"overwrite", set_up_present, overwrite_pages},
	{"allocate-flush", set_up_empty, allocate}, {"map-check", set_up_many, map_and_check},
	{"convert", set_up_contents, convert},
};

#define OPERATIONS (sizeof(operations) / sizeof(*operations))

/* Known to instructions.py by its name, which it would lose if it were static. */
void measured(const struct operation *operation, struct bench *bench);

__attribute__((noinline)) void measured(const struct operation *operation, struct bench *bench)
{
	operation->run(bench);
}

static int run(const char *name)
{
	static struct bench bench;

	for (size_t i = 0; i < OPERATIONS; i++) {
		if (strcmp(operations[i].name, name) != 0)
			continue;
		bench.rng = rng_make(1);
		write_store_init(&bench.store);
		write_store_init(&bench.other);
		operations[i].set_up(&bench);
		measured(&operations[i], &bench);
		if (bench.disk)
			close_disk(&bench);
		write_store_free(&bench.store);
		write_store_free(&bench.other);
		return 0;
	}
	fprintf(stderr, "costops: no operation %s\n", name);
	return 2;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: costops OPERATION | --list | --build\n");
		return 2;
	}
	if (!strcmp(argv[1], "--build")) {
		puts(COST_BUILD);
		return 0;
	}
	if (strcmp(argv[1], "--list") != 0)
		return run(argv[1]);
	for (size_t i = 0; i < OPERATIONS; i++)
		puts(operations[i].name);
	return 0;
}
