/* SPDX-License-Identifier: MIT */
/* Where an RBD image holds data: the objects, or parts of them, that are there, its parent's too. */
#ifndef REMOTE_RBDMAP_H
#define REMOTE_RBDMAP_H

#include "rangemap.h"

/* Fits rangemap_ask_fn; @opaque is the struct rbdimage. */
int rbdmap_ask(void *opaque, struct rangemap *map, uint64_t offset);

#endif
