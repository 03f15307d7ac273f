/* SPDX-License-Identifier: MIT */
/* vhdx create: a new image, alone or as the child of another. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "foreign.h"

#include "disk.h"
#include "names.h"
#include "numbers.h"
#include "options.h"
#include "report.h"
#include "text.h"

#define MIB (UINT32_C(1) << 20)

enum {
	OPTION_TYPE = OPTION_FIRST,
	OPTION_BLOCK_SIZE,
	OPTION_LOG_SIZE,
	OPTION_SECTOR_SIZE,
	OPTION_PHYSICAL_SECTOR_SIZE,
	OPTION_PROFILE,
	OPTION_NO_HOLES,
	OPTION_SEED,
	OPTION_FORCE,
	OPTION_PARENT,
	OPTION_WINDOWS_PATH,
};

static const struct option_row rows[] = {
	{OPTION_TYPE, "type", "TYPE", "dynamic (the default) or fixed"},
	{OPTION_BLOCK_SIZE, "block-size", "SIZE", "a power of two from 1M to 256M (default 2M)"},
	{OPTION_LOG_SIZE, "log-size", "SIZE", "of the log, whole MiB (default 1M)"},
	{OPTION_SECTOR_SIZE, "sector-size", "SIZE", "logical sectors: 512 (the default) or 4096"},
	{OPTION_PHYSICAL_SECTOR_SIZE, "physical-sector-size", "SIZE", "512 or 4096 (the default)"},
	{OPTION_PROFILE, "profile", "NAME", "defaults for windows, linux or azure"},
	{OPTION_NO_HOLES, "no-holes", NULL, "never make the file sparse: for Windows hosts"},
	{OPTION_SEED, "seed", "HEX", "makes the GUIDs, and so every byte, reproducible"},
	{OPTION_FORCE, "force", NULL, "replace a file that exists"},
	{OPTION_PARENT, "parent", "PARENT", "make a differencing child of PARENT"},
	{OPTION_WINDOWS_PATH, "windows-path", "PATH", "PARENT's absolute path as Windows sees it"},
	{'q', "quiet", NULL, "print only errors and warnings"},
	{0, NULL, NULL, NULL},
};

struct profile {
	const char *name;
	enum vhdx_type type;
	uint32_t block_size;
	uint32_t logical_sector_size;
	bool whole_mib; /* refuse a disk of another size */
};

static const struct profile profiles[] = {
	/* What Hyper-V's own tools make. */
	{"windows", VHDX_DYNAMIC, 32 * MIB, 512, false},
	/* As Microsoft advises for Linux guests: ext4 spreads its metadata over the disk. */
	{"linux", VHDX_DYNAMIC, 1 * MIB, 512, false},
	/* Azure takes fixed disks of whole MiB. */
	{"azure", VHDX_FIXED, 2 * MIB, 512, true},
};

struct create {
	struct vhdx_create_options image;
	const struct profile *profile;
	uint8_t *seed;
	bool type_given;
};

static void create_free(struct create *create)
{
	free(create->seed);
}

static bool take_profile(struct create *create, const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++)
		if (!strcmp(profiles[i].name, value)) {
			create->profile = &profiles[i];
			return true;
		}
	report_error(NULL, "profile '%s' is unknown (expected windows, linux or azure)", value);
	return false;
}

static bool take_seed(struct create *create, const char *value)
{
	free(create->seed);
	create->seed = NULL;
	if (!parse_hex("seed", value, &create->seed, &create->image.seed_size))
		return false;
	create->image.seed = create->seed;
	return true;
}

static bool take_option(void *opaque, int id, const char *value)
{
	struct create *create = opaque;
	struct vhdx_create_options *image = &create->image;

	switch (id) {
	case OPTION_TYPE:
		create->type_given = true;
		return type_parse(value, &image->type);
	case OPTION_BLOCK_SIZE:
		return parse_size32("block size", value, &image->block_size);
	case OPTION_LOG_SIZE:
		return parse_size32("log size", value, &image->log_length);
	case OPTION_SECTOR_SIZE:
		return parse_size32("sector size", value, &image->logical_sector_size);
	case OPTION_PHYSICAL_SECTOR_SIZE:
		return parse_size32("physical sector size", value, &image->physical_sector_size);
	case OPTION_PROFILE:
		return take_profile(create, value);
	case OPTION_NO_HOLES:
		image->flags |= VHDX_CREATE_NO_HOLES;
		return true;
	case OPTION_SEED:
		return take_seed(create, value);
	case OPTION_FORCE:
		image->flags |= VHDX_CREATE_FORCE;
		return true;
	case OPTION_PARENT:
		image->parent = value;
		return true;
	case OPTION_WINDOWS_PATH:
		image->windows_path = value;
		return true;
	default:
		return false;
	}
}

/* What was given stands; the profile fills in the rest. */
static int apply_profile(struct create *create)
{
	const struct profile *profile = create->profile;
	struct vhdx_create_options *image = &create->image;

	if (profile && profile->type == VHDX_FIXED && image->parent)
		return report_error(NULL, "profile '%s' is of fixed disks (expected no --parent)",
				    profile->name);
	if (!profile)
		return STATUS_DONE;
	if (!create->type_given && !image->parent)
		image->type = profile->type;
	if (!image->block_size)
		image->block_size = profile->block_size;
	if (!image->logical_sector_size && !image->parent)
		image->logical_sector_size = profile->logical_sector_size;
	if (profile->whole_mib && image->virtual_size % MIB)
		return report_error(NULL, "profile '%s' needs a disk of whole MiB", profile->name);
	return STATUS_DONE;
}

static int settle_type(struct create *create)
{
	struct vhdx_create_options *image = &create->image;

	if (image->parent && !*image->parent)
		return report_error(NULL, "--parent '' is not the name of a file");
	if (image->parent && create->type_given && image->type != VHDX_DIFFERENCING)
		return report_error(NULL, "a child of '%s' is neither dynamic nor fixed",
				    image->parent);
	if (image->parent)
		image->type = VHDX_DIFFERENCING;
	else if (image->type == VHDX_DIFFERENCING)
		return report_error(NULL, "a differencing disk needs --parent");
	if (image->windows_path && !image->parent)
		return report_error(NULL, "--windows-path needs --parent");
	return apply_profile(create);
}

static int settle_size(struct create *create, const struct options *options)
{
	if (options->noperands < 2 && !create->image.parent)
		return report_error(
			options->operands[0],
			"the disk's size is missing (expected one behind the file, as in 40G)");
	if (options->noperands < 2)
		return STATUS_DONE;
	if (is_size(options->operands[0]) && !is_size(options->operands[1]))
		return report_error(NULL, "the size stands before the file (expected %s %s)",
				    options->operands[1], options->operands[0]);
	if (!parse_disk_size(options->operands[1], &create->image.virtual_size))
		return STATUS_FAILED;
	if (!create->image.virtual_size)
		return report_error(NULL, "a disk cannot be empty");
	return STATUS_DONE;
}

/* What was made, as it reads now. */
static int print_made(const char *path)
{
	struct vhdx_open_options how = {.size = sizeof(how), .flags = VHDX_OPEN_NO_PARENT};
	struct vhdx_info info = {.size = sizeof(info)};
	char size[TEXT_SIZE_MAX], block[TEXT_SIZE_MAX];
	auto_disk struct vhdx *disk = NULL;

	if (vhdx_open(path, &how, &disk) || vhdx_get_info(disk, &info))
		return report_failure(path);
	text_write(stdout, path);
	printf(": %s, %s, blocks of %s, sectors of %u/%u bytes\n", type_name(info.type),
	       text_bytes(info.virtual_size, size), text_size(info.block_size, block),
	       info.logical_sector_size, info.physical_sector_size);
	return STATUS_DONE;
}

static int create_image(struct create *create, const struct options *options)
{
	struct vhdx_open_options parent_options = chain_open_options(&options->chain, 0);
	const char *path = options->operands[0];

	create->image.parent_options = &parent_options;
	int result = vhdx_create(path, &create->image);

	if (result == -EEXIST)
		return report_error(path, "exists already (--force replaces it)");
	if (result)
		return report_failure(path);
	if (foreign_suffix(path))
		report_warning(NULL, path, "holds a VHDX, whatever its name says (expected .vhdx)");
	return options->quiet ? STATUS_DONE : print_made(path);
}

static int check_places(const struct create *create, const struct options *options)
{
	int status = disk_must_be_file(options->operands[0],
				       "becomes an image by 'vhdx convert -O vhdx'");

	if (!status && create->image.parent)
		status = disk_must_be_file(create->image.parent, "cannot be the parent");
	return status ? status : disk_refuse_parent_uris(&options->chain);
}

static int run(int argc, char **argv)
{
	__attribute__((cleanup(create_free))) struct create create = {
		.image = {.size = sizeof(create.image)}};
	auto_options struct options options;

	if (!options_parse(&options, &verb_create, argc, argv, take_option, &create))
		return options.status;
	int status = check_places(&create, &options);

	if (!status)
		status = settle_size(&create, &options);
	if (!status)
		status = settle_type(&create);
	return status ? status : create_image(&create, &options);
}

const struct verb verb_create = {
	.name = "create",
	.summary = "Make a new image, alone or as a child of another",
	.operands = "FILE [SIZE]",
	.options = rows,
	.groups = OPTIONS_CHAIN,
	.min_operands = 1,
	.max_operands = 2,
	.failed_status = STATUS_FAILED,
	.details =
		"Sizes take K, M, G and T, powers of 1024. SIZE may be left out with --parent: the\n"
		"child is then as large as its parent.",
	.run = run,
};
