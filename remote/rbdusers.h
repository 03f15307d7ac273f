/* SPDX-License-Identifier: MIT */
/*
 * Who else holds an image open for writing, and how this process becomes the only one. A client that died counts
 * for 30 seconds as one that does, by default. All functions are for tasks.
 */
#ifndef REMOTE_RBDUSERS_H
#define REMOTE_RBDUSERS_H

#include "clock.h"
#include "rbdlink.h"

/* All that wait for the dead do so this long. */
#define RBDUSERS_PATIENCE (45 * NS_A_SECOND)

/* Other connections than the one they were asked for by. */
struct rbdusers {
	bool are_there;
	bool answer;	   /* so that all of them surely live */
	char address[128]; /* of one */
};

/* Returns a negative errno of librbd's. */
int rbdusers_look(struct rbdlink *link, rbd_image_t image, struct rbdusers *ret_users);

/*
 * Keeps other writers out until the image, which is open for writing, is closed. -EBUSY with link->error set: somebody
 * else writes it.
 */
int rbdusers_keep_out(struct rbdlink *link, struct task *task, rbd_image_t image);

/* A moment, before it is looked again. -ECANCELED with link->error set: the user wants an end. */
int rbdusers_pause(struct rbdlink *link, struct task *task);

#endif
