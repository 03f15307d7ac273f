/* SPDX-License-Identifier: MIT */
/* The page cache under many threads: one loads, the others wait; an error is each one's own. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "meta/pages.h"
#include "support/random.h"
#include "support/unit.h"

#define THREADS 8
#define PAGES	200

struct race {
	struct page_cache cache;
	struct page_map map;
	pthread_barrier_t start;
	atomic_uint loads[PAGES];
	atomic_uint failures; /* so many loads fail */
	atomic_uint errors;   /* seen by the threads */
	atomic_uint wrong;
};

/* Takes its time, so that others come meanwhile. */
static int load_slowly(void *opaque, uint64_t index, void *page, struct page_zeros *zeros)
{
	struct race *race = opaque;

	(void)zeros;
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	atomic_fetch_add(&race->loads[index], 1);
	if (atomic_load(&race->failures) && atomic_fetch_sub(&race->failures, 1))
		return -EIO;
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		((uint64_t *)page)[i] = index + 1;
	return 0;
}

static void *get_all(void *opaque)
{
	struct race *race = opaque;

	for (uint64_t i = 0; i < PAGES; i++) {
		const void *page;

		pthread_barrier_wait(&race->start);
		if (vhdx_page_get(&race->map, i, &page))
			atomic_fetch_add(&race->errors, 1);
		else if (*(const uint64_t *)page != i + 1)
			atomic_fetch_add(&race->wrong, 1);
	}
	return NULL;
}

static void run(struct race *race)
{
	pthread_t threads[THREADS];

	vhdx_page_cache_init(&race->cache);
	assert_int_equal(vhdx_page_map_init(&race->map, &race->cache, PAGES, load_slowly, race), 0);
	pthread_barrier_init(&race->start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, get_all, race), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&race->start);
	vhdx_page_map_destroy(&race->map);
	vhdx_page_cache_destroy(&race->cache);
}

static void test_many_threads_load_a_page_once(void **state)
{
	static struct race race;

	(void)state;
	run(&race);
	assert_int_equal(race.errors, 0);
	assert_int_equal(race.wrong, 0);
	for (int i = 0; i < PAGES; i++)
		assert_int_equal(race.loads[i], 1);
}

/* Who waited for a load that failed tries for himself. */
static void test_a_failed_load_fails_one_thread(void **state)
{
	static struct race race;

	(void)state;
	race.failures = 50;
	run(&race);
	assert_int_equal(race.errors, 50);
	assert_int_equal(race.wrong, 0);
}

/* Two threads over the limit: one frees pages and is kept from it, the other one must wait for it. */
struct crowd {
	struct page_cache cache;
	struct page_map map;
	sem_t in_grace;
	sem_t may_go_on;
	atomic_uint over; /* trims that are over */
};

static int load_number(void *opaque, uint64_t index, void *page, struct page_zeros *zeros)
{
	(void)opaque;
	(void)zeros;
	memcpy(page, &index, sizeof(index));
	return 0;
}

static void fill_from(struct crowd *crowd, uint64_t index)
{
	const void *page;

	while (crowd->cache.pages <= CACHE_LIMIT)
		assert_int_equal(vhdx_page_get(&crowd->map, index++, &page), 0);
}

static void stay_in_grace(void *opaque)
{
	struct crowd *crowd = opaque;

	sem_post(&crowd->in_grace);
	sem_wait(&crowd->may_go_on);
}

static void *trim(void *opaque)
{
	struct crowd *crowd = opaque;

	vhdx_page_cache_trim(&crowd->cache, stay_in_grace, crowd);
	atomic_fetch_add(&crowd->over, 1);
	return NULL;
}

static void test_who_is_over_the_limit_waits_while_another_frees_pages(void **state)
{
	struct crowd crowd = {.over = 0};
	pthread_t first, second;

	(void)state;
	vhdx_page_cache_init(&crowd.cache);
	sem_init(&crowd.in_grace, 0, 0);
	sem_init(&crowd.may_go_on, 0, 0);
	assert_int_equal(
		vhdx_page_map_init(&crowd.map, &crowd.cache, 4 * CACHE_LIMIT, load_number, &crowd),
		0);
	fill_from(&crowd, 0);
	assert_int_equal(pthread_create(&first, NULL, trim, &crowd), 0);
	sem_wait(&crowd.in_grace);
	fill_from(&crowd, 2 * CACHE_LIMIT);
	assert_int_equal(pthread_create(&second, NULL, trim, &crowd), 0);
	nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	assert_int_equal(crowd.over, 0);
	sem_post(&crowd.may_go_on);
	sem_post(&crowd.may_go_on);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
	assert_int_equal(crowd.over, 2);
	assert_true(crowd.cache.pages <= CACHE_LIMIT); /* the second one freed, too */
	vhdx_page_map_destroy(&crowd.map);
	vhdx_page_cache_destroy(&crowd.cache);
	sem_destroy(&crowd.in_grace);
	sem_destroy(&crowd.may_go_on);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_threads_load_a_page_once),
		cmocka_unit_test(test_a_failed_load_fails_one_thread),
		cmocka_unit_test(test_who_is_over_the_limit_waits_while_another_frees_pages),
	};

	return RUN_TESTS(tests);
}
