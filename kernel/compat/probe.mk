# SPDX-License-Identifier: GPL-2.0
#
# What the kernel that is built for has. Its headers are asked, not its version:
# distributions backport. compat.h turns the answers into shims.

compat-header = $(if $(shell grep -F $(1) $(srctree)/include/$(strip $(2))),-DCOMPAT_$(strip $(3)))

# 6.2: do and dump of an operation described apart
ccflags-y += $(call compat-header,"struct genl_split_ops {",net/genetlink.h,HAS_GENL_SPLIT_OPS)
