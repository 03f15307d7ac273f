/* SPDX-License-Identifier: MIT */
/* Children beside a file that is about to be written: they name it as their parent, and may break. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "store/io.h"
#include "vdisk/disk.h"
#include "vdisk/parentage.h"

#define MAX_SIBLINGS 1024u /* entries of a folder that are looked at */
#define MAX_WARNINGS 4u	   /* children that are named */

/* The parent that may be, and its folder. */
struct family {
	const struct vhdx *parent;
	const char *folder; /* resolved */
	const char *name;   /* of the parent there */
};

static bool names_parent(const struct family *family, const struct locator *locator)
{
	for (size_t i = 0; i < PARENT_PATH_KEYS; i++) {
		const char *value = vhdx_locator_get(locator, vhdx_parent_path_keys[i]);
		auto_free char *path = value ? vhdx_native_path(value) : NULL;
		const char *name = path ? vhdx_last_component(path) : NULL;

		if (name && !strcasecmp(name, family->name))
			return true;
	}
	return false;
}

static bool is_child(const struct family *family, const struct image *image)
{
	return !image->has_fault && image_has_parent(image) &&
	       vhdx_linkage_matches(&image->locator, &family->parent->info.data_write_guid) &&
	       names_parent(family, &image->locator);
}

/* Most files of a folder are no images: a few bytes tell. */
static bool has_signature(const struct vhdx_io *io)
{
	char signature[sizeof(IDENTIFIER_SIGNATURE) - 1];

	return !vhdx_io_read(io, signature, sizeof(signature), IDENTIFIER_OFFSET) &&
	       !memcmp(signature, IDENTIFIER_SIGNATURE, sizeof(signature));
}

static bool is_regular(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISREG(st.st_mode);
}

static bool holds_child(const struct family *family, const char *path)
{
	struct vhdx_io io;
	bool found = false;

	if (!is_regular(path) || vhdx_file_io_resolved(path, 0, &io))
		return false;
	if (has_signature(&io)) {
		struct image image;

		found = !vhdx_image_load(&image, path, &io, NULL, NULL) && is_child(family, &image);
		vhdx_image_free(&image);
	}
	vhdx_io_close(&io);
	return found;
}

/* Is it the file that the parent's own chain goes on with? */
static bool is_excepted(const struct vhdx *except, const char *path)
{
	struct stat st;

	return except && except->has_identity && !stat(path, &st) &&
	       st.st_dev == except->identity.device && st.st_ino == except->identity.inode;
}

static void look_through(const struct family *family, const struct vhdx *except, DIR *dir,
			 child_visitor *visit, void *opaque)
{
	const struct dirent *entry = readdir(dir);
	bool goes_on = true;

	for (unsigned i = 0; entry && i < MAX_SIBLINGS && goes_on; i++) {
		char path[PATH_MAX];

		if (strcmp(entry->d_name, family->name) != 0 &&
		    snprintf(path, sizeof(path), "%s/%s", family->folder, entry->d_name) <
			    (int)sizeof(path) &&
		    !is_excepted(except, path) && holds_child(family, path))
			goes_on = visit(opaque, entry->d_name);
		entry = readdir(dir);
	}
}

void vhdx_each_child(const struct vhdx *disk, const struct vhdx *except, child_visitor *visit,
		     void *opaque)
{
	auto_free char *resolved = disk->has_identity ? realpath(disk->name, NULL) : NULL;

	if (!resolved)
		return;
	char *slash = strrchr(resolved, '/');

	*slash = 0;
	struct family family = {disk, resolved, slash + 1};
	DIR *dir = opendir(*resolved ? resolved : "/");

	if (!dir)
		return;
	look_through(&family, except, dir, visit, opaque);
	closedir(dir);
}

struct warner {
	const struct vhdx *parent;
	const struct open_request *request;
	unsigned warned;
};

static bool warn(void *opaque, const char *child)
{
	struct warner *warner = opaque;
	char text[NAME_MAX + 128];

	snprintf(text, sizeof(text),
		 "is the parent of %s beside it: to change its contents breaks that child", child);
	vhdx_text_to_line(text);
	vhdx_disk_warn(warner->request, warner->parent->name, text);
	return ++warner->warned < MAX_WARNINGS;
}

void vhdx_warn_of_children(const struct vhdx *disk, const struct open_request *request)
{
	struct warner warner = {disk, request, 0};

	if (request->options.warning)
		vhdx_each_child(disk, NULL, warn, &warner);
}
