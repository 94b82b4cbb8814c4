// SPDX-License-Identifier: GPL-2.0-or-later
//
// Storage pools of this host, and the volumes that replicas have in them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/metadata.h"
#include "config/model.h"

namespace braid::cli {

/// A volume of a pool that Braid has made. Sizes are in bytes.
struct PoolVolume {
    std::string name{};
    std::uint64_t size = 0;
    std::uint64_t used = 0;
    bool active = true;
    /// "braid:vm1/0": whose replica it is; empty: not Braid's.
    std::string tag{};
};

struct PoolReport {
    std::uint64_t size = 0;
    std::uint64_t used = 0;
    std::uint64_t room = 0;  ///< of a thin pool: what it can be extended by
    std::uint64_t metadata_size = 0;
    std::optional<double> metadata_percent{};
    /// What is wrong with it, in words.
    std::vector<std::string> problems{};
    std::vector<PoolVolume> volumes{};  ///< also those that are not Braid's

    /// What has been promised to volumes.
    [[nodiscard]] std::uint64_t promised() const;
};

/// What a pool is made of; LVM and ZFS are behind it.
class Storage {
  public:
    virtual ~Storage() = default;
    Storage() = default;
    Storage(const Storage&) = delete;
    Storage& operator=(const Storage&) = delete;

    [[nodiscard]] static std::unique_ptr<Storage> of(const Context& context,
                                                     const config::Pool& pool);

    [[nodiscard]] virtual Attempt<PoolReport> report() = 0;
    [[nodiscard]] virtual Attempt<void> create(const std::string& name, std::uint64_t size,
                                               const std::string& tag) = 0;
    [[nodiscard]] virtual Attempt<void> grow(const std::string& name, std::uint64_t size) = 0;
    [[nodiscard]] virtual Attempt<void> activate(const std::string& name) = 0;
    [[nodiscard]] virtual Attempt<void> remove(const std::string& name) = 0;
};

/// Sizes of a new thin pool in a volume group: all that is free, or `wanted` bytes of data.
struct ThinSizes {
    std::uint64_t data = 0;
    std::uint64_t metadata = 0;
    std::uint64_t chunk = 0;
};
/// Nothing if it does not fit. Leaves room for metadata that grow, beside LVM's spare of them.
[[nodiscard]] std::optional<ThinSizes> thin_sizes(std::uint64_t free, std::uint64_t extent,
                                                  std::uint64_t wanted);

/// Bytes that a disk must have for so much data, with internal metadata of so many slots.
[[nodiscard]] std::uint64_t disk_bytes(std::uint64_t data, std::uint32_t slots);
/// Slots that new metadata have, where nothing else is said.
[[nodiscard]] std::uint32_t default_slots(std::uint32_t peers);

[[nodiscard]] std::string volume_tag(const std::string& resource, std::uint32_t volume);

/// A replica that is taken from a pool.
struct PooledReplica {
    std::string resource{};
    std::uint32_t peers = 0;  ///< other members with a replica
    config::Volume volume{};

    [[nodiscard]] std::string name() const;
    /// Of its volume in the pool, in bytes, at least.
    [[nodiscard]] std::uint64_t disk_size(std::uint32_t slots) const;
};

[[nodiscard]] Attempt<config::Pool> find_pool(const std::vector<config::Pool>& pools,
                                              const std::string& name);

/// The volume of a replica; one of that name that is not the replica's is an error.
[[nodiscard]] Attempt<std::optional<PoolVolume>> find_volume(Storage& storage,
                                                             const config::Pool& pool,
                                                             const PooledReplica& replica);

/// Makes the volume of a new replica, if it is not there, and says so.
[[nodiscard]] Attempt<void> provide_volume(const Context& context,
                                           const std::vector<config::Pool>& pools,
                                           const PooledReplica& replica, std::uint32_t slots);

/// A volume that is smaller than the configuration says.
struct Growth {
    config::Pool pool{};
    PooledReplica replica{};
    std::string name{};
    std::uint64_t size = 0;  ///< that it is to have
};
/// Makes the volumes that are there ready for use.
[[nodiscard]] Attempt<std::vector<Growth>> find_growth(const Context& context,
                                                       const std::vector<config::Pool>& pools,
                                                       const std::vector<PooledReplica>& replicas);

/// A size for people, "10.0 GiB".
[[nodiscard]] std::string size_text(std::uint64_t bytes);

}  // namespace braid::cli
