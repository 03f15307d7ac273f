/* SPDX-License-Identifier: MIT */
/* Fair reader-writer locks over the blocks of a disk: a block's number picks its stripe. */
#ifndef VHDX_VDISK_STRIPES_H
#define VHDX_VDISK_STRIPES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define STRIPES 64u

/*
 * Who finds the stripe free for him takes it by one atomic operation. Everybody else queues up, and is
 * served in turn, so neither readers nor writers can keep the others out. Each stripe has cache lines of
 * its own, so that readers of different blocks do not slow each other down.
 */
struct stripe {
	_Alignas(128) atomic_uint readers; /* and QUEUE while anybody waits or writes */
	pthread_mutex_t lock;
	pthread_cond_t turned;
	uint64_t next_ticket;
	uint64_t serving;
};

struct stripes {
	struct stripe stripe[STRIPES];
};

void vhdx_stripes_init(struct stripes *stripes);
void vhdx_stripes_destroy(struct stripes *stripes);

static inline struct stripe *stripe_of(struct stripes *stripes, uint64_t block)
{
	return &stripes->stripe[block % STRIPES];
}

void vhdx_stripe_lock_shared(struct stripe *stripe);
void vhdx_stripe_unlock_shared(struct stripe *stripe);
void vhdx_stripe_lock(struct stripe *stripe);
void vhdx_stripe_unlock(struct stripe *stripe);

/* Returns when every stripe has been free once: nobody uses what he could see before the call. */
void vhdx_stripes_grace(void *stripes);

#endif
