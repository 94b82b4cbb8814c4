// SPDX-License-Identifier: GPL-2.0-or-later
//
// The configuration files, for verbs: what they say, and which resources are meant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/verb.h"
#include "config/load.h"

namespace braid::cli {

inline constexpr const char* default_config_file = "/etc/braid.conf";

/// -c, --config-file.
void add_config_option(CLI::App& command, std::string& file);

/// Says nothing of what is wrong with the files.
[[nodiscard]] config::Loaded read_config(const std::string& file);

/// Prints what is wrong with the files, if anything.
[[nodiscard]] config::Loaded load_config(const Context& context, const std::string& file);
/// For what is to change something: a configuration without errors.
[[nodiscard]] sys::Result<config::Config, Failure> load_valid_config(const Context& context,
                                                                     const std::string& file);

/// Indexes of the resources that are meant, in the order of the files; "all" and none are all.
/// `file` is for errors.
[[nodiscard]] sys::Result<std::vector<std::size_t>, Failure> choose_resources(
    const config::Config& config, const std::string& file, const std::vector<std::string>& names);

/// A volume of this host.
struct OwnVolume {
    std::string resource{};
    std::uint32_t node = 0;   ///< this host's id
    std::uint32_t peers = 0;  ///< other members with a replica
    config::Volume volume{};
    std::vector<config::Pool> pools{};  ///< of this host

    [[nodiscard]] std::string name() const;  ///< "r0/1"
};

enum class Having { disk, volume };

/// The volumes that "RES" or "RES/VOL" mean, as this host has them, each once. One that does not
/// have them is refused, except for "all".
[[nodiscard]] sys::Result<std::vector<OwnVolume>, Failure> choose_volumes(
    const config::Config& config, const Context& context, const std::string& file,
    const std::vector<std::string>& names, Having having);

/// A member of a resource.
[[nodiscard]] sys::Result<const config::Host*, Failure> find_host(const config::Resource& resource,
                                                                  const std::string& name);

/// "RES:PEER", "RES" and "PEER", or just "RES", where that is allowed.
struct PeerName {
    std::vector<std::string> words{};
    std::string file = default_config_file;

    void add_to(CLI::App& command, const std::string& help);
};

struct ChosenPeer {
    config::Resource resource{};
    std::optional<config::Host> host{};
};

/// Reads the configuration; what is wrong with that is printed, the rest is in the error.
[[nodiscard]] sys::Result<ChosenPeer, Failure> choose_peer(const Context& context,
                                                           const PeerName& name);

}  // namespace braid::cli
