// SPDX-License-Identifier: GPL-2.0-or-later
//
// P3: a replica is shown UpToDate only where the adopted configuration has exactly it in sync.
#include "cli/states.h"

#include "kernel_dumps.h"

namespace braid::cli {
namespace {

namespace enums = netlink::enums;

/// What is shown of r0 and of its peer bob.
struct Shown {
    std::string role = "Primary";
    std::string disk = "UpToDate";
    std::string peer_role = "Secondary";
    std::string peer_disk = "UpToDate";
    std::string connection = "Connected";
    std::string replication = "Established";
    bool suspended = false;
    bool synced = true;

    bool operator==(const Shown&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Shown& shown) {
    return out << shown.role << ' ' << shown.disk << " peer " << shown.peer_role << ' '
               << shown.peer_disk << ' ' << shown.connection << ' ' << shown.replication
               << (shown.suspended ? " suspended" : "") << (shown.synced ? " synced" : "");
}

struct Case {
    const char* what;
    void (*change)(ResourceView& view);
    Shown shown;
};

sys::KernelConfig& config(ResourceView& view) {
    return view.resource.config.value();
}

sys::PeerState& bob(ResourceView& view) {
    return view.peers.at(0);
}

/// bob is not in sync, and a resync of it is in this state.
void resync(ResourceView& view, std::uint64_t state) {
    config(view).members.at(1).in_sync = false;
    bob(view).sync.state = static_cast<std::uint32_t>(state);
}

/// bob is the writer, and this node is no replica in sync.
void behind(ResourceView& view) {
    config(view).writer = 1;
    config(view).members.at(0).in_sync = false;
    view.resource.service = enums::service::secondary;
}

/// This node's own disk is the target of its resync.
void own(ResourceView& view, std::uint64_t state) {
    config(view).members.at(0).in_sync = false;
    view.volumes.at(0).replica_flags = BRAID_SB_INCONSISTENT;
    sys::PeerState self{.resource = "r0", .node = 0};
    self.sync.state = static_cast<std::uint32_t>(state);
    view.peers.push_back(self);
}

const std::vector<Case> own_cases{
    {"all is well", [](ResourceView&) {}, {}},
    {"stopped as the writer",
     [](ResourceView& view) { view.resource.done = true; },
     {.role = "Secondary"}},
    {"no writer",
     [](ResourceView& view) { config(view).writer = netlink::writer_none; },
     {.role = "Secondary"}},
    {"no configuration, never in sync",
     [](ResourceView& view) {
         view.resource.config.reset();
         view.resource.last_epoch = 0;
     },
     {.role = "Secondary",
      .disk = "Inconsistent",
      .peer_role = "Unknown",
      .peer_disk = "DUnknown",
      .synced = false}},
    {"no configuration, once in sync",
     [](ResourceView& view) { view.resource.config.reset(); },
     {.role = "Secondary",
      .disk = "Consistent",
      .peer_role = "Unknown",
      .peer_disk = "DUnknown",
      .synced = false}},
    {"attached anew since it was in sync",
     [](ResourceView& view) { view.resource.instance = 99; },
     {.disk = "Consistent"}},
    {"given up since it was in sync",
     [](ResourceView& view) {
         view.resource.instance = 99;
         view.resource.last_epoch = 0;
     },
     {.disk = "Inconsistent", .synced = false}},
    {"suspect", [](ResourceView& view) { view.resource.suspect = true; }, {.disk = "Consistent"}},
    {"no disk",
     [](ResourceView& view) { view.volumes.at(0).disk_state = enums::disk_state::diskless; },
     {.disk = "Diskless"}},
    {"attaching",
     [](ResourceView& view) { view.volumes.at(0).disk_state = enums::disk_state::attaching; },
     {.disk = "Attaching"}},
    {"detaching",
     [](ResourceView& view) { view.volumes.at(0).disk_state = enums::disk_state::detaching; },
     {.disk = "Detaching"}},
    {"failed",
     [](ResourceView& view) { view.volumes.at(0).disk_state = enums::disk_state::failed; },
     {.disk = "Failed"}},
    {"I/O is held",
     [](ResourceView& view) { view.resource.service = enums::service::held; },
     {.suspended = true}},
    {"requests wait while it prepares",
     [](ResourceView& view) {
         view.resource.service = enums::service::preparing;
         view.resource.held = 3;
     },
     {.suspended = true}},
    {"the token was handed over",
     [](ResourceView& view) {
         view.resource.service = enums::service::outgoing;
         view.resource.done = true;
     },
     {.role = "Secondary", .suspended = true}},
    {"adopting", [](ResourceView& view) { view.resource.adopting = true; }, {.synced = false}},
};

const std::vector<Case> peer_cases{
    {"cut off",
     [](ResourceView& view) { bob(view).link = enums::link_state::disconnected; },
     {.peer_role = "Unknown",
      .peer_disk = "DUnknown",
      .connection = "Connecting",
      .replication = "Off"}},
    {"exchanging hellos",
     [](ResourceView& view) { bob(view).link = enums::link_state::greeting; },
     {.peer_role = "Unknown",
      .peer_disk = "DUnknown",
      .connection = "Connecting",
      .replication = "Off"}},
    {"dropped and cut off",
     [](ResourceView& view) {
         bob(view).link = enums::link_state::disconnected;
         config(view).members.at(1).in_sync = false;
     },
     {.peer_role = "Unknown",
      .peer_disk = "Outdated",
      .connection = "Connecting",
      .replication = "Off",
      .synced = false}},
    {"has not announced anything",
     [](ResourceView& view) { bob(view).instance = 0; },
     {.peer_role = "Unknown", .peer_disk = "DUnknown"}},
    {"has adopted a newer configuration",
     [](ResourceView& view) { bob(view).epoch = 10; },
     {.peer_role = "Unknown"}},
    {"is the writer",
     [](ResourceView& view) { config(view).writer = 1; },
     {.role = "Secondary", .peer_role = "Primary"}},
    {"was the writer",
     [](ResourceView& view) {
         config(view).writer = 1;
         bob(view).done = true;
     },
     {.role = "Secondary"}},
    {"stopped in an epoch before",
     [](ResourceView& view) {
         config(view).writer = 1;
         bob(view).done = true;
         bob(view).epoch = 8;
     },
     {.role = "Secondary", .peer_role = "Primary"}},
    {"started anew",
     [](ResourceView& view) { bob(view).instance = 99; },
     {.peer_disk = "Consistent"}},
    {"given up",
     [](ResourceView& view) {
         bob(view).instance = 99;
         bob(view).last_epoch = 0;
     },
     {.peer_disk = "Inconsistent", .synced = false}},
    {"suspect", [](ResourceView& view) { bob(view).suspect = true; }, {.peer_disk = "Consistent"}},
    {"has lost its disk",
     [](ResourceView& view) { bob(view).replicas.at(0).attached = false; },
     {.peer_disk = "Diskless"}},
    {"no member",
     [](ResourceView& view) { config(view).members.erase(config(view).members.begin() + 1); },
     {.peer_disk = "DUnknown"}},
    {"holds no replica",
     [](ResourceView& view) {
         config(view).members.at(1).diskful = config(view).members.at(1).in_sync = false;
     },
     {.peer_disk = "Diskless"}},
    {"not in sync, once was",
     [](ResourceView& view) { resync(view, enums::sync_state::none); },
     {.peer_disk = "Outdated", .synced = false}},
    {"not in sync, never was",
     [](ResourceView& view) {
         resync(view, enums::sync_state::none);
         bob(view).last_epoch = 0;
     },
     {.peer_disk = "Inconsistent", .synced = false}},
};

const std::vector<Case> sync_cases{
    {"linking",
     [](ResourceView& view) { resync(view, enums::sync_state::linking); },
     {.peer_disk = "Inconsistent", .replication = "WFBitMapS", .synced = false}},
    {"running",
     [](ResourceView& view) { resync(view, enums::sync_state::running); },
     {.peer_disk = "Inconsistent", .replication = "SyncSource", .synced = false}},
    {"paused",
     [](ResourceView& view) { resync(view, enums::sync_state::paused); },
     {.peer_disk = "Inconsistent", .replication = "PausedSyncS", .synced = false}},
    {"flushing",
     [](ResourceView& view) { resync(view, enums::sync_state::flushing); },
     {.peer_disk = "Inconsistent", .replication = "SyncSource", .synced = false}},
    {"done, not counted yet",
     [](ResourceView& view) { resync(view, enums::sync_state::done); },
     {.peer_disk = "Consistent", .synced = false}},
    {"joining",
     [](ResourceView& view) { resync(view, enums::sync_state::joining); },
     {.peer_disk = "Consistent", .synced = false}},
    {"verified",
     [](ResourceView& view) { bob(view).sync.state = enums::sync_state::verifying; },
     {.replication = "VerifyS"}},
    {"done and joined: a state that stays",
     [](ResourceView& view) { bob(view).sync.state = enums::sync_state::done; },
     {}},
    {"this node is behind",
     &behind,
     {.role = "Secondary", .disk = "Outdated", .peer_role = "Primary", .synced = false}},
    {"a resync into this node",
     [](ResourceView& view) {
         behind(view);
         view.volumes.at(0).replica_flags = BRAID_SB_INCONSISTENT;
     },
     {.role = "Secondary",
      .disk = "Inconsistent",
      .peer_role = "Primary",
      .replication = "SyncTarget",
      .synced = false}},
    {"a resync into this node was broken off",
     [](ResourceView& view) {
         behind(view);
         view.volumes.at(0).replica_flags = BRAID_SB_INCONSISTENT;
         bob(view).link = enums::link_state::disconnected;
     },
     {.role = "Secondary",
      .disk = "Inconsistent",
      .peer_role = "Unknown",
      .peer_disk = "DUnknown",
      .connection = "Connecting",
      .replication = "Off",
      .synced = false}},
    {"the writer's own disk, running",
     [](ResourceView& view) { own(view, enums::sync_state::running); },
     {.disk = "Inconsistent", .replication = "SyncTarget", .synced = false}},
    {"the writer's own disk, paused",
     [](ResourceView& view) { own(view, enums::sync_state::paused); },
     {.disk = "Inconsistent", .replication = "PausedSyncT", .synced = false}},
    {"the writer's own disk, linking",
     [](ResourceView& view) { own(view, enums::sync_state::linking); },
     {.disk = "Inconsistent", .replication = "WFBitMapT", .synced = false}},
};

class States : public testing::TestWithParam<const Case*> {};

TEST_P(States, FollowFromTheKernel) {
    ResourceView view = test::sample_view();
    GetParam()->change(view);
    const auto status = derive(view, [](const std::string& resource, std::uint32_t node) {
        return resource + "/" + std::to_string(node);
    });
    ASSERT_EQ(status.connections.size(), 2U);
    const auto& peer = status.connections.front();
    const auto& device = peer.devices.at(0);
    EXPECT_EQ(peer.name, "r0/1");
    EXPECT_EQ((Shown{status.role, status.devices.at(0).disk, peer.role, device.disk, peer.state,
                     device.replication, status.suspended, all_in_sync(view)}),
              GetParam()->shown)
        << GetParam()->what;
}

std::vector<const Case*> all_cases() {
    std::vector<const Case*> all;
    for (const auto* cases : {&own_cases, &peer_cases, &sync_cases}) {
        for (const auto& each : *cases) {
            all.push_back(&each);
        }
    }
    return all;
}

INSTANTIATE_TEST_SUITE_P(Table, States, testing::ValuesIn(all_cases()));

TEST(StatesOf, NumbersAreOfTheDiskThatHasTheMap) {
    ResourceView view = test::sample_view();
    view.peers.at(0).replicas.at(0).dirty = std::uint64_t{1} << 28;
    const auto name_of = [](const std::string&, std::uint32_t) { return std::string("x"); };
    auto device = derive(view, name_of).connections.at(0).devices.at(0);
    EXPECT_EQ(device.out_of_sync, std::uint64_t{1} << 28);
    EXPECT_EQ(device.percent_in_sync, 75.0);
    EXPECT_EQ(derive(view, name_of).connections.at(1).devices.at(0).out_of_sync, std::nullopt);
    view.volumes.at(0).disk_state = netlink::enums::disk_state::diskless;
    device = derive(view, name_of).connections.at(0).devices.at(0);
    EXPECT_EQ(device.out_of_sync, std::nullopt);
    EXPECT_EQ(device.percent_in_sync, std::nullopt);
}

TEST(StatesOf, PercentIsBounded) {
    EXPECT_EQ(percent_done({.total = 0, .left = 0, .waits_for = {}}), 100.0);
    EXPECT_EQ(percent_done({.total = 10, .left = 90, .waits_for = {}}), 0.0);
    EXPECT_EQ(percent_done({.total = 8, .left = 6, .waits_for = {}}), 25.0);
}

}  // namespace
}  // namespace braid::cli
