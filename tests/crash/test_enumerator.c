/* SPDX-License-Identifier: MIT */
/* The recording store and the states that a crash may leave of it, by operations of a few sectors. */
#include <errno.h>
#include <string.h>

#include "crash/states.h"
#include "support/unit.h"

struct toy {
	struct store store;
	struct vhdx_io io;
	bool (*holds)(const struct cow *image); /* of each state */
	unsigned states;
	unsigned faults;
	unsigned seen[64]; /* states by what the test makes of them */
	uint64_t last;	   /* number of the last state that was looked at ... */
	uint64_t hash;	   /* ... and of its contents */
};

static void toy_init(struct toy *toy)
{
	struct cow empty = {0};

	*toy = (struct toy){0};
	store_init(&toy->store, &empty);
	toy->io = store_io(&toy->store);
}

/* Whole sectors, filled with a letter. */
static void put(struct toy *toy, uint64_t sector, uint64_t count, char letter)
{
	uint8_t bytes[8 * ATOM];
	struct iovec iov = {bytes, count * ATOM};

	memset(bytes, letter, sizeof(bytes));
	assert_int_equal(toy->io.pwritev(toy->io.opaque, &iov, 1, sector * ATOM), count * ATOM);
}

static void flush(struct toy *toy)
{
	assert_int_equal(toy->io.flush(toy->io.opaque), 0);
}

/* The first byte of a sector. */
static char get(const struct cow *image, uint64_t sector)
{
	char letter;

	cow_read(image, &letter, 1, sector * ATOM);
	return letter;
}

static int look(void *opaque, const struct state *state)
{
	struct toy *toy = opaque;

	toy->states++;
	toy->faults += toy->holds && !toy->holds(state->image);
	toy->last = state->number;
	toy->hash = state->image->hash;
	return 0;
}

static void enumerate(struct toy *toy, state_fn *each)
{
	struct states_options options = {.seed = 1, .target = 2000, .shares = 1};

	assert_int_equal(states_each(&toy->store, &options, each, toy), 0);
}

static int count_subsets(void *opaque, const struct state *state)
{
	struct toy *toy = opaque;

	if (!state->interval)
		toy->seen[(get(state->image, 0) == 'a') + 2 * (get(state->image, 9) == 'b') +
			  4 * (get(state->image, 18) == 'c')]++;
	return 0;
}

static void every_subset_of_few_operations_is_tried(void **state)
{
	struct toy toy;

	(void)state;
	toy_init(&toy);
	put(&toy, 0, 1, 'a');
	put(&toy, 9, 1, 'b');
	put(&toy, 18, 1, 'c');
	flush(&toy);
	enumerate(&toy, count_subsets);
	for (unsigned i = 0; i < 8; i++)
		assert_true(toy.seen[i] > 0);
	store_free(&toy.store);
}

static bool has_a_and_b(const struct cow *image)
{
	return get(image, 0) == 'a' && get(image, 9) == 'b';
}

static void what_was_flushed_is_in_every_later_state(void **state)
{
	struct toy toy;

	(void)state;
	toy_init(&toy);
	put(&toy, 0, 1, 'a');
	put(&toy, 9, 1, 'b');
	flush(&toy);
	store_restart(&toy.store);
	put(&toy, 4, 4, 'c');
	flush(&toy);
	put(&toy, 2, 1, 'd');
	toy.holds = has_a_and_b;
	enumerate(&toy, look);
	assert_true(toy.states > 4);
	assert_int_equal(toy.faults, 0);
	store_free(&toy.store);
}

static int write_during_flush(void *opaque, const struct store_call *call)
{
	struct toy *toy = opaque;

	if (call->kind == STORE_FLUSH && call->when == STORE_AFTER)
		put(toy, 0, 1, 'a');
	return 0;
}

static int count_late(void *opaque, const struct state *state)
{
	struct toy *toy = opaque;

	toy->seen[get(state->image, 0) == 'a' ? 1 : 0] += state->interval == 1;
	return 0;
}

static void a_flush_covers_nothing_that_ends_after_its_begin(void **state)
{
	struct toy toy;

	(void)state;
	toy_init(&toy);
	toy.store.hook = write_during_flush;
	toy.store.opaque = &toy;
	flush(&toy);
	enumerate(&toy, count_late);
	assert_true(toy.seen[0] > 0 && toy.seen[1] > 0);
	store_free(&toy.store);
}

static int count_torn(void *opaque, const struct state *state)
{
	struct toy *toy = opaque;
	unsigned kept = 0;

	for (unsigned i = 0; i < 4; i++)
		kept |= (unsigned)(get(state->image, i) == 'a') << i;
	toy->seen[kept]++;
	return 0;
}

static void a_write_may_keep_any_of_its_sectors(void **state)
{
	struct toy toy;

	(void)state;
	toy_init(&toy);
	put(&toy, 0, 4, 'a');
	enumerate(&toy, count_torn);
	for (unsigned i = 0; i < 16; i++)
		assert_true(toy.seen[i] > 0);
	store_free(&toy.store);
}

static void a_punch_may_clear_any_of_its_sectors(void **state)
{
	struct toy toy;

	(void)state;
	toy_init(&toy);
	put(&toy, 0, 4, 'a');
	store_restart(&toy.store);
	assert_int_equal(toy.io.punch(toy.io.opaque, 0, 4 * ATOM), 0);
	enumerate(&toy, count_torn);
	for (unsigned i = 0; i < 16; i++)
		assert_true(toy.seen[i] > 0);
	store_free(&toy.store);
}

static int count_sizes(void *opaque, const struct state *state)
{
	struct toy *toy = opaque;

	toy->seen[state->image->size / ATOM]++;
	return 0;
}

static void a_size_change_happens_or_does_not(void **state)
{
	struct toy toy;

	(void)state;
	toy_init(&toy);
	put(&toy, 0, 4, 'a');
	flush(&toy);
	store_restart(&toy.store);
	assert_int_equal(toy.io.set_size(toy.io.opaque, 2 * ATOM), 0);
	assert_int_equal(toy.io.set_size(toy.io.opaque, 40 * ATOM), 0);
	enumerate(&toy, count_sizes);
	assert_true(toy.seen[4] > 0 && toy.seen[2] > 0 && toy.seen[40] > 0);
	store_free(&toy.store);
}

static int fail_first_flush(void *opaque, const struct store_call *call)
{
	struct toy *toy = opaque;

	return call->kind == STORE_FLUSH && call->when == STORE_BEFORE && !toy->store.flushes ? -EIO
											      : 0;
}

static int count_lost(void *opaque, const struct state *state)
{
	struct toy *toy = opaque;

	toy->seen[0] += get(state->image, 0) != 'a';
	toy->seen[1] += state->interval == 2 && get(state->image, 9) != 'b';
	return 0;
}

static void what_a_failed_flush_lost_no_later_one_saves(void **state)
{
	struct toy toy;

	(void)state;
	toy_init(&toy);
	toy.store.hook = fail_first_flush;
	toy.store.opaque = &toy;
	put(&toy, 0, 1, 'a');
	assert_int_equal(toy.io.flush(toy.io.opaque), -EIO);
	put(&toy, 9, 1, 'b');
	flush(&toy);
	enumerate(&toy, count_lost);
	assert_true(toy.seen[0] > 1);
	assert_int_equal(toy.seen[1], 0);
	store_free(&toy.store);
}

static void a_number_names_the_same_state_again(void **state)
{
	struct states_options again = {.seed = 1, .shares = 1, .single = true};
	struct toy toy;

	(void)state;
	toy_init(&toy);
	for (unsigned i = 0; i < 20; i++)
		put(&toy, i * 8, 8, (char)('a' + i));
	enumerate(&toy, look);
	uint64_t hash = toy.hash;

	again.number = toy.last;
	toy.hash = 0;
	assert_int_equal(states_each(&toy.store, &again, look, &toy), 0);
	assert_true(hash && toy.hash == hash);
	store_free(&toy.store);
}

static void shares_have_every_state_once(void **state)
{
	struct states_options options = {.seed = 1, .target = 2000, .shares = 1};
	struct toy toy;
	unsigned whole;

	(void)state;
	toy_init(&toy);
	for (unsigned i = 0; i < 6; i++)
		put(&toy, i * 8, 1, (char)('a' + i));
	enumerate(&toy, look);
	whole = toy.states;
	toy.states = 0;
	options.shares = 2;
	for (options.share = 0; options.share < 2; options.share++)
		assert_int_equal(states_each(&toy.store, &options, look, &toy), 0);
	assert_true(toy.states >= whole);
	store_free(&toy.store);
}

/* A writer whose sector 0 says where its data is: 'p' for sector 9. */
static bool is_sound(const struct cow *image)
{
	return get(image, 0) != 'p' || get(image, 9) == 'd';
}

static void a_pointer_that_is_written_too_early_is_found(void **state)
{
	struct toy toy;

	(void)state;
	toy_init(&toy);
	put(&toy, 9, 1, 'd');
	put(&toy, 0, 1, 'p');
	flush(&toy);
	toy.holds = is_sound;
	enumerate(&toy, look);
	assert_true(toy.faults > 0);
	store_free(&toy.store);

	toy_init(&toy);
	put(&toy, 9, 1, 'd');
	flush(&toy);
	put(&toy, 0, 1, 'p');
	flush(&toy);
	toy.holds = is_sound;
	enumerate(&toy, look);
	assert_int_equal(toy.faults, 0);
	store_free(&toy.store);
}

static void copies_share_nothing_that_is_written(void **state)
{
	struct cow a = {0}, b;

	(void)state;
	cow_write(&a, "first", 5, 5000);
	cow_copy(&a, &b);
	assert_true(cow_same(&a, &b));
	cow_write(&b, "other", 5, 5000);
	assert_int_equal(get(&a, 5000 / ATOM), '\0');
	char found[5];

	cow_read(&a, found, 5, 5000);
	assert_memory_equal(found, "first", 5);
	assert_false(cow_same(&a, &b));
	cow_write(&b, "first", 5, 5000);
	assert_true(cow_same(&a, &b));
	cow_zero(&b, 0, 8192);
	cow_resize(&a, 0);
	cow_resize(&a, b.size);
	assert_true(cow_same(&a, &b));
	cow_free(&a);
	cow_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_subset_of_few_operations_is_tried),
		cmocka_unit_test(what_was_flushed_is_in_every_later_state),
		cmocka_unit_test(a_flush_covers_nothing_that_ends_after_its_begin),
		cmocka_unit_test(a_write_may_keep_any_of_its_sectors),
		cmocka_unit_test(a_punch_may_clear_any_of_its_sectors),
		cmocka_unit_test(a_size_change_happens_or_does_not),
		cmocka_unit_test(what_a_failed_flush_lost_no_later_one_saves),
		cmocka_unit_test(a_number_names_the_same_state_again),
		cmocka_unit_test(shares_have_every_state_once),
		cmocka_unit_test(a_pointer_that_is_written_too_early_is_found),
		cmocka_unit_test(copies_share_nothing_that_is_written),
	};

	return RUN_TESTS(tests);
}
