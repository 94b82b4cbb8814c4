// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include "config/load.h"

namespace braid::test {

/// Files in memory; a pattern "DIR/*" stands for all below DIR.
using Files = std::map<std::string, std::string>;

inline config::Loaded load_files(const Files& files, const std::string& path = "/etc/braid.conf") {
    config::Source source;
    source.read = [&](const std::string& name) -> sys::Result<std::string> {
        const auto file = files.find(name);
        if (file == files.end()) {
            return tl::unexpected(sys::Error{ENOENT, name + ": No such file or directory"});
        }
        return file->second;
    };
    source.match = [&](const std::string& pattern) -> sys::Result<std::vector<std::string>> {
        if (!pattern.ends_with("/*")) {
            return std::vector{pattern};
        }
        std::vector<std::string> found;
        for (const auto& [name, text] : files) {
            if (name.starts_with(pattern.substr(0, pattern.size() - 1))) {
                found.push_back(name);
            }
        }
        return found;
    };
    return config::load(path, source);
}

inline config::Loaded load_text(const std::string& text) {
    return load_files({{"/etc/braid.conf", text}});
}

/// Messages without the name of the file, which is always the same.
inline std::vector<std::string> messages(const config::Loaded& loaded) {
    std::vector<std::string> lines;
    for (const config::Diagnostic& each : loaded.diagnostics) {
        const std::string text = to_string(each);
        const std::string prefix = "/etc/braid.conf:";
        lines.push_back(text.starts_with(prefix) ? text.substr(prefix.size()) : text);
    }
    return lines;
}

}  // namespace braid::test
