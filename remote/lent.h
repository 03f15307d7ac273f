/* SPDX-License-Identifier: MIT */
/*
 * Memory that storage lends to those who use it, so that a request that was given up may go on using it: it is then
 * never freed. What is not lent must be copied.
 */
#ifndef REMOTE_LENT_H
#define REMOTE_LENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Each worker has one. */
#define LENT_MAX 64

struct lent {
	pthread_mutex_t lock;
	struct lent_buffer {
		char *start; /* NULL: free */
		size_t size;
	} buffers[LENT_MAX];
};

void lent_init(struct lent *lent);

/* NULL: no memory, or too much is lent. Any thread, as all below. */
void *lent_get(struct lent *lent, size_t size);

/* @in_use: something that was given up may use it still. */
void lent_put(struct lent *lent, void *buf, bool in_use);

/* Is all of it lent? */
bool lent_has(struct lent *lent, const void *buf, size_t size);

void lent_free(struct lent *lent);

#endif
