/* SPDX-License-Identifier: MIT */
/* Reader-writer locks over the blocks of a disk. */
#include "vdisk/stripes.h"

void vhdx_stripes_init(struct stripes *stripes)
{
	pthread_rwlockattr_t attributes;

	/* A steady stream of readers must not keep a writer out for ever. */
	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_rwlock_init(&stripes->stripe[i].lock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
}

void vhdx_stripes_destroy(struct stripes *stripes)
{
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_rwlock_destroy(&stripes->stripe[i].lock);
}

void vhdx_stripes_grace(void *opaque)
{
	struct stripes *stripes = opaque;

	for (unsigned i = 0; i < STRIPES; i++) {
		pthread_rwlock_wrlock(&stripes->stripe[i].lock);
		pthread_rwlock_unlock(&stripes->stripe[i].lock);
	}
}
