/* SPDX-License-Identifier: MIT */
/* The images that this process reads, and whether they are still there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arith.h"
#include "cleanup.h"
#include "rbd.h"
#include "rbdreaders.h"

#define SECTOR 512
#define ID_MAX 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rbdimage *readers; /* with the lock held */

void rbdreaders_add(struct rbdimage *image)
{
	LOCK_SCOPED(&lock);
	image->next_reader = readers;
	readers = image;
}

void rbdreaders_remove(struct rbdimage *image)
{
	LOCK_SCOPED(&lock);
	for (struct rbdimage **at = &readers; *at; at = &(*at)->next_reader)
		if (*at == image) {
			*at = image->next_reader;
			return;
		}
}

/* ---- What was read first ---- */

static bool is_zero(const char *buf, size_t length)
{
	return !length || (!buf[0] && !memcmp(buf, buf + 1, length - 1));
}

/*
 * A removal takes objects in their order and the header last. So of all that was read and is not zeros, the first of
 * the image is kept in mind.
 */
void rbdreaders_saw(struct rbdimage *image, const char *buf, size_t length, uint64_t offset)
{
	LOCK_SCOPED(&image->lock);
	for (size_t at = 0; at < length && offset + at < image->seen; at += SECTOR)
		if (!is_zero(buf + at, (size_t)least(length - at, SECTOR)))
			image->seen = offset + at;
}

static int check_seen(struct rbdimage *image)
{
	char sector[SECTOR] = {0};

	if (image->seen == UINT64_MAX)
		return 0;
	ssize_t count = rbd.read2(image->image, image->seen,
				  least(SECTOR, image->size - image->seen), sector,
				  LIBRADOS_OP_FLAG_FADVISE_DONTNEED);

	if (count < 0)
		return rbdlink_fail(&image->link, (int)count, "what was read cannot be read again");
	if (is_zero(sector, SECTOR))
		return remote_fail(&image->link.error, ESTALE,
				   "its contents were removed while they were read");
	return 0;
}

/* ---- The image ---- */

static int refuse_removed(struct rbdimage *image)
{
	return remote_fail(&image->link.error, ESTALE, "the %s was removed while it was read",
			   image->link.name.snap[0] ? "snapshot" : "image");
}

/* An open image is not asked for what it was told once; and its name may be another's now. */
static int open_again(struct rbdimage *image, rbd_image_t *ret_again)
{
	const char *snap = image->link.name.snap;
	char id[ID_MAX];
	int ret = rbd.get_id(image->image, id, sizeof(id));

	if (!ret)
		ret = rbd.open_by_id_read_only(image->link.pool, id, ret_again,
					       snap[0] ? snap : NULL);
	if (ret == -ENOENT)
		return refuse_removed(image);
	return ret ? rbdlink_fail(&image->link, ret, "it cannot be told whether it is still there")
		   : 0;
}

/* Another snapshot may have the name now. */
static bool is_same_snap(struct rbdimage *image, rbd_image_t again)
{
	const char *snap = image->link.name.snap;
	uint64_t before, now;

	return !snap[0] || (!rbd.snap_get_id(image->image, snap, &before) &&
			    !rbd.snap_get_id(again, snap, &now) && before == now);
}

static int check_there(struct rbdimage *image)
{
	rbd_image_t again;
	int ret = open_again(image, &again);

	if (ret)
		return ret;
	bool is_same = is_same_snap(image, again);

	rbd.close(again);
	return is_same ? 0 : refuse_removed(image);
}

static int check(struct task *task, void *opaque)
{
	struct rbdimage *image = opaque;
	int ret = check_there(image);

	(void)task;
	return ret ? ret : check_seen(image);
}

static int name_error(const struct rbdname *name, int ret, const struct remote_error *error,
		      struct remote_error *ret_error)
{
	return remote_fail(ret_error, -ret, RBDNAME_SCHEME "%.80s/%.80s%s%.80s%s%.80s: %.150s",
			   name->pool, name->space, name->space[0] ? "/" : "", name->image,
			   name->snap[0] ? "@" : "", name->snap, error->text);
}

int rbdio_check_read(struct remote_error *ret_error)
{
	struct remote_error error;

	LOCK_SCOPED(&lock);
	for (struct rbdimage *image = readers; image; image = image->next_reader) {
		int ret = rbdlink_call(&image->link, check, image, &error);

		if (ret)
			return name_error(&image->link.name, ret, &error, ret_error);
	}
	return 0;
}
