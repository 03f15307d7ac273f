/* SPDX-License-Identifier: MIT */
/* Removes and renames images by name. */
#include <errno.h>
#include <string.h>

#include "rbdchange.h"
#include "rbdlook.h"

/* Who answers will not go away soon. */
static bool is_worth_waiting(struct rbdlink *link, struct task *task, const char *name)
{
	struct rbdlook look;

	return !rbdlook(link, name, &look) && !look.users.answer && !rbdusers_pause(link, task);
}

/* librbd says too that there is no image where it cannot put it into the trash, as in a full pool. */
static bool is_gone(struct rbdlink *link, const char *name)
{
	struct rbdlook look;

	return !rbdlook(link, name, &look) && !look.is_there;
}

int rbdchange_remove(struct rbdlink *link, struct task *task, const char *name)
{
	int64_t end = clock_now() + RBDUSERS_PATIENCE;
	int ret = rbd.remove_with_progress(link->pool, name, rbdlink_beat, task);

	while (ret == -EBUSY && clock_now() < end && is_worth_waiting(link, task, name))
		ret = rbd.remove_with_progress(link->pool, name, rbdlink_beat, task);
	if (!ret || (ret == -ENOENT && is_gone(link, name)))
		return 0;
	if (ret == -ENOENT)
		return remote_fail(
			&link->error, ENOSPC,
			"the image %s cannot be put into the pool's trash, to be removed", name);
	return remote_fail(&link->error, -ret, "the image %s cannot be removed: %s", name,
			   strerror(-ret));
}

int rbdchange_rename(struct rbdlink *link, const char *from, const char *to)
{
	int ret = rbd.rename(link->pool, from, to);

	return ret ? remote_fail(&link->error, -ret, "%s cannot be renamed to %s: %s", from, to,
				 strerror(-ret))
		   : 0;
}
