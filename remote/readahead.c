/* SPDX-License-Identifier: MIT */
/*
 * An image is opened and walked by many small reads, and each costs a way to the server and back. So a small one
 * reads its surroundings too, more of them each time that reading goes on where such a stretch ends.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "arith.h"
#include "cleanup.h"
#include "readahead.h"

#define KIB ((uint64_t)1024)

/* A walk over an image's tables reads so much at a time; what is larger is contents, which are read once. */
#define SMALL (64 * KIB)
/* Identifier, headers and region tables: what every image begins with. */
#define FIRST (320 * KIB)
#define UNIT  (32 * KIB)
#define MOST  (512 * KIB)
/*
 * Kept of the images of a chain together, and of each at least, which is more than any stretch, and at most: as
 * much as many threads, each at another place, need to go on where they were.
 */
#define KEPT_OF_ALL (16 * 1024 * KIB)
#define KEPT_LEAST  (512 * KIB)
#define KEPT_MOST   (8 * 1024 * KIB)
#define STRETCHES   256u

/* A part of the image. It is free when its length is 0. */
struct stretch {
	uint64_t start;
	uint64_t length;
	uint64_t turn; /* of its last use */
	bool loading;
	char *bytes;
};

struct readahead {
	struct vhdx_io below;
	uint64_t size;
	uint64_t limit;	      /* of what is kept */
	pthread_mutex_t lock; /* of the members here; not held while a stretch is loading */
	pthread_cond_t loaded;
	uint64_t turn;
	uint64_t kept; /* bytes of all stretches */
	struct stretch stretches[STRETCHES];
};

/* ---- Stretches, with the lock held ---- */

static struct stretch *find(struct readahead *ahead, uint64_t offset)
{
	for (unsigned i = 0; i < STRETCHES; i++) {
		struct stretch *at = &ahead->stretches[i];

		if (at->length && offset >= at->start && offset - at->start < at->length)
			return at;
	}
	return NULL;
}

static void forget(struct readahead *ahead, struct stretch *stretch)
{
	ahead->kept -= stretch->length;
	free(stretch->bytes);
	*stretch = (struct stretch){0};
}

/* The one that was not used for the longest time; NULL when all are loading. */
static struct stretch *find_oldest(struct readahead *ahead)
{
	struct stretch *oldest = NULL;

	for (unsigned i = 0; i < STRETCHES; i++) {
		struct stretch *at = &ahead->stretches[i];

		if (at->length && !at->loading && (!oldest || at->turn < oldest->turn))
			oldest = at;
	}
	return oldest;
}

/* A free one, with room for @length more bytes; NULL when others must be loaded first. */
static struct stretch *make_room(struct readahead *ahead, uint64_t length)
{
	for (;;) {
		struct stretch *oldest;

		for (unsigned i = 0; i < STRETCHES && ahead->kept + length <= ahead->limit; i++)
			if (!ahead->stretches[i].length)
				return &ahead->stretches[i];
		oldest = find_oldest(ahead);
		if (!oldest)
			return NULL;
		forget(ahead, oldest);
	}
}

/* Where a stretch with @offset begins, and how far it may go. */
static uint64_t choose(struct readahead *ahead, uint64_t offset, uint64_t wanted,
		       uint64_t *ret_start)
{
	uint64_t start = offset - offset % UNIT;
	uint64_t length = offset + wanted - start;
	const struct stretch *before = start ? find(ahead, start - 1) : NULL;

	if (start < FIRST && FIRST > start + length)
		length = FIRST - start;
	else if (before)
		length = least(least(MOST, ahead->limit / 4), 2 * before->length);
	if (length < offset + wanted - start)
		length = offset + wanted - start;
	length = least(length + UNIT - 1 - (length + UNIT - 1) % UNIT, ahead->size - start);
	/* Nothing is read twice. */
	for (unsigned i = 0; i < STRETCHES; i++) {
		const struct stretch *at = &ahead->stretches[i];

		if (at->length && at->start > start)
			length = least(length, at->start - start);
	}
	*ret_start = start;
	return length;
}

/* Reads the stretch, without the lock meanwhile. */
static int load(struct readahead *ahead, struct stretch *stretch)
{
	struct vhdx_io *below = &ahead->below;
	struct iovec rest = {stretch->bytes, (size_t)stretch->length};
	uint64_t offset = stretch->start;
	ssize_t done = 1;

	pthread_mutex_unlock(&ahead->lock);
	while (rest.iov_len && done > 0) {
		done = below->preadv(below->opaque, &rest, 1, offset);
		if (done > 0) {
			rest.iov_base = (char *)rest.iov_base + done;
			rest.iov_len -= (size_t)done;
			offset += (uint64_t)done;
		}
	}
	memset(rest.iov_base, 0, rest.iov_len);
	pthread_mutex_lock(&ahead->lock);
	stretch->loading = false;
	if (done < 0)
		forget(ahead, stretch);
	pthread_cond_broadcast(&ahead->loaded);
	return done < 0 ? (int)done : 0;
}

/* Makes a stretch that holds @offset, or waits for others, whose room it may then have. */
static int begin(struct readahead *ahead, uint64_t offset, uint64_t wanted)
{
	uint64_t start;
	uint64_t length = choose(ahead, offset, wanted, &start);
	struct stretch *stretch = make_room(ahead, length);

	if (!stretch) {
		pthread_cond_wait(&ahead->loaded, &ahead->lock);
		return 0;
	}
	stretch->bytes = malloc(length);
	if (!stretch->bytes)
		return -ENOMEM;
	stretch->start = start;
	stretch->length = length;
	stretch->loading = true;
	stretch->turn = ++ahead->turn;
	ahead->kept += length;
	return load(ahead, stretch);
}

/* Copies what one stretch holds of a small read. Returns the bytes, or an errno. */
static ssize_t copy_part(struct readahead *ahead, char *buf, uint64_t wanted, uint64_t offset)
{
	LOCK_SCOPED(&ahead->lock);
	for (;;) {
		struct stretch *stretch = find(ahead, offset);

		if (stretch && !stretch->loading) {
			uint64_t skip = offset - stretch->start;
			uint64_t part = least(wanted, stretch->length - skip);

			stretch->turn = ++ahead->turn;
			memcpy(buf, stretch->bytes + skip, part);
			return (ssize_t)part;
		}
		if (stretch) {
			pthread_cond_wait(&ahead->loaded, &ahead->lock);
			continue;
		}
		int ret = begin(ahead, offset, wanted);

		if (ret)
			return ret;
	}
}

/* ---- As storage ---- */

static ssize_t readahead_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct readahead *ahead = opaque;
	ssize_t done = 0;

	if (iovcnt != 1 || iov->iov_len > SMALL)
		return ahead->below.preadv(ahead->below.opaque, iov, iovcnt, offset);
	uint64_t left = offset < ahead->size ? ahead->size - offset : 0;

	for (uint64_t wanted = least(iov->iov_len, left); wanted;) {
		ssize_t part = copy_part(ahead, (char *)iov->iov_base + done, wanted,
					 offset + (uint64_t)done);

		if (part < 0)
			return part;
		done += part;
		wanted -= (uint64_t)part;
	}
	return done;
}

static int readahead_get_size(void *opaque, uint64_t *ret_size)
{
	const struct readahead *ahead = opaque;

	*ret_size = ahead->size;
	return 0;
}

static int readahead_next_data(void *opaque, uint64_t offset, uint64_t *ret_start,
			       uint64_t *ret_end)
{
	const struct readahead *ahead = opaque;

	return ahead->below.next_data(ahead->below.opaque, offset, ret_start, ret_end);
}

static void readahead_close(void *opaque)
{
	struct readahead *ahead = opaque;

	for (unsigned i = 0; i < STRETCHES; i++)
		free(ahead->stretches[i].bytes);
	if (ahead->below.close)
		ahead->below.close(ahead->below.opaque);
	pthread_cond_destroy(&ahead->loaded);
	pthread_mutex_destroy(&ahead->lock);
	free(ahead);
}

int readahead_wrap(struct vhdx_io *io, size_t images)
{
	struct readahead *ahead = calloc(1, sizeof(*ahead));
	int ret = ahead ? io->get_size(io->opaque, &ahead->size) : -ENOMEM;

	if (ret) {
		free(ahead);
		return ret;
	}
	ahead->below = *io;
	ahead->limit = least(KEPT_MOST, KEPT_OF_ALL / images);
	if (ahead->limit < KEPT_LEAST)
		ahead->limit = KEPT_LEAST;
	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->loaded, NULL);
	*io = (struct vhdx_io){
		.size = sizeof(*io),
		.opaque = ahead,
		.preadv = readahead_preadv,
		.get_size = readahead_get_size,
		.next_data = io->next_data ? readahead_next_data : NULL,
		.close = readahead_close,
	};
	return 0;
}
