/* SPDX-License-Identifier: MIT */
/* What becomes of what dead processes left. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rbdchange.h"
#include "rbdmend.h"

/* A maker signs at once what it creates. */
#define SIGN_PATIENCE (10 * NS_A_SECOND)

/* What librbd calls the object that leads from a name to an image. */
#define ID_PREFIX "rbd_id."

/* ---- Who is at it ---- */

int rbdmend_refuse(struct rbdnames *names, const char *name, const struct rbdlook *look)
{
	if (look->users.are_there)
		return remote_fail(
			&names->link->error, EBUSY,
			"is being made by another process (%s is open for writing at %s)", name,
			look->users.address);
	return remote_fail(&names->link->error, EBUSY, "is being made by another process (as %s)",
			   name);
}

/* One may have died between creating the image and signing it. */
static bool is_unsigned(const struct rbdlook *look)
{
	return !look->maker[0] && !look->size && !look->has_snaps;
}

static bool is_at_work(const struct rbdlook *look)
{
	return maker_lives(look->maker) || look->users.answer;
}

/* Until no process can be at it; whether that is known only of one on this machine, or one that answers. */
static int await_name(struct rbdnames *names, struct task *task, const char *name,
		      struct rbdlook *look)
{
	int64_t start = clock_now();

	for (;;) {
		int ret = rbdlook(names->link, name, look);
		int64_t waited = clock_now() - start;

		if (ret || !look->is_there || (!look->maker[0] && !is_unsigned(look)))
			return ret;
		if (is_at_work(look) || waited >= RBDUSERS_PATIENCE)
			return rbdmend_refuse(names, name, look);
		if (!look->users.are_there && (look->maker[0] || waited >= SIGN_PATIENCE))
			return 0;
		ret = rbdusers_pause(names->link, task);
		if (ret)
			return ret;
	}
}

static int refuse_foreign(struct rbdnames *names, const char *name)
{
	return remote_fail(&names->link->error, EEXIST,
			   "the image %s is in the way, and none that vhdx left", name);
}

int rbdmend_await(struct rbdnames *names, struct task *task, bool replace, struct rbdlook *ret_part)
{
	struct rbdlook old;
	int ret = await_name(names, task, names->part, ret_part);

	if (ret)
		return ret;
	if (ret_part->is_there && !ret_part->maker[0] && !is_unsigned(ret_part))
		return refuse_foreign(names, names->part);
	ret = await_name(names, task, names->old, &old);
	if (ret)
		return ret;
	return replace && old.is_there && !old.maker[0] ? refuse_foreign(names, names->old) : 0;
}

/* ---- Renamings ---- */

static void copy_listed(const rbd_image_spec_t *images, size_t count, const char *id,
			char ret_name[RBDNAMES_MAX])
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(images[i].id, id))
			snprintf(ret_name, RBDNAMES_MAX, "%s", images[i].name);
}

/* The name by which the pool lists the image with that id; none: it does not. */
static int find_listed(struct rbdnames *names, const char *id, char ret_name[RBDNAMES_MAX])
{
	rbd_image_spec_t *images = NULL;
	size_t count = 0;
	int ret = rbd.list2(names->link->pool, NULL, &count);

	while (ret == -ERANGE) {
		free(images);
		images = calloc(count, sizeof(*images));
		ret = images ? rbd.list2(names->link->pool, images, &count) : -ENOMEM;
	}
	if (ret >= 0 && images) {
		copy_listed(images, count, id, ret_name);
		rbd.image_spec_list_cleanup(images, count);
	}
	free(images);
	return ret < 0 ? rbdlink_fail(names->link, ret, "the pool's images cannot be listed") : 0;
}

/* While librbd renames an image, both names lead to it, and the pool lists one: the other goes. */
static int mend_rename(struct rbdnames *names, const char *one, const char *other)
{
	struct rbdlook first, second;
	char listed[RBDNAMES_MAX] = "", object[sizeof(ID_PREFIX) + RBDNAMES_MAX];
	int ret = rbdlook(names->link, one, &first);

	if (!ret)
		ret = rbdlook(names->link, other, &second);
	if (ret || !first.maker[0] || !first.id[0] || strcmp(first.id, second.id) != 0)
		return ret;
	if (first.users.are_there || maker_lives(first.maker))
		return rbdmend_refuse(names, one, &first);
	ret = find_listed(names, first.id, listed);
	if (ret)
		return ret;
	if (strcmp(listed, one) != 0 && strcmp(listed, other) != 0)
		return remote_fail(&names->link->error, EUCLEAN,
				   "%s and %s are one image, which the pool does not list", one,
				   other);
	snprintf(object, sizeof(object), ID_PREFIX "%s", strcmp(listed, one) ? one : other);
	ret = rados.remove(names->link->pool, object);
	return ret ? rbdlink_fail(names->link, ret, "half a renaming cannot be mended") : 0;
}

/* Nobody is at the image any more. */
static void unsign(struct rbdnames *names)
{
	rbd_image_t image;

	if (rbd.open(names->link->pool, names->image, &image, NULL))
		return;
	rbdlook_unsign(image);
	rbd.close(image);
}

/* A process was lost between its two renames: the old image is the image again. */
static int restore_old(struct rbdnames *names)
{
	struct rbdlook old, image;
	int ret = rbdlook(names->link, names->old, &old);

	if (ret || !old.maker[0])
		return ret;
	ret = rbdlook(names->link, names->image, &image);
	if (ret || image.is_there)
		return ret;
	ret = rbdchange_rename(names->link, names->old, names->image);
	if (!ret)
		unsign(names);
	return ret;
}

int rbdmend_renames(struct rbdnames *names)
{
	int ret = mend_rename(names, names->part, names->image);

	if (!ret)
		ret = mend_rename(names, names->image, names->old);
	return ret ? ret : restore_old(names);
}

/* ---- Removal ---- */

int rbdmend_remove(struct rbdnames *names, struct task *task, bool replace,
		   const struct rbdlook *part)
{
	struct rbdlook now;
	int ret = rbdlook(names->link, names->part, &now);

	if (ret)
		return ret;
	if (now.is_there) {
		if (strcmp(now.id, part->id) != 0 || now.users.are_there || maker_lives(now.maker))
			return rbdmend_refuse(names, names->part, &now);
		ret = rbdchange_remove(names->link, task, names->part);
	}
	return ret || !replace ? ret : rbdchange_remove(names->link, task, names->old);
}
