/* SPDX-License-Identifier: MIT */
/*
 * The images that this process reads. Nothing keeps others from removing them, and what is removed reads as zeros: so
 * it is asked at last whether they are still there.
 */
#ifndef REMOTE_RBDREADERS_H
#define REMOTE_RBDREADERS_H

#include "rbdimage.h"

/* Of an image that is open to read. */
void rbdreaders_add(struct rbdimage *image);

/* Before it is closed. Also of one that was not added. */
void rbdreaders_remove(struct rbdimage *image);

/* What was read of it. Any thread. */
void rbdreaders_saw(struct rbdimage *image, const char *buf, size_t length, uint64_t offset);

#endif
