/* SPDX-License-Identifier: MIT */
/* Everything that decides a new image, checked and with defaults filled in. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/guid.h"
#include "base/sizetext.h"
#include "format/header.h"
#include "ops/plan.h"

#define DEFAULT_BLOCK_SIZE    (2 * MIB)
#define DEFAULT_LOG_LENGTH    (1 * MIB)
#define DEFAULT_LOGICAL_SIZE  512u
#define DEFAULT_PHYSICAL_SIZE 4096u

#define KNOWN_FLAGS (VHDX_CREATE_FORCE | VHDX_CREATE_NO_HOLES | VHDX_CREATE_NO_SYNC)

int vhdx_plan_check_size(uint64_t virtual_size, uint32_t logical_sector_size)
{
	char text[SIZE_TEXT_MAX];

	if (!virtual_size || virtual_size > MAX_DISK_SIZE || virtual_size % logical_sector_size)
		return vhdx_fail_argument(
			"a disk of %s (expected 1 sector to 64 TiB, a multiple of the "
			"logical sector's %u bytes)",
			vhdx_size_text(virtual_size, text), logical_sector_size);
	return 0;
}

static bool is_sector_size(uint32_t size)
{
	return size == 512 || size == 4096;
}

static int check_sectors(const struct image_plan *plan)
{
	if (!is_sector_size(plan->logical_sector_size))
		return vhdx_fail_argument("a logical sector size of %u (expected 512 or 4096)",
					  plan->logical_sector_size);
	if (!is_sector_size(plan->physical_sector_size))
		return vhdx_fail_argument("a physical sector size of %u (expected 512 or 4096)",
					  plan->physical_sector_size);
	if (plan->physical_sector_size < plan->logical_sector_size)
		return vhdx_fail_argument(
			"a physical sector size of %u (expected not less than the logical sector's %u)",
			plan->physical_sector_size, plan->logical_sector_size);
	return 0;
}

static int check_plan(const struct image_plan *plan, uint32_t flags)
{
	char text[SIZE_TEXT_MAX];

	if (flags & ~KNOWN_FLAGS)
		return vhdx_fail_argument("vhdx_create_options: unknown flags %#x",
					  flags & ~KNOWN_FLAGS);
	if (plan->type != VHDX_DYNAMIC && plan->type != VHDX_FIXED &&
	    plan->type != VHDX_DIFFERENCING)
		return vhdx_fail_argument(
			"a disk of type %d (expected VHDX_DYNAMIC, VHDX_FIXED or VHDX_DIFFERENCING)",
			(int)plan->type);
	if (!is_power_of_two(plan->block_size) || plan->block_size < MIN_BLOCK_SIZE ||
	    plan->block_size > MAX_BLOCK_SIZE)
		return vhdx_fail_argument(
			"a block size of %s (expected a power of two, 1 MiB to 256 MiB)",
			vhdx_size_text(plan->block_size, text));
	if (!plan->log_length || plan->log_length % MIB || plan->log_length > MAX_LOG_LENGTH)
		return vhdx_fail_argument(
			"a log of %s (expected a multiple of 1 MiB, at most 1 GiB)",
			vhdx_size_text(plan->log_length, text));
	return check_sectors(plan);
}

static int plan_identifier(const char *creator, struct image_plan *plan)
{
	char own[64];

	if (!creator) {
		snprintf(own, sizeof(own), "libvhdx %s", vhdx_version());
		creator = own;
	}
	int ret = vhdx_identifier_encode(creator, plan->identifier, sizeof(plan->identifier));

	if (ret == -EILSEQ)
		return vhdx_fail_argument("the creator is not UTF-8");
	if (ret)
		return vhdx_fail_argument(
			"the creator is too long (expected at most %u UTF-16 units)",
			CREATOR_SIZE / 2);
	return 0;
}

int vhdx_plan_guids(const struct vhdx_create_options *options, const struct vhdx_guid *parent,
		    struct image_plan *plan)
{
	struct vhdx_guid *guids[] = {&plan->file_write_guid, &plan->data_write_guid,
				     &plan->disk_id};
	struct guid_source source = vhdx_guid_source(options->seed, options->seed_size);

	if (parent) /* the same seed must not make a child that passes for its parent */
		vhdx_guid_source_mix(&source, parent, sizeof(*parent));
	for (size_t i = 0; i < ARRAY_SIZE(guids); i++) {
		int ret = vhdx_guid_next(&source, guids[i]);

		if (ret)
			return vhdx_fail_errno(ret, NULL, "cannot make a GUID");
	}
	return 0;
}

int vhdx_plan_image(const struct vhdx_create_options *options, bool size_later,
		    struct image_plan *ret_plan)
{
	uint32_t logical = options->logical_sector_size ? options->logical_sector_size
							: DEFAULT_LOGICAL_SIZE;
	uint32_t physical = options->physical_sector_size ? options->physical_sector_size
							  : DEFAULT_PHYSICAL_SIZE;
	struct image_plan plan = {
		.type = options->type,
		.virtual_size = size_later ? 0 : options->virtual_size,
		.block_size = options->block_size ? options->block_size : DEFAULT_BLOCK_SIZE,
		.log_length = options->log_length ? options->log_length : DEFAULT_LOG_LENGTH,
		.logical_sector_size = logical,
		.physical_sector_size = physical,
		.no_holes = options->flags & VHDX_CREATE_NO_HOLES,
		.durable = !(options->flags & VHDX_CREATE_NO_SYNC),
	};
	int ret = check_plan(&plan, options->flags);

	if (!ret && !size_later)
		ret = vhdx_plan_check_size(plan.virtual_size, logical);
	if (!ret)
		ret = plan_identifier(options->creator, &plan);
	if (!ret)
		ret = vhdx_plan_guids(options, NULL, &plan);
	if (!ret)
		*ret_plan = plan;
	return ret;
}
