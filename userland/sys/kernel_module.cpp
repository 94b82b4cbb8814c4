// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/kernel_module.h"

#include <sys/utsname.h>

#include <cerrno>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace braid::sys {

namespace fs = std::filesystem;

namespace {

Error error_at(const fs::path& path, int number) {
    return {number, path.string() + ": " + std::generic_category().message(number)};
}

/// Whether a line of modules.dep is about the module: "dir/NAME.ko[.xz]: needs".
bool is_entry_of(std::string_view line, std::string_view name) {
    const std::string_view file = line.substr(0, line.find(':'));
    const std::string_view base = file.substr(file.rfind('/') + 1);
    return base.starts_with(name) && base.substr(name.size()).starts_with(".ko");
}

}  // namespace

std::string running_kernel_release() {
    utsname names{};
    if (uname(&names) != 0) {
        throw std::system_error(errno, std::generic_category(), "uname");
    }
    return std::string(names.release);
}

KernelModule::KernelModule(std::string name, std::string release, fs::path root)
    : name_(std::move(name)), release_(std::move(release)), root_(std::move(root)) {}

Result<std::optional<std::string>> KernelModule::loaded_version() const {
    const fs::path modules = root_ / "sys/module";
    std::error_code code;
    if (!fs::is_directory(modules, code)) {
        // Without this check a missing sysfs would look like a missing module.
        return tl::unexpected(Error{
            ENOENT, modules.string() + " does not exist: sysfs is not mounted, so it can't be told "
                                       "which modules are loaded"});
    }
    if (!fs::exists(modules / name_, code)) {
        return std::optional<std::string>();
    }
    const fs::path path = modules / name_ / "version";
    errno = 0;
    std::ifstream file(path);
    std::string version;
    if (!std::getline(file, version)) {
        return tl::unexpected(error_at(path, errno != 0 ? errno : ENODATA));
    }
    return version;
}

Result<bool> KernelModule::installed() const {
    const fs::path directory = root_ / "lib/modules" / release_;
    std::error_code code;
    if (!fs::exists(directory, code)) {
        return false;
    }
    const fs::path path = directory / "modules.dep";
    errno = 0;
    std::ifstream file(path);
    if (!file.is_open()) {
        return tl::unexpected(error_at(path, errno != 0 ? errno : EIO));
    }
    for (std::string line; std::getline(file, line);) {
        if (is_entry_of(line, name_)) {
            return true;
        }
    }
    return false;
}

}  // namespace braid::sys
