// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/config_files.h"

#include <fmt/format.h>
#include <glob.h>
#include <sys/utsname.h>

#include <cerrno>
#include <memory>
#include <filesystem>
#include <system_error>

namespace braid::sys {

Result<std::vector<std::string>> match_paths(const std::string& pattern) {
    if (pattern.find_first_of("*?[") == std::string::npos) {
        return std::vector{pattern};
    }
    glob_t found{};
    const std::unique_ptr<glob_t, decltype(&::globfree)> owner(&found, &::globfree);
    // Unsafe among threads only with GLOB_TILDE.
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    const int status = ::glob(pattern.c_str(), GLOB_ERR, nullptr, &found);
    // A folder that does not exist has no files; one that cannot be read may have some.
    if (status == GLOB_NOMATCH || (status == GLOB_ABORTED && errno == ENOENT)) {
        return std::vector<std::string>();
    }
    if (status != 0) {
        const int number = status == GLOB_NOSPACE ? ENOMEM : errno;
        return tl::unexpected(
            Error{number, fmt::format("{}: {}", pattern, std::generic_category().message(number))});
    }
    return std::vector<std::string>(found.gl_pathv, found.gl_pathv + found.gl_pathc);
}

std::string host_name() {
    utsname names{};
    ::uname(&names);  // cannot fail: the buffer is ours
    return names.nodename;
}

std::string beside_this_program(const std::string& name) {
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    return error ? name : (self.parent_path() / name).string();
}

}  // namespace braid::sys
