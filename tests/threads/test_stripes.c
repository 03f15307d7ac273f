/* SPDX-License-Identifier: MIT */
/* The fair reader-writer locks: who excludes whom, that nobody is passed over, and the grace period. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "support/random.h"
#include "support/unit.h"
#include "vdisk/stripes.h"

#define THREADS 8

/* Readers and writers of one stripe, and what it guards. */
struct contest {
	struct stripes stripes;
	struct stripe *stripe;
	uint64_t rounds;
	uint64_t values[16]; /* all equal whenever nobody writes; plain, so that TSan judges too */
	uint64_t writes;
	atomic_uint inside;  /* readers ... */
	atomic_uint writing; /* ... and writers */
	atomic_uint most_inside;
	atomic_uint faults;
	atomic_bool over; /* those that run without end are to end */
};

static int make(void **state)
{
	struct contest *c = aligned_alloc(_Alignof(struct contest), sizeof(*c));

	*c = (struct contest){.rounds = sampled(20000)};
	vhdx_stripes_init(&c->stripes);
	c->stripe = stripe_of(&c->stripes, 5);
	*state = c;
	return 0;
}

static int drop(void **state)
{
	struct contest *c = *state;

	vhdx_stripes_destroy(&c->stripes);
	free(c);
	return 0;
}

static void start(void *(*run)(void *), struct contest *c, pthread_t *ret_thread)
{
	assert_int_equal(pthread_create(ret_thread, NULL, run, c), 0);
}

static void read_once(struct contest *c)
{
	struct shared_stripe share = stripe_share(c->stripe);
	unsigned inside = atomic_fetch_add(&c->inside, 1) + 1;

	if (inside > atomic_load(&c->most_inside))
		atomic_store(&c->most_inside, inside);
	for (int i = 1; i < 16; i++)
		if (c->values[i] != c->values[0])
			atomic_fetch_add(&c->faults, 1);
	if (atomic_load(&c->writing))
		atomic_fetch_add(&c->faults, 1);
	atomic_fetch_sub(&c->inside, 1);
	stripe_unshare(share);
}

static void write_once(struct contest *c)
{
	vhdx_stripe_lock(c->stripe);
	if (atomic_fetch_add(&c->writing, 1) || atomic_load(&c->inside))
		atomic_fetch_add(&c->faults, 1);
	for (int i = 0; i < 16; i++)
		c->values[i]++;
	c->writes++;
	atomic_fetch_sub(&c->writing, 1);
	vhdx_stripe_unlock(c->stripe);
}

static void *read_and_write(void *opaque)
{
	struct contest *c = opaque;
	struct rng rng = rng_make((uintptr_t)&rng);

	for (uint64_t i = 0; i < c->rounds; i++) {
		if (rng_chance(&rng, 20))
			write_once(c);
		else
			read_once(c);
	}
	return NULL;
}

static void test_a_writer_is_alone(void **state)
{
	struct contest *c = *state;
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		start(read_and_write, c, &threads[i]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(c->faults, 0);
	assert_int_equal(c->values[0], c->writes);
	assert_int_equal(c->stripe->readers, 0);
	assert_int_equal(c->stripe->serving, c->stripe->next_ticket);
}

static void test_readers_share(void **state)
{
	struct contest *c = *state;

	struct shared_stripe first = stripe_share(c->stripe);
	struct shared_stripe second = stripe_share(c->stripe); /* would never return */

	assert_non_null(first.slot);
	assert_null(second.slot); /* the thread's slot is taken: it is counted */
	assert_int_equal(c->stripe->readers, 1);
	stripe_unshare(first);
	stripe_unshare(second);
	vhdx_stripe_lock(c->stripe);
	vhdx_stripe_unlock(c->stripe);
	assert_int_equal(c->stripe->readers, 0);
}

static void test_stripes_do_not_concern_each_other(void **state)
{
	struct contest *c = *state;

	assert_ptr_equal(stripe_of(&c->stripes, 5 + STRIPES), c->stripe);
	for (uint64_t block = 0; block < STRIPES; block++)
		vhdx_stripe_lock(stripe_of(&c->stripes, block));
	for (uint64_t block = 0; block < STRIPES; block++)
		vhdx_stripe_unlock(stripe_of(&c->stripes, block));
}

/* ---- Nobody is passed over ---- */

/* Readers that overlap so that, by themselves, the stripe would never be free. */
static void *read_without_end(void *opaque)
{
	struct contest *c = opaque;

	while (!atomic_load(&c->over)) {
		read_once(c);
		sched_yield();
	}
	return NULL;
}

static void *write_without_end(void *opaque)
{
	struct contest *c = opaque;

	while (!atomic_load(&c->over))
		write_once(c);
	return NULL;
}

/* Ends, or the test times out. */
static void among(struct contest *c, void *(*crowd)(void *), void (*act)(struct contest *c))
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		start(crowd, c, &threads[i]);
	for (uint64_t i = 0; i < c->rounds / 100 + 10; i++)
		act(c);
	atomic_store(&c->over, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(c->faults, 0);
}

static void test_a_stream_of_readers_does_not_keep_a_writer_out(void **state)
{
	among(*state, read_without_end, write_once);
}

static void test_a_stream_of_writers_does_not_keep_a_reader_out(void **state)
{
	among(*state, write_without_end, read_once);
}

/* ---- Turns, in a known order ---- */

static void *write_then_end(void *opaque)
{
	write_once(opaque);
	return NULL;
}

static void *read_then_end(void *opaque)
{
	struct contest *c = opaque;

	struct shared_stripe share = stripe_share(c->stripe);

	atomic_fetch_add(&c->inside, 1);
	while (!atomic_load(&c->over))
		sched_yield();
	atomic_fetch_sub(&c->inside, 1);
	stripe_unshare(share);
	return NULL;
}

static void wait_for_queue(struct contest *c, uint64_t length)
{
	uint64_t waiting = 0;

	while (waiting != length) {
		pthread_mutex_lock(&c->stripe->lock);
		waiting = c->stripe->next_ticket - c->stripe->serving;
		pthread_mutex_unlock(&c->stripe->lock);
		sched_yield();
	}
}

static void test_who_comes_behind_a_waiting_writer_waits_for_him(void **state)
{
	struct contest *c = *state;
	pthread_t writer, reader;

	struct shared_stripe share = stripe_share(c->stripe);

	start(write_then_end, c, &writer);
	wait_for_queue(c, 1);
	start(read_then_end, c, &reader); /* the stripe is shared, and yet he must queue */
	wait_for_queue(c, 2);
	assert_int_equal(c->inside, 0);
	assert_int_equal(c->writes, 0);
	stripe_unshare(share);
	pthread_join(writer, NULL);
	assert_int_equal(c->writes, 1);
	atomic_store(&c->over, true);
	pthread_join(reader, NULL);
	assert_int_equal(c->faults, 0);
}

static void test_readers_that_queued_behind_a_writer_get_in_together(void **state)
{
	struct contest *c = *state;
	pthread_t readers[4];

	vhdx_stripe_lock(c->stripe);
	for (uint64_t i = 0; i < 4; i++) {
		start(read_then_end, c, &readers[i]);
		wait_for_queue(c, i + 2); /* the writer is one of them until he is out */
	}
	vhdx_stripe_unlock(c->stripe);
	while (atomic_load(&c->inside) != 4) /* each stays until all are in */
		sched_yield();
	assert_int_equal(c->stripe->readers, 4); /* and nobody has to queue any more */
	atomic_store(&c->over, true);
	for (int i = 0; i < 4; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(c->stripe->readers, 0);
}

static void test_writers_are_served_in_turn(void **state)
{
	struct contest *c = *state;
	pthread_t writers[THREADS];

	vhdx_stripe_lock(c->stripe);
	for (uint64_t i = 0; i < THREADS; i++)
		start(write_then_end, c, &writers[i]);
	wait_for_queue(c, THREADS + 1);
	assert_int_equal(c->writes, 0);
	vhdx_stripe_unlock(c->stripe);
	for (int i = 0; i < THREADS; i++)
		pthread_join(writers[i], NULL);
	assert_int_equal(c->writes, THREADS);
	assert_int_equal(c->faults, 0);
}

/* ---- The grace period ---- */

static void *pass_grace(void *opaque)
{
	struct contest *c = opaque;

	vhdx_stripes_grace(&c->stripes);
	c->writes++; /* no lock: who holds the stripe is known to be out */
	return NULL;
}

static void test_a_grace_period_waits_for_who_is_in(void **state)
{
	struct contest *c = *state;
	pthread_t thread;

	struct shared_stripe share = stripe_share(c->stripe);

	start(pass_grace, c, &thread);
	wait_for_queue(c, 1);
	assert_int_equal(c->writes, 0);
	stripe_unshare(share);
	pthread_join(thread, NULL);
	assert_int_equal(c->writes, 1);
	for (uint64_t i = 0; i < STRIPES; i++)
		assert_int_equal(c->stripes.stripe[i].next_ticket, 1);
}

int main(void)
{
#define WITH_STRIPES(test) cmocka_unit_test_setup_teardown(test, make, drop)
	const struct CMUnitTest tests[] = {
		WITH_STRIPES(test_readers_share),
		WITH_STRIPES(test_a_writer_is_alone),
		WITH_STRIPES(test_stripes_do_not_concern_each_other),
		WITH_STRIPES(test_a_stream_of_readers_does_not_keep_a_writer_out),
		WITH_STRIPES(test_a_stream_of_writers_does_not_keep_a_reader_out),
		WITH_STRIPES(test_who_comes_behind_a_waiting_writer_waits_for_him),
		WITH_STRIPES(test_readers_that_queued_behind_a_writer_get_in_together),
		WITH_STRIPES(test_writers_are_served_in_turn),
		WITH_STRIPES(test_a_grace_period_waits_for_who_is_in),
	};

	return RUN_TESTS(tests);
}
