/* SPDX-License-Identifier: MIT */
/*
 * Fair reader-writer locks over the blocks of a disk. Tickets order those who had to queue: a reader lets
 * the next one in as soon as he is in himself, a writer when he is out again.
 */
#include <sched.h>
#include <time.h>

#include "base/arith.h"
#include "vdisk/stripes.h"

/* Of whoever waits for a slot: he lets others run so often, then sleeps, twice as long each time. */
#define YIELDS	       64u
#define SHORTEST_SLEEP (UINT64_C(16) << 10) /* nanoseconds */
#define LONGEST_SLEEP  (UINT64_C(1) << 20)

void vhdx_stripes_init(struct stripes *stripes)
{
	for (unsigned i = 0; i < SLOTS; i++)
		atomic_init(&stripes->slots[i].stripe, NULL);
	for (unsigned i = 0; i < STRIPES; i++) {
		struct stripe *stripe = &stripes->stripe[i];

		atomic_init(&stripe->readers, 0);
		stripe->all = stripes;
		pthread_mutex_init(&stripe->lock, NULL);
		pthread_cond_init(&stripe->turned, NULL);
		stripe->next_ticket = 0;
		stripe->serving = 0;
	}
}

void vhdx_stripes_destroy(struct stripes *stripes)
{
	for (unsigned i = 0; i < STRIPES; i++) {
		pthread_cond_destroy(&stripes->stripe[i].turned);
		pthread_mutex_destroy(&stripes->stripe[i].lock);
	}
}

/* Under the lock: waits until it is this thread's turn. From here on nobody gets in but through the queue. */
static void queue_up(struct stripe *stripe)
{
	uint64_t ticket = stripe->next_ticket++;

	atomic_fetch_or(&stripe->readers, STRIPE_QUEUE);
	while (stripe->serving != ticket)
		pthread_cond_wait(&stripe->turned, &stripe->lock);
}

/* Under the lock. */
static void serve_next(struct stripe *stripe)
{
	if (++stripe->serving == stripe->next_ticket)
		atomic_fetch_and(&stripe->readers, ~STRIPE_QUEUE);
	else
		pthread_cond_broadcast(&stripe->turned);
}

void vhdx_stripe_count_out(struct stripe *stripe)
{
	if (atomic_fetch_sub(&stripe->readers, 1) != (STRIPE_QUEUE | 1))
		return;
	/* The last reader before a writer whose turn it may be. */
	pthread_mutex_lock(&stripe->lock);
	pthread_cond_broadcast(&stripe->turned);
	pthread_mutex_unlock(&stripe->lock);
}

void vhdx_stripe_count_in(struct stripe *stripe)
{
	if (!(atomic_fetch_add(&stripe->readers, 1) & STRIPE_QUEUE))
		return;
	vhdx_stripe_count_out(stripe);
	pthread_mutex_lock(&stripe->lock);
	queue_up(stripe);
	atomic_fetch_add(&stripe->readers, 1);
	serve_next(stripe);
	pthread_mutex_unlock(&stripe->lock);
}

/*
 * Waits until the stripe, in which nobody new gets, has left the slot. Nobody tells: a store that could
 * would cost every transfer more than the few looks cost here.
 */
static void wait_for_slot(const struct slot *slot, const struct stripe *stripe)
{
	uint64_t nap = SHORTEST_SLEEP;

	for (unsigned looks = 0; atomic_load(&slot->stripe) == stripe; looks++) {
		if (looks < YIELDS) {
			sched_yield();
			continue;
		}
		(void)nanosleep(&(struct timespec){.tv_nsec = (long)nap}, NULL);
		nap = min_u64(2 * nap, LONGEST_SLEEP);
	}
}

void vhdx_stripe_lock(struct stripe *stripe)
{
	pthread_mutex_lock(&stripe->lock);
	queue_up(stripe);
	while (atomic_load(&stripe->readers) != STRIPE_QUEUE)
		pthread_cond_wait(&stripe->turned, &stripe->lock);
	pthread_mutex_unlock(&stripe->lock);
	for (const struct slot *slot = stripe->all->slots; slot < stripe->all->slots + SLOTS;
	     slot++)
		if (atomic_load(&slot->stripe) == stripe)
			wait_for_slot(slot, stripe);
}

void vhdx_stripe_unlock(struct stripe *stripe)
{
	pthread_mutex_lock(&stripe->lock);
	serve_next(stripe);
	pthread_mutex_unlock(&stripe->lock);
}

void vhdx_stripes_grace(void *opaque)
{
	struct stripes *stripes = opaque;

	for (unsigned i = 0; i < STRIPES; i++) {
		vhdx_stripe_lock(&stripes->stripe[i]);
		vhdx_stripe_unlock(&stripes->stripe[i]);
	}
}
