/* SPDX-License-Identifier: MIT */
/* The update of the headers (F 2.2): which slot, which number, and what is flushed before. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "meta/headers.h"
#include "support/bytes.h"
#include "support/recorder.h"
#include "support/unit.h"

/* A file of 4 MiB with two headers, of which the second is current. */
struct headers_case {
	struct sparse file;
	struct recorder recorder;
	struct vhdx_io io;
	struct image image;
	struct header contents;
};

static void put_header(struct headers_case *c, unsigned slot, uint64_t number)
{
	struct header header = {
		.sequence_number = number, .version = 1, .log_length = MIB, .log_offset = MIB};
	uint8_t disk[HEADER_SIZE];

	vhdx_header_encode(&header, disk, sizeof(disk));
	sparse_write(&c->file, disk, sizeof(disk), header_offset(slot));
}

static void load(struct headers_case *c)
{
	vhdx_image_free(&c->image);
	c->image = (struct image){
		.name = "disk.vhdx", .file = &c->io, .view = &c->io, .view_size = c->file.size};
	assert_int_equal(vhdx_image_load_headers(&c->image), 0);
	assert_int_not_equal(c->image.current, NO_HEADER);
	c->contents = c->image.headers[c->image.current];
}

static int make(void **state)
{
	struct headers_case *c = calloc(1, sizeof(*c));

	sparse_resize(&c->file, 4 * MIB);
	c->recorder.bytes = &c->file;
	c->io = recorder_io(&c->recorder);
	put_header(c, 0, 6);
	put_header(c, 1, 7);
	load(c);
	*state = c;
	return 0;
}

static int drop(void **state)
{
	struct headers_case *c = *state;

	vhdx_image_free(&c->image);
	recorder_clear(&c->recorder);
	sparse_free(&c->file);
	free(c);
	return 0;
}

static void assert_operation(const struct headers_case *c, size_t index, enum operation_kind kind,
			     uint64_t offset)
{
	assert_true(index < c->recorder.count);
	assert_int_equal(c->recorder.operations[index].kind, kind);
	assert_int_equal(c->recorder.operations[index].offset, offset);
}

static void test_the_slot_that_is_not_current_gets_the_next_number(void **state)
{
	struct headers_case *c = *state;

	assert_int_equal(vhdx_headers_update(&c->image, &c->contents), 0);
	assert_int_equal(c->recorder.count, 1);
	assert_operation(c, 0, OPERATION_WRITE, HEADER_1_OFFSET);
	assert_int_equal(c->recorder.operations[0].length, HEADER_SIZE);
	assert_int_equal(c->image.current, 0);
	load(c);
	assert_int_equal(c->image.current, 0);
	assert_int_equal(c->image.headers[0].sequence_number, 8);
	assert_int_equal(c->image.headers[1].sequence_number, 7);
}

static void test_contents_are_written_and_become_current(void **state)
{
	struct headers_case *c = *state;

	put_guid(c->contents.file_write_guid.bytes, "11111111-1111-1111-1111-111111111111");
	put_guid(c->contents.data_write_guid.bytes, "22222222-2222-2222-2222-222222222222");
	put_guid(c->contents.log_guid.bytes, "33333333-3333-3333-3333-333333333333");
	c->contents.log_length = 2 * MIB;
	c->contents.log_offset = 2 * MIB;
	c->contents.sequence_number = 99; /* is not taken from there */
	assert_int_equal(vhdx_headers_update(&c->image, &c->contents), 0);
	struct header written = c->image.headers[0];

	assert_true(header_is_valid(&written));
	assert_int_equal(c->image.log.offset, 2 * MIB);
	assert_memory_equal(&c->image.log.guid, &c->contents.log_guid, 16);
	load(c);
	assert_memory_equal(&c->image.headers[0], &written, sizeof(written));
	assert_int_equal(written.sequence_number, 8);
	assert_memory_equal(&written.file_write_guid, &c->contents.file_write_guid, 16);
	assert_memory_equal(&written.data_write_guid, &c->contents.data_write_guid, 16);
	assert_memory_equal(&written.log_guid, &c->contents.log_guid, 16);
	assert_int_equal(written.log_length, 2 * MIB);
	assert_int_equal(written.log_offset, 2 * MIB);
}

static void test_the_other_header_is_flushed_before_its_twin_is_written(void **state)
{
	struct headers_case *c = *state;

	for (int i = 0; i < 3; i++)
		assert_int_equal(vhdx_headers_update(&c->image, &c->contents), 0);
	assert_int_equal(c->recorder.count, 5);
	assert_operation(c, 0, OPERATION_WRITE, HEADER_1_OFFSET);
	assert_operation(c, 1, OPERATION_FLUSH, 0);
	assert_operation(c, 2, OPERATION_WRITE, HEADER_2_OFFSET);
	assert_operation(c, 3, OPERATION_FLUSH, 0);
	assert_operation(c, 4, OPERATION_WRITE, HEADER_1_OFFSET);
	assert_true(c->image.header_unflushed);
}

static void test_a_flush_in_between_is_not_repeated(void **state)
{
	struct headers_case *c = *state;

	assert_int_equal(vhdx_headers_update(&c->image, &c->contents), 0);
	assert_int_equal(vhdx_image_flush(&c->image), 0);
	assert_false(c->image.header_unflushed);
	assert_int_equal(c->image.flushed_size, 4 * MIB);
	assert_int_equal(vhdx_headers_update(&c->image, &c->contents), 0);
	assert_int_equal(recorder_count(&c->recorder, OPERATION_FLUSH), 1);
}

static void test_a_header_found_at_load_may_not_be_durable(void **state)
{
	struct headers_case *c = *state;
	struct image image;

	sparse_write(&c->file, IDENTIFIER_SIGNATURE, 8, IDENTIFIER_OFFSET);
	assert_int_equal(vhdx_image_load(&image, "disk.vhdx", &c->io, NULL, NULL), 0);
	assert_true(image.header_unflushed);
	assert_int_equal(image.flushed_size, 0);
	assert_int_equal(vhdx_headers_update(&image, &c->contents), 0);
	assert_operation(c, 0, OPERATION_FLUSH, 0);
	assert_operation(c, 1, OPERATION_WRITE, HEADER_1_OFFSET);
	vhdx_image_free(&image);
}

static void test_a_sequence_number_that_cannot_grow_is_refused(void **state)
{
	struct headers_case *c = *state;

	put_header(c, 0, UINT64_MAX);
	load(c);
	assert_int_equal(vhdx_headers_update(&c->image, &c->contents), -EUCLEAN);
	assert_int_equal(vhdx_last_error()->problem, PROBLEM_HEADER_SEQUENCE_END);
	assert_int_equal(c->recorder.count, 0);
	put_header(c, 0, UINT64_MAX - 1);
	load(c);
	assert_int_equal(vhdx_headers_update(&c->image, &c->contents), 0);
	assert_true(c->image.headers[1].sequence_number == UINT64_MAX);
}

static void test_a_failure_leaves_the_current_header_current(void **state)
{
	struct headers_case *c = *state;

	c->recorder.error = -EIO;
	assert_int_equal(vhdx_headers_update(&c->image, &c->contents), -EIO);
	assert_int_equal(c->image.current, 1);
	assert_int_equal(c->image.headers[1].sequence_number, 7);
	assert_false(c->image.header_unflushed);
	c->image.header_unflushed = true; /* so that it is the flush that fails */
	assert_int_equal(vhdx_headers_update(&c->image, &c->contents), -EIO);
	assert_non_null(strstr(vhdx_last_error()->text, "flush"));
	assert_true(c->image.header_unflushed);
	assert_int_equal(c->image.flushed_size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_the_slot_that_is_not_current_gets_the_next_number, make, drop),
		cmocka_unit_test_setup_teardown(test_contents_are_written_and_become_current, make,
						drop),
		cmocka_unit_test_setup_teardown(
			test_the_other_header_is_flushed_before_its_twin_is_written, make, drop),
		cmocka_unit_test_setup_teardown(test_a_flush_in_between_is_not_repeated, make,
						drop),
		cmocka_unit_test_setup_teardown(test_a_header_found_at_load_may_not_be_durable,
						make, drop),
		cmocka_unit_test_setup_teardown(test_a_sequence_number_that_cannot_grow_is_refused,
						make, drop),
		cmocka_unit_test_setup_teardown(test_a_failure_leaves_the_current_header_current,
						make, drop),
	};

	return RUN_TESTS(tests);
}
