/* SPDX-License-Identifier: MIT */
/* vhdx compare: are two disks' contents the same, as a guest sees them? */
#include <inttypes.h>
#include <stdio.h>

#include "json.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "source.h"
#include "text.h"

#define STATUS_SAME   0
#define STATUS_DIFFER 1
/* Not 1: that is an answer. */
#define STATUS_TROUBLE 2

static const struct option_row rows[] = {
	{'f', NULL, "FMT", "A's format, vhdx or raw (default: what it holds)"},
	{'F', NULL, "FMT", "B's format"},
	{0, NULL, NULL, NULL},
};

struct compare {
	enum format_choice a_format;
	enum format_choice b_format;
};

static bool take_option(void *opaque, int id, const char *value)
{
	struct compare *compare = opaque;

	return format_parse(value, id == 'f' ? &compare->a_format : &compare->b_format);
}

static void print_text(const struct vhdx_difference *found)
{
	char size[TEXT_SIZE_MAX];
	bool a_longer = found->a_size > found->b_size;

	if (found->differ) {
		printf("Content differs at offset %" PRIu64 ".\n", found->offset);
	} else if (found->a_size == found->b_size) {
		puts("Images are identical.");
	} else {
		text_bytes(a_longer ? found->a_size - found->b_size : found->b_size - found->a_size,
			   size);
		printf("Images are identical, but the %s is longer by %s of zeros.\n",
		       a_longer ? "first" : "second", size);
	}
}

static void print_json(const struct vhdx_difference *found)
{
	struct json json = {.out = stdout};

	json_begin_object(&json, NULL);
	json_boolean(&json, "identical", !found->differ);
	if (found->differ)
		json_number(&json, "offset", found->offset);
	json_number(&json, "a-size", found->a_size);
	json_number(&json, "b-size", found->b_size);
	json_end_object(&json);
}

static int compare_sources(const struct source *a, const struct source *b,
			   const struct options *options)
{
	struct vhdx_difference found = {.size = sizeof(found)};
	struct vhdx_compare_options how = {.size = sizeof(how), .progress = progress_update};
	struct progress progress;

	progress_begin(&progress, options);
	how.opaque = &progress;
	int result = vhdx_compare(&a->view, &b->view, &how, &found);

	progress_end(&progress, !result);
	int status = source_check_read(result);

	if (status)
		return status;
	if (result)
		return report_failure(a->view.use_fd ? a->name : b->name);
	if (options->json)
		print_json(&found);
	else if (!options->quiet)
		print_text(&found);
	return found.differ ? STATUS_DIFFER : STATUS_SAME;
}

static int run(int argc, char **argv)
{
	struct compare compare = {0};
	auto_options struct options options;
	auto_source struct source a = {0};
	auto_source struct source b = {0};

	if (!options_parse(&options, &verb_compare, argc, argv, take_option, &compare))
		return options.status;
	int status = source_open(&a, options.operands[0], compare.a_format, &options.chain);

	if (!status)
		status = source_open(&b, options.operands[1], compare.b_format, &options.chain);
	if (status)
		return status;
	if (a.view.use_fd && b.view.use_fd && a.view.fd == b.view.fd)
		return report_error(a.name, "can be read only once (expected two different files)");
	return compare_sources(&a, &b, &options);
}

const struct verb verb_compare = {
	.name = "compare",
	.summary = "Compare two disks' contents as a guest sees them",
	.operands = "A B",
	.options = rows,
	.groups = OPTIONS_CHAIN | OPTIONS_CEPH | OPTIONS_JSON | OPTIONS_PROGRESS,
	.min_operands = 2,
	.max_operands = 2,
	.failed_status = STATUS_TROUBLE,
	.details =
		"A and B are files, block devices, NBD exports (nbd://HOST/EXPORT, ...), Ceph RBD\n"
		"images (rbd:POOL/[NAMESPACE/]IMAGE[@SNAP]) or '-'. Zeros at the longer one's end make\n"
		"no difference. Exit status: 0 the same, 1 they differ, 2 or more trouble.",
	.run = run,
};
