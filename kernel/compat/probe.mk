# SPDX-License-Identifier: GPL-2.0
#
# What the kernel that is built for has. Its headers are asked, not its version:
# distributions backport. compat.h turns the answers into shims.

compat-header = $(if $(shell grep -F $(1) $(srctree)/include/$(strip $(2))),-DCOMPAT_$(strip $(3)))

# 6.2: do and dump of an operation described apart
ccflags-y += $(call compat-header,"struct genl_split_ops {",net/genetlink.h,HAS_GENL_SPLIT_OPS)

# 6.9: a block device is opened as a file
ccflags-y += $(call compat-header,"bdev_file_open_by_dev",linux/blkdev.h,HAS_BDEV_FILE)
# 6.9: queue limits are changed as a whole
ccflags-y += $(call compat-header,"queue_limits_stack_bdev",linux/blkdev.h,HAS_STACK_LIMITS)
# 6.5: modes of block devices are a type of their own
ccflags-y += $(call compat-header,"__bitwise blk_mode_t",linux/blkdev.h,HAS_BLK_MODE)

# 6.6: a dump's request is described as any other
ccflags-y += $(call compat-header,"genl_info_dump",net/genetlink.h,HAS_DUMPIT_INFO)
