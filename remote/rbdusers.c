/* SPDX-License-Identifier: MIT */
/* Who else holds an image open for writing, and how this process becomes the only one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rbdusers.h"

#define WATCHERS 8
#define PAUSE_NS 500000000

/* What librbd calls the object that its clients watch. */
#define HEADER_PREFIX "rbd_header."
#define ID_MAX	      64
#define ANSWER_MS     1000

/* Clients read an image's header again for a message without contents, whichever they are, and say that they did. */
static bool answer(struct rbdlink *link, rbd_image_t image)
{
	char id[ID_MAX], object[sizeof(HEADER_PREFIX) + ID_MAX];

	if (rbd.get_id(image, id, sizeof(id)))
		return false;
	snprintf(object, sizeof(object), HEADER_PREFIX "%s", id);
	return !rados.notify2(link->pool, object, NULL, 0, ANSWER_MS, NULL, NULL);
}

static int list(struct rbdlink *link, rbd_image_t image, struct rbdusers *users)
{
	rbd_image_watcher_t watchers[WATCHERS];
	size_t count = WATCHERS;
	uint64_t own = rados.get_instance_id(link->cluster);
	int ret = rbd.watchers_list(image, watchers, &count);

	users->are_there = ret == -ERANGE;
	if (ret == -ERANGE) {
		snprintf(users->address, sizeof(users->address), "more than %d places", WATCHERS);
		return 0;
	}
	for (size_t i = 0; !ret && i < count; i++) {
		if ((uint64_t)watchers[i].id == own)
			continue;
		users->are_there = true;
		snprintf(users->address, sizeof(users->address), "%s", watchers[i].addr);
	}
	if (!ret && count)
		rbd.watchers_list_cleanup(watchers, count);
	return ret;
}

int rbdusers_look(struct rbdlink *link, rbd_image_t image, struct rbdusers *ret_users)
{
	struct rbdusers users = {0};
	int ret = list(link, image, &users);

	if (!ret && users.are_there && answer(link, image)) {
		/* One that is counted out meanwhile is waited for no more, as if it had answered. */
		ret = list(link, image, &users);
		users.answer = users.are_there;
	}
	*ret_users = users;
	return ret;
}

int rbdusers_pause(struct rbdlink *link, struct task *task)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};

	if (!task_beat(task))
		return remote_fail(&link->error, ECANCELED, "stopped as asked");
	nanosleep(&pause, NULL);
	return 0;
}

static int refuse(struct rbdlink *link, const struct rbdusers *users)
{
	return remote_fail(&link->error, EBUSY, "is open for writing at %s",
			   users->are_there ? users->address : "another place");
}

static int await_alone(struct rbdlink *link, struct task *task, rbd_image_t image)
{
	int64_t end = clock_now() + RBDUSERS_PATIENCE;
	struct rbdusers users;

	for (;;) {
		int ret = rbdusers_look(link, image, &users);

		if (ret)
			return rbdlink_fail(link, ret, "it cannot be told who uses the image");
		if (!users.are_there)
			return 0;
		if (users.answer || clock_now() >= end)
			return refuse(link, &users);
		ret = rbdusers_pause(link, task);
		if (ret)
			return ret;
	}
}

/*
 * An open image can be seen, so of two that look neither overlooks the other. The lock is for whoever comes later
 * and does not look: it is given to nobody who asks.
 */
int rbdusers_keep_out(struct rbdlink *link, struct task *task, rbd_image_t image)
{
	struct rbdusers users = {0};
	uint64_t features;
	int ret = await_alone(link, task, image);

	if (ret)
		return ret;
	ret = rbd.get_features(image, &features);
	if (!ret && features & RBD_FEATURE_EXCLUSIVE_LOCK)
		ret = rbd.lock_acquire(image, RBD_LOCK_MODE_EXCLUSIVE);
	if (ret == -EROFS || ret == -EBUSY) {
		rbdusers_look(link, image, &users);
		return refuse(link, &users);
	}
	return ret ? rbdlink_fail(link, ret, "the image cannot be locked") : 0;
}
