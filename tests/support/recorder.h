/* SPDX-License-Identifier: MIT */
/* A struct vhdx_io over sparse bytes that may be written: it notes every change and flush, and fails on demand. */
#ifndef TESTS_SUPPORT_RECORDER_H
#define TESTS_SUPPORT_RECORDER_H

#include <vhdx.h>

#include "support/sparse.h"

enum operation_kind {
	OPERATION_WRITE,
	OPERATION_ZERO,
	OPERATION_PUNCH,
	OPERATION_RESERVE,
	OPERATION_RESIZE, /* offset: the new size */
	OPERATION_FLUSH,
};

struct operation {
	enum operation_kind kind;
	uint64_t offset;
	uint64_t length;
	uint8_t *bytes; /* of a write */
};

struct recorder {
	struct sparse *bytes; /* the caller's */
	struct operation *operations;
	size_t count;
	size_t fail_at;	   /* operations before the one that fails, and is not noted */
	bool fails_once;   /* those after it work again */
	int error;	   /* with which errno, negative; 0: none fails */
	bool failed;	   /* it came to that */
	size_t reads;	   /* calls of preadv */
	size_t fail_read;  /* this one fails too, counted from 1; 0: none */
	int lock_error;	   /* of lock(), negative */
	unsigned locks[2]; /* calls of lock(): shared, exclusive */
};

/* Every function is there; the caller may take optional ones out. */
struct vhdx_io recorder_io(struct recorder *recorder);

/* Forgets the operations. */
void recorder_clear(struct recorder *recorder);

/* How many of that kind there were. */
size_t recorder_count(const struct recorder *recorder, enum operation_kind kind);

/* Does to @bytes what the operation did. */
void operation_repeat(const struct operation *operation, struct sparse *bytes);

#endif
