/* SPDX-License-Identifier: MIT */
/*
 * While an image is filled, its object map costs a request for each object, of which only one goes on at a time;
 * to make it in the end costs a small one for each object of the image, written or not.
 */
#include "rbdfeatures.h"

/* More are not to be asked for in the end: few of them may hold data. */
#define OBJECTS_MOST 16384

#define OF_THE_MAP (RBD_FEATURE_OBJECT_MAP | RBD_FEATURE_FAST_DIFF)

int rbdfeatures_put_off(struct rbdimage *image)
{
	uint64_t features;
	int ret = rbd.get_features(image->image, &features);

	if (!ret && features & OF_THE_MAP)
		ret = rbd.update_features(image->image, features & OF_THE_MAP, 0);
	if (ret)
		return rbdlink_fail(&image->link, ret, "the map of its objects cannot be put off");
	image->put_off = features & OF_THE_MAP;
	return 0;
}

int rbdfeatures_return(struct rbdimage *image, struct task *task)
{
	if (!image->put_off)
		return 0;
	int ret = rbd.update_features(image->image, image->put_off, 1);

	if (!ret)
		ret = rbd.rebuild_object_map(image->image, rbdlink_beat, task);
	if (ret)
		return rbdlink_fail(&image->link, ret, "the map of its objects cannot be made");
	image->put_off = 0;
	return 0;
}

int rbdfeatures_resize(struct rbdimage *image, struct task *task, uint64_t size)
{
	return size / image->object_size > OBJECTS_MOST ? rbdfeatures_return(image, task) : 0;
}
