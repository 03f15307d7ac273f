/* SPDX-License-Identifier: MIT */
/* Fair reader-writer locks over the blocks of a disk: a block's number picks its stripe. */
#ifndef VHDX_VDISK_STRIPES_H
#define VHDX_VDISK_STRIPES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STRIPES	   64u
#define SLOT_BITS  6u
#define SLOTS	   (1u << SLOT_BITS)
#define CACHE_LINE 128u /* and its neighbour, which some processors fetch with it */

#define STRIPE_QUEUE 0x80000000u

/*
 * Who shares a stripe says so in a slot, which threads pick by their identity: each writes to a cache
 * line that usually no other thread touches, once by an atomic exchange and once by a plain store. Who
 * finds his slot taken is counted in the stripe instead. Who wants a stripe for himself raises QUEUE,
 * then waits until it is in no slot and counts nobody. Either he sees the slot, or its owner sees QUEUE
 * and steps back, for both look after they wrote, and all of that has one order (seq_cst). While QUEUE is
 * up everybody queues, and is served in turn, so neither readers nor writers can keep the others out.
 */
struct stripe {
	_Alignas(CACHE_LINE) atomic_uint readers; /* that are counted, and STRIPE_QUEUE */
	struct stripes *all;
	pthread_mutex_t lock;
	pthread_cond_t turned;
	uint64_t next_ticket;
	uint64_t serving;
};

struct slot {
	_Alignas(CACHE_LINE) _Atomic(struct stripe *) stripe; /* NULL: nobody's */
};

struct stripes {
	struct slot slots[SLOTS];
	struct stripe stripe[STRIPES];
};

/* A stripe that is held shared. */
struct shared_stripe {
	struct stripe *stripe;
	struct slot *slot; /* NULL: counted */
};

void vhdx_stripes_init(struct stripes *stripes);
void vhdx_stripes_destroy(struct stripes *stripes);

static inline struct stripe *stripe_of(struct stripes *stripes, uint64_t block)
{
	return &stripes->stripe[block % STRIPES];
}

/* The threads' identities often differ by the size of a stack; multiplied by the golden ratio they scatter. */
static inline struct slot *slot_of_thread(struct stripes *stripes)
{
	uint64_t scattered = (uint64_t)(uintptr_t)pthread_self() * UINT64_C(0x9e3779b97f4a7c15);

	return &stripes->slots[scattered >> (64 - SLOT_BITS)];
}

/* Counted in the stripe, after others that queue. */
void vhdx_stripe_count_in(struct stripe *stripe);
void vhdx_stripe_count_out(struct stripe *stripe);

static inline struct shared_stripe stripe_share(struct stripe *stripe)
{
	struct slot *slot = slot_of_thread(stripe->all);
	struct stripe *nobody = NULL;

	if (atomic_compare_exchange_strong(&slot->stripe, &nobody, stripe)) {
		if (!(atomic_load(&stripe->readers) & STRIPE_QUEUE))
			return (struct shared_stripe){stripe, slot};
		atomic_store_explicit(&slot->stripe, NULL, memory_order_release);
	}
	vhdx_stripe_count_in(stripe);
	return (struct shared_stripe){stripe, NULL};
}

static inline void stripe_unshare(struct shared_stripe share)
{
	if (share.slot)
		atomic_store_explicit(&share.slot->stripe, NULL, memory_order_release);
	else
		vhdx_stripe_count_out(share.stripe);
}

void vhdx_stripe_lock(struct stripe *stripe);
void vhdx_stripe_unlock(struct stripe *stripe);

/* Returns when every stripe has been free once: nobody uses what he could see before the call. */
void vhdx_stripes_grace(void *stripes);

#endif
