// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the file system says about a kernel module: loaded, installed, version.
// Needs no privilege, starts no program and loads nothing.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "sys/result.h"

namespace braid::sys {

/// Release of the running kernel, as `uname -r` prints it.
[[nodiscard]] std::string running_kernel_release();

class KernelModule {
  public:
    /// name:    as in `lsmod`, e.g. "braid".
    /// release: the kernel for which installed() looks.
    /// root:    directory that holds sys/ and lib/, for tests.
    explicit KernelModule(std::string name, std::string release = running_kernel_release(),
                          std::filesystem::path root = "/");

    [[nodiscard]] const std::string& kernel_release() const { return release_; }

    /// Version of the loaded module; empty optional if it is not loaded. An
    /// error if sysfs is not there to tell, or if the module has no version.
    [[nodiscard]] Result<std::optional<std::string>> loaded_version() const;

    /// Whether `modprobe` would find the module for kernel_release(). A kernel
    /// without module directory has no modules; a directory whose index
    /// (modules.dep) can't be read is an error.
    [[nodiscard]] Result<bool> installed() const;

  private:
    std::string name_;
    std::string release_;
    std::filesystem::path root_;
};

}  // namespace braid::sys
