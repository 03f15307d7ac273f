/* SPDX-License-Identifier: MIT */
/* What the command and the program behind its verb `mount` must agree on. */
#ifndef CLI_MOUNT_H
#define CLI_MOUNT_H

#define MOUNT_NAME    "mount"
#define MOUNT_SUMMARY "Show a disk and its partitions as files, through FUSE"

#endif
