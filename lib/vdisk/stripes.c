/* SPDX-License-Identifier: MIT */
/*
 * Fair reader-writer locks over the blocks of a disk. Tickets order those who had to queue: a reader lets
 * the next one in as soon as he is in himself, a writer when he is out again.
 */
#include "vdisk/stripes.h"

#define QUEUE 0x80000000u

void vhdx_stripes_init(struct stripes *stripes)
{
	for (unsigned i = 0; i < STRIPES; i++) {
		struct stripe *stripe = &stripes->stripe[i];

		atomic_init(&stripe->readers, 0);
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

	atomic_fetch_or(&stripe->readers, QUEUE);
	while (stripe->serving != ticket)
		pthread_cond_wait(&stripe->turned, &stripe->lock);
}

/* Under the lock. */
static void serve_next(struct stripe *stripe)
{
	if (++stripe->serving == stripe->next_ticket)
		atomic_fetch_and(&stripe->readers, ~QUEUE);
	else
		pthread_cond_broadcast(&stripe->turned);
}

void vhdx_stripe_unlock_shared(struct stripe *stripe)
{
	if (atomic_fetch_sub(&stripe->readers, 1) != (QUEUE | 1))
		return;
	/* The last reader before a writer whose turn it may be. */
	pthread_mutex_lock(&stripe->lock);
	pthread_cond_broadcast(&stripe->turned);
	pthread_mutex_unlock(&stripe->lock);
}

void vhdx_stripe_lock_shared(struct stripe *stripe)
{
	if (!(atomic_fetch_add(&stripe->readers, 1) & QUEUE))
		return;
	vhdx_stripe_unlock_shared(stripe);
	pthread_mutex_lock(&stripe->lock);
	queue_up(stripe);
	atomic_fetch_add(&stripe->readers, 1);
	serve_next(stripe);
	pthread_mutex_unlock(&stripe->lock);
}

void vhdx_stripe_lock(struct stripe *stripe)
{
	pthread_mutex_lock(&stripe->lock);
	queue_up(stripe);
	while (atomic_load(&stripe->readers) != QUEUE)
		pthread_cond_wait(&stripe->turned, &stripe->lock);
	pthread_mutex_unlock(&stripe->lock);
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
