/* SPDX-License-Identifier: MIT */
/* An RBD image that is open, as storage. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arith.h"
#include "cleanup.h"
#include "rbdfeatures.h"
#include "rbdimage.h"
#include "rbdmap.h"
#include "rbdreaders.h"
#include "rbdusers.h"

/* Objects of this size cost least to write: two such requests an object run beside each other. */
#define BEST_TRANSFER ((uint64_t)2 << 20)
/* Of what passes through memory of our own at once. */
#define MOST_COPIED ((uint64_t)8 << 20)
#define GROWTH	    ((uint64_t)1 << 30)
#define OBJECT_MAX  ((uint64_t)1 << 30) /* more than Ceph takes */
#define STRIPES_MAX ((uint64_t)1 << 32)

/* ---- Requests ---- */

enum operation {
	READ,
	WRITE,
	PUNCH, /* zeros that may give up their space */
	ZERO,  /* zeros that keep it */
	FLUSH,
};

struct request {
	struct task task;
	rbd_completion_t completion;
	char *copy; /* of what is no lent memory: the caller's may be gone when the request ends */
};

static void request_free(struct request *request)
{
	if (request->completion)
		rbd.aio_release(request->completion);
	task_free(&request->task);
	free(request->copy);
	free(request);
}

static void drop_request(struct task *task)
{
	request_free((struct request *)task); /* its first member */
}

static void take_result(rbd_completion_t completion, void *opaque)
{
	struct request *request = opaque;

	task_end(&request->task, rbd.aio_get_return_value(completion));
}

static struct request *request_new(struct rbdimage *image, size_t copy_size)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	task_begin(&request->task, &image->link.patience);
	request->task.drop = drop_request;
	request->copy = copy_size ? malloc(copy_size) : NULL;
	if ((!copy_size || request->copy) &&
	    !rbd.aio_create_completion(request, take_result, &request->completion))
		return request;
	request_free(request);
	return NULL;
}

static int submit(struct rbdimage *image, enum operation operation, rbd_completion_t completion,
		  char *buf, size_t length, uint64_t offset)
{
	const int once = LIBRADOS_OP_FLAG_FADVISE_SEQUENTIAL | LIBRADOS_OP_FLAG_FADVISE_DONTNEED;

	switch (operation) {
	case READ:
		return rbd.aio_read2(image->image, offset, length, buf, completion, once);
	case WRITE:
		return rbd.aio_write2(image->image, offset, length, buf, completion, once);
	case PUNCH:
		return rbd.aio_write_zeroes(image->image, offset, length, completion, 0, 0);
	case ZERO:
		return rbd.aio_write_zeroes(image->image, offset, length, completion,
					    RBD_WRITE_ZEROES_FLAG_THICK_PROVISION, 0);
	case FLUSH:
	default:
		return rbd.aio_flush(image->image, completion);
	}
}

static int result_of(enum operation operation, int64_t result, size_t length)
{
	if (result < 0)
		return (int)result;
	return operation == READ && (size_t)result != length ? -EIO : 0;
}

static int try_request(struct rbdimage *image, enum operation operation, char *buf, size_t length,
		       uint64_t offset, bool *ret_again)
{
	struct request *request;
	int64_t result;

	int ret = patience_lost(&image->link.patience);

	if (ret)
		return ret;
	bool is_copied = buf && !lent_has(&image->lent, buf, length);

	request = request_new(image, is_copied ? length : 0);
	if (!request)
		return -ENOMEM;
	if (is_copied && operation == WRITE)
		memcpy(request->copy, buf, length);
	ret = submit(image, operation, request->completion, is_copied ? request->copy : buf, length,
		     offset);

	if (!ret) {
		ret = task_wait(&request->task, &image->link.patience, &result);
		if (ret)
			return ret; /* the request is not ours any more */
		*ret_again = result == -ETIMEDOUT && task_ended_early(&request->task);
		ret = result_of(operation, result, length);
	}
	if (!ret && is_copied && operation == READ)
		memcpy(buf, request->copy, length);
	request_free(request);
	return ret;
}

static int do_request(struct rbdimage *image, enum operation operation, char *buf, size_t length,
		      uint64_t offset)
{
	bool again = false;
	int ret = try_request(image, operation, buf, length, offset, &again);

	return again ? try_request(image, operation, buf, length, offset, &again) : ret;
}

/* A buffer's transfer, in parts that are no burden if they must be copied. */
static int transfer(struct rbdimage *image, enum operation operation, char *buf, size_t length,
		    uint64_t offset)
{
	int ret = 0;

	for (size_t at = 0; at < length && !ret; at += MOST_COPIED)
		ret = do_request(image, operation, buf + at,
				 (size_t)least(length - at, MOST_COPIED), offset + at);
	return ret;
}

/* ---- Size ---- */

struct resizing {
	struct rbdimage *image;
	uint64_t size;
};

/* Without an object map, a cut removes object by object. */
static int resize(struct task *task, void *opaque)
{
	const struct resizing *resizing = opaque;
	int ret = rbdfeatures_resize(resizing->image, task, resizing->size);

	if (ret)
		return ret;
	return rbd.resize_with_progress(resizing->image->image, resizing->size, rbdlink_beat, task);
}

/* With the lock held. */
static int set_capacity(struct rbdimage *image, uint64_t size)
{
	struct resizing *resizing = malloc(sizeof(*resizing));

	if (!resizing)
		return -ENOMEM;
	*resizing = (struct resizing){image, size};
	int ret = patience_call(&image->link.patience, resize, resizing);

	if (!patience_lost(&image->link.patience))
		free(resizing);
	if (!ret)
		image->capacity = size;
	return ret;
}

/* Ever larger steps, for each of them waits until nothing is in flight. */
static int make_room(struct rbdimage *image, uint64_t end)
{
	int ret = 0;

	LOCK_SCOPED(&image->lock);
	if (end > image->capacity) {
		uint64_t doubled = image->capacity * 2;

		ret = set_capacity(image, doubled > end ? doubled : end + GROWTH);
	}
	if (!ret && end > image->size)
		image->size = end;
	return ret;
}

static uint64_t size_of(struct rbdimage *image)
{
	LOCK_SCOPED(&image->lock);
	return image->size;
}

static int rbdimage_get_size(void *opaque, uint64_t *ret_size)
{
	*ret_size = size_of(opaque);
	return 0;
}

static int rbdimage_set_size(void *opaque, uint64_t size)
{
	struct rbdimage *image = opaque;

	LOCK_SCOPED(&image->lock);
	int ret = size == image->capacity ? 0 : set_capacity(image, size);

	if (!ret)
		image->size = size;
	return ret;
}

/* ---- As storage ---- */

static ssize_t rbdimage_preadv(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct rbdimage *image = opaque;
	uint64_t size = size_of(image);
	uint64_t left = offset < size ? size - offset : 0;
	ssize_t done = 0;

	for (int i = 0; i < iovcnt && left; i++) {
		size_t part = (size_t)least(iov[i].iov_len, left);
		int ret = transfer(image, READ, iov[i].iov_base, part, offset + (uint64_t)done);

		if (ret)
			return ret;
		rbdreaders_saw(image, iov[i].iov_base, part, offset + (uint64_t)done);
		done += (ssize_t)part;
		left -= part;
	}
	return done;
}

static ssize_t rbdimage_pwritev(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset)
{
	struct rbdimage *image = opaque;
	ssize_t done = 0;

	for (int i = 0; i < iovcnt; i++) {
		uint64_t at = offset + (uint64_t)done;
		uint64_t end = at + iov[i].iov_len;
		int ret = image->grows ? make_room(image, end) : 0;

		if (!ret && end > size_of(image))
			ret = -ENOSPC;
		if (!ret)
			ret = transfer(image, WRITE, iov[i].iov_base, iov[i].iov_len, at);
		if (ret)
			return ret;
		done += (ssize_t)iov[i].iov_len;
	}
	return done;
}

static int clear(struct rbdimage *image, enum operation operation, uint64_t offset, uint64_t length)
{
	int ret = image->grows ? make_room(image, offset + length) : 0;

	if (!ret && offset + length > size_of(image))
		ret = -ENOSPC;
	return ret ? ret : do_request(image, operation, NULL, (size_t)length, offset);
}

static int rbdimage_punch(void *opaque, uint64_t offset, uint64_t length)
{
	return clear(opaque, PUNCH, offset, length);
}

static int rbdimage_zero(void *opaque, uint64_t offset, uint64_t length)
{
	return clear(opaque, ZERO, offset, length);
}

static int rbdimage_flush(void *opaque)
{
	return do_request(opaque, FLUSH, NULL, 0, 0);
}

static int rbdimage_next_data(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end)
{
	struct rbdimage *image = opaque;

	int ret = patience_lost(&image->link.patience);

	return ret ? ret : rangemap_next_data(&image->map, offset, ret_start, ret_end);
}

static void *rbdimage_get_buffer(void *opaque, size_t size)
{
	struct rbdimage *image = opaque;

	return lent_get(&image->lent, size);
}

static void rbdimage_put_buffer(void *opaque, void *buf, size_t size)
{
	struct rbdimage *image = opaque;

	(void)size;
	lent_put(&image->lent, buf, patience_lost(&image->link.patience));
}

void rbdimage_offer(struct rbdimage *image, bool writing, struct vhdx_io *ret_io)
{
	*ret_io = (struct vhdx_io){
		.size = sizeof(*ret_io),
		.opaque = image,
		.preadv = rbdimage_preadv,
		.get_size = rbdimage_get_size,
		.best_transfer = least(image->object_size, BEST_TRANSFER),
		.get_buffer = rbdimage_get_buffer,
		.put_buffer = rbdimage_put_buffer,
	};
	if (!writing) {
		ret_io->next_data = rbdimage_next_data;
		return;
	}
	ret_io->pwritev = rbdimage_pwritev;
	ret_io->flush = rbdimage_flush;
	ret_io->set_size = rbdimage_set_size;
	ret_io->punch = rbdimage_punch;
	ret_io->zero = rbdimage_zero;
}

/* ---- Opening and closing ---- */

static void image_free(struct rbdimage *image)
{
	rbdlink_free(&image->link);
	rangemap_free(&image->map);
	lent_free(&image->lent);
	pthread_mutex_destroy(&image->lock);
	free(image);
}

int rbdimage_new(const char *name, const struct remote_options *options,
		 struct rbdimage **ret_image, struct remote_error *ret_error)
{
	struct rbdimage *image = calloc(1, sizeof(*image));

	if (!image)
		return remote_fail(ret_error, ENOMEM, "out of memory");
	pthread_mutex_init(&image->lock, NULL);
	lent_init(&image->lent);
	image->seen = UINT64_MAX;
	int ret = rbdlink_init(&image->link, name, options, ret_error);

	if (!ret && !rangemap_init(&image->map, 0, rbdmap_ask, image))
		ret = remote_fail(ret_error, ENOMEM, "out of memory");
	if (ret)
		image_free(image);
	else
		*ret_image = image;
	return ret;
}

static int learn(struct rbdimage *image)
{
	const uint64_t bad = RBD_FLAG_OBJECT_MAP_INVALID | RBD_FLAG_FAST_DIFF_INVALID;
	rbd_image_info_t info;
	uint64_t features, flags, stripes;
	int ret = rbd.stat(image->image, &info, sizeof(info));

	if (!ret)
		ret = rbd.get_features(image->image, &features);
	if (!ret)
		ret = rbd.get_flags(image->image, &flags);
	if (!ret)
		ret = rbd.get_stripe_count(image->image, &stripes);
	if (ret)
		return rbdlink_fail(&image->link, ret, "the image cannot be asked what it is");
	if (!info.obj_size || info.obj_size > OBJECT_MAX || info.size > INT64_MAX || !stripes ||
	    stripes > STRIPES_MAX)
		return remote_fail(&image->link.error, EUCLEAN,
				   "the image states sizes that cannot be");
	image->object_size = info.obj_size;
	image->period = info.obj_size * stripes;
	image->tells_fast = features & RBD_FEATURE_FAST_DIFF && !(flags & bad);
	image->size = image->capacity = image->map.size = info.size;
	return 0;
}

int rbdimage_attach(struct rbdimage *image, struct task *task, const char *name, const char *snap,
		    bool writing)
{
	struct rbdlink *link = &image->link;
	const char *at = snap[0] ? snap : NULL;
	int ret = writing ? rbd.open(link->pool, name, &image->image, at)
			  : rbd.open_read_only(link->pool, name, &image->image, at);

	if (ret == -ENOENT)
		return remote_fail(&link->error, ENOENT,
				   at ? "there is no such image, or it has no such snapshot"
				      : "there is no such image");
	if (ret)
		return rbdlink_fail(link, ret, "the image cannot be opened");
	if (writing)
		ret = rbdusers_keep_out(link, task, image->image);
	return ret ? ret : learn(image);
}

void rbdimage_detach(struct rbdimage *image)
{
	if (image->image)
		rbd.close(image->image);
	image->image = NULL;
}

static int detach_all(struct task *task, void *opaque)
{
	struct rbdimage *image = opaque;

	(void)task;
	rbdimage_detach(image);
	rbdlink_disconnect(&image->link);
	return 0;
}

void rbdimage_close(struct rbdimage *image)
{
	if (!image)
		return;
	if (!patience_lost(&image->link.patience))
		patience_call(&image->link.patience, detach_all, image);
	if (patience_lost(&image->link.patience))
		return; /* to whatever hangs */
	image_free(image);
}
