/* SPDX-License-Identifier: MIT */
/* Merges into parents, and other parents: operations that more than one file is concerned in. */
#include "crash/chains.h"

static bool is_dirty(const struct chain *chain)
{
	bool dirty = true;

	for (unsigned i = 0; i < chain->depth; i++)
		dirty &= chain->layers[i].is_dirty;
	return dirty;
}

static bool has_larger_child(const struct chain *chain)
{
	return chain->layers[0].virtual_size > chain->layers[1].virtual_size;
}

static bool has_fixed_parent(const struct chain *chain)
{
	return chain->layers[1].is_fixed;
}

static bool has_other_blocks(const struct chain *chain)
{
	return chain->layers[0].block_size != chain->layers[1].block_size;
}

static const struct chain_case into_parent = {.depth = 2, .other = 1, .suits = has_other_blocks};
static const struct chain_case into_dirty_parent = {.depth = 2, .other = 1, .suits = is_dirty};
static const struct chain_case into_smaller_parent = {
	.depth = 2, .other = 1, .suits = has_larger_child};
static const struct chain_case into_fixed_parent = {
	.depth = 2, .other = 1, .suits = has_fixed_parent};
static const struct chain_case into_child = {.depth = 3, .other = 1};
static const struct chain_case two_links = {.depth = 3, .other = 2};
static const struct chain_case upon_other = {.depth = 2, .other = 2, .is_rebase = true};
static const struct chain_case upon_grandparent = {.depth = 3, .other = 2, .is_rebase = true};
static const struct chain_case dirty_upon_other = {
	.depth = 2, .other = 2, .is_rebase = true, .suits = is_dirty};

const struct scenario chain_scenarios[] = {
	{.name = "commit", .of_chain = &into_parent},
	{.name = "commit-dirty", .of_chain = &into_dirty_parent},
	{.name = "commit-grows", .of_chain = &into_smaller_parent},
	{.name = "commit-fixed", .of_chain = &into_fixed_parent},
	{.name = "commit-into-child", .of_chain = &into_child},
	{.name = "commit-two-links", .of_chain = &two_links},
	{.name = "rebase", .of_chain = &upon_other},
	{.name = "rebase-dirty", .of_chain = &dirty_upon_other},
	{.name = "rebase-upon-grandparent", .of_chain = &upon_grandparent},
	{.name = NULL},
};
