// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "config/lexer.h"

namespace braid::config {

namespace {

namespace attr = netlink::attr;
namespace op = netlink::op;
namespace disk_state = netlink::enums::disk_state;
namespace link_state = netlink::enums::link_state;

std::uint32_t milliseconds(Milliseconds time) {
    return static_cast<std::uint32_t>(time.count());
}

/// For a program that opens a device. Longer than a promotion may take, which is refused then.
std::uint32_t open_wait_of(const Settings& settings) {
    constexpr std::uint32_t wait_ms = 30000;
    return settings.options.auto_promote ? wait_ms : 0;
}

std::uint32_t policy_of(const NodeResource& resource) {
    return static_cast<std::uint32_t>(resource.settings.options.on_no_quorum == NoQuorum::io_error
                                          ? netlink::enums::policy::io_error
                                          : netlink::enums::policy::suspend);
}

template <class Range, class Value, class Member>
auto* find_by(Range& range, const Value& value, Member member) {
    const auto found = std::ranges::find(range, value, member);
    return found == range.end() ? nullptr : &*found;
}

Operation about(const netlink::Operation& operation, const std::string& name,
                std::string_view awaits = {}) {
    return {&operation, {{attr::resource::name, name}}, awaits};
}

Operation about_volume(const netlink::Operation& operation, const std::string& name,
                       std::uint32_t volume, std::string_view awaits = {}) {
    return {&operation, {{attr::volume::name, name}, {attr::volume::volume, volume}}, awaits};
}

class Planner {
  public:
    Planner(const Wanted& wanted, const std::vector<KernelResource>& kernel)
        : wanted_(wanted), kernel_(kernel) {}

    Plan run();

  private:
    void leave(const KernelResource& is);
    void take_down(const KernelResource& is);
    void adjust(const NodeResource& should, const KernelResource& is);
    void settings(const NodeResource& should, const KernelResource& is);
    void peers(const NodeResource& should, const KernelResource& is);
    void peer(const NodeResource& should, const Peer& peer, const KernelPeer& is);
    void volumes(const NodeResource& should, const KernelResource& is);
    void remove_volume(const KernelResource& is, const KernelVolume& volume);
    void disk(const Volume& should, const KernelResource& resource, const KernelVolume& is);
    void make(const NodeResource& should);
    void make_volume(const std::string& name, const Volume& volume);
    void attach(const std::string& name, const Volume& volume);
    void check_minors();

    [[nodiscard]] const DiskFacts& facts(const Volume& volume) const {
        static const DiskFacts nothing;
        const auto found = wanted_.disks.find(volume.disk);
        return found == wanted_.disks.end() ? nothing : found->second;
    }
    [[nodiscard]] bool in_scope(const std::string& name) const {
        return wanted_.only.empty() || wanted_.only == name;
    }
    static Operation about_peer(const netlink::Operation& operation, const std::string& name,
                                std::uint32_t node) {
        return {&operation, {{attr::peer::name, name}, {attr::peer::node_id, node}}, {}};
    }
    void refuse(std::string what, std::string cause, std::string remedy) {
        plan_.refusals.push_back({std::move(what), std::move(cause), std::move(remedy)});
    }

    const Wanted& wanted_;
    const std::vector<KernelResource>& kernel_;
    /// Who had a minor and gives it up comes before who takes it.
    std::vector<Operation> first_;
    std::vector<Operation> then_;
    std::map<std::uint32_t, std::string> minors_kept_;           ///< and by which volume
    std::vector<std::pair<std::string, Volume>> minors_wanted_;  ///< by volumes that are new
    Plan plan_;
};

Plan Planner::run() {
    for (const KernelResource& is : kernel_) {
        const NodeResource* should = find_by(wanted_.resources, is.name, &NodeResource::name);
        if (!in_scope(is.name)) {
            leave(is);
        } else if (should != nullptr && !should->witness) {
            adjust(*should, is);
        } else if (should != nullptr || wanted_.remove_unknown) {
            take_down(is);
        } else {
            leave(is);
            plan_.notes.push_back(fmt::format(
                "{} is in the kernel, but not in the configuration of this host; 'braidadm down "
                "{}' takes it down",
                is.name, is.name));
        }
    }
    for (const NodeResource& should : wanted_.resources) {
        if (in_scope(should.name) && !should.witness &&
            find_by(kernel_, should.name, &KernelResource::name) == nullptr) {
            make(should);
        }
    }
    check_minors();
    if (plan_.refusals.empty()) {
        plan_.operations = std::move(first_);
        plan_.operations.insert(plan_.operations.end(), then_.begin(), then_.end());
    }
    return std::move(plan_);
}

void Planner::leave(const KernelResource& is) {
    for (const KernelVolume& volume : is.volumes) {
        minors_kept_[volume.minor] = fmt::format("{}/{}", is.name, volume.volume);
    }
}

void Planner::take_down(const KernelResource& is) {
    for (const KernelVolume& volume : is.volumes) {
        if (volume.opens != 0) {
            refuse(fmt::format("{}/{}", is.name, volume.volume),
                   fmt::format("/dev/braid{} is open, and the configuration has no such volume on "
                               "this host",
                               volume.minor),
                   "Stop what uses it first.");
            return;
        }
    }
    first_.push_back(down_operation(is.name));
}

void Planner::adjust(const NodeResource& should, const KernelResource& is) {
    if (should.node_id != is.node_id) {
        refuse(should.name,
               fmt::format("its node id is {} in the kernel and in its metadata, but {} in the "
                           "configuration",
                           is.node_id, should.node_id),
               fmt::format("Set 'node-id {};', or make the replicas anew: 'braidadm down', "
                           "'wipe-md', 'create-md'.",
                           is.node_id));
        return;
    }
    settings(should, is);
    peers(should, is);
    volumes(should, is);
}

void Planner::settings(const NodeResource& should, const KernelResource& is) {
    Operation set = about(op::resource_set, should.name);
    const auto compare = [&](std::uint16_t id, std::uint32_t wanted, std::uint64_t have) {
        if (wanted != have) {
            set.attributes.push_back({id, wanted});
        }
    };
    const Settings& settings = should.settings;
    compare(attr::resource::lease_ms, milliseconds(settings.options.lease), is.lease_ms);
    compare(attr::resource::timeout_ms, milliseconds(settings.net.timeout), is.timeout_ms);
    compare(attr::resource::request_timeout_ms, milliseconds(settings.net.request_timeout),
            is.request_timeout_ms);
    compare(attr::resource::policy, policy_of(should), is.policy);
    compare(attr::resource::open_wait_ms, open_wait_of(settings), is.open_wait_ms);
    if (set.attributes.size() > 1) {
        then_.push_back(std::move(set));
    }
}

// ---- peers ----

void Planner::peers(const NodeResource& should, const KernelResource& is) {
    for (const KernelPeer& have : is.peers) {
        const Peer* wanted = find_by(should.peers, have.node_id, &Peer::node_id);
        if (wanted != nullptr && !wanted->witness) {
            peer(should, *wanted, have);
        } else if ((is.in_sync >> have.node_id & 1) != 0) {
            refuse(fmt::format("{}, node {}", is.name, have.node_id),
                   "it has a replica in sync, but the configuration has no such replica",
                   fmt::format("Take it out of the membership first: 'braidadm forget-peer {} {}'.",
                               is.name, have.node_id));
        } else {
            first_.push_back(about_peer(op::peer_del, is.name, have.node_id));
        }
    }
    for (const Peer& wanted : should.peers) {
        if (!wanted.witness && find_by(is.peers, wanted.node_id, &KernelPeer::node_id) == nullptr) {
            then_.push_back(about_peer(op::peer_new, is.name, wanted.node_id));
        }
    }
}

void Planner::peer(const NodeResource& should, const Peer& peer, const KernelPeer& is) {
    const bool fits = is.tls.value_or(peer.net.tls) == peer.net.tls &&
                      is.checksums.value_or(peer.net.checksums()) == peer.net.checksums() &&
                      (!is.path || std::ranges::find(peer.paths, *is.path) != peer.paths.end());
    if (!fits && is.link_state != link_state::disconnected) {
        first_.push_back(about_peer(op::peer_disconnect, should.name, is.node_id));
    }
}

// ---- volumes ----

void Planner::volumes(const NodeResource& should, const KernelResource& is) {
    for (const KernelVolume& have : is.volumes) {
        const Volume* wanted = find_by(should.volumes, have.volume, &Volume::number);
        if (wanted == nullptr || wanted->minor != have.minor) {
            remove_volume(is, have);
        } else {
            minors_kept_[have.minor] = fmt::format("{}/{}", is.name, have.volume);
            disk(*wanted, is, have);
        }
    }
    for (const Volume& wanted : should.volumes) {
        const KernelVolume* have = find_by(is.volumes, wanted.number, &KernelVolume::volume);
        if (have == nullptr || have->minor != wanted.minor) {
            make_volume(is.name, wanted);
        }
    }
}

void Planner::remove_volume(const KernelResource& is, const KernelVolume& volume) {
    if (volume.opens != 0) {
        refuse(fmt::format("{}/{}", is.name, volume.volume),
               fmt::format("/dev/braid{} is open, but the configuration does not have it",
                           volume.minor),
               "Stop what uses it first.");
        return;
    }
    if (volume.disk_state != disk_state::diskless) {
        first_.push_back(detach_operation(is.name, volume.volume));
    }
    first_.push_back(about_volume(op::volume_del, is.name, volume.volume));
}

/// The disk of a volume that stays.
void Planner::disk(const Volume& should, const KernelResource& resource, const KernelVolume& is) {
    const DiskFacts& facts = this->facts(should);
    if (is.disk_state == disk_state::diskless) {
        if (!should.disk.empty()) {
            attach(resource.name, should);
        }
        return;
    }
    const bool leaving =
        is.disk_state == disk_state::detaching || is.disk_state == disk_state::failed;
    // While it attaches its replica is not known; the next run will tell.
    const bool same =
        !should.disk.empty() && !leaving && (!is.uuid || !facts.uuid || *is.uuid == *facts.uuid);
    if (same) {
        if (is.uuid && !facts.uuid && !facts.problem.empty()) {
            plan_.notes.push_back(fmt::format(
                "{}/{} keeps the disk that is attached; whether that is {} cannot be told: {}",
                resource.name, should.number, should.disk, facts.problem));
        }
        if (is.disk_state == disk_state::attached && facts.room > is.disk_size) {
            then_.push_back(resize_operation(resource.name, should.number));
        }
        return;
    }
    if (!leaving && serves_alone(resource)) {
        refuse(fmt::format("{}/{}", resource.name, should.number),
               "its disk is the only one in sync that the Primary, this node, reaches, and the "
               "configuration has another one, or none",
               "Bring another replica in sync first, or make this node Secondary.");
        return;
    }
    first_.push_back(detach_operation(resource.name, should.number));
    if (!should.disk.empty()) {
        attach(resource.name, should);
    }
}

void Planner::attach(const std::string& name, const Volume& volume) {
    if (const DiskFacts& facts = this->facts(volume); !facts.problem.empty()) {
        refuse(fmt::format("{}/{}", name, volume.number),
               fmt::format("{} cannot be attached: {}", volume.disk, facts.problem),
               fmt::format("If it is to be a new replica, use 'braidadm create-md {}'.", name));
        return;
    }
    then_.push_back(attach_operation(name, volume));
}

// ---- what is new ----

void Planner::make(const NodeResource& should) {
    const Settings& settings = should.settings;
    Operation make = about(op::resource_new, should.name);
    make.attributes.insert(
        make.attributes.end(),
        {{attr::resource::node_id, should.node_id},
         {attr::resource::lease_ms, milliseconds(settings.options.lease)},
         {attr::resource::timeout_ms, milliseconds(settings.net.timeout)},
         {attr::resource::request_timeout_ms, milliseconds(settings.net.request_timeout)},
         {attr::resource::policy, policy_of(should)}});
    if (settings.options.auto_promote) {
        make.attributes.push_back({attr::resource::open_wait_ms, open_wait_of(settings)});
    }
    then_.push_back(std::move(make));
    for (const Peer& peer : should.peers) {
        if (!peer.witness) {
            then_.push_back(about_peer(op::peer_new, should.name, peer.node_id));
        }
    }
    for (const Volume& volume : should.volumes) {
        make_volume(should.name, volume);
    }
}

void Planner::make_volume(const std::string& name, const Volume& volume) {
    minors_wanted_.emplace_back(name, volume);
    Operation make = about_volume(op::volume_new, name, volume.number);
    make.attributes.push_back({attr::volume::minor, volume.minor});
    then_.push_back(std::move(make));
    if (!volume.disk.empty()) {
        attach(name, volume);
    }
}

void Planner::check_minors() {
    for (const auto& [name, volume] : minors_wanted_) {
        const auto holder = minors_kept_.find(volume.minor);
        if (holder != minors_kept_.end()) {
            refuse(fmt::format("{}/{}", name, volume.number),
                   fmt::format("its minor {} is in use by {}", volume.minor, holder->second),
                   "Take that down first, or adjust all resources at once.");
        }
    }
}

}  // namespace

Operation down_operation(const std::string& resource) {
    return about(op::resource_del, resource, "resource");
}

Operation attach_operation(const std::string& resource, const Volume& volume) {
    Operation operation = about_volume(op::volume_attach, resource, volume.number, "disk");
    operation.attributes.push_back({attr::volume::disk, volume.disk});
    if (!volume.meta_disk.empty()) {
        operation.attributes.push_back({attr::volume::meta_disk, volume.meta_disk});
    }
    return operation;
}

Operation detach_operation(const std::string& resource, std::uint32_t volume) {
    return about_volume(op::volume_detach, resource, volume, "disk");
}

Operation resize_operation(const std::string& resource, std::uint32_t volume) {
    return about_volume(op::volume_resize, resource, volume, "size");
}

bool serves_alone(const KernelResource& resource) {
    return resource.writer == resource.node_id &&
           std::ranges::none_of(resource.peers, [&](const KernelPeer& peer) {
               return (resource.in_sync >> peer.node_id & 1) != 0 &&
                      peer.link_state == link_state::connected;
           });
}

Plan plan(const Wanted& wanted, const std::vector<KernelResource>& kernel) {
    return Planner(wanted, kernel).run();
}

std::string to_string(const Operation& operation) {
    std::string text(operation.operation->name);
    for (const Operation::Attribute& attribute : operation.attributes) {
        const auto* row = find_by(operation.operation->attributes->attributes, attribute.id,
                                  &netlink::Attribute::id);
        text += fmt::format(" {}=", row == nullptr ? "?" : row->name);
        if (const auto* word = std::get_if<std::string>(&attribute.value)) {
            text += spell(*word);
            continue;
        }
        const auto number = std::get<std::uint32_t>(attribute.value);
        const auto* entry = row == nullptr || row->enumeration == nullptr
                                ? nullptr
                                : find_by(row->enumeration->entries, std::uint64_t{number},
                                          &netlink::EnumEntry::value);
        text += entry == nullptr ? fmt::format("{}", number) : std::string(entry->name);
    }
    return text;
}

}  // namespace braid::config
