// SPDX-License-Identifier: GPL-2.0-or-later
//
// The operations of the netlink family "braid", typed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sys/netlink.h"
#include "sys/netlink_gen.h"

namespace braid::sys {

/// Versions from `min` to `max`, both included.
struct VersionRange {
    std::uint32_t min = 0;
    std::uint32_t max = 0;

    bool operator==(const VersionRange&) const = default;
};

/// Versions of the netlink interface that this userland speaks.
inline constexpr VersionRange tool_api{1, 1};

struct ModuleInfo {
    std::string version;
    VersionRange api;
    /// Highest version of the interface that both sides speak.
    std::uint32_t api_version = 0;
    /// Versions of the replication protocol.
    VersionRange protocol;
    /// Bits of netlink::enumeration::feature, and any that a newer module adds.
    std::uint32_t features = 0;
};

/// A socket that becomes a stream to a peer.
struct PeerSocket {
    std::string resource;
    std::uint32_t node = 0;
    int fd = -1;
    /// Random, > 0, the same on both nodes and for all streams of one connection.
    std::uint64_t session = 0;
    bool checksums = false;
    /// Bytes after which the event key-use comes; the module's own limit if empty.
    std::optional<std::uint64_t> key_limit;
};

/// The connection to a peer of a resource.
struct PeerLink {
    std::uint32_t node = 0;
    /// netlink::enums::link_state
    std::uint32_t state = 0;
    /// Of the last connection; 0 before the first.
    std::uint64_t session = 0;
    /// Streams that are up.
    std::uint32_t streams = 0;

    bool operator==(const PeerLink&) const = default;
};

/// Why an operation failed.
struct ClientError {
    NetlinkError::Kind kind = NetlinkError::Kind::transport;
    /// errno value, > 0. EPERM: the operation needs CAP_NET_ADMIN and CAP_SYS_ADMIN.
    int number = 0;
    /// The kernel's own words where it gave some.
    std::string cause;
    /// Name of the attribute that is to blame, nests separated by dots; or empty.
    std::string attribute;
};

template <class T>
using ClientResult = Result<T, ClientError>;

/// Names of the set bits. A bit without a name is shown as "0x<value>".
[[nodiscard]] std::vector<std::string> flag_names(const netlink::Enum& flags, std::uint32_t value);

class BraidClient {
  public:
    /// `netlink` must outlive the client.
    explicit BraidClient(Netlink& netlink) : netlink_(netlink) {}

    /// Describes the module and agrees on a version of the interface. Refused
    /// with EPROTONOSUPPORT if the module speaks none of `api`.
    [[nodiscard]] ClientResult<ModuleInfo> module_get(VersionRange api = tool_api);

    /// Hands a socket over. The caller's descriptor is not needed any more, and must be closed
    /// without a shutdown.
    [[nodiscard]] ClientResult<void> peer_connect(const PeerSocket& socket);

    /// Ends a stream once another one is up. ENOENT: it is gone; EALREADY: it is being retired;
    /// EBUSY: no other one is up yet.
    [[nodiscard]] ClientResult<void> peer_retire(const std::string& resource, std::uint32_t node,
                                                 std::uint32_t stream);

    [[nodiscard]] ClientResult<void> peer_disconnect(const std::string& resource,
                                                     std::uint32_t node);

    /// The connections to all peers of a resource.
    [[nodiscard]] ClientResult<std::vector<PeerLink>> peer_links(const std::string& resource);

  private:
    ClientResult<NetlinkMessage> request(const netlink::Operation& operation);
    ClientResult<void> run(const NetlinkMessage& request, const netlink::Operation& operation);
    ClientResult<std::uint16_t> family();

    Netlink& netlink_;
    std::optional<std::uint16_t> family_;
};

}  // namespace braid::sys
