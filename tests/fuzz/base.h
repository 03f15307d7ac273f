/* SPDX-License-Identifier: MIT */
/* The sound images that inputs of the fuzz targets damage: random ones, made once. */
#ifndef TESTS_FUZZ_BASE_H
#define TESTS_FUZZ_BASE_H

#include "crash/cow.h"
#include "support/image.h"

#define BASES 16u

/* What a target's bases have in common. */
enum base_kind {
	BASE_ANY,   /* one or two layers, sound or with what readers must bear */
	BASE_CHAIN, /* two or three layers */
	BASE_DIRTY, /* the first layer has a log that must be replayed */
};

struct base {
	struct chain chain;
	struct cow files[MAX_LAYERS]; /* of the layers */
};

/* @number is below BASES. */
const struct base *fuzz_base(enum base_kind kind, unsigned number);

#endif
