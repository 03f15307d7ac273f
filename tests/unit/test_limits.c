/* SPDX-License-Identifier: MIT */
/* Logs and chains that ask for more memory than they may have: a precise error, before it is taken. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ondisk.h"
#include "meta/replay.h"
#include "store/io.h"
#include "support/alloc.h"
#include "support/log.h"
#include "support/store.h"
#include "support/unit.h"

#define MOST_MEMORY ((size_t)64 << 20)

/* A log of 32 MiB at 1 MiB, in a file of 64 MiB, with one entry of @count changes, all zeros. */
static void make_log(struct sparse *file, struct log_place *place, uint32_t count)
{
	struct log_change_spec *changes = calloc(count, sizeof(*changes));
	struct log_entry_spec spec = {.sequence = 1, .flushed = 64 * MIB, .last = 64 * MIB};
	uint8_t *bytes;

	*place = (struct log_place){.offset = MIB, .length = 32 * MIB};
	put_guid(place->guid.bytes, "e6fc743c-81ed-4fe8-bf54-698ed57ba0b8");
	memcpy(spec.guid, place->guid.bytes, 16);
	for (uint32_t i = 0; i < count; i++)
		changes[i] = (struct log_change_spec){.target = 40 * MIB, .length = 4096};
	size_t size = log_entry_make(&spec, changes, count, &bytes);

	sparse_resize(file, 64 * MIB);
	log_put(file, (struct area){MIB, 32 * MIB}, 0, bytes, size);
	free(bytes);
	free(changes);
}

static int replay(struct sparse *file, const struct log_place *place, struct fault *ret_fault)
{
	struct test_store store = {.bytes = file};
	struct vhdx_io io = test_store_io(&store, true);
	struct vhdx_io view = {0};
	struct log_scan scan;
	uint64_t size;

	alloc_reset_peak();
	assert_int_equal(vhdx_log_scan(&io, place, &scan), 0);
	assert_int_equal(scan.active_count, 1);
	int ret = vhdx_replay_view(&io, file->size, place, &scan, &view, &size, ret_fault);

	vhdx_log_scan_free(&scan);
	vhdx_io_close(&view);
	assert_true(alloc_peak() < MOST_MEMORY);
	return ret;
}

static void test_a_log_of_262144_changes_is_replayed_and_one_more_is_not(void **state)
{
	struct sparse file = {0};
	struct log_place place;
	struct fault fault = {0};

	(void)state;
	make_log(&file, &place, MAX_LOG_CHANGES);
	assert_int_equal(replay(&file, &place, &fault), 0);
	sparse_free(&file);
	make_log(&file, &place, MAX_LOG_CHANGES + 1);
	assert_int_equal(replay(&file, &place, &fault), -EUCLEAN);
	assert_int_equal(fault.problem, PROBLEM_LOG_TOO_LARGE);
	sparse_free(&file);
}

/* A disk whose log holds as many changes as 1 MiB can; they change nothing. */
static void make_layer(struct chain *chain)
{
	uint32_t count = 30000;
	struct layer *layer = &chain->layers[0];
	struct log_change_spec *changes = calloc(count, sizeof(*changes));
	uint64_t end = round_up(layer->file.size, MIB);
	struct log_entry_spec spec = {
		.guid = "one session", .sequence = 1, .flushed = end, .last = end + MIB};
	uint8_t *bytes;

	for (uint32_t i = 0; i < count; i++)
		changes[i] = (struct log_change_spec){.target = end, .length = 4096};
	size_t size = log_entry_make(&spec, changes, count, &bytes);

	assert_true(size <= layer->log.length);
	log_put(&layer->file, layer->log, 0, bytes, size);
	sparse_resize(&layer->file, end + MIB);
	for (unsigned slot = 0; slot < 2; slot++)
		sparse_write(&layer->file, spec.guid, 16,
			     header_offset(slot) + offsetof(struct header_disk, log_guid));
	image_mend_checksums(&layer->file, 0, 0);
	free(bytes);
	free(changes);
}

static bool is_clean_child(const struct chain *chain)
{
	return chain->depth == 2 && !chain->layers[0].is_dirty;
}

/* The child is its own parent, for ever. */
static int open_same_child(void *opaque, const char *child, const char *key, const char *path,
			   struct vhdx_io *ret_io)
{
	(void)child;
	(void)key;
	(void)path;
	*ret_io = test_store_io(opaque, true);
	return 0;
}

static void test_a_chain_whose_metadata_take_too_much_is_refused(void **state)
{
	struct chain chain = {0};
	struct test_store store = {.bytes = &chain.layers[0].file};
	struct vhdx_io io = test_store_io(&store, true);
	struct vhdx_open_options options = {.size = sizeof(options),
					    .flags = VHDX_OPEN_IGNORE_ID_MISMATCH,
					    .open_parent = open_same_child,
					    .opaque = &store};
	struct vhdx *disk = NULL;

	(void)state;
	chain_make_until(2, is_clean_child, &chain);
	make_layer(&chain);
	alloc_reset_peak();
	assert_int_equal(vhdx_open_io(&io, &options, &disk), -EUCLEAN);
	assert_int_equal(vhdx_last_error()->problem, PROBLEM_CHAIN_MEMORY);
	assert_true(alloc_peak() < MOST_MEMORY);
	chain_free(&chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_log_of_262144_changes_is_replayed_and_one_more_is_not),
		cmocka_unit_test(test_a_chain_whose_metadata_take_too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
