/* SPDX-License-Identifier: MIT */
/* Repairs of headers, logs and region tables while the storage cannot be read, or without memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/alloc.h"
#include "support/fixture.h"
#include "support/headcase.h"

#define SESSION	   9
#define MOST_STEPS 4000

static void lose_headers(struct repair_case *c)
{
	head_zero(c, head(0), 4096);
	head_zero(c, head(1), 4096);
}

static void lose_everything(struct repair_case *c)
{
	lose_headers(c);
	head_zero(c, regions(0), 2 * 64 * T_KIB);
}

static void lose_headers_of_an_open_log(struct repair_case *c)
{
	head_log_open(c, 0);
	head_log_bat(c, (struct head_log){.guid = SESSION, .sequence = 5});
	lose_headers(c);
}

static void spoil_headers(struct repair_case *c)
{
	head_log_open(c, SESSION);
	head_log_bat(c, (struct head_log){.guid = SESSION, .sequence = 5});
	head_flip(c, head(0) + HEAD_FILE_GUID);
	head_flip(c, head(1) + HEAD_FILE_GUID + 1);
}

static void make_headers_ambiguous(struct repair_case *c)
{
	head_put(c, HEAD_NUMBER, 7, 8);
	head_flip(c, head(1) + HEAD_FILE_GUID);
	head_fit(c);
}

static void spoil_log(struct repair_case *c)
{
	static const uint8_t page[4096] = {1};

	head_log_open(c, SESSION);
	head_log_put(c, &(struct head_log){.guid = SESSION, .sequence = 5, .tail = 65536},
		     &(struct log_change_spec){.target = c->bat, .page = page}, 1);
}

static void lose_log(struct repair_case *c)
{
	head_put(c, HEAD_LOG_LENGTH, 0, 4);
	sparse_resize(&c->file, c->file.size + 512);
	head_zero(c, 0, 8);
}

static void displace_region(struct repair_case *c)
{
	uint8_t *bytes = malloc(T_MIB);
	uint64_t to = c->file.size + 8192;

	sparse_read(&c->file, bytes, T_MIB, c->table);
	sparse_resize(&c->file, c->file.size + 2 * T_MIB);
	sparse_write(&c->file, bytes, T_MIB, to);
	region_put(c, METADATA_REGION, 16, to, 8);
	free(bytes);
}

static void spoil_tables(struct repair_case *c)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		head_flip(c, regions(copy) + 65535);
		head_flip(c, region_entry(c, copy, copy ? BAT_REGION : METADATA_REGION) + 22);
	}
}

static void (*const damages[])(struct repair_case *c) = {
	lose_headers,  lose_everything, lose_headers_of_an_open_log,
	spoil_headers, spoil_log,	make_headers_ambiguous,
	lose_log,      displace_region, spoil_tables,
};

#define DAMAGES (sizeof(damages) / sizeof(damages[0]))

/* A failed read ends it with that error, and nothing is written by then. */
static void test_a_read_that_fails_is_returned_and_nothing_is_written(void **state)
{
	for (size_t i = 0; i < DAMAGES; i++) {
		struct repair_case *c;
		size_t reads = 0;
		int ret = -EIO;

		repair_case_make(state);
		c = *state;
		damages[i](c);
		for (size_t n = 1; ret && n < MOST_STEPS; n++) {
			current_step = n;
			c->recorder.error = -EIO;
			c->recorder.fail_at = SIZE_MAX;
			c->recorder.reads = 0;
			c->recorder.fail_read = n;
			ret = case_repair(c, VHDX_REPAIR_DISCARD_LOG | VHDX_REPAIR_DRY_RUN);
			CHECK(!ret || ret == -EREMOTEIO, "damage %zu: %d, %s", i, ret,
			      vhdx_last_error()->text);
			CHECK(!c->recorder.count, "damage %zu: written", i);
			reads = n;
		}
		CHECK(!ret && reads > 5, "damage %zu: %zu reads", i, reads);
		repair_case_drop(state);
	}
}

static void test_memory_that_is_refused_is_returned_and_none_is_kept(void **state)
{
	for (size_t i = 0; i < DAMAGES; i++) {
		struct repair_case *c;
		int ret = -ENOMEM;
		bool failed = true;

		repair_case_make(state);
		c = *state;
		damages[i](c);
		for (unsigned long n = 1; failed && n < MOST_STEPS; n++) {
			size_t pieces = alloc_pieces();

			current_step = n;
			alloc_fail_nth(n);
			ret = case_repair(c, VHDX_REPAIR_DISCARD_LOG | VHDX_REPAIR_DRY_RUN);
			failed = alloc_has_failed();
			alloc_fail_nth(0);
			CHECK(!ret || ret == -ENOMEM, "damage %zu: %d, %s", i, ret,
			      vhdx_last_error()->text);
			CHECK(alloc_pieces() <= pieces, "damage %zu: memory is kept", i);
		}
		CHECK(!ret && !failed, "damage %zu: %d", i, ret);
		repair_case_drop(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_read_that_fails_is_returned_and_nothing_is_written),
		cmocka_unit_test(test_memory_that_is_refused_is_returned_and_none_is_kept),
	};

	return RUN_TESTS(tests);
}
