/* SPDX-License-Identifier: MIT */
/*
 * Scenarios that the public interface cannot bring about with a small image: a session that changes metadata
 * before the guest's data, and pages of the BAT that are dropped while a commit is under way.
 */
#include "meta/pages.h"
#include "vdisk/disk.h"
#include "vdisk/writer.h"

#include "crash/runner.h"

static void pass_for_metadata(struct guest *guest)
{
	if (guest->disk && vhdx_gate_pass(guest->disk, GATE_METADATA))
		guest_fail(guest, fault_text("the gate was not passed"));
}

static void third_header(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	pass_for_metadata(guest);
	guest_write(guest, 1 * GUEST_MIB, 4 * GUEST_KIB);
	guest_flush(guest);
	guest_close(guest);
}

/* The guest's data did not change, and neither may DataWriteGuid. */
static void metadata_alone(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	pass_for_metadata(guest);
	guest_flush(guest);
	guest_close(guest);
	guest_open(guest);
	pass_for_metadata(guest);
	guest_close(guest);
}

/* The cache thinks itself full: every page that is not held is dropped. Then one is needed again. */
static void drop_pages(struct guest *guest)
{
	struct chain_shared *shared = guest->disk->shared;

	atomic_fetch_add(&shared->cache.pages, CACHE_LIMIT + 1);
	vhdx_page_cache_trim(&shared->cache, vhdx_stripes_grace, &shared->stripes);
	atomic_fetch_sub(&shared->cache.pages, CACHE_LIMIT + 1);
	guest_write(guest, 1 * GUEST_MIB, 4 * GUEST_KIB);
}

static void pages_dropped_at(struct guest *guest, struct event event)
{
	guest_write(guest, 0, 4 * GUEST_KIB);
	event.act = drop_pages;
	guest_when(guest, event);
	guest_flush(guest);
	guest_write(guest, 2 * GUEST_MIB, 4 * GUEST_KIB);
	guest_flush(guest);
}

static void pages_dropped(struct guest *guest)
{
	guest_create(guest, &(struct setup){0});
	guest_open(guest);
	guest_write(guest, 3 * GUEST_MIB, 4 * GUEST_KIB);
	guest_flush(guest);
	pages_dropped_at(guest, guest_at_log(guest, STORE_AFTER, 0));
	guest_trim(guest, 0, 3 * GUEST_MIB);
	guest_flush(guest);
	pages_dropped_at(guest, guest_at_flush(STORE_AFTER, 0));
	guest_close(guest);
}

const struct scenario inside_scenarios[] = {
	{"third-header", third_header, 0},
	{"metadata-alone", metadata_alone, 1000},
	{"pages-dropped", pages_dropped, 0},
	{0},
};
