/* SPDX-License-Identifier: MIT */
/* A struct vhdx_io over sparse bytes that can be written by many threads, counts, fails and dies on demand. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/writestore.h"

/* Where memory is refused (alloc.h), the store gets it nevertheless. */
void alloc_pause(bool pause) __attribute__((weak));

static void lock_for_change(struct write_store *store)
{
	pthread_rwlock_wrlock(&store->lock);
	if (alloc_pause)
		alloc_pause(true);
}

static void unlock_after_change(struct write_store *store)
{
	if (alloc_pause)
		alloc_pause(false);
	pthread_rwlock_unlock(&store->lock);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Counts the call, at a place of the file. Returns the error that it must fail with, 0 for none. */
static int enter(struct write_store *store, enum store_call call, uint64_t place)
{
	if (store->hook)
		store->hook(store->hook_opaque, call);
	atomic_fetch_add(&store->count[call], 1);
	if (atomic_load(&store->dead) && STORE_BIT(call) & STORE_CHANGES)
		return -EIO;
	if (!(store->fail_calls & STORE_BIT(call)) || place < store->fail_behind ||
	    (store->fail_before && place >= store->fail_before))
		return 0;
	unsigned long number = atomic_fetch_add(&store->fail_seen, 1) + 1;

	if (!store->fail_to || number < store->fail_from || number > store->fail_to)
		return 0;
	atomic_fetch_or(&store->failed, STORE_BIT(call));
	return store->error;
}

static bool lacks_space(const struct write_store *store, uint64_t end)
{
	return store->limit && end > store->limit;
}

/* Notes a change of the bytes; the caller holds the lock. */
static void note_change(struct write_store *store, const struct store_change *change)
{
	if (!store->tracks) {
		free(change->bytes);
		return;
	}
	struct store_change *kept = malloc(sizeof(*kept));

	if (!kept)
		abort();
	*kept = *change;
	kept->next = NULL;
	*store->last = kept;
	store->last = &kept->next;
	store->completed++;
}

static void apply_change(struct sparse *bytes, const struct store_change *change)
{
	if (change->call == STORE_WRITE)
		sparse_write(bytes, change->bytes, change->length, change->offset);
	else if (change->call == STORE_SET_SIZE)
		sparse_resize(bytes, change->offset);
	else
		sparse_zero(bytes, change->offset, change->length);
}

/* The changes up to number @count are durable. */
static void retire(struct write_store *store, unsigned long count)
{
	while (store->retired < count) {
		struct store_change *change = store->first;

		apply_change(&store->durable, change);
		store->first = change->next;
		if (!store->first)
			store->last = &store->first;
		store->retired++;
		free(change->bytes);
		free(change);
	}
}

static ssize_t store_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct write_store *store = opaque;
	int ret = enter(store, STORE_READ, offset);
	uint64_t left = store->transfer ? store->transfer : UINT64_MAX;
	ssize_t done = 0;

	if (ret)
		return ret;
	pthread_rwlock_rdlock(&store->lock);
	for (int i = 0; i < iovcnt && left && offset < store->bytes.size; i++) {
		uint64_t part = min(min(iov[i].iov_len, left), store->bytes.size - offset);

		sparse_read(&store->bytes, iov[i].iov_base, part, offset);
		offset += part;
		left -= part;
		done += (ssize_t)part;
	}
	pthread_rwlock_unlock(&store->lock);
	return done;
}

static bool is_zero(const uint8_t *bytes, uint64_t size)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* As sparse_write, but keeps whole pages of zeros as holes: blocks that are zeroed cost no memory. */
static void write_bytes(struct sparse *bytes, const uint8_t *from, uint64_t size, uint64_t offset)
{
	while (size) {
		uint64_t part = min(size, SPARSE_PAGE - offset % SPARSE_PAGE);

		if (part == SPARSE_PAGE && is_zero(from, part)) {
			sparse_zero(bytes, offset, part);
			if (bytes->size < offset + part)
				bytes->size = offset + part;
		} else {
			sparse_write(bytes, from, part, offset);
		}
		from += part;
		offset += part;
		size -= part;
	}
}

/* Writes the first @limit bytes of the buffers; the caller holds the lock. Returns how many. */
static uint64_t write_some(struct write_store *store, const struct iovec *iov, int iovcnt,
			   uint64_t offset, uint64_t limit)
{
	uint64_t done = 0;

	for (int i = 0; i < iovcnt && done < limit; i++) {
		uint64_t part = min(iov[i].iov_len, limit - done);
		struct store_change change = {STORE_WRITE, offset + done, part, NULL, NULL};

		if (!part)
			continue;
		write_bytes(&store->bytes, iov[i].iov_base, part, offset + done);
		if (store->tracks) {
			change.bytes = malloc(part);
			if (!change.bytes)
				abort();
			memcpy(change.bytes, iov[i].iov_base, part);
		}
		note_change(store, &change);
		done += part;
	}
	atomic_fetch_add(&store->written_bytes, done);
	return done;
}

static uint64_t total_of(const struct iovec *iov, int iovcnt)
{
	uint64_t total = 0;

	for (int i = 0; i < iovcnt; i++)
		total += iov[i].iov_len;
	return total;
}

/* Half of a write, up to a sector's edge. */
static uint64_t torn(uint64_t offset, uint64_t total)
{
	uint64_t end = (offset + total / 2) / 512 * 512;

	return end > offset ? end - offset : 0;
}

static ssize_t store_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct write_store *store = opaque;
	int ret = enter(store, STORE_WRITE, offset);
	uint64_t total = total_of(iov, iovcnt);

	if (ret && !store->tears)
		return ret;
	if (!ret && lacks_space(store, offset + total))
		return -ENOSPC;
	if (store->transfer)
		total = min(total, store->transfer);
	lock_for_change(store);
	/* The caller's process is gone, or the write fails half way. */
	uint64_t done = atomic_load(&store->dead) ? 0
						  : write_some(store, iov, iovcnt, offset,
							       ret ? torn(offset, total) : total);

	unlock_after_change(store);
	return ret ? ret : (ssize_t)done;
}

static int store_flush(void *opaque)
{
	struct write_store *store = opaque;

	/* What was completed before the flush began is durable when it is over. */
	pthread_rwlock_rdlock(&store->lock);
	unsigned long completed = store->completed;

	pthread_rwlock_unlock(&store->lock);
	int ret = enter(store, STORE_FLUSH, UINT64_MAX);

	if (ret)
		return ret;
	lock_for_change(store);
	retire(store, completed);
	unlock_after_change(store);
	return 0;
}

static int store_get_size(void *opaque, uint64_t *ret_size)
{
	struct write_store *store = opaque;
	int ret = enter(store, STORE_GET_SIZE, UINT64_MAX);

	if (ret)
		return ret;
	pthread_rwlock_rdlock(&store->lock);
	*ret_size = store->bytes.size;
	pthread_rwlock_unlock(&store->lock);
	return 0;
}

static int change_bytes(struct write_store *store, const struct store_change *change)
{
	lock_for_change(store);
	apply_change(&store->bytes, change);
	note_change(store, change);
	unlock_after_change(store);
	return 0;
}

static int store_set_size(void *opaque, uint64_t size)
{
	struct write_store *store = opaque;
	int ret = enter(store, STORE_SET_SIZE, size);

	if (!ret && lacks_space(store, size))
		ret = -ENOSPC;
	return ret ? ret
		   : change_bytes(store,
				  &(struct store_change){.call = STORE_SET_SIZE, .offset = size});
}

/* Neither goes beyond the size: as fallocate with FALLOC_FL_KEEP_SIZE. */
static int make_zeros(struct write_store *store, enum store_call call, uint64_t offset,
		      uint64_t length)
{
	int ret = enter(store, call, offset);

	return ret ? ret
		   : change_bytes(store, &(struct store_change){.call = STORE_PUNCH,
								.offset = offset,
								.length = length});
}

static int store_punch(void *opaque, uint64_t offset, uint64_t length)
{
	return make_zeros(opaque, STORE_PUNCH, offset, length);
}

static int store_zero(void *opaque, uint64_t offset, uint64_t length)
{
	return make_zeros(opaque, STORE_ZERO, offset, length);
}

static int store_reserve(void *opaque, uint64_t offset, uint64_t length)
{
	struct write_store *store = opaque;
	int ret = enter(store, STORE_RESERVE, offset);

	return !ret && lacks_space(store, offset + length) ? -ENOSPC : ret;
}

static int store_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	struct write_store *store = opaque;
	int ret = enter(store, STORE_NEXT_DATA, offset);
	uint64_t start = 0;
	uint64_t end = 0;

	if (ret)
		return ret;
	pthread_rwlock_rdlock(&store->lock);
	uint64_t size = store->bytes.size;
	bool found = offset < size && sparse_next(&store->bytes, offset, &start, &end) &&
		     start < size;

	pthread_rwlock_unlock(&store->lock);
	if (!found)
		return -ENXIO;
	*ret_start = start > offset ? start : offset;
	*ret_end = min(end, size);
	return 0;
}

static int store_lock(void *opaque, int exclusive)
{
	(void)opaque;
	(void)exclusive;
	return 0;
}

static void store_close(void *opaque)
{
	struct write_store *store = opaque;

	atomic_fetch_add(&store->closes, 1);
}

struct vhdx_io write_store_io(struct write_store *store, unsigned without)
{
	return (struct vhdx_io){
		.size = sizeof(struct vhdx_io),
		.opaque = store,
		.preadv = store_preadv,
		.pwritev = store_pwritev,
		.flush = store_flush,
		.get_size = store_get_size,
		.set_size = store_set_size,
		.punch = without & STORE_BIT(STORE_PUNCH) ? NULL : store_punch,
		.zero = without & STORE_BIT(STORE_ZERO) ? NULL : store_zero,
		.reserve = without & STORE_BIT(STORE_RESERVE) ? NULL : store_reserve,
		.next_data = without & STORE_BIT(STORE_NEXT_DATA) ? NULL : store_next_data,
		.lock = store_lock,
		.close = store_close,
	};
}

void write_store_init(struct write_store *store)
{
	memset(store, 0, sizeof(*store));
	pthread_rwlock_init(&store->lock, NULL);
	store->last = &store->first;
}

void write_store_free(struct write_store *store)
{
	retire(store, store->completed);
	sparse_free(&store->bytes);
	sparse_free(&store->durable);
	pthread_rwlock_destroy(&store->lock);
}

void write_store_track(struct write_store *store)
{
	sparse_copy(&store->durable, 0, &store->bytes, 0, store->bytes.size);
	sparse_resize(&store->durable, store->bytes.size);
	store->tracks = true;
}

void write_store_durable(struct write_store *store, struct sparse *ret_bytes)
{
	pthread_rwlock_rdlock(&store->lock);
	sparse_copy(ret_bytes, 0, &store->durable, 0, store->durable.size);
	sparse_resize(ret_bytes, store->durable.size);
	pthread_rwlock_unlock(&store->lock);
}

unsigned long write_store_count(const struct write_store *store, unsigned calls)
{
	unsigned long sum = 0;

	for (unsigned call = 0; call < STORE_CALLS; call++)
		if (calls & STORE_BIT(call))
			sum += atomic_load(&store->count[call]);
	return sum;
}

unsigned long write_store_changes(const struct write_store *store)
{
	return write_store_count(store, STORE_CHANGES);
}
