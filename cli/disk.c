/* SPDX-License-Identifier: MIT */
/* Opens the disks that operands name, and says in one line why one cannot be opened. */
#include "disk.h"
#include "remotedisk.h"
#include "report.h"

static struct remote_disk_options make_options(const struct chain_options *chain,
					       const struct vhdx_open_options *how)
{
	return (struct remote_disk_options){
		.open = *how,
		.parents = chain->parent_uris,
		.storage = chain->remote,
	};
}

static int conclude(const char *name, int ret, const struct remote_error *error)
{
	if (!ret)
		return STATUS_DONE;
	return error->text[0] ? report_error(name, "%s", error->text) : report_failure(name);
}

int disk_open(const char *name, const struct chain_options *chain,
	      const struct vhdx_open_options *how, struct vhdx **ret_disk)
{
	struct remote_disk_options options = make_options(chain, how);
	struct remote_error error;

	return conclude(name, remote_open_disk(name, &options, ret_disk, &error), &error);
}

int disk_open_io(struct vhdx_io *io, const char *name, const struct chain_options *chain,
		 const struct vhdx_open_options *how, struct vhdx **ret_disk)
{
	struct remote_disk_options options = make_options(chain, how);
	struct remote_error error;

	return conclude(name, remote_open_disk_io(io, name, &options, ret_disk, &error), &error);
}

int disk_open_storage(const char *name, bool writing, const struct chain_options *chain,
		      struct vhdx_io *ret_io)
{
	struct remote_error error;

	return conclude(name, remote_open_image(name, writing, &chain->remote, ret_io, &error),
			&error);
}

int disk_must_be_file(const char *name, const char *what)
{
	return name && remote_kind(name) ? report_error(name, "%s (expected a file)", what)
					 : STATUS_DONE;
}

int disk_refuse_parent_uris(const struct chain_options *chain)
{
	return chain->nparent_uris
		       ? report_error(NULL, "--parent-uri is for verbs that read chains only")
		       : STATUS_DONE;
}
