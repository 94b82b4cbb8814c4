// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/kernel_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace braid::cli {

namespace {

using config::DiskFacts;
using config::KernelResource;

KernelResource resource_of(const sys::ResourceState& state) {
    KernelResource resource{.name = state.name, .node_id = state.node};
    resource.lease_ms = state.lease_ms;
    resource.timeout_ms = state.timeout_ms;
    resource.request_timeout_ms = state.request_timeout_ms;
    resource.policy = state.policy;
    resource.open_wait_ms = state.open_wait_ms;
    if (state.config) {
        // Who has stopped for good is no writer any more.
        resource.writer = state.done ? netlink::writer_none : state.config->writer;
        for (const sys::KernelConfig::Member& member : state.config->members) {
            resource.in_sync |= member.in_sync ? 1U << member.node : 0;
        }
    }
    return resource;
}

config::KernelVolume volume_of(const sys::VolumeState& state) {
    config::KernelVolume volume{.volume = state.volume, .minor = state.minor};
    volume.disk_state = state.disk_state;
    volume.opens = state.opens;
    volume.disk_size = state.disk_size;
    if (state.uuid) {
        config::Uuid uuid{};
        std::ranges::transform(*state.uuid, uuid.begin(),
                               [](std::byte each) { return std::to_integer<std::uint8_t>(each); });
        volume.uuid = uuid;
    }
    return volume;
}

/// Over which path it is connected, and with checksums or not, the kernel does not know.
config::KernelPeer peer_of(const sys::PeerState& state) {
    config::KernelPeer peer{.node_id = state.node};
    peer.link_state = state.link;
    if (!state.streams.empty()) {
        peer.tls = state.streams.front().tls;
    }
    return peer;
}

/// The superblock, or nothing: then `facts` say why.
const braid_superblock* superblock(const Devices& devices,
                                   const Attempt<std::array<SuperblockCopy, 2>>& copies,
                                   DiskFacts& facts) {
    if (!copies) {
        facts.problem = copies.error().cause;
        return nullptr;
    }
    if (const SuperblockCopy* copy = current(*copies)) {
        return &copy->superblock;
    }
    const auto found = std::ranges::find_if(
        *copies, [](const SuperblockCopy& copy) { return copy.result != BRAID_ONDISK_NONE; });
    facts.problem = found == copies->end()
                        ? fmt::format("{} has no metadata of Braid", devices.holder().path())
                        : fmt::format("the metadata of {} is {}", devices.holder().path(),
                                      to_text(found->result));
    return nullptr;
}

/// What the kernel would refuse it for.
std::string mismatch(const Devices& devices, const braid_superblock& sb, std::uint32_t volume,
                     std::uint32_t node) {
    if (sb.node != node) {
        return fmt::format("its metadata is of node {}, and this host is node {}", sb.node, node);
    }
    if (sb.volume != volume) {
        return fmt::format("its metadata is of volume {}", sb.volume);
    }
    if (!braid_superblock_fits(&sb, devices.disk->size(), devices.holder().size())) {
        return fmt::format("it is smaller than its metadata says: {} bytes, of which {} are data",
                           devices.disk->size(), sb.data_bytes);
    }
    if (devices.disk->logical_block_size() > sb.block_size) {
        return fmt::format("its logical blocks have {} bytes, more than the volume's {}",
                           devices.disk->logical_block_size(), sb.block_size);
    }
    return {};
}

/// Bytes of data that the devices have room for by now. Internal metadata is found at the end of
/// its disk, so a disk where it was found has not grown.
std::uint64_t room(const Devices& devices, braid_superblock sb) {
    if (devices.external()) {
        braid_ondisk_grow(&sb, 0, devices.disk->size(), devices.holder().size());
    }
    return sb.data_bytes;
}

}  // namespace

Failure module_failure(std::string what, const sys::ClientError& error) {
    using Kind = sys::NetlinkError::Kind;
    if (error.kind == Kind::no_family) {
        return {ExitCode::module_not_loaded, "kernel module braid",
                "not loaded, or not there for this network namespace",
                "Load it with 'modprobe braid'; 'braidadm version' shows more."};
    }
    if (error.kind == Kind::refused && error.number == EPERM && error.attribute.empty()) {
        return {ExitCode::failure, std::move(what), error.cause,
                "Run braidadm as root (CAP_NET_ADMIN and CAP_SYS_ADMIN in the initial user "
                "namespace)."};
    }
    const bool malformed = error.kind == Kind::malformed;
    return {
        ExitCode::failure, std::move(what),
        error.attribute.empty() ? error.cause : fmt::format("{}: {}", error.attribute, error.cause),
        malformed ? "Install braid-utils and braid-dkms of the same version, then reload the "
                    "module."
                  : ""};
}

Attempt<std::vector<KernelResource>> read_kernel(sys::BraidClient& client) {
    constexpr const char* what = "state of the kernel";
    const auto views = client.views();
    if (!views) {
        return tl::unexpected(module_failure(what, views.error()));
    }
    std::vector<KernelResource> kernel;
    for (const sys::ResourceView& view : views->resources) {
        KernelResource& resource = kernel.emplace_back(resource_of(view.resource));
        std::ranges::transform(view.volumes, std::back_inserter(resource.volumes), &volume_of);
        for (const sys::PeerState& peer : view.peers) {
            // The node itself is told after a resync of its own replicas.
            if (peer.node != view.resource.node) {
                resource.peers.push_back(peer_of(peer));
            }
        }
    }
    return kernel;
}

const KernelResource* find_resource(const std::vector<KernelResource>& kernel,
                                    const std::string& name) {
    const auto found = std::ranges::find(kernel, name, &KernelResource::name);
    return found == kernel.end() ? nullptr : &*found;
}

DiskFacts read_disk(const Context& context, const config::Volume& volume, std::uint32_t node) {
    DiskFacts facts;
    const auto devices = Devices::open(context, {.disk = volume.disk, .meta = volume.meta_disk},
                                       sys::BlockDevice::Access::read);
    if (!devices) {
        facts.problem = fmt::format("{}: {}", devices.error().what, devices.error().cause);
        return facts;
    }
    for (const auto* device : {devices->disk.get(), devices->meta.get()}) {
        if (device != nullptr && device->regular_file()) {
            facts.problem = fmt::format(
                "{} is a regular file, and the kernel takes block devices (losetup makes one)",
                device->path());
            return facts;
        }
    }
    const auto copies = read_superblocks(devices->holder(), devices->external());
    if (const braid_superblock* sb = superblock(*devices, copies, facts)) {
        facts.uuid.emplace();
        std::ranges::copy(sb->uuid, facts.uuid->begin());
        facts.problem = mismatch(*devices, *sb, volume.number, node);
        facts.room = facts.problem.empty() ? room(*devices, *sb) : 0;
    }
    return facts;
}

}  // namespace braid::cli
