/* SPDX-License-Identifier: MIT */
/* The map of a new RBD image's objects: while it is kept, each first write to an object is two requests. */
#ifndef REMOTE_RBDFEATURES_H
#define REMOTE_RBDFEATURES_H

#include "rbdimage.h"

/* Does without the map, if the image has one, until rbdfeatures_return. For tasks; a negative errno with link.error set. */
int rbdfeatures_put_off(struct rbdimage *image);

/* As rbdfeatures_return, where the map of an image of @size would take long to be made later. */
int rbdfeatures_resize(struct rbdimage *image, struct task *task, uint64_t size);

/* Gives the image its map, made of the objects that are there. As rbdfeatures_put_off. */
int rbdfeatures_return(struct rbdimage *image, struct task *task);

#endif
