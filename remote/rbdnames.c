/* SPDX-License-Identifier: MIT */
/* How a new RBD image gets its name. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rbdchange.h"
#include "rbdmend.h"

#define PART_SUFFIX ".vhdx-new"
#define OLD_SUFFIX  ".vhdx-old"

_Static_assert(sizeof(PART_SUFFIX) <= RBDNAMES_SUFFIX_MAX, "room for it");
_Static_assert(sizeof(OLD_SUFFIX) <= RBDNAMES_SUFFIX_MAX, "room for it");

#define NAME_LOOKS 4 /* while librbd creates it */

void rbdnames_init(struct rbdnames *names, struct rbdlink *link)
{
	names->link = link;
	snprintf(names->image, sizeof(names->image), "%s", link->name.image);
	snprintf(names->part, sizeof(names->part), "%s" PART_SUFFIX, names->image);
	snprintf(names->old, sizeof(names->old), "%s" OLD_SUFFIX, names->image);
}

/* ---- Beginning ---- */

static bool ends_in(const char *name, const char *suffix)
{
	size_t length = strlen(name);

	return length >= strlen(suffix) && !strcmp(name + length - strlen(suffix), suffix);
}

static int check_name(struct rbdnames *names)
{
	if (!ends_in(names->image, PART_SUFFIX) && !ends_in(names->image, OLD_SUFFIX))
		return 0;
	return remote_fail(&names->link->error, EINVAL,
			   "cannot be made: names in " PART_SUFFIX " and " OLD_SUFFIX
			   " are for images that are half made, or being replaced");
}

static int refuse_snaps(struct rbdnames *names)
{
	return remote_fail(&names->link->error, ENOTEMPTY, "cannot be replaced: it has snapshots");
}

/* What cannot be removed cannot be replaced. */
static int check_image(struct rbdnames *names, bool replace)
{
	struct remote_error *error = &names->link->error;
	struct rbdlook image;
	int ret = rbdlook(names->link, names->image, &image);

	if (ret || !image.is_there)
		return ret;
	if (!replace)
		return remote_fail(error, EEXIST, "exists already (--force replaces it)");
	if (image.users.answer)
		return remote_fail(error, EBUSY, "cannot be replaced: it is open for writing at %s",
				   image.users.address);
	return image.has_snaps ? refuse_snaps(names) : 0;
}

static int create_part(struct rbdnames *names)
{
	rbd_image_options_t options;

	rbd.image_options_create(&options);
	int ret = rbd.create4(names->link->pool, names->part, 0, options);

	rbd.image_options_destroy(options);
	return ret;
}

/* A process that died while it removed the image may have left its name. */
static int free_name(struct rbdnames *names, struct task *task)
{
	struct rbdlook part;

	for (unsigned i = 0; i < NAME_LOOKS; i++) {
		int ret = rbdusers_pause(names->link, task);

		if (!ret)
			ret = rbdlook(names->link, names->part, &part);
		if (ret)
			return ret;
		if (part.is_there)
			return rbdmend_refuse(names, names->part, &part);
	}
	return rbdchange_remove(names->link, task, names->part);
}

static int explain(struct rbdnames *names, int ret)
{
	const struct rbdlook unknown = {0};

	if (ret == -EEXIST)
		return rbdmend_refuse(names, names->part, &unknown);
	if (ret == -ENOENT && names->link->name.space[0])
		return remote_fail(&names->link->error, ENOENT, "the pool has no namespace '%s'",
				   names->link->name.space);
	return rbdlink_fail(names->link, ret, "no image can be made");
}

static int create(struct rbdnames *names, struct task *task)
{
	int ret = create_part(names);

	if (ret == -EEXIST) {
		ret = free_name(names, task);
		if (ret)
			return ret;
		ret = create_part(names);
	}
	return ret ? explain(names, ret) : 0;
}

/* Nothing is removed before it is clear that the image can be made. */
int rbdnames_begin(struct rbdnames *names, struct task *task, bool replace)
{
	struct rbdlook part;
	int ret = check_name(names);

	if (!ret)
		ret = rbdmend_await(names, task, replace, &part);
	if (!ret)
		ret = rbdmend_renames(names);
	if (!ret)
		ret = check_image(names, replace);
	if (!ret)
		ret = rbdmend_remove(names, task, replace, &part);
	return ret ? ret : create(names, task);
}

/* ---- Ending ---- */

/* The older image is @image. */
static int rename_both(struct rbdnames *names, rbd_image_t image)
{
	int ret = rbdlook_sign(names->link, image);

	if (ret)
		return ret;
	ret = rbdchange_rename(names->link, names->image, names->old);
	if (!ret) {
		ret = rbdchange_rename(names->link, names->part, names->image);
		if (ret && rbd.rename(names->link->pool, names->old, names->image))
			return ret; /* the next run does it */
	}
	if (ret)
		rbdlook_unsign(image);
	return ret;
}

/* The older image goes only when the new one has its name. */
static int swap(struct rbdnames *names, struct task *task)
{
	rbd_image_t image;
	int ret = rbd.open(names->link->pool, names->image, &image, NULL);

	if (ret)
		return rbdlink_fail(names->link, ret, "the older image cannot be opened");
	ret = rbdusers_keep_out(names->link, task, image);
	if (!ret && rbdlook_has_snaps(image))
		ret = refuse_snaps(names);
	if (!ret)
		ret = rename_both(names, image);
	rbd.close(image);
	if (!ret)
		rbdchange_remove(names->link, task, names->old);
	return ret;
}

int rbdnames_finish(struct rbdnames *names, struct task *task, rbd_image_t made, bool replace)
{
	struct rbdlook image = {0};
	int ret = replace ? rbdlook(names->link, names->image, &image) : 0;

	if (ret)
		return ret;
	ret = image.is_there ? swap(names, task)
			     : rbdchange_rename(names->link, names->part, names->image);
	if (!ret)
		rbdlook_unsign(made);
	return ret;
}

int rbdnames_drop(struct rbdnames *names, struct task *task)
{
	return rbdchange_remove(names->link, task, names->part);
}
