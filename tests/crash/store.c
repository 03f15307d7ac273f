/* SPDX-License-Identifier: MIT */
/* A recording struct vhdx_io over shared sparse bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crash/store.h"

void store_init(struct store *store, struct cow *contents)
{
	*store = (struct store){.clock = 1};
	store->time = &store->clock;
	pthread_mutex_init(&store->lock, NULL);
	store->now = *contents;
	*contents = (struct cow){0};
	cow_copy(&store->now, &store->base);
}

static void forget(struct store *store)
{
	for (size_t i = 0; i < store->count; i++)
		free(store->ops[i].bytes);
	free(store->ops);
	store->ops = NULL;
	store->count = store->room = 0;
	cow_free(&store->base);
}

void store_free(struct store *store)
{
	forget(store);
	cow_free(&store->now);
	pthread_mutex_destroy(&store->lock);
}

void store_share_clock(struct store *store, struct store *other)
{
	store->time = other->time;
}

void store_restart(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	forget(store);
	cow_copy(&store->now, &store->base);
	pthread_mutex_unlock(&store->lock);
}

uint64_t store_tick(struct store *store)
{
	pthread_mutex_lock(&store->lock);
	uint64_t time = ++*store->time;

	pthread_mutex_unlock(&store->lock);
	return time;
}

void store_peek(struct store *store, void *buf, size_t size, uint64_t offset)
{
	pthread_mutex_lock(&store->lock);
	cow_read(&store->now, buf, size, offset);
	pthread_mutex_unlock(&store->lock);
}

/* Under the lock. Returns the op's index. */
static size_t record(struct store *store, struct store_op op)
{
	if (store->forgets) {
		free(op.bytes);
		return SIZE_MAX;
	}
	if (store->count == store->room) {
		store->room = store->room * 2 + 64;
		store->ops = realloc(store->ops, store->room * sizeof(*store->ops));
		if (!store->ops)
			abort();
	}
	op.begin = ++*store->time;
	op.end = NEVER;
	store->ops[store->count] = op;
	return store->count++;
}

/* The new contents are seen from the begin on: who reads beside a write sees either. */
static void apply(struct store *store, const struct store_op *op)
{
	switch (op->kind) {
	case STORE_WRITE:
		cow_write(&store->now, op->bytes, (size_t)op->length, op->offset);
		store->writes++;
		break;
	case STORE_SIZE:
		cow_resize(&store->now, op->length);
		break;
	case STORE_PUNCH:
	case STORE_ZERO:
		cow_zero(&store->now, op->offset, op->length);
		break;
	case STORE_FLUSH:
		store->flushes++;
		break;
	case STORE_RESERVE:
		break;
	}
}

static int call_hook(struct store *store, const struct store_op *op, enum store_when when)
{
	struct store_call call = {op->kind, when, op->offset, op->length};

	return store->hook ? store->hook(store->opaque, &call) : 0;
}

static int refuse(struct store *store, enum store_kind kind)
{
	pthread_mutex_lock(&store->lock);
	bool changes = store->read_only && kind != STORE_FLUSH;
	int ret = store->dead ? -EIO : changes ? -EROFS : 0;

	store->refused += changes;
	pthread_mutex_unlock(&store->lock);
	return ret;
}

/* Takes @op.bytes over. */
static int perform(struct store *store, struct store_op op)
{
	int ret = refuse(store, op.kind);

	if (!ret)
		ret = call_hook(store, &op, STORE_BEFORE);
	if (ret && op.kind != STORE_FLUSH) {
		free(op.bytes);
		return ret;
	}
	op.failed = ret != 0;
	pthread_mutex_lock(&store->lock);
	apply(store, &op);
	struct store_op kept = op;
	size_t index = op.kind == STORE_RESERVE ? SIZE_MAX : record(store, op);

	pthread_mutex_unlock(&store->lock);
	if (!ret)
		call_hook(store, &kept, STORE_AFTER);
	pthread_mutex_lock(&store->lock);
	if (index < store->count)
		store->ops[index].end = ++*store->time;
	pthread_mutex_unlock(&store->lock);
	return ret;
}

static ssize_t store_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct store *store = opaque;
	ssize_t done = 0;

	pthread_mutex_lock(&store->lock);
	for (int i = 0; i < iovcnt && offset < store->now.size && !store->dead; i++) {
		uint64_t left = store->now.size - offset;
		size_t part = left < iov[i].iov_len ? (size_t)left : iov[i].iov_len;

		cow_read(&store->now, iov[i].iov_base, part, offset);
		offset += part;
		done += (ssize_t)part;
	}
	if (store->dead)
		done = -EIO;
	pthread_mutex_unlock(&store->lock);
	return done;
}

static ssize_t store_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct store_op op = {.kind = STORE_WRITE, .offset = offset};

	for (int i = 0; i < iovcnt; i++)
		op.length += iov[i].iov_len;
	op.bytes = malloc((size_t)op.length + 1);
	if (!op.bytes)
		abort();
	for (size_t i = 0, at = 0; i < (size_t)iovcnt; at += iov[i++].iov_len)
		memcpy(op.bytes + at, iov[i].iov_base, iov[i].iov_len);
	int ret = perform(opaque, op);

	return ret ? ret : (ssize_t)op.length;
}

static int store_flush(void *opaque)
{
	return perform(opaque, (struct store_op){.kind = STORE_FLUSH});
}

static int store_get_size(void *opaque, uint64_t *ret_size)
{
	struct store *store = opaque;

	pthread_mutex_lock(&store->lock);
	*ret_size = store->now.size;
	pthread_mutex_unlock(&store->lock);
	return 0;
}

static int store_set_size(void *opaque, uint64_t size)
{
	return perform(opaque, (struct store_op){.kind = STORE_SIZE, .length = size});
}

static int store_punch(void *opaque, uint64_t offset, uint64_t length)
{
	return perform(opaque, (struct store_op){STORE_PUNCH, .offset = offset, .length = length});
}

static int store_zero(void *opaque, uint64_t offset, uint64_t length)
{
	return perform(opaque, (struct store_op){STORE_ZERO, .offset = offset, .length = length});
}

static int store_reserve(void *opaque, uint64_t offset, uint64_t length)
{
	return perform(opaque,
		       (struct store_op){STORE_RESERVE, .offset = offset, .length = length});
}

static int store_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	struct store *store = opaque;

	pthread_mutex_lock(&store->lock);
	bool found = cow_next(&store->now, offset, ret_start, ret_end);

	pthread_mutex_unlock(&store->lock);
	return found ? 0 : -ENXIO;
}

static int store_lock(void *opaque, int exclusive)
{
	(void)opaque;
	(void)exclusive;
	return 0;
}

struct vhdx_io store_io(struct store *store)
{
	return (struct vhdx_io){
		.size = sizeof(struct vhdx_io),
		.opaque = store,
		.preadv = store_preadv,
		.pwritev = store_pwritev,
		.flush = store_flush,
		.parallel_flushes = 4,
		.get_size = store_get_size,
		.set_size = store_set_size,
		.punch = store_punch,
		.zero = store_zero,
		.reserve = store_reserve,
		.next_data = store_next_data,
		.lock = store_lock,
	};
}
