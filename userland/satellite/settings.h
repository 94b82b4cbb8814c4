// SPDX-License-Identifier: GPL-2.0-or-later
//
// From the configuration to what a node's parts are told. Without I/O.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/model.h"
#include "satellite/network.h"
#include "satellite/resource.h"

namespace braid::satellite {

/// `host` is this node's name, `state` the directory of witnesses' votes.
[[nodiscard]] ResourceSettings resource_settings(const std::string& host,
                                                 const config::NodeResource& resource,
                                                 const std::string& state);

/// Connections to all peers of `resources`, which are this host's; streams where `linked` says so.
[[nodiscard]] sys::Result<NetworkSettings> network_settings(
    const std::string& host, const std::vector<config::NodeResource>& resources,
    const std::function<bool(const config::NodeResource&, const config::Peer&)>& linked);

/// The members of a resource as its register begins with them.
[[nodiscard]] std::vector<membership::Seat> seats_of(const config::NodeResource& resource);

/// What a host of the configuration is in the membership.
[[nodiscard]] membership::Role role_of(const config::NodeResource& resource);
[[nodiscard]] membership::Role role_of(const config::Peer& peer);

}  // namespace braid::satellite
