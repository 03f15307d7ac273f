/* SPDX-License-Identifier: MIT */
/* A new RBD image, which gets its name when it is whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "rbdfeatures.h"
#include "rbdimage.h"
#include "rbdlook.h"
#include "rbdnames.h"
#include "rbdtarget.h"

/* To remove what is half made, when the user wants an end or has seen an error. */
#define CLEANING_SECONDS 10

struct remote_target {
	struct rbdimage *image;
	struct rbdnames names;
	bool replace;
	char *key, *value; /* of the note that is being left */
};

static bool is_lost(struct remote_target *target)
{
	return patience_lost(&target->image->link.patience);
}

/* The image's own end frees what librbd holds, or leaves all to it. */
static void target_free(struct remote_target *target)
{
	bool lost = is_lost(target);

	rbdimage_close(target->image);
	if (lost)
		return;
	free(target->key);
	free(target->value);
	free(target);
}

static int target_new(const char *name, bool replace, const struct remote_options *options,
		      struct remote_target **ret_target, struct remote_error *ret_error)
{
	struct remote_target *target = calloc(1, sizeof(*target));

	if (!target)
		return remote_fail(ret_error, ENOMEM, "out of memory");
	int ret = rbdimage_new(name, options, &target->image, ret_error);

	if (ret) {
		free(target);
		return ret;
	}
	target->replace = replace;
	rbdnames_init(&target->names, &target->image->link);
	*ret_target = target;
	return 0;
}

/* ---- Beginning ---- */

/* Unsigned and empty, what was created is removed by the next run. */
static int open_part(struct remote_target *target, struct task *task)
{
	struct rbdlink *link = &target->image->link;
	int ret = rbdimage_attach(target->image, task, target->names.part, "", true);

	if (ret)
		return ret;
	ret = rbdlook_sign(link, target->image->image);
	if (!ret)
		ret = rbdfeatures_put_off(target->image);
	if (ret) {
		const struct remote_error first = link->error;

		rbdimage_detach(target->image);
		rbdnames_drop(&target->names, task);
		link->error = first;
	}
	return ret;
}

static int begin(struct task *task, void *opaque)
{
	struct remote_target *target = opaque;
	int ret = rbdlink_connect(&target->image->link);

	if (!ret)
		ret = rbdnames_begin(&target->names, task, target->replace);
	return ret ? ret : open_part(target, task);
}

int rbdtarget_begin(const char *name, bool replace, const struct remote_options *options,
		    struct remote_target **ret_target, struct vhdx_io *ret_io,
		    struct remote_error *ret_error)
{
	struct remote_target *target = NULL;
	int ret = target_new(name, replace, options, &target, ret_error);

	if (ret)
		return ret;
	struct rbdlink *link = &target->image->link;
	ret = link->name.snap[0] ? remote_fail(ret_error, EROFS, "a snapshot cannot be written")
				 : rbdlink_call(link, begin, target, ret_error);

	if (ret) {
		target_free(target);
		return ret;
	}
	target->image->grows = true;
	rbdimage_offer(target->image, true, ret_io);
	*ret_target = target;
	return 0;
}

/* ---- Notes ---- */

static int set_note(struct task *task, void *opaque)
{
	struct remote_target *target = opaque;

	(void)task;
	int ret = rbd.metadata_set(target->image->image, target->key, target->value);

	return ret ? rbdlink_fail(&target->image->link, ret, "a note cannot be left") : 0;
}

int remote_target_set_note(struct remote_target *target, const char *key, const char *value,
			   struct remote_error *ret_error)
{
	if (is_lost(target))
		return remote_fail(ret_error, ETIMEDOUT, "the cluster does not answer");
	free(target->key);
	free(target->value);
	target->key = strdup(key);
	target->value = strdup(value);
	if (!target->key || !target->value)
		return remote_fail(ret_error, ENOMEM, "out of memory");
	return rbdlink_call(&target->image->link, set_note, target, ret_error);
}

/* ---- Ending ---- */

/* In a full pool an image may be emptied when it cannot be removed, for that needs no object more. */
static void empty(struct remote_target *target, struct task *task)
{
	rbd_image_t image;

	if (rbd.open(target->image->link.pool, target->names.part, &image, NULL))
		return;
	rbd.resize_with_progress(image, 0, rbdlink_beat, task);
	rbd.close(image);
}

static int drop(struct task *task, void *opaque)
{
	struct remote_target *target = opaque;

	rbdimage_detach(target->image);
	int ret = rbdnames_drop(&target->names, task);

	if (ret != -ENOSPC)
		return ret;
	empty(target, task);
	return rbdnames_drop(&target->names, task);
}

static int finish(struct task *task, void *opaque)
{
	struct remote_target *target = opaque;
	int ret = rbdfeatures_return(target->image, task);

	if (!ret)
		ret = rbdnames_finish(&target->names, task, target->image->image, target->replace);
	if (!ret)
		rbdimage_detach(target->image);
	return ret;
}

static struct remote_error left; /* empty: nothing is */

const char *remote_left(void)
{
	return left.text;
}

static void note_left(const struct remote_target *target, bool surely)
{
	const struct rbdname *name = &target->image->link.name;

	remote_fail(&left, 0, "what was made %s left as " RBDNAME_SCHEME "%.100s/%.100s%s%.200s",
		    surely ? "is" : "may be", name->pool, name->space, name->space[0] ? "/" : "",
		    target->names.part);
}

void remote_target_abandon(struct remote_target *target)
{
	if (!target)
		return;
	struct patience *patience = &target->image->link.patience;

	int ret = -ETIMEDOUT;

	if (!is_lost(target)) {
		patience->stopped = NULL; /* that is why this is done */
		if (patience->timeout_s > CLEANING_SECONDS)
			patience->timeout_s = CLEANING_SECONDS;
		ret = patience_call(patience, drop, target);
	}
	if (ret)
		note_left(target, !is_lost(target));
	target_free(target);
}

int remote_target_finish(struct remote_target *target, struct remote_error *ret_error)
{
	int ret = is_lost(target) ? remote_fail(ret_error, ETIMEDOUT, "the cluster does not answer")
				  : rbdlink_call(&target->image->link, finish, target, ret_error);

	if (!ret) {
		target_free(target);
		return 0;
	}
	remote_target_abandon(target);
	remote_say_left(ret_error);
	return ret;
}
