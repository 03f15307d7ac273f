/* SPDX-License-Identifier: MIT */
/* What is known of an image by its name. For tasks. */
#ifndef REMOTE_RBDLOOK_H
#define REMOTE_RBDLOOK_H

#include "maker.h"
#include "rbdusers.h"

#define RBDLOOK_ID_MAX 64

struct rbdlook {
	bool is_there;
	struct rbdusers users;
	bool has_snaps;
	uint64_t size;
	char maker[MAKER_SIZE]; /* the process that makes or replaces it; empty: not said */
	char id[RBDLOOK_ID_MAX];
};

/* Returns 0 also where there is no such image, or a negative errno with link->error set. */
int rbdlook(struct rbdlink *link, const char *name, struct rbdlook *ret_look);

bool rbdlook_has_snaps(rbd_image_t image);

/* Notes in an image, which is open for writing, that this process makes or replaces it. */
int rbdlook_sign(struct rbdlink *link, rbd_image_t image);

void rbdlook_unsign(rbd_image_t image);

#endif
