/* SPDX-License-Identifier: MIT */
/* Disks that a guest wrote, and what vhdx_salvage makes of the images that hold them. */
#ifndef TESTS_SUPPORT_GUESSCASE_H
#define TESTS_SUPPORT_GUESSCASE_H

#include "support/fixture.h"
#include "support/writestore.h"

enum table {
	TABLE_NONE,
	TABLE_MBR,
	TABLE_GPT,
};

/* A disk as its guest left it, the image that holds it, and what came of that. */
struct guessed {
	struct rng rng;
	struct write_store file;
	struct write_store output;
	struct sparse guest;
	struct vhdx_create_options create;
	struct vhdx_info info; /* of the image when it was right */
	struct vhdx_salvage_options options;
	struct vhdx_salvage_result result;
};

int guessed_make(void **state);
int guessed_free(void **state);

#define GUESS_TEST(name) cmocka_unit_test_setup_teardown(name, guessed_make, guessed_free)

/* A partition table at the disk's beginning; a GPT has its copy at the end. */
void guessed_write_table(struct guessed *g, struct vhdx *disk, enum table table);

/* A few bytes in each of those blocks, in that order. */
void guessed_write_blocks(struct guessed *g, struct vhdx *disk, const uint64_t *blocks,
			  size_t count);

/* Opens the image for writing. */
struct vhdx *guessed_open_image(struct guessed *g);

/* A new disk with a table and blocks. */
void guessed_make_disk(struct guessed *g, enum table table, const uint64_t *blocks, size_t count);

/* What is lost. */
void guessed_wipe(struct guessed *g, uint64_t offset, uint64_t length);
void guessed_wipe_metadata(struct guessed *g);
void guessed_wipe_bat(struct guessed *g);
void guessed_wipe_log(struct guessed *g);

/* Returns as vhdx_salvage_io; the second must succeed. */
int guessed_try_salvage(struct guessed *g);
void guessed_salvage(struct guessed *g);

/* The guest's bytes come out; behind the end of the output he has none. */
void guessed_check_contents(struct guessed *g);
void guessed_check_range(struct guessed *g, uint64_t offset, uint64_t length);

#endif
