/* SPDX-License-Identifier: MIT */
/*
 * incremental_backup LAST DISK NEW: makes NEW, a differencing image that holds how DISK, a VHDX or a raw disk,
 * differs from LAST, the backup before. NEW with its parents reads as DISK does, and is LAST of the next time.
 */
#include <stdio.h>

#include <vhdx.h>

static int fail(void)
{
	const struct vhdx_error *error = vhdx_last_error();

	fprintf(stderr, "\nincremental_backup: %s: %s\n", error->file, error->text);
	return 1;
}

static int show(void *opaque, uint64_t done, uint64_t total)
{
	(void)opaque;
	fprintf(stderr, "\r%3u %%", total ? (unsigned)(done * 100 / total) : 0);
	return 0; /* anything else would stop it, and leave nothing */
}

static void warn(void *opaque, const char *file, const char *text)
{
	(void)opaque;
	fprintf(stderr, "\nincremental_backup: warning: %s: %s\n", file, text);
}

/* How much NEW holds itself; the rest is its parents'. */
static int tell_size(const char *path)
{
	struct vhdx_info info = {.size = sizeof(info)};
	struct vhdx *disk;

	if (vhdx_open(path, NULL, &disk))
		return fail();
	int ret = vhdx_get_info(disk, &info) ? fail() : 0;

	if (!ret)
		printf("%s: %llu of %llu KiB are kept here\n", path,
		       (unsigned long long)info.file_size / 1024,
		       (unsigned long long)info.virtual_size / 1024);
	vhdx_close(disk);
	return ret;
}

int main(int argc, char **argv)
{
	struct vhdx_diff_options options = {
		.size = sizeof(options), .warning = warn, .progress = show};
	struct vhdx_source contents = {.size = sizeof(contents)};
	struct vhdx *disk = NULL;
	struct vhdx *last;

	if (argc != 4) {
		fprintf(stderr, "usage: incremental_backup LAST DISK NEW\n");
		return 1;
	}
	if (vhdx_open(argv[1], NULL, &last))
		return fail();

	/* The content decides what DISK is, not its name. */
	int is_image = vhdx_probe(argv[2]);
	int ret = is_image < 0 ? fail() : 0;

	if (is_image > 0)
		ret = vhdx_open(argv[2], NULL, &disk) ? fail() : 0;
	if (disk)
		contents.disk = disk;
	else
		contents.path = argv[2];
	if (!ret)
		ret = vhdx_diff(last, &contents, argv[3], &options) ? fail() : 0;
	fputc('\n', stderr);
	vhdx_close(disk);
	vhdx_close(last);
	return ret ? ret : tell_size(argv[3]);
}
