/* SPDX-License-Identifier: MIT */
/*
 * The order in which a repair writes: growth, contents, region tables, the header that does not count, the one
 * that does, the identifier, and at last what is released; each durable before the next.
 */
#include <stdlib.h>

#include "base/arith.h"
#include "support/fixture.h"
#include "support/repaircase.h"

enum step {
	GROWTH,
	CONTENTS,
	TABLE_1,
	TABLE_2,
	SPARE_HEADER,
	CURRENT_HEADER,
	IDENTIFIER,
	RELEASE,
	STEPS,
};

/* What was current before the repair: 0 or 1. */
static enum step step_of(const struct operation *operation, unsigned current)
{
	static const enum step places[] = {IDENTIFIER, 0, 0, TABLE_1, TABLE_2};
	uint64_t place = operation->offset / (64 * KIB);

	switch (operation->kind) {
	case OPERATION_RESIZE:
		return GROWTH;
	case OPERATION_PUNCH:
		return RELEASE;
	default:
		if (place >= ARRAY_SIZE(places))
			return CONTENTS;
		if (place == 1 || place == 2)
			return place - 1 == current ? CURRENT_HEADER : SPARE_HEADER;
		return places[place];
	}
}

/* Behind the end it is no more than a question. */
static bool is_question(const struct operation *operation, uint64_t size)
{
	return operation->kind == OPERATION_PUNCH && operation->offset >= size;
}

static void expect_order(const struct repair_case *c, unsigned current, unsigned expected_steps)
{
	enum step last = GROWTH;
	bool flushed = true;
	unsigned steps = 0;

	for (size_t i = 0; i < c->recorder.count; i++) {
		const struct operation *operation = &c->recorder.operations[i];

		if (operation->kind == OPERATION_FLUSH) {
			flushed = true;
			continue;
		}
		if (is_question(operation, c->file.size))
			continue;
		enum step step = step_of(operation, current);

		CHECK(step >= last, "step %d after step %d", (int)step, (int)last);
		CHECK(step == last || flushed, "step %d before step %d is durable", (int)step,
		      (int)last);
		steps |= 1u << step;
		last = step;
		flushed = false;
	}
	CHECK(flushed, "the last step is not durable");
	assert_int_equal(steps, expected_steps);
}

#define BITS(first, last) ((2u << (last)) - (1u << (first)))

static void everything_is_written_in_steps(void **state)
{
	for (unsigned current = 0; current < 2; current++) {
		struct repair_case *c = *state;
		uint64_t bad = current ? 64 * KIB : 128 * KIB;

		case_put(c, 0, 0, 8);
		case_put(c, bad + 100, 1, 8);
		case_put(c, 192 * KIB + 20, 1, 8);
		/* Block 1 lies nowhere, 2 is given up, 5 is cut short. */
		case_put(c, c->bat + 8, (uint64_t)0x12345 << 20 | 6, 8);
		case_put(c, c->bat + 16, 0, 8);
		sparse_resize(&c->file, c->file.size - CASE_MIB / 2);
		recorder_clear(&c->recorder);
		assert_int_equal(case_repair(c, 0), 0);
		expect_order(c, current, BITS(GROWTH, RELEASE) & ~(1u << TABLE_2));
		repair_case_drop(state);
		repair_case_make(state);
	}
}

static void without_holes_nothing_is_released(void **state)
{
	struct repair_case *c = *state;

	case_put(c, 64 * KIB + 100, 1, 8);
	case_put(c, c->bat + 16, 0, 8);
	recorder_clear(&c->recorder);
	assert_int_equal(case_repair(c, VHDX_REPAIR_NO_HOLES), 0);
	expect_order(c, 1, BITS(SPARE_HEADER, CURRENT_HEADER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_is_written_in_steps, repair_case_make,
						repair_case_drop),
		cmocka_unit_test_setup_teardown(without_holes_nothing_is_released, repair_case_make,
						repair_case_drop),
	};

	return RUN_TESTS(tests);
}
