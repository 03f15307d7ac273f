/* SPDX-License-Identifier: MIT */
/* What is known of an image by its name. */
#include <errno.h>

#include "rbdlook.h"

#define MAKER_KEY "vhdx.maker"

/* Told with one more than there are, for a list's end. */
bool rbdlook_has_snaps(rbd_image_t image)
{
	int room = 0;

	rbd.snap_list(image, NULL, &room);
	return room > 1;
}

static int look_inside(struct rbdlink *link, rbd_image_t image, struct rbdlook *look)
{
	size_t size = sizeof(look->maker);
	int ret = rbdusers_look(link, image, &look->users);

	if (!ret)
		ret = rbd.get_size(image, &look->size);
	if (ret)
		return ret;
	look->is_there = true;
	look->has_snaps = rbdlook_has_snaps(image);
	if (rbd.metadata_get(image, MAKER_KEY, look->maker, &size) < 0)
		look->maker[0] = '\0';
	if (rbd.get_id(image, look->id, sizeof(look->id)) < 0)
		look->id[0] = '\0';
	return 0;
}

int rbdlook(struct rbdlink *link, const char *name, struct rbdlook *ret_look)
{
	rbd_image_t image;
	struct rbdlook look = {0};
	int ret = rbd.open_read_only(link->pool, name, &image, NULL);

	if (!ret) {
		ret = look_inside(link, image, &look);
		rbd.close(image);
	}
	if (ret && ret != -ENOENT)
		return rbdlink_fail(link, ret, "it cannot be told which images there are");
	*ret_look = look;
	return 0;
}

int rbdlook_sign(struct rbdlink *link, rbd_image_t image)
{
	char maker[MAKER_SIZE];

	maker_self(maker);
	int ret = rbd.metadata_set(image, MAKER_KEY, maker);

	return ret ? rbdlink_fail(link, ret, "a note cannot be left in the image") : 0;
}

void rbdlook_unsign(rbd_image_t image)
{
	rbd.metadata_remove(image, MAKER_KEY);
}
