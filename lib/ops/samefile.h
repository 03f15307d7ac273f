/* SPDX-License-Identifier: MIT */
/* Would an operation write over what it reads? */
#ifndef VHDX_OPS_SAMEFILE_H
#define VHDX_OPS_SAMEFILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include <vhdx.h>

/* Are both one file or device? */
bool vhdx_same_file(const struct stat *a, const struct stat *b);

/* Does @path lead to that file or device? */
bool vhdx_leads_to(const char *path, const struct stat *file);

/* Is @file that of @disk or of one of its parents? */
bool vhdx_disk_uses_file(const struct vhdx *disk, const struct stat *file);

#endif
