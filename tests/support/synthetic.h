/* SPDX-License-Identifier: MIT */
/*
 * A child and its parent of 2 TiB, every block present in both, whose files are computed and not kept:
 * each word says where it is, so that any read can be checked without an array.
 */
#ifndef TESTS_SUPPORT_SYNTHETIC_H
#define TESTS_SUPPORT_SYNTHETIC_H

#include <vhdx.h>

#include "support/image.h"

struct synthetic {
	struct layer layers[2]; /* child, parent */
};

void synthetic_make(struct synthetic *synthetic);
void synthetic_free(struct synthetic *synthetic);

/* The storage of a layer; read-only. */
struct vhdx_io synthetic_io(struct synthetic *synthetic, unsigned layer);

/* Whether the child holds that sector. */
bool synthetic_is_childs(uint64_t sector);

/* The 8 bytes at @offset of the disk, a multiple of 8. */
uint64_t synthetic_word(uint64_t offset);

#endif
