/* SPDX-License-Identifier: MIT */
/* Scoped cleanup: memory, descriptors and disks that end with the block that declares them. */
#ifndef REMOTE_CLEANUP_H
#define REMOTE_CLEANUP_H

#include <pthread.h>
#include <stdlib.h>

#include <vhdx.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

/* For disks that are only read: closing them has nothing to say. */
static inline void cleanup_disk(struct vhdx **disk)
{
	vhdx_close(*disk);
}

static inline void cleanup_unlock(pthread_mutex_t **mutex)
{
	pthread_mutex_unlock(*mutex);
}

static inline pthread_mutex_t *lock_mutex(pthread_mutex_t *mutex)
{
	pthread_mutex_lock(mutex);
	return mutex;
}

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_disk __attribute__((cleanup(cleanup_disk)))

/* Holds @mutex to the end of the block. */
#define LOCK_SCOPED(mutex) \
	__attribute__((cleanup(cleanup_unlock), unused)) \
	pthread_mutex_t *locked_mutex = lock_mutex(mutex)

#endif
