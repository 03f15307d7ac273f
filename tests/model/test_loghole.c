/* SPDX-License-Identifier: MIT */
/* A chain whose images each have a log of 1 GiB with a single entry in it: its holes are not read. */
#include <stdlib.h>
#include <string.h>

#include "support/fixture.h"
#include "support/log.h"

#define LOG_GUID "e6fc743c-81ed-4fe8-bf54-698ed57ba0b8"

static struct chain chain;
static struct fixture fixture;

/* Three images, with no log to replay so far. */
static bool is_deep_and_clean(const struct chain *made)
{
	for (unsigned i = 0; i < made->depth; i++)
		if (made->layers[i].is_dirty)
			return false;
	return made->depth == 3;
}

static int make_chain(void **state)
{
	(void)state;
	chain_make_until(3, is_deep_and_clean, &chain);
	return 0;
}

static int drop_chain(void **state)
{
	(void)state;
	chain_free(&chain);
	return 0;
}

/* An entry in the middle of the log, which puts a page of the BAT where it is already. */
static void put_entry(struct sparse *file, struct area log, uint64_t target)
{
	uint8_t page[4096];
	uint8_t *bytes;
	struct log_entry_spec spec = {.tail = (uint32_t)log.length / 2,
				      .sequence = 7,
				      .flushed = log.offset + log.length,
				      .last = log.offset + log.length};
	struct log_change_spec change = {target, 0, page};

	put_guid(spec.guid, LOG_GUID);
	sparse_read(file, page, sizeof(page), target);
	size_t size = log_entry_make(&spec, &change, 1, &bytes);

	log_put(file, log, spec.tail, bytes, size);
	free(bytes);
}

/* Moves the log behind all else, and gives it something to replay. */
static void give_log(struct layer *layer)
{
	struct sparse *file = &layer->file;
	struct area log = {(file->size + T_MIB - 1) / T_MIB * T_MIB, T_GIB};

	sparse_resize(file, log.offset + log.length);
	put_entry(file, log, layer->bat.offset);
	for (uint64_t at = 64 * T_KIB; at <= 128 * T_KIB; at += 64 * T_KIB) {
		uint8_t guid[16];
		uint8_t place[12];

		put_guid(guid, LOG_GUID);
		put_number(place, log.length, 4);
		put_number(place + 4, log.offset, 8);
		sparse_write(file, guid, sizeof(guid), at + 48);
		sparse_write(file, place, sizeof(place), at + 68);
	}
	image_mend_checksums(file, 0, 0);
}

static void test_holes_of_logs_are_not_read(void **state)
{
	uint64_t read_bytes = 0;
	struct vhdx *disk;

	(void)state;
	for (unsigned i = 0; i < chain.depth; i++)
		give_log(&chain.layers[i]);
	fixture_init(&fixture, &chain, true);
	assert_int_equal(fixture_open(&fixture, 0, &disk), 0);
	for (struct vhdx *each = disk; each; each = vhdx_get_parent(each)) {
		struct vhdx_info info = {.size = sizeof(info)};

		assert_int_equal(vhdx_get_info(each, &info), 0);
		assert_int_equal(info.log_state, VHDX_LOG_DIRTY);
		assert_int_equal(info.log_length, T_GIB);
	}
	for (unsigned i = 0; i < chain.depth; i++)
		read_bytes += fixture.stores[i].read_bytes;
	assert_true(read_bytes <= 8 * T_MIB);
	vhdx_close(disk);
	fixture_check_unchanged(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_holes_of_logs_are_not_read, make_chain,
						drop_chain),
	};

	return RUN_TESTS(tests);
}
