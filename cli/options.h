/* SPDX-License-Identifier: MIT */
/* Parses a verb's command line by its table of options; the shared groups of options in one place. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vhdx.h>

#include "cleanup.h"
#include "remote.h"
#include "verb.h"

/* How files and their parents are opened, and storage that is reached by an address. */
struct chain_options {
	uint32_t flags;	      /* VHDX_OPEN_* */
	uint32_t write_flags; /* those that are for writing */
	const char **parent_dirs;
	size_t nparent_dirs;
	const char **parent_uris; /* the nearest parent's first */
	size_t nparent_uris;
	struct remote_options remote;
};

enum progress_mode {
	PROGRESS_AUTO = 0, /* a bar when standard error is a terminal */
	PROGRESS_NEVER,
	PROGRESS_BAR,
	PROGRESS_JSON,
};

struct options {
	struct chain_options chain;
	enum progress_mode progress;
	bool quiet;
	bool writable;
	bool json;
	char **operands;
	int noperands;
	int status; /* what to exit with when parsing ends the verb */
};

/*
 * Takes one of the verb's own options; @value is NULL when it has no argument. Returns false, with the
 * error reported, when it cannot be taken.
 */
typedef bool option_fn(void *opaque, int id, const char *value);

/*
 * Parses the command line. False when that was all, options->status being what to exit with: after
 * `--help`, or an error, which was reported. @take may be NULL for a
 * verb without options of its own. options_free frees in either case.
 */
bool options_parse(struct options *options, const struct verb *verb, int argc, char **argv,
		   option_fn *take, void *opaque);

void options_free(struct options *options);

#define auto_options __attribute__((cleanup(options_free)))

/*
 * What to open with: the chain options and @flags, with VHDX_OPEN_WRITE those for writing too; warnings are
 * reported. It points into @chain.
 */
struct vhdx_open_options chain_open_options(const struct chain_options *chain, uint32_t flags);

#endif
