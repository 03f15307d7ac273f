/* SPDX-License-Identifier: MIT */
/* vhdx_salvage: a ruined image's contents as a raw disk, as far as its structures are left, found or guessed. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/options.h"
#include "base/sizetext.h"
#include "ops/boot.h"
#include "ops/guess.h"
#include "ops/salvage.h"
#include "store/file.h"

#define STORAGE_NAME "(storage)"

static void begin(struct salvage *s, const struct vhdx_io *io, uint64_t missing)
{
	static const struct vhdx_salvage_fact unknown = {VHDX_SALVAGE_NOT_KNOWN, "not found"};

	s->ruin = (struct ruin){.base = io, .missing = missing};
	s->file = vhdx_ruin_io(&s->ruin);
	s->image = (struct image){.view = &s->file};
	s->paged = (struct vhdx_io){0};
	s->has_bat = s->order_is_guessed = false;
	s->result = (struct vhdx_salvage_result){
		.size = sizeof(s->result),
		.log_offset = VHDX_NO_OFFSET,
		.metadata_offset = VHDX_NO_OFFSET,
		.bat_offset = VHDX_NO_OFFSET,
		.missing_bytes = missing,
		.virtual_size_fact = unknown,
		.block_size_fact = unknown,
		.logical_sector_size_fact = unknown,
		.type_fact = unknown,
		.log_fact = unknown,
		.metadata_fact = unknown,
		.bat_fact = unknown,
	};
}

void vhdx_salvage_free(struct salvage *s)
{
	vhdx_io_close(&s->paged);
	vhdx_image_free(&s->image);
}

void vhdx_salvage_set_geometry(struct salvage *s)
{
	struct image *image = &s->image;

	image->geometry = geometry_make(image->virtual_size, image->parameters.block_size,
					image->logical_sector_size, image_has_parent(image));
	image->known |= VHDX_KNOWN_GEOMETRY;
	if (s->has_bat) /* a region is not trusted to be as long as it says, nor longer than needed */
		image->bat.length =
			(uint32_t)min_u64(max_u64(image->bat.length, MIB),
					  round_up(image->geometry.entries * BAT_ENTRY_SIZE, MIB));
}

/* Does anything at all tell that this was an image? */
static bool has_evidence(const struct salvage *s)
{
	const struct image *image = &s->image;

	return image->identifier.has_signature || image->headers[0].has_signature ||
	       image->headers[1].has_signature || image->tables[0].has_signature ||
	       image->tables[1].has_signature || fact_is_known(&s->result.metadata_fact) ||
	       fact_is_known(&s->result.log_fact) || s->has_bat || s->options.virtual_size;
}

int vhdx_salvage_guess(struct salvage *s)
{
	int ret = 0;

	if (!has_evidence(s))
		return vhdx_fail(-ENOTSUP, PROBLEM_IDENTIFIER, s->name, VHDX_NO_OFFSET,
				 "nothing of a VHDX image is left (expected at least its BAT, its "
				 "metadata, or the size of its disk as an option)");
	if (s->has_bat) {
		ret = vhdx_guess_spacing(s);
		if (!ret)
			ret = vhdx_guess_size(s);
	} else {
		ret = vhdx_guess_order(s);
	}
	if (ret)
		return ret;
	if (!s->image.virtual_size)
		return vhdx_fail(
			-ENOTSUP, NO_PROBLEM, s->name, VHDX_NO_OFFSET,
			"no block is left, and nothing tells the disk's size (expected one "
			"of them, or the size as an option)");
	vhdx_salvage_set_geometry(s);
	return 0;
}

/* All but the copying, of a file whose first @missing bytes are not there. */
static int find(struct salvage *s, const struct vhdx_io *io, uint64_t missing)
{
	begin(s, io, missing);
	int ret = vhdx_salvage_load(s);

	if (!ret)
		ret = vhdx_salvage_find_bat(s);
	return ret ? ret : vhdx_salvage_guess(s);
}

/* ---- Was the header section cut away? ---- */

static bool has_header_section(const struct salvage *s)
{
	const struct image *image = &s->image;

	return image->identifier.has_signature || image->headers[0].has_signature ||
	       image->headers[1].has_signature || image->tables[0].has_signature ||
	       image->tables[1].has_signature;
}

struct fit {
	const struct image *image;
	bool begins; /* the first block begins as a disk does */
	bool is_cut; /* a block ends behind the file's end */
};

static int look_at_entry(void *opaque, uint64_t index, uint64_t entry)
{
	struct fit *fit = opaque;
	struct boot boot = {.kind = BOOT_NONE};
	int ret = 0;

	if (bat_entry_state(entry) < BLOCK_FULLY_PRESENT ||
	    bat_index_is_bitmap(&fit->image->geometry, index))
		return 0;
	if (!range_within(bat_entry_offset(entry), fit->image->geometry.block_size,
			  image_end(fit->image)))
		fit->is_cut = true;
	if (!index)
		ret = vhdx_boot_read(fit->image->view, bat_entry_offset(entry), &boot);
	fit->begins |= boot.kind != BOOT_NONE;
	return ret;
}

/* How well the places fit what lies there. */
static int judge_places(const struct salvage *s, unsigned *ret_score)
{
	struct image image = s->image;
	struct fit fit = {.image = &image};
	int ret = 0;

	image.view = salvage_view(s);
	if (s->has_bat)
		ret = vhdx_bat_walk(&image, false, look_at_entry, &fit, NULL, NULL);
	*ret_score = 4u * s->has_bat + 2u * fit.begins + (s->has_bat && !fit.is_cut);
	return ret;
}

/* Entries of the BAT tell whether the first MiB was overwritten, or whether it is not there any more. */
static int find_again(struct salvage *s, const struct vhdx_io *io)
{
	struct salvage other = {.name = s->name, .options = s->options};
	unsigned score;
	unsigned other_score = 0;
	int ret = judge_places(s, &score);

	if (ret)
		return ret;
	ret = find(&other, io, HEADER_SECTION_SIZE);
	if (!ret)
		ret = judge_places(&other, &other_score);
	bool is_better = !ret && other_score > score;

	vhdx_salvage_free(&other);
	if (ret && ret != -ENOTSUP)
		return ret;
	if (!is_better)
		return 0;
	vhdx_salvage_free(s);
	return find(s, io, HEADER_SECTION_SIZE);
}

static int find_all(struct salvage *s, const struct vhdx_io *io)
{
	int ret = find(s, io, 0);

	if (ret && ret != -ENOTSUP)
		return ret;
	if (has_header_section(s))
		return ret;
	if (!ret)
		return find_again(s, io);
	vhdx_salvage_free(s);
	return find(s, io, HEADER_SECTION_SIZE);
}

/* ---- The whole ---- */

static void complete_result(struct salvage *s)
{
	s->result.virtual_size = s->image.virtual_size;
	s->result.block_size = s->image.parameters.block_size;
	s->result.logical_sector_size = s->image.logical_sector_size;
	s->result.type = image_type(&s->image);
}

static int copy_to(struct salvage *s, const struct vhdx_destination *to, const char *path)
{
	const struct source source = {
		.name = s->name,
		.path = path,
		.size = s->image.virtual_size,
	};
	struct sink sink;
	int ret = vhdx_sink_open(to, &source, false, &sink);

	if (ret)
		return ret;
	ret = vhdx_salvage_copy(s, &sink);
	if (!ret)
		ret = vhdx_sink_finish(&sink, s->image.virtual_size);
	vhdx_sink_close(&sink);
	return ret;
}

static int check_options(const struct vhdx_salvage_options *options)
{
	char text[SIZE_TEXT_MAX];

	if (options->flags & ~VHDX_SALVAGE_FORCE)
		return vhdx_fail_argument("vhdx_salvage_options: unknown flags %#x",
					  options->flags & ~VHDX_SALVAGE_FORCE);
	if (options->block_size &&
	    (!is_power_of_two(options->block_size) || options->block_size < MIN_BLOCK_SIZE ||
	     options->block_size > MAX_BLOCK_SIZE))
		return vhdx_fail_argument(
			"a block size of %s (expected a power of two, 1 MiB to 256 MiB)",
			vhdx_size_text(options->block_size, text));
	if (options->virtual_size > MAX_DISK_SIZE)
		return vhdx_fail_argument("a disk of %s (expected at most 64 TiB)",
					  vhdx_size_text(options->virtual_size, text));
	if (options->logical_sector_size && options->logical_sector_size != 512 &&
	    options->logical_sector_size != 4096)
		return vhdx_fail_argument("sector size %" PRIu32 " (expected 512 or 4096)",
					  options->logical_sector_size);
	return 0;
}

static int grow_output(const struct vhdx_io *output, uint64_t size)
{
	uint64_t held;
	int ret = vhdx_io_get_size(output, &held);

	if (!ret && held < size)
		ret = vhdx_io_set_size(output, size);
	return ret == -EOPNOTSUPP ? 0 : ret; /* the sink says that it is too small */
}

static int salvage(const struct vhdx_io *io, const char *name, const char *path,
		   struct vhdx_destination *to, const struct vhdx_salvage_options *options,
		   struct vhdx_salvage_result *ret_result)
{
	struct salvage s = {.name = name};
	int ret =
		vhdx_adopt_options(options, "vhdx_salvage_options", sizeof(s.options), &s.options);

	if (!ret)
		ret = check_options(&s.options);
	if (!ret && ret_result && ret_result->size < sizeof(*ret_result))
		ret = vhdx_fail_argument("the size of struct vhdx_salvage_result is not set");
	if (ret)
		return ret;
	const struct vhdx_create_options how = {
		.size = sizeof(how),
		.flags = s.options.flags & VHDX_SALVAGE_FORCE ? VHDX_CREATE_FORCE : 0,
	};

	to->size = sizeof(*to);
	to->create = &how;
	ret = find_all(&s, io);
	if (!ret && to->io)
		ret = grow_output(to->io, s.image.virtual_size);
	if (!ret)
		ret = copy_to(&s, to, path);
	complete_result(&s);
	if (!ret && ret_result)
		*ret_result = s.result;
	vhdx_salvage_free(&s);
	return ret;
}

int vhdx_salvage_io(const struct vhdx_io *io, const char *name, const struct vhdx_io *output,
		    const struct vhdx_salvage_options *options,
		    struct vhdx_salvage_result *ret_result)
{
	struct vhdx_io own;

	if (!io || !output)
		return vhdx_fail_argument("vhdx_salvage_io: no storage");
	int ret = vhdx_io_adopt(io, &own);

	if (ret)
		return vhdx_fail_argument("vhdx_salvage_io: storage that cannot be read");
	struct vhdx_destination to = {.format = VHDX_FORMAT_RAW, .io = output};

	return salvage(&own, name ? name : STORAGE_NAME, NULL, &to, options, ret_result);
}

/* Callers of older versions have shorter options. */
static const struct vhdx_io *given_storage(const struct vhdx_salvage_options *options)
{
	struct vhdx_salvage_options own;

	return vhdx_adopt_options(options, "vhdx_salvage_options", sizeof(own), &own) ? NULL
										      : own.io;
}

int vhdx_salvage(const char *path, const char *output, const struct vhdx_salvage_options *options,
		 struct vhdx_salvage_result *ret_result)
{
	struct vhdx_destination to = {.format = VHDX_FORMAT_RAW, .path = output};
	struct vhdx_io io;

	if (!path || !output)
		return vhdx_fail_argument("vhdx_salvage: no path");
	const struct vhdx_io *given = given_storage(options);
	int ret = given ? vhdx_io_adopt(given, &io) : vhdx_file_io(path, 0, &io);

	if (!ret && given)
		return salvage(&io, path, NULL, &to, options, ret_result);

	if (ret)
		return ret;
	ret = io.lock ? io.lock(io.opaque, false) : 0;
	if (ret == -EAGAIN)
		ret = vhdx_fail(-EAGAIN, NO_PROBLEM, path, VHDX_NO_OFFSET,
				"is used by another process, which holds its lock");
	else
		ret = salvage(&io, path, path, &to, options, ret_result);
	vhdx_io_close(&io);
	return ret;
}
