/* SPDX-License-Identifier: MIT */
/* The journal under many threads: changes are whole, commits are shared, and each says the truth. */
#include <pthread.h>

#include "support/journalcase.h"
#include "support/random.h"

#define THREADS 8
#define PAIRS	64u /* of pages that always change together */

/*
 * The recorder knows no threads, but the journal alone writes while it owns itself. So it is given a
 * lock for reads beside that.
 */
struct crowd {
	struct journal_case *c;
	struct vhdx_io plain;
	pthread_mutex_t storage;
	uint64_t rounds;
	atomic_uint next_value;
	atomic_ulong faults;
	atomic_bool is_full; /* writes of the log find no space */
};

static struct crowd *the_crowd;

static ssize_t locked_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	pthread_mutex_lock(&the_crowd->storage);
	ssize_t done = the_crowd->plain.preadv(opaque, iov, iovcnt, offset);

	pthread_mutex_unlock(&the_crowd->storage);
	return done;
}

static ssize_t locked_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	if (atomic_load(&the_crowd->is_full) && offset < LOG_OFFSET + LOG_LENGTH)
		return -ENOSPC;
	pthread_mutex_lock(&the_crowd->storage);
	ssize_t done = the_crowd->plain.pwritev(opaque, iov, iovcnt, offset);

	recorder_clear(&the_crowd->c->recorder);
	pthread_mutex_unlock(&the_crowd->storage);
	return done;
}

static int locked_flush(void *opaque)
{
	(void)opaque;
	return 0;
}

static int make(void **state)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	void *made;

	case_start(&made);
	crowd->c = made;
	crowd->plain = crowd->c->io;
	crowd->c->io.preadv = locked_preadv;
	crowd->c->io.pwritev = locked_pwritev;
	crowd->c->io.flush = locked_flush;
	crowd->rounds = sampled(3000);
	pthread_mutex_init(&crowd->storage, NULL);
	the_crowd = crowd;
	*state = crowd;
	return 0;
}

static int drop(void **state)
{
	struct crowd *crowd = *state;
	void *made = crowd->c;

	case_drop(&made);
	pthread_mutex_destroy(&crowd->storage);
	free(crowd);
	return 0;
}

/* Both pages of a pair get one new value. Returns a number as vhdx_change_enter, or 0 without space. */
static uint64_t change_pair(struct crowd *crowd, unsigned pair)
{
	struct journal_case *c = crowd->c;
	struct page *pages[2];
	struct change change;

	if (vhdx_journal_begin(&c->journal, 2, &change))
		return 0;
	for (unsigned i = 0; i < 2; i++) {
		uint64_t index = pair + i * 2000;

		if (vhdx_change_hold(&change, &c->map, index, HOME + index * PAGE_SIZE, false,
				     &pages[i]))
			abort();
	}
	uint64_t number = vhdx_change_enter(&change);
	unsigned value = atomic_fetch_add(&crowd->next_value, 1) % 255 + 1;

	for (unsigned i = 0; i < 2; i++) {
		fill_page(pages[i], (uint8_t)value);
		vhdx_change_dirty(&change, pages[i]);
	}
	vhdx_change_leave(&change);
	vhdx_change_end(&change);
	return number;
}

static void *change_and_commit(void *opaque)
{
	struct crowd *crowd = opaque;
	struct rng rng = rng_make(atomic_fetch_add(&crowd->next_value, 1) + 1);

	for (uint64_t i = 0; i < crowd->rounds; i++) {
		uint64_t number = change_pair(crowd, (unsigned)rng_below(&rng, PAIRS));

		if (!rng_chance(&rng, 30))
			continue;
		if (vhdx_journal_commit(&crowd->c->journal)) {
			if (!atomic_load(&crowd->is_full))
				atomic_fetch_add(&crowd->faults, 1);
		} else if (durable(crowd->c) < number) {
			atomic_fetch_add(&crowd->faults, 1);
		}
	}
	return NULL;
}

static void run(struct crowd *crowd)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, change_and_commit, crowd), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* In the file as it is applied, and so in each entry, which holds whole pages of one moment. */
static void assert_pairs(struct crowd *crowd)
{
	for (unsigned pair = 0; pair < PAIRS; pair++) {
		uint8_t first, second;

		sparse_read(&crowd->c->file, &first, 1, HOME + pair * PAGE_SIZE);
		sparse_read(&crowd->c->file, &second, 1, HOME + (pair + 2000) * PAGE_SIZE + 4095);
		assert_int_equal(first, second);
		assert_page(&crowd->c->file, pair, first);
	}
}

static void test_changes_are_never_split_and_a_commit_covers_all_before_it(void **state)
{
	struct crowd *crowd = *state;

	run(crowd);
	assert_int_equal(crowd->faults, 0);
	commit(crowd->c);
	assert_pairs(crowd);
	assert_int_equal(vhdx_journal_stop(&crowd->c->journal), 0);
	assert_int_equal(crowd->c->journal.transaction.dirty_count, 0);
	assert_int_equal(crowd->c->journal.transaction.reserved, 0);
}

static void *fill_now_and_then(void *opaque)
{
	struct crowd *crowd = opaque;

	for (uint64_t i = 0; i < crowd->rounds / 10 + 5; i++) {
		atomic_store(&crowd->is_full, i % 2 == 0);
		for (int k = 0; k < 50; k++)
			sched_yield();
	}
	atomic_store(&crowd->is_full, false);
	return NULL;
}

static void *change_beside(void *opaque)
{
	struct crowd *crowd = opaque;
	struct rng rng = rng_make(atomic_fetch_add(&crowd->next_value, 1) + 1);

	for (uint64_t i = 0; i < crowd->rounds; i++) {
		change_pair(crowd, (unsigned)rng_below(&rng, PAIRS));
		if (rng_chance(&rng, 30))
			(void)vhdx_journal_commit(&crowd->c->journal);
	}
	return NULL;
}

static void test_want_of_space_in_between_loses_nothing(void **state)
{
	struct crowd *crowd = *state;
	pthread_t threads[THREADS];
	pthread_t filler;

	assert_int_equal(pthread_create(&filler, NULL, fill_now_and_then, crowd), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, change_beside, crowd), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_join(filler, NULL);
	commit(crowd->c);
	assert_pairs(crowd);
	assert_int_equal(vhdx_journal_stop(&crowd->c->journal), 0);
}

/* A change waits for others that hold their reservations, when nothing is dirty that a commit could write. */
struct waiter {
	struct transaction *transaction;
	atomic_bool got;
};

static void *reserve_one(void *opaque)
{
	struct waiter *waiter = opaque;
	struct change change;

	if (vhdx_transaction_reserve(waiter->transaction, 1, &change)) {
		atomic_store(&waiter->got, true);
		vhdx_change_end(&change);
	}
	return NULL;
}

static void test_a_change_waits_for_reservations_that_others_give_back(void **state)
{
	struct crowd *crowd = *state;
	struct transaction transaction;
	struct waiter waiter = {&transaction, false};
	struct change all[2];
	pthread_t thread;

	vhdx_transaction_init(&transaction, &crowd->c->cache, 2 * CHANGE_PAGES, NEEDED_END);
	for (int i = 0; i < 2; i++)
		assert_true(vhdx_transaction_reserve(&transaction, CHANGE_PAGES, &all[i]));
	assert_int_equal(pthread_create(&thread, NULL, reserve_one, &waiter), 0);
	for (int i = 0; i < 1000; i++)
		sched_yield();
	assert_false(waiter.got);
	vhdx_change_end(&all[0]);
	pthread_join(thread, NULL);
	assert_true(waiter.got);
	vhdx_change_end(&all[1]);
	assert_int_equal(transaction.reserved, 0);
}

int main(void)
{
#define WITH_CROWD(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		WITH_CROWD(test_changes_are_never_split_and_a_commit_covers_all_before_it),
		WITH_CROWD(test_want_of_space_in_between_loses_nothing),
		WITH_CROWD(test_a_change_waits_for_reservations_that_others_give_back),
	};

	return RUN_TESTS(tests);
}
