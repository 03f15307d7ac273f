/* SPDX-License-Identifier: MIT */
/* A group of callers whom one of them, its leader, serves all at once, and who all get what came of it. */
#include "meta/group.h"

void vhdx_group_join(struct group *group, struct group_member *ret_member)
{
	*ret_member = (struct group_member){.next = group->members};
	sem_init(&ret_member->served, 0, 0);
	group->members = ret_member;
}

int vhdx_group_wait(struct group_member *member)
{
	while (sem_wait(&member->served)) /* a signal came */
		;
	sem_destroy(&member->served);
	if (!member->ret)
		return 0;
	int ret = vhdx_error_raise(&member->failure);

	vhdx_error_drop(&member->failure);
	return ret;
}

void vhdx_group_serve(struct group_member *members, int ret)
{
	for (struct group_member *member = members, *next; member; member = next) {
		/* A member is gone as soon as it is served. */
		next = member->next;
		member->ret = ret;
		if (ret)
			vhdx_error_keep(&member->failure);
		sem_post(&member->served);
	}
}
