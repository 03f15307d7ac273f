/* SPDX-License-Identifier: MIT */
/* Memory that storage lends to those who use it. */
#include <stdlib.h>

#include "cleanup.h"
#include "lent.h"

#define ALIGNMENT 4096

void lent_init(struct lent *lent)
{
	*lent = (struct lent){.lock = PTHREAD_MUTEX_INITIALIZER};
}

/* With the lock held; NULL is a free place. */
static struct lent_buffer *find(struct lent *lent, const void *start)
{
	for (size_t i = 0; i < LENT_MAX; i++)
		if (lent->buffers[i].start == start)
			return &lent->buffers[i];
	return NULL;
}

void *lent_get(struct lent *lent, size_t size)
{
	void *buf;

	LOCK_SCOPED(&lent->lock);
	struct lent_buffer *place = find(lent, NULL);

	if (!place || posix_memalign(&buf, ALIGNMENT, size))
		return NULL;
	*place = (struct lent_buffer){buf, size};
	return buf;
}

void lent_put(struct lent *lent, void *buf, bool in_use)
{
	LOCK_SCOPED(&lent->lock);
	struct lent_buffer *place = find(lent, buf);

	if (place)
		place->start = NULL;
	if (!in_use)
		free(buf);
}

bool lent_has(struct lent *lent, const void *buf, size_t size)
{
	const char *start = buf;

	LOCK_SCOPED(&lent->lock);
	for (size_t i = 0; i < LENT_MAX; i++) {
		const struct lent_buffer *at = &lent->buffers[i];

		if (at->start && start >= at->start && size <= at->size &&
		    start - at->start <= (ptrdiff_t)(at->size - size))
			return true;
	}
	return false;
}

void lent_free(struct lent *lent)
{
	pthread_mutex_destroy(&lent->lock);
}
