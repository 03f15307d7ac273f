/* SPDX-License-Identifier: MIT */
/* A struct vhdx_io over sparse bytes that counts, misbehaves on demand, and must never be changed. */
#ifndef TESTS_SUPPORT_STORE_H
#define TESTS_SUPPORT_STORE_H

#include <stdatomic.h>

#include <vhdx.h>

#include "support/sparse.h"

struct test_store {
	struct sparse *bytes;
	atomic_ulong calls; /* of any function but close */
	atomic_ulong reads; /* of preadv */
	atomic_ullong read_bytes;
	atomic_ulong changes; /* calls that would have changed something: each is refused */
	atomic_ulong closes;
	unsigned long fail_from; /* this call fails, counted from 1, ... */
	unsigned long fail_to;	 /* ... and all up to this one; 0: none */
	int error;		 /* with which errno, negative */
	size_t transfer;	 /* most bytes of a transfer; 0: any */
	unsigned interrupt; /* each read of that number, 2 or more, fails with EINTR; 0: none */
};

/* @holes: the store has next_data. The store and its bytes stay the caller's. */
struct vhdx_io test_store_io(struct test_store *store, bool holes);

#endif
