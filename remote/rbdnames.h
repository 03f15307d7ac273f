/* SPDX-License-Identifier: MIT */
/*
 * How a new image gets its name: made as IMAGE.vhdx-new, renamed when it is whole. An old one of that name is
 * IMAGE.vhdx-old in between. Both carry a note meanwhile; nothing without one is touched. For tasks.
 */
#ifndef REMOTE_RBDNAMES_H
#define REMOTE_RBDNAMES_H

#include "rbdlink.h"

#define RBDNAMES_SUFFIX_MAX 16
#define RBDNAMES_MAX	    (RBDNAME_MAX + RBDNAMES_SUFFIX_MAX)

struct rbdnames {
	struct rbdlink *link; /* connected; errors go to its error */
	char image[RBDNAME_MAX];
	char part[RBDNAMES_MAX]; /* that is being made */
	char old[RBDNAMES_MAX];	 /* that is being replaced */
};

void rbdnames_init(struct rbdnames *names, struct rbdlink *link);

/*
 * Mends what a dead process left, and creates the empty image that is being made. -EEXIST: the image is there, and
 * @replace is not set; -EBUSY: somebody else is making it, or uses the one that is to be replaced.
 */
int rbdnames_begin(struct rbdnames *names, struct task *task, bool replace);

/*
 * Gives what was made, which is still open as @made so that nobody takes it for left, the image's name, and removes an
 * older one: where that fails, the next run does it.
 */
int rbdnames_finish(struct rbdnames *names, struct task *task, rbd_image_t made, bool replace);

/* Removes what was made, which must be closed. */
int rbdnames_drop(struct rbdnames *names, struct task *task);

#endif
