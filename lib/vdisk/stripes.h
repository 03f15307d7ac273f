/* SPDX-License-Identifier: MIT */
/* Reader-writer locks over the blocks of a disk: a block's number picks its stripe. */
#ifndef VHDX_VDISK_STRIPES_H
#define VHDX_VDISK_STRIPES_H

#include <pthread.h>
#include <stdint.h>

#define STRIPES 64u

/* Each in cache lines of its own, so that readers of different blocks do not slow each other down. */
struct stripe {
	_Alignas(128) pthread_rwlock_t lock;
};

struct stripes {
	struct stripe stripe[STRIPES];
};

void vhdx_stripes_init(struct stripes *stripes);
void vhdx_stripes_destroy(struct stripes *stripes);

static inline pthread_rwlock_t *stripe_of(struct stripes *stripes, uint64_t block)
{
	return &stripes->stripe[block % STRIPES].lock;
}

/* Returns when every stripe has been free once: nobody uses what he could see before the call. */
void vhdx_stripes_grace(void *stripes);

#endif
