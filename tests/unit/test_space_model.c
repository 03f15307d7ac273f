/* SPDX-License-Identifier: MIT */
/* The file's space against a naive map of it: always the first place that suits, fresh ones before others. */
#include "support/random.h"
#include "support/spacecase.h"

#define MOST 300

enum use { TAKEN, PENDING, OLD, FRESH };

struct naive {
	uint64_t count;
	enum use uses[MOST];
	uint64_t numbers[MOST]; /* of those that are pending */
	bool punched[MOST];
};

static uint64_t naive_run(const struct naive *naive, uint64_t length, enum use least)
{
	for (uint64_t at = 0; at + length <= naive->count; at++) {
		uint64_t run = 0;

		while (run < length && naive->uses[at + run] >= least)
			run++;
		if (run == length)
			return at;
	}
	return MOST;
}

static void naive_settle(struct naive *naive, uint64_t durable)
{
	for (uint64_t i = 0; i < naive->count; i++)
		if (naive->uses[i] == PENDING && naive->numbers[i] <= durable)
			naive->uses[i] = naive->punched[i] ? FRESH : OLD;
}

static void naive_grow(struct naive *naive, const struct space_case *c, uint64_t length)
{
	uint64_t step = max_u64(8 * c->image.parameters.block_size, STEP) / MIB;

	if (naive->count + step > c->capacity / MIB)
		step = length;
	if (naive->count + step > c->capacity / MIB)
		return;
	for (uint64_t i = 0; i < step; i++)
		naive->uses[naive->count++] = FRESH;
}

struct model {
	struct space_case *c;
	struct rng rng;
	struct naive naive;
	struct place taken[MOST];
	size_t count;
	uint64_t number; /* of the open transaction */
};

static void model_take(struct model *model)
{
	struct naive *naive = &model->naive;
	uint64_t length = rng_chance(&model->rng, 30) ? 1
						      : model->c->image.parameters.block_size / MIB;
	struct place place;
	enum use kind = FRESH;

	naive_settle(naive, atomic_load(&model->c->journal.durable));
	if (naive_run(naive, length, OLD) == MOST)
		naive_grow(naive, model->c, length);
	uint64_t expected = naive_run(naive, length, FRESH);

	if (expected == MOST) {
		kind = OLD;
		expected = naive_run(naive, length, OLD);
	}
	int ret = vhdx_space_take(&model->c->space, length * MIB, &place);

	assert_int_equal(ret, expected == MOST ? -ENOSPC : 0);
	assert_int_equal(model->c->file.size, naive->count * MIB);
	if (ret)
		return;
	assert_int_equal(place.offset, expected * MIB);
	assert_int_equal(place.fresh, kind == FRESH);
	for (uint64_t i = 0; i < length; i++)
		naive->uses[expected + i] = TAKEN;
	model->taken[model->count++] = place;
}

static void model_return(struct model *model, bool free_it)
{
	if (!model->count)
		return;
	size_t which = rng_below(&model->rng, model->count);
	struct place place = model->taken[which];
	bool punched = rng_chance(&model->rng, 50);

	model->taken[which] = model->taken[--model->count];
	if (free_it)
		free_place(model->c, place.offset, place.length, model->number, punched);
	else
		vhdx_space_give_back(&model->c->space, &place);
	for (uint64_t i = place.offset / MIB; i < (place.offset + place.length) / MIB; i++) {
		model->naive.uses[i] = free_it ? PENDING : OLD;
		model->naive.numbers[i] = model->number;
		model->naive.punched[i] = punched;
	}
}

static void run_model(struct space_case *c, uint64_t seed)
{
	struct model model = {.c = c, .rng = rng_make(seed), .number = 1};

	c->capacity = rng_between(&model.rng, 10, MOST) * MIB;
	c->image.parameters.block_size = (uint32_t)(MIB << rng_below(&model.rng, 5));
	set_durable(c, 0);
	sparse_resize(&c->file, FIRST_SIZE);
	begin(c);
	model.naive.count = FIRST_SIZE / MIB;
	model.naive.uses[4] = model.naive.uses[5] = OLD;
	for (int step = 0; step < 500; step++) {
		uint64_t what = rng_below(&model.rng, 100);

		if (what < (step / 100 % 2 ? 30 : 60))
			model_take(&model);
		else if (what < 90)
			model_return(&model, what % 4);
		else
			set_durable(c, model.number++ - rng_below(&model.rng, 2));
	}
	vhdx_space_destroy(&c->space);
	recorder_clear(&c->recorder);
}

static void test_the_first_place_that_suits_is_always_found(void **state)
{
	uint64_t first, last;

	seeds_to_run(100, &first, &last);
	for (uint64_t seed = first; seed <= last; seed++)
		run_model(*state, seed);
	begin(*state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_first_place_that_suits_is_always_found,
						make, drop),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
