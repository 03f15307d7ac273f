/* SPDX-License-Identifier: MIT */
/* What a writable open refuses, what it locks, and that it changes nothing but by a replay. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/ondisk.h"
#include "support/image.h"
#include "support/log.h"
#include "support/recorder.h"
#include "support/unit.h"

#define LOG_GUID "e6fc743c-81ed-4fe8-bf54-698ed57ba0b8"

/* A dynamic disk of 8 MiB, as the library makes it: its log is the second MiB. */
struct writable_case {
	struct sparse file;
	struct recorder recorder;
	struct vhdx_io io;
	char warning[256];
};

static int make(void **state)
{
	struct writable_case *c = calloc(1, sizeof(*c));
	struct vhdx_create_options options = {.size = sizeof(options), .virtual_size = 8 * MIB};

	c->recorder.bytes = &c->file;
	c->io = recorder_io(&c->recorder);
	assert_int_equal(vhdx_create_io(&c->io, &options), 0);
	recorder_clear(&c->recorder);
	*state = c;
	return 0;
}

static int drop(void **state)
{
	struct writable_case *c = *state;

	recorder_clear(&c->recorder);
	sparse_free(&c->file);
	free(c);
	return 0;
}

static void keep_warning(void *opaque, const char *file, const char *text)
{
	struct writable_case *c = opaque;

	(void)file;
	snprintf(c->warning, sizeof(c->warning), "%s", text);
}

static int open_writable(struct writable_case *c, uint32_t flags, struct vhdx **ret_disk)
{
	struct vhdx_open_options options = {.size = sizeof(options),
					    .flags = flags | VHDX_OPEN_WRITE,
					    .warning = keep_warning,
					    .opaque = c,
					    .name = "disk.vhdx"};

	return vhdx_open_io(&c->io, &options, ret_disk);
}

static void assert_opens(struct writable_case *c, uint32_t flags)
{
	struct vhdx *disk;

	assert_int_equal(open_writable(c, flags, &disk), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

/* The open fails before a byte is written, and says @text. */
static void assert_refused(struct writable_case *c, uint32_t flags, int error, unsigned problem,
			   const char *text)
{
	struct vhdx *disk = NULL;

	assert_int_equal(open_writable(c, flags, &disk), error);
	assert_null(disk);
	assert_int_equal(vhdx_last_error()->errnum, error);
	assert_int_equal(vhdx_last_error()->problem, problem);
	if (!strstr(vhdx_last_error()->text, text))
		fail_msg("\"%s\" does not say \"%s\"", vhdx_last_error()->text, text);
	assert_int_equal(c->recorder.count, 0);
}

/* Sets a field of both headers. */
static void set_in_headers(struct writable_case *c, uint64_t at, uint64_t value, unsigned size)
{
	uint8_t bytes[8];

	put_number(bytes, value, 8);
	for (unsigned slot = 0; slot < 2; slot++)
		sparse_write(&c->file, bytes, size, header_offset(slot) + at);
	image_mend_checksums(&c->file, 0, 0);
}

static void set_in_table(struct writable_case *c, uint64_t table, uint64_t at, uint64_t value,
			 unsigned size)
{
	uint8_t bytes[8];

	put_number(bytes, value, 8);
	sparse_write(&c->file, bytes, size, table + at);
	image_mend_checksums(&c->file, 0, 0);
}

/* An entry in the log that puts a page of zeros behind the BAT's used part. */
static void make_dirty(struct writable_case *c)
{
	static const uint8_t page[4096] = {[4095] = 1};
	struct log_entry_spec spec = {.sequence = 5, .flushed = MIB, .last = MIB};
	struct log_change_spec change = {.target = c->file.size - 4096, .page = page};
	uint8_t *bytes;

	put_guid(spec.guid, LOG_GUID);
	size_t size = log_entry_make(&spec, &change, 1, &bytes);

	log_put(&c->file, (struct area){MIB, MIB}, 0, bytes, size);
	free(bytes);
	for (unsigned slot = 0; slot < 2; slot++)
		sparse_write(&c->file, spec.guid, 16, header_offset(slot) + 48);
	image_mend_checksums(&c->file, 0, 0);
}

static void test_a_writable_open_writes_nothing_to_a_clean_image(void **state)
{
	struct writable_case *c = *state;

	assert_opens(c, 0);
	assert_opens(c, VHDX_OPEN_NO_HOLES | VHDX_OPEN_NO_LOCK | VHDX_OPEN_NO_PARENT);
	assert_int_equal(c->recorder.count, 0);
	assert_string_equal(c->warning, "");
}

static void test_the_lock_is_exclusive_and_the_first_thing(void **state)
{
	struct writable_case *c = *state;

	assert_opens(c, 0);
	assert_int_equal(c->recorder.locks[1], 1);
	assert_int_equal(c->recorder.locks[0], 0);
	c->recorder.lock_error = -EAGAIN;
	sparse_resize(&c->file, 0); /* what is in it does not matter */
	assert_refused(c, 0, -EAGAIN, 0, "is in use by another process (expected it free");
	assert_refused(c, VHDX_OPEN_NO_LOCK, -EAGAIN, 0, "is in use by another process");
}

static void test_without_locks_a_writable_open_must_be_told_to_go_on(void **state)
{
	struct writable_case *c = *state;

	c->recorder.lock_error = -EOPNOTSUPP;
	assert_refused(c, 0, -ENOLCK, 0, "no-lock");
	assert_string_equal(c->warning, "");
	assert_opens(c, VHDX_OPEN_NO_LOCK);
	assert_non_null(strstr(c->warning, "no locks"));
	c->io.lock = NULL; /* the caller's storage, the caller's matter */
	c->warning[0] = 0;
	assert_opens(c, 0);
	assert_string_equal(c->warning, "");
}

static void test_flags_for_reading_do_not_go_with_writing(void **state)
{
	struct writable_case *c = *state;

	assert_refused(c, VHDX_OPEN_EXAMINE, -EINVAL, 0, "VHDX_OPEN_WRITE");
	assert_refused(c, VHDX_OPEN_FORCE_SHARE, -EINVAL, 0, "VHDX_OPEN_WRITE");
	assert_int_equal(c->recorder.locks[0] + c->recorder.locks[1], 0);
}

static void test_storage_that_cannot_be_written_is_refused(void **state)
{
	struct writable_case *c = *state;

	c->io.pwritev = NULL;
	assert_refused(c, 0, -EROFS, 0, "cannot be written");
}

static void test_an_image_that_needs_repair_is_refused(void **state)
{
	static const struct {
		uint64_t table; /* 0: both headers */
		uint64_t at;
		uint64_t value;
		unsigned size;
		unsigned problem;
	} locks[] = {
		{0, 8, UINT64_MAX, 8, PROBLEM_HEADER_SEQUENCE_END},
		{0, 68, 0, 4, PROBLEM_HEADER_NO_LOG},
		{0, 72, MIB + 4096, 8, PROBLEM_HEADER_LOG_ALIGNMENT},
		{0, 72, 64 * MIB, 8, PROBLEM_HEADER_NO_LOG},
		{0, 64, 1, 2, PROBLEM_HEADER_LOG_VERSION_IDLE},
		{REGION_TABLE_2_OFFSET, 16 + 28, 0, 4, PROBLEM_REGION_TABLES_DIFFER},
	};

	for (size_t i = 0; i < ARRAY_SIZE(locks); i++) {
		struct writable_case *c = *state;
		struct vhdx_open_options read = {.size = sizeof(read)};
		struct vhdx *disk;

		if (locks[i].table)
			set_in_table(c, locks[i].table, locks[i].at, locks[i].value, locks[i].size);
		else
			set_in_headers(c, locks[i].at, locks[i].value, locks[i].size);
		assert_refused(c, 0, -EUCLEAN, locks[i].problem,
			       "must be repaired before it can be written: ");
		assert_int_equal(vhdx_open_io(&c->io, &read, &disk), 0);
		vhdx_close(disk);
		drop(state);
		make(state);
	}
}

static void test_the_first_reason_to_refuse_is_told(void **state)
{
	struct writable_case *c = *state;

	set_in_headers(c, 64, 1, 2);
	set_in_table(c, REGION_TABLE_2_OFFSET, 16 + 28, 0, 4);
	assert_refused(c, 0, -EUCLEAN, PROBLEM_HEADER_LOG_VERSION_IDLE, "LogVersion is 1");
}

static void test_a_log_above_the_limit_is_not_written(void **state)
{
	struct writable_case *c = *state;
	uint64_t end = round_up(c->file.size, MIB);

	set_in_headers(c, 68, MAX_LOG_LENGTH, 4);
	set_in_headers(c, 72, end, 8);
	sparse_resize(&c->file, end + MAX_LOG_LENGTH);
	assert_opens(c, 0);
	set_in_headers(c, 68, MAX_LOG_LENGTH + MIB, 4);
	sparse_resize(&c->file, end + MAX_LOG_LENGTH + MIB);
	assert_refused(c, 0, -ENOTSUP, 0, "the log is 1074790400 bytes long");
}

static void test_what_cannot_be_read_is_refused_as_for_reading(void **state)
{
	struct writable_case *c = *state;

	sparse_write(&c->file, "regx", 4, REGION_TABLE_1_OFFSET);
	sparse_write(&c->file, "regx", 4, REGION_TABLE_2_OFFSET);
	assert_refused(c, 0, -EUCLEAN, PROBLEM_REGION_TABLES_BOTH_BAD, "");
	sparse_write(&c->file, "vhdxfilm", 8, 0);
	assert_refused(c, 0, -ENOTSUP, PROBLEM_IDENTIFIER, "not a VHDX image");
}

static void test_the_log_is_not_replayed_when_the_open_is_refused(void **state)
{
	struct writable_case *c = *state;

	make_dirty(c);
	set_in_table(c, REGION_TABLE_2_OFFSET, 16 + 28, 0, 4);
	assert_refused(c, 0, -EUCLEAN, PROBLEM_REGION_TABLES_DIFFER, "must be repaired");
}

static void test_a_replay_that_the_sequence_number_cannot_end_is_not_begun(void **state)
{
	struct writable_case *c = *state;

	make_dirty(c);
	set_in_headers(c, 8, UINT64_MAX - 3, 8); /* identical headers are valid */
	assert_opens(c, 0);
	assert_true(c->recorder.count > 0);
	recorder_clear(&c->recorder);
	make_dirty(c);
	set_in_headers(c, 8, UINT64_MAX - 2, 8);
	assert_refused(c, 0, -EUCLEAN, PROBLEM_HEADER_SEQUENCE_END, "can grow by 3");
}

static void test_a_session_that_the_sequence_number_cannot_end_is_not_begun(void **state)
{
	struct writable_case *c = *state;
	struct vhdx *disk;

	set_in_headers(c, 8, UINT64_MAX - 5, 8); /* identical headers are valid */
	assert_int_equal(open_writable(c, 0, &disk), 0);
	assert_int_equal(vhdx_pwrite(disk, "x", 1, 0, 0), -EUCLEAN);
	assert_int_equal(vhdx_last_error()->problem, PROBLEM_HEADER_SEQUENCE_END);
	assert_int_equal(vhdx_close(disk), 0);
	assert_int_equal(c->recorder.count, 0);
	set_in_headers(c, 8, UINT64_MAX - 6, 8);
	assert_int_equal(open_writable(c, 0, &disk), 0);
	assert_int_equal(vhdx_pwrite(disk, "x", 1, 0, 0), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

static void test_a_log_that_changes_nothing_is_closed_too(void **state)
{
	struct log_entry_spec spec = {.sequence = 5, .flushed = MIB, .last = MIB};
	struct writable_case *c = *state;
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;
	uint8_t *bytes;

	make_dirty(c);
	put_guid(spec.guid, LOG_GUID);
	size_t size = log_entry_make(&spec, NULL, 0, &bytes);

	log_put(&c->file, (struct area){MIB, MIB}, 0, bytes, size);
	free(bytes);
	uint64_t file_size = c->file.size;

	assert_int_equal(open_writable(c, 0, &disk), 0);
	assert_int_equal(vhdx_get_info(disk, &info), 0);
	assert_int_equal(info.replayed_entries, 1);
	assert_int_equal(info.log_state, VHDX_LOG_CLEAN);
	assert_int_equal(vhdx_close(disk), 0);
	assert_int_equal(recorder_count(&c->recorder, OPERATION_WRITE), 3); /* headers */
	assert_int_equal(c->file.size, file_size);
}

static void test_growth_without_holes_is_reserved_before_it_is_used(void **state)
{
	static const uint8_t page[4096] = {1};
	struct log_entry_spec spec = {.sequence = 5, .flushed = MIB};
	struct writable_case *c = *state;
	struct log_change_spec changes[2] = {{.target = 16 * MIB, .page = page},
					     {.target = 2 * MIB, .length = MIB}};
	uint8_t *bytes;

	make_dirty(c);
	changes[1].target = c->file.size; /* zeros where the file ends */
	spec.last = 20 * MIB;
	put_guid(spec.guid, LOG_GUID);
	size_t size = log_entry_make(&spec, changes, 2, &bytes);
	uint64_t before = c->file.size;

	log_put(&c->file, (struct area){MIB, MIB}, 0, bytes, size);
	free(bytes);
	c->io.zero = NULL;
	assert_opens(c, VHDX_OPEN_NO_HOLES);
	assert_int_equal(c->file.size, 20 * MIB);
	assert_int_equal(recorder_count(&c->recorder, OPERATION_PUNCH), 0);
	assert_int_equal(recorder_count(&c->recorder, OPERATION_RESERVE), 1);
	assert_int_equal(recorder_count(&c->recorder, OPERATION_WRITE), 4); /* three are headers */
	for (size_t i = 0; i < c->recorder.count; i++) {
		const struct operation *operation = &c->recorder.operations[i];

		if (operation->kind == OPERATION_RESERVE) {
			assert_int_equal(operation->offset, before);
			assert_int_equal(operation->length, 20 * MIB - before);
			assert_int_equal(operation[1].kind, OPERATION_RESIZE);
		}
	}
}

static void test_growth_without_holes_is_written_where_it_cannot_be_reserved(void **state)
{
	struct log_entry_spec spec = {.sequence = 5, .flushed = MIB};
	struct writable_case *c = *state;
	uint64_t zeros = 0;
	uint8_t *bytes;

	make_dirty(c);
	spec.last = c->file.size + 3 * MIB;
	put_guid(spec.guid, LOG_GUID);
	size_t size = log_entry_make(&spec, NULL, 0, &bytes);

	log_put(&c->file, (struct area){MIB, MIB}, 0, bytes, size);
	free(bytes);
	c->io.zero = NULL;
	c->io.reserve = NULL;
	assert_opens(c, VHDX_OPEN_NO_HOLES);
	for (size_t i = 0; i < c->recorder.count; i++)
		if (c->recorder.operations[i].offset >= spec.last - 3 * MIB &&
		    c->recorder.operations[i].kind == OPERATION_WRITE)
			zeros += c->recorder.operations[i].length;
	assert_int_equal(zeros, 3 * MIB);
}

static void test_zeros_of_a_log_are_not_written_into_holes(void **state)
{
	struct log_entry_spec spec = {.sequence = 5, .flushed = MIB};
	struct writable_case *c = *state;
	uint64_t start = round_up(c->file.size, MIB);
	struct log_change_spec change = {.target = start, .length = TIB};
	static const uint8_t page[4096] = {1};
	uint8_t *bytes;

	make_dirty(c);
	sparse_resize(&c->file, start + TIB);
	sparse_write(&c->file, page, sizeof(page), start + TIB / 2);
	spec.last = start;
	put_guid(spec.guid, LOG_GUID);
	size_t size = log_entry_make(&spec, &change, 1, &bytes);

	log_put(&c->file, (struct area){MIB, MIB}, 0, bytes, size);
	free(bytes);
	assert_opens(c, 0);
	assert_int_equal(recorder_count(&c->recorder, OPERATION_ZERO), 1);
	for (size_t i = 0; i < c->recorder.count; i++)
		if (c->recorder.operations[i].kind == OPERATION_ZERO) {
			assert_int_equal(c->recorder.operations[i].offset, start + TIB / 2);
			assert_int_equal(c->recorder.operations[i].length, 4096);
		}
}

/* Found in the BAT, which no open reads; whoever wrote would write into two blocks. */
static void test_blocks_that_overlap_keep_changes_out_and_reading_goes_on(void **state)
{
	struct writable_case *c = *state;
	struct vhdx_info info = {.size = sizeof(info)};
	uint8_t entry[8];
	uint8_t byte;
	struct vhdx *disk;

	assert_int_equal(open_writable(c, 0, &disk), 0);
	assert_int_equal(vhdx_get_info(disk, &info), 0);
	assert_int_equal(vhdx_close(disk), 0);
	put_number(entry, 4 * MIB | 6, 8);
	sparse_write(&c->file, entry, 8, info.bat_offset);
	sparse_write(&c->file, entry, 8, info.bat_offset + 8);
	sparse_resize(&c->file, 8 * MIB);
	assert_int_equal(open_writable(c, 0, &disk), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(vhdx_pwrite(disk, "x", 1, 0, 0), -EUCLEAN);
		assert_int_equal(vhdx_last_error()->problem, PROBLEM_BLOCK_OVERLAP);
		assert_non_null(strstr(vhdx_last_error()->text,
				       "must be repaired before it can be written: "));
		assert_int_equal(vhdx_pread(disk, &byte, 1, 0), 0);
	}
	assert_int_equal(vhdx_close(disk), 0);
	assert_int_equal(c->recorder.count, 0);
}

static void ignore_name(void *opaque, const char *name)
{
	(void)opaque;
	(void)name;
}

static void ignore_end(void *opaque)
{
	(void)opaque;
}

static void ignore_number(void *opaque, const char *name, uint64_t value)
{
	(void)opaque;
	(void)name;
	(void)value;
}

static void ignore_string(void *opaque, const char *name, const char *value)
{
	(void)opaque;
	(void)name;
	(void)value;
}

static void count_active(void *opaque, const char *name, int value)
{
	*(unsigned *)opaque += name && !strcmp(name, "active") && value;
}

static void test_check_and_dump_see_what_was_written(void **state)
{
	unsigned active = 0;
	const struct vhdx_dump_visitor visitor = {
		.size = sizeof(visitor),
		.begin_object = ignore_name,
		.end_object = ignore_end,
		.begin_array = ignore_name,
		.end_array = ignore_end,
		.number = ignore_number,
		.offset = ignore_number,
		.boolean = count_active,
		.string = ignore_string,
		.opaque = &active,
	};
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct writable_case *c = *state;
	struct vhdx *disk;

	assert_int_equal(open_writable(c, 0, &disk), 0);
	assert_int_equal(vhdx_pwrite(disk, "x", 1, 0, 0), 0);
	assert_int_equal(vhdx_check(disk, NULL, &result), 0);
	assert_int_equal(result.damages, 0);
	assert_int_equal(result.present, 1);
	assert_int_equal(vhdx_pwrite(disk, "x", 1, 4 * MIB, 0), 0);
	assert_int_equal(vhdx_dump(disk, VHDX_DUMP_LOG, &visitor), 0);
	assert_true(active > 0);
	assert_int_equal(vhdx_check(disk, NULL, &result), 0);
	assert_int_equal(result.present, 2);
	assert_int_equal(vhdx_close(disk), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_writable_open_writes_nothing_to_a_clean_image),
		CASE(test_the_lock_is_exclusive_and_the_first_thing),
		CASE(test_without_locks_a_writable_open_must_be_told_to_go_on),
		CASE(test_flags_for_reading_do_not_go_with_writing),
		CASE(test_storage_that_cannot_be_written_is_refused),
		CASE(test_an_image_that_needs_repair_is_refused),
		CASE(test_the_first_reason_to_refuse_is_told),
		CASE(test_a_log_above_the_limit_is_not_written),
		CASE(test_what_cannot_be_read_is_refused_as_for_reading),
		CASE(test_the_log_is_not_replayed_when_the_open_is_refused),
		CASE(test_a_replay_that_the_sequence_number_cannot_end_is_not_begun),
		CASE(test_a_session_that_the_sequence_number_cannot_end_is_not_begun),
		CASE(test_a_log_that_changes_nothing_is_closed_too),
		CASE(test_growth_without_holes_is_reserved_before_it_is_used),
		CASE(test_growth_without_holes_is_written_where_it_cannot_be_reserved),
		CASE(test_zeros_of_a_log_are_not_written_into_holes),
		CASE(test_blocks_that_overlap_keep_changes_out_and_reading_goes_on),
		CASE(test_check_and_dump_see_what_was_written),
	};

	return RUN_TESTS(tests);
}
