/* SPDX-License-Identifier: MIT */
/* Scoped cleanup: memory and descriptors that end with the block that declares them. */
#ifndef VHDX_BASE_CLEANUP_H
#define VHDX_BASE_CLEANUP_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
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

#define auto_free  __attribute__((cleanup(cleanup_free)))
#define auto_close __attribute__((cleanup(cleanup_close)))

/* Holds @mutex to the end of the block. */
#define LOCK_SCOPED(mutex) \
	__attribute__((cleanup(cleanup_unlock), unused)) \
	pthread_mutex_t *locked_mutex = lock_mutex(mutex)

#endif
