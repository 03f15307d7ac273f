/* SPDX-License-Identifier: MIT */
/* Opens an RBD image, or a snapshot of one, that is there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "rbd.h"
#include "rbdimage.h"
#include "rbdreaders.h"

static int open_image(struct rbdimage *image, struct task *task, bool writing)
{
	const struct rbdname *name = &image->link.name;
	int ret = rbdlink_connect(&image->link);

	return ret ? ret : rbdimage_attach(image, task, name->image, name->snap, writing);
}

static int open_to_read(struct task *task, void *opaque)
{
	return open_image(opaque, task, false);
}

static int open_to_write(struct task *task, void *opaque)
{
	return open_image(opaque, task, true);
}

static void close_image(void *opaque)
{
	rbdreaders_remove(opaque);
	rbdimage_close(opaque);
}

static int open_any(const char *name, bool writing, const struct remote_options *options,
		    struct rbdimage **ret_image, struct remote_error *ret_error)
{
	struct rbdimage *image;
	int ret = rbdimage_new(name, options, &image, ret_error);

	if (ret)
		return ret;
	if (writing && image->link.name.snap[0]) {
		rbdimage_close(image);
		return remote_fail(ret_error, EROFS, "a snapshot cannot be written");
	}
	ret = rbdlink_call(&image->link, writing ? open_to_write : open_to_read, image, ret_error);

	if (ret)
		rbdimage_close(image);
	else
		*ret_image = image;
	return ret;
}

int rbdio_open(const char *name, bool writing, const struct remote_options *options,
	       struct vhdx_io *ret_io, struct remote_error *ret_error)
{
	struct rbdimage *image;
	int ret = open_any(name, writing, options, &image, ret_error);

	if (ret)
		return ret;
	if (!writing)
		rbdreaders_add(image);
	rbdimage_offer(image, writing, ret_io);
	ret_io->close = close_image;
	return 0;
}

/* ---- Notes ---- */

struct reading {
	struct rbdimage *image;
	char *key;
	char *value;
	size_t size;
};

static int get_note(struct task *task, void *opaque)
{
	struct reading *reading = opaque;

	(void)task;
	int ret = rbd.metadata_get(reading->image->image, reading->key, reading->value,
				   &reading->size);

	if (ret == -ENOENT)
		return remote_fail(&reading->image->link.error, ENOENT, "has no such note");
	return ret < 0 ? rbdlink_fail(&reading->image->link, ret, "its note cannot be read") : 0;
}

static void reading_free(struct reading *reading)
{
	if (reading) {
		free(reading->key);
		free(reading->value);
	}
	free(reading);
}

static struct reading *reading_new(struct rbdimage *image, const char *key, size_t size)
{
	struct reading *reading = calloc(1, sizeof(*reading));

	if (!reading)
		return NULL;
	reading->image = image;
	reading->size = size;
	reading->key = strdup(key);
	reading->value = calloc(1, size);
	if (reading->key && reading->value)
		return reading;
	reading_free(reading);
	return NULL;
}

int rbdio_get_note(const char *name, const char *key, const struct remote_options *options,
		   char *buf, size_t size, struct remote_error *ret_error)
{
	struct rbdimage *image;
	int ret = open_any(name, false, options, &image, ret_error);

	if (ret)
		return ret;
	struct reading *reading = reading_new(image, key, size);

	ret = reading ? rbdlink_call(&image->link, get_note, reading, ret_error)
		      : remote_fail(ret_error, ENOMEM, "out of memory");
	if (!ret) {
		memcpy(buf, reading->value, size);
		buf[size - 1] = '\0';
	}
	if (!patience_lost(&image->link.patience))
		reading_free(reading);
	rbdimage_close(image);
	return ret;
}
