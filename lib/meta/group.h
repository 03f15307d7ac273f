/* SPDX-License-Identifier: MIT */
/* A group of callers whom one of them, its leader, serves all at once, and who all get what came of it. */
#ifndef VHDX_META_GROUP_H
#define VHDX_META_GROUP_H

#include <semaphore.h>

#include "base/error.h"

struct group_member {
	struct group_member *next;
	sem_t served;
	int ret;
	struct kept_error failure; /* when ret is not 0 */
};

/* On its leader's stack; who may join it, and until when, is for the caller's lock to say. */
struct group {
	struct group_member *members; /* but for the leader */
};

/* Under the caller's lock. */
void vhdx_group_join(struct group *group, struct group_member *ret_member);

/* Without it: returns what the leader's work returned, with its error. */
int vhdx_group_wait(struct group_member *member);

/* When no one can join any more: @ret, and the leader's last error, is what all of them get. */
void vhdx_group_serve(struct group_member *members, int ret);

#endif
