/* SPDX-License-Identifier: MIT */
/* Chains that are made byte by byte, of which the library may write every file; and what each layer reads as. */
#ifndef TESTS_SUPPORT_WRITECHAIN_H
#define TESTS_SUPPORT_WRITECHAIN_H

#include "support/fixture.h"
#include "support/writestore.h"

/* One file beside the chain's. */
#define OTHER MAX_LAYERS

struct write_chain {
	struct chain chain;
	struct chain other; /* one image without a parent, "other.vhdx" */
	struct write_store stores[MAX_LAYERS + 1];
	struct sparse views[MAX_LAYERS + 1];	/* what each reads as, through its own parents */
	uint64_t sizes[MAX_LAYERS + 1];		/* of the disks */
	struct vhdx_guid guids[MAX_LAYERS + 1]; /* DataWriteGuids, as write_chain_note found them */
};

/* A chain of @depth files, and the other file, with sectors of the same size. */
void write_chain_make(struct rng *rng, unsigned depth, const struct chain_style *style,
		      struct write_chain *ret_chain);
void write_chain_free(struct write_chain *chain);

/* Calls @run for each of seeds_to_run(@count), as current_seed, with numbers of that seed and @depth. */
void write_chain_over_seeds(uint64_t count, unsigned depth, const struct chain_style *style,
			    void (*run)(struct rng *rng, unsigned depth,
					const struct chain_style *style));

/* What file @index is called. */
const char *write_chain_name(const struct write_chain *chain, unsigned index);

/* Opens file @index and its parents. */
int write_chain_open(struct write_chain *chain, unsigned index, uint32_t flags,
		     unsigned write_parents, struct vhdx **ret_disk);

/* An open_parent callback; its opaque is the chain. */
int write_chain_open_parent(void *opaque, const char *child, const char *key, const char *path,
			    struct vhdx_io *ret_io);

/* File @index reads from now on as @view up to @size, and has at least that size. */
void write_chain_set_view(struct write_chain *chain, unsigned index, const struct sparse *view,
			  uint64_t size);

/* File @index reads as its view says, and neither it nor its parents have a fault. */
void write_chain_check(struct write_chain *chain, unsigned index);

/* Notes all DataWriteGuids. */
void write_chain_note(struct write_chain *chain);

/* That of file @index is the noted one. */
bool write_chain_kept_guid(struct write_chain *chain, unsigned index);

#endif
