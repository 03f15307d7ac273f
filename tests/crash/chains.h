/* SPDX-License-Identifier: MIT */
/*
 * Operations that change several files of a chain, and crash: the unflushed writes of each file may be lost
 * independently. The chain must open and read as before, and the operation, done again, must finish.
 */
#ifndef TESTS_CRASH_CHAINS_H
#define TESTS_CRASH_CHAINS_H

#include "crash/runner.h"
#include "support/image.h"

struct chain_case {
	unsigned depth; /* files of the chain */
	unsigned leaf;	/* the file that is merged, or gets another parent */
	unsigned
		other; /* the file that it is merged into, or put upon: of the chain, or @depth for one beside it */
	bool is_rebase;
	bool (*suits)(const struct chain *chain); /* of random chains; NULL: all do */
};

/* Judges every state, or as the options say. The result has its name already. */
void chain_case_run(const struct chain_case *of_chain, uint64_t seed,
		    const struct run_options *options, struct run_result *result);

#endif
