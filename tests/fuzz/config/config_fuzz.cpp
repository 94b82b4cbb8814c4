// SPDX-License-Identifier: GPL-2.0-or-later
//
// P7: any bytes as configuration files give messages or a configuration; what is
// dumped of it is read back as the same, and it can be adjusted to.
//
// The input is one file after the other, each ended by a byte 0xff; the first is
// the one that is loaded, the others have the names 1, 2, ... and "*" is all of them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "config/dump.h"
#include "config/load.h"
#include "config/plan.h"

namespace {

using namespace braid;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

config::Loaded load(const std::vector<std::string>& files) {
    const config::Source source{
        [&](const std::string& path) -> sys::Result<std::string> {
            const std::size_t index = std::strtoul(path.c_str(), nullptr, 10);
            if (index >= files.size()) {
                return tl::unexpected(sys::Error{2, path + ": not there"});
            }
            return files[index];
        },
        [&](const std::string& pattern) -> sys::Result<std::vector<std::string>> {
            if (pattern != "*") {
                return std::vector{pattern};
            }
            std::vector<std::string> all;
            for (std::size_t i = 1; i < files.size(); i++) {
                all.push_back(std::to_string(i));
            }
            return all;
        },
    };
    return config::load("0", source);
}

void check_messages(const config::Loaded& loaded) {
    require(loaded.diagnostics.size() <= config::diagnostics_max);
    for (const config::Diagnostic& each : loaded.diagnostics) {
        const std::string line = to_string(each);
        require(std::ranges::none_of(line,
                                     [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
        require(line.size() < 50000);
    }
}

void check_config(const config::Config& config) {
    for (const bool defaults : {false, true}) {
        std::string text;
        for (const config::Resource& resource : config.resources) {
            text += dump_text(resource, defaults);
        }
        if (text.size() <= config::file_bytes_max) {
            require(load({text}).config == config);
        }
    }
    require(!dump_json(config).empty());
    for (const config::Resource& resource : config.resources) {
        for (const config::Host& host : resource.hosts) {
            config::Wanted wanted;
            wanted.resources = {*on_host(resource, host.name)};
            for (const config::Operation& operation : plan(wanted, {}).operations) {
                require(!to_string(operation).empty());
            }
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::string> files(1);
    for (std::size_t i = 0; i < size; i++) {
        if (data[i] == 0xff) {
            files.emplace_back();
        } else {
            files.back() += static_cast<char>(data[i]);
        }
    }
    const config::Loaded loaded = load(files);
    check_messages(loaded);
    if (loaded.has_errors()) {
        require(loaded.config.resources.empty());
    } else {
        check_config(loaded.config);
    }
    return 0;
}
