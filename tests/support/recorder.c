/* SPDX-License-Identifier: MIT */
/* A struct vhdx_io over sparse bytes that may be written: it notes every change and flush, and fails on demand. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "support/recorder.h"

/* A negative errno when the operation is one that fails. */
static int note(struct recorder *recorder, enum operation_kind kind, uint64_t offset,
		uint64_t length, uint8_t *bytes)
{
	bool fails = recorder->count >= recorder->fail_at &&
		     !(recorder->failed && recorder->fails_once);

	if (recorder->error && fails) {
		recorder->failed = true;
		free(bytes);
		return recorder->error;
	}
	recorder->operations = realloc(recorder->operations,
				       (recorder->count + 1) * sizeof(*recorder->operations));
	if (!recorder->operations)
		abort();
	recorder->operations[recorder->count] = (struct operation){kind, offset, length, bytes};
	operation_repeat(&recorder->operations[recorder->count++], recorder->bytes);
	return 0;
}

static ssize_t recorder_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct recorder *recorder = opaque;
	ssize_t done = 0;

	if (++recorder->reads == recorder->fail_read)
		return -EREMOTEIO;
	for (int i = 0; i < iovcnt && offset < recorder->bytes->size; i++) {
		uint64_t left = recorder->bytes->size - offset;
		uint64_t part = iov[i].iov_len < left ? iov[i].iov_len : left;

		sparse_read(recorder->bytes, iov[i].iov_base, part, offset);
		offset += part;
		done += (ssize_t)part;
	}
	return done;
}

static ssize_t recorder_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	uint64_t length = 0;
	uint64_t at = 0;

	for (int i = 0; i < iovcnt; i++)
		length += iov[i].iov_len;
	uint8_t *bytes = malloc(length + 1);

	if (!bytes)
		abort();
	for (int i = 0; i < iovcnt; at += iov[i++].iov_len)
		memcpy(bytes + at, iov[i].iov_base, iov[i].iov_len);
	int ret = note(opaque, OPERATION_WRITE, offset, length, bytes);

	return ret ? ret : (ssize_t)length;
}

static int recorder_flush(void *opaque)
{
	return note(opaque, OPERATION_FLUSH, 0, 0, NULL);
}

static int recorder_get_size(void *opaque, uint64_t *ret_size)
{
	*ret_size = ((struct recorder *)opaque)->bytes->size;
	return 0;
}

static int recorder_set_size(void *opaque, uint64_t size)
{
	return note(opaque, OPERATION_RESIZE, size, 0, NULL);
}

static int recorder_punch(void *opaque, uint64_t offset, uint64_t length)
{
	return note(opaque, OPERATION_PUNCH, offset, length, NULL);
}

static int recorder_zero(void *opaque, uint64_t offset, uint64_t length)
{
	return note(opaque, OPERATION_ZERO, offset, length, NULL);
}

static int recorder_reserve(void *opaque, uint64_t offset, uint64_t length)
{
	return note(opaque, OPERATION_RESERVE, offset, length, NULL);
}

static int recorder_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct sparse *bytes = ((struct recorder *)opaque)->bytes;
	uint64_t start;
	uint64_t end;

	if (offset >= bytes->size || !sparse_next(bytes, offset, &start, &end) ||
	    start >= bytes->size)
		return -ENXIO;
	*ret_start = start > offset ? start : offset;
	*ret_end = end < bytes->size ? end : bytes->size;
	return 0;
}

static int recorder_lock(void *opaque, int exclusive)
{
	struct recorder *recorder = opaque;

	recorder->locks[!!exclusive]++;
	return recorder->lock_error;
}

struct vhdx_io recorder_io(struct recorder *recorder)
{
	return (struct vhdx_io){
		.size = sizeof(struct vhdx_io),
		.opaque = recorder,
		.preadv = recorder_preadv,
		.pwritev = recorder_pwritev,
		.flush = recorder_flush,
		.get_size = recorder_get_size,
		.set_size = recorder_set_size,
		.punch = recorder_punch,
		.zero = recorder_zero,
		.reserve = recorder_reserve,
		.next_data = recorder_next_data,
		.lock = recorder_lock,
	};
}

void recorder_clear(struct recorder *recorder)
{
	for (size_t i = 0; i < recorder->count; i++)
		free(recorder->operations[i].bytes);
	free(recorder->operations);
	recorder->operations = NULL;
	recorder->count = 0;
	recorder->failed = false;
}

size_t recorder_count(const struct recorder *recorder, enum operation_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < recorder->count; i++)
		count += recorder->operations[i].kind == kind;
	return count;
}

void operation_repeat(const struct operation *operation, struct sparse *bytes)
{
	uint64_t end = operation->offset + operation->length;

	switch (operation->kind) {
	case OPERATION_WRITE:
		sparse_write(bytes, operation->bytes, operation->length, operation->offset);
		break;
	case OPERATION_ZERO: /* of what the file has; it keeps its size */
	case OPERATION_PUNCH:
		if (operation->offset < bytes->size)
			sparse_zero(bytes, operation->offset,
				    (end < bytes->size ? end : bytes->size) - operation->offset);
		break;
	case OPERATION_RESIZE:
		sparse_resize(bytes, operation->offset);
		break;
	case OPERATION_RESERVE:
	case OPERATION_FLUSH:
		break;
	}
}
