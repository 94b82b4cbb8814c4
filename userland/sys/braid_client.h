// SPDX-License-Identifier: GPL-2.0-or-later
//
// The operations of the netlink family "braid", typed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sys/client_error.h"
#include "sys/kernel_state.h"

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

/// An attribute of a request. A value that is empty stands for a flag.
struct Argument {
    std::uint16_t id = 0;
    std::variant<std::monostate, std::uint32_t, std::uint64_t, std::string_view> value{};
};

/// Names of the set bits. A bit without a name is shown as "0x<value>".
[[nodiscard]] std::vector<std::string> flag_names(const netlink::Enum& flags, std::uint32_t value);

class BraidClient {
  public:
    /// `netlink` must outlive the client.
    explicit BraidClient(Netlink& netlink) : netlink_(netlink) {}

    /// The module may have been loaded anew: it is looked up again.
    void forget_family() { family_.reset(); }

    /// Describes the module and agrees on a version of the interface. Refused
    /// with EPROTONOSUPPORT if the module speaks none of `api`.
    [[nodiscard]] ClientResult<ModuleInfo> module_get(VersionRange api = tool_api);

    /// An operation without nests and replies, with the attributes that
    /// kernel/spec/braid.yaml gives it. Throws std::logic_error if it takes no such attribute, or
    /// of another type.
    [[nodiscard]] ClientResult<void> run(const netlink::Operation& operation,
                                         const std::vector<Argument>& arguments);

    /// Adopts a configuration. With `common` it may be of another lineage than the one adopted;
    /// this is the last epoch that they have in common, 0 for none.
    [[nodiscard]] ClientResult<void> configure(const std::string& resource,
                                               const KernelConfig& config,
                                               std::optional<std::uint64_t> common);

    /// Stores the register's ballot and value, at most netlink::vote_bytes_max bytes; the event
    /// vote tells when they are durable.
    [[nodiscard]] ClientResult<void> vote_set(const std::string& resource, std::uint32_t volume,
                                              std::span<const std::byte> vote);
    /// What is durable; empty before the first.
    [[nodiscard]] ClientResult<std::vector<std::byte>> vote_get(const std::string& resource,
                                                                std::uint32_t volume);

    /// Hands a socket over. The caller's descriptor is not needed any more, and must be closed
    /// without a shutdown.
    [[nodiscard]] ClientResult<void> peer_connect(const PeerSocket& socket);

    /// Of one resource, or where it is empty of all in the network namespace. A resource that is
    /// not there has none.
    [[nodiscard]] ClientResult<std::vector<ResourceState>> resources(
        const std::string& resource = {});
    [[nodiscard]] ClientResult<std::vector<VolumeState>> volumes(const std::string& resource = {});
    [[nodiscard]] ClientResult<std::vector<PeerState>> peers(const std::string& resource = {});

    /// What the last verifies found; at most the first 1024 ranges of each peer.
    [[nodiscard]] ClientResult<std::vector<DifferingRange>> differing(const std::string& resource);

    /// Resources, volumes and peers together, sorted by name. What changes meanwhile is listed
    /// again, ten times at most; then it is what was listed last, and not `settled`.
    struct Views {
        std::vector<ResourceView> resources{};
        bool settled = false;
    };
    [[nodiscard]] ClientResult<Views> views(const std::string& resource = {});

  private:
    ClientResult<Views> list(const std::string& resource);
    ClientResult<NetlinkMessage> request(const netlink::Operation& operation);
    ClientResult<void> transact(const NetlinkMessage& request, const netlink::Operation& operation);
    ClientResult<std::vector<NetlinkMessage>> dump(const netlink::Operation& operation,
                                                   std::uint16_t name, const std::string& resource);
    ClientResult<std::uint16_t> family();

    Netlink& netlink_;
    std::optional<std::uint16_t> family_;
};

}  // namespace braid::sys
