// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/plan.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <random>

namespace braid::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace disk_state = netlink::enums::disk_state;
namespace link_state = netlink::enums::link_state;

/// The replica that is on the disk of a path.
Uuid uuid_of(const std::string& path) {
    Uuid uuid{};
    std::ranges::copy(fmt::format("{:016x}", std::hash<std::string>()(path)), uuid.begin());
    return uuid;
}

/// A kernel that carries out operations as kernel/netlink.c does, and refuses what it refuses.
class FakeKernel {
  public:
    std::vector<KernelResource> resources;

    void run(const Plan& plan) {
        for (const Operation& operation : plan.operations) {
            const std::string error = apply(operation);
            EXPECT_EQ(error, "") << to_string(operation);
        }
    }

  private:
    static std::optional<std::variant<std::uint32_t, std::string>> get(const Operation& operation,
                                                                       std::string_view name) {
        for (const auto& attribute : operation.attributes) {
            const auto row = std::ranges::find(operation.operation->attributes->attributes,
                                               attribute.id, &netlink::Attribute::id);
            // Only what the operation takes.
            const auto& request = operation.operation->call->request;
            EXPECT_NE(std::ranges::find(request, attribute.id), request.end()) << attribute.id;
            if (row->name == name) {
                const bool text = row->type == netlink::AttributeType::string;
                EXPECT_EQ(std::holds_alternative<std::string>(attribute.value), text) << name;
                return attribute.value;
            }
        }
        return std::nullopt;
    }
    static std::uint32_t number(const Operation& operation, std::string_view name) {
        return std::get<std::uint32_t>(get(operation, name).value());
    }
    static std::string text(const Operation& operation, std::string_view name) {
        return std::get<std::string>(get(operation, name).value());
    }

    std::string apply(const Operation& operation) {
        const std::string_view op = operation.operation->name;
        const auto found =
            std::ranges::find(resources, text(operation, "name"), &KernelResource::name);
        if (op == "resource-new") {
            if (found != resources.end()) {
                return "exists";
            }
            resources.push_back({.name = text(operation, "name"),
                                 .node_id = number(operation, "node-id"),
                                 .lease_ms = 3000,
                                 .timeout_ms = 3000,
                                 .request_timeout_ms = 30000});
            return settings(operation, resources.back());
        }
        if (found == resources.end()) {
            return "no such resource";
        }
        if (op == "resource-set") {
            return settings(operation, *found);
        }
        if (op == "resource-del") {
            const bool open = std::ranges::any_of(
                found->volumes, [](const KernelVolume& volume) { return volume.opens != 0; });
            EXPECT_EQ(operation.awaits, "resource");
            resources.erase(found);
            return open ? "open" : "";
        }
        return op.starts_with("peer") ? peer(operation, *found) : volume(operation, *found);
    }

    static std::string settings(const Operation& operation, KernelResource& resource) {
        const auto take = [&](std::string_view name, auto& target) {
            if (get(operation, name)) {
                target = number(operation, name);
            }
        };
        take("lease-ms", resource.lease_ms);
        take("timeout-ms", resource.timeout_ms);
        take("request-timeout-ms", resource.request_timeout_ms);
        take("policy", resource.policy);
        take("open-wait-ms", resource.open_wait_ms);
        return "";
    }

    static std::string peer(const Operation& operation, KernelResource& resource) {
        const std::uint32_t node = number(operation, "node-id");
        const auto found = std::ranges::find(resource.peers, node, &KernelPeer::node_id);
        const std::string_view op = operation.operation->name;
        if (op == "peer-new") {
            if (found != resource.peers.end() || node == resource.node_id) {
                return "exists";
            }
            resource.peers.push_back({.node_id = node});
            return "";
        }
        if (found == resource.peers.end()) {
            return "no such peer";
        }
        if (op == "peer-disconnect") {
            *found = {.node_id = node};
            return "";
        }
        if ((resource.in_sync >> node & 1) != 0) {
            return "in sync";
        }
        resource.peers.erase(found);
        return "";
    }

    std::string volume(const Operation& operation, KernelResource& resource) {
        const std::uint32_t number = FakeKernel::number(operation, "volume");
        const auto found = std::ranges::find(resource.volumes, number, &KernelVolume::volume);
        const std::string_view op = operation.operation->name;
        if (op == "volume-new") {
            const std::uint32_t minor = FakeKernel::number(operation, "minor");
            for (const KernelResource& other : resources) {
                if (std::ranges::find(other.volumes, minor, &KernelVolume::minor) !=
                    other.volumes.end()) {
                    return "minor in use";
                }
            }
            resource.volumes.push_back({.volume = number, .minor = minor});
            return found == resource.volumes.end() ? "exists" : "";
        }
        if (found == resource.volumes.end()) {
            return "no such volume";
        }
        if (op == "volume-attach") {
            EXPECT_EQ(operation.awaits, "disk");
            const std::string path = text(operation, "disk");
            for (const KernelResource& other : resources) {
                for (const KernelVolume& each : other.volumes) {
                    if (each.uuid == uuid_of(path)) {
                        return "disk in use";
                    }
                }
            }
            const bool busy = found->disk_state != disk_state::diskless;
            found->disk_state = disk_state::attached;
            found->uuid = uuid_of(path);
            return busy ? "has a disk" : "";
        }
        if (op == "volume-detach") {
            EXPECT_EQ(operation.awaits, "disk");
            const bool none = found->disk_state == disk_state::diskless;
            found->disk_state = disk_state::diskless;
            found->uuid.reset();
            return none ? "has no disk" : "";
        }
        if (op == "volume-resize") {
            EXPECT_EQ(operation.awaits, "size");
            found->disk_size = 1U << 30;
            return "";
        }
        const bool busy = found->disk_state != disk_state::diskless || found->opens != 0;
        resource.volumes.erase(found);
        return busy ? "busy" : "";
    }
};

/// What a kernel has after everything was done; sorted.
std::vector<KernelResource> expected(const Wanted& wanted) {
    std::vector<KernelResource> all;
    for (const NodeResource& resource : wanted.resources) {
        if (resource.witness) {
            continue;
        }
        KernelResource is{.name = resource.name, .node_id = resource.node_id};
        is.lease_ms = static_cast<std::uint32_t>(resource.settings.options.lease.count());
        is.timeout_ms = static_cast<std::uint32_t>(resource.settings.net.timeout.count());
        is.request_timeout_ms =
            static_cast<std::uint32_t>(resource.settings.net.request_timeout.count());
        is.policy = resource.settings.options.on_no_quorum == NoQuorum::io_error ? 1 : 0;
        is.open_wait_ms = resource.settings.options.auto_promote ? 30000 : 0;
        for (const Volume& volume : resource.volumes) {
            is.volumes.push_back({.volume = volume.number, .minor = volume.minor});
            if (!volume.disk.empty()) {
                is.volumes.back().disk_state = disk_state::attached;
                is.volumes.back().uuid = uuid_of(volume.disk);
            }
        }
        for (const Peer& peer : resource.peers) {
            if (!peer.witness) {
                is.peers.push_back({.node_id = peer.node_id});
            }
        }
        all.push_back(is);
    }
    return all;
}

/// Without connections, which the plan does not make.
std::vector<KernelResource> sorted(std::vector<KernelResource> all) {
    std::ranges::sort(all, {}, &KernelResource::name);
    for (KernelResource& each : all) {
        std::ranges::sort(each.volumes, {}, &KernelVolume::volume);
        std::ranges::sort(each.peers, {}, &KernelPeer::node_id);
        for (KernelPeer& peer : each.peers) {
            peer = {.node_id = peer.node_id};
        }
    }
    return all;
}

class Random {
  public:
    explicit Random(std::uint32_t seed) : engine_(seed) {}
    std::uint32_t below(std::uint32_t most) { return static_cast<std::uint32_t>(engine_() % most); }

    /// Few names, minors and disks, so that two of these are in each other's way.
    Wanted wanted() {
        Wanted wanted;
        std::vector<std::uint32_t> minors{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
        std::vector<std::string> disks;
        for (const std::uint32_t minor : minors) {
            disks.push_back(fmt::format("/dev/vg/{}", minor));
            wanted.disks[disks.back()].uuid = uuid_of(disks.back());
        }
        std::ranges::shuffle(minors, engine_);
        std::ranges::shuffle(disks, engine_);
        for (const std::string name : {"a", "b", "c"}) {
            if (below(4) == 0) {
                continue;
            }
            NodeResource resource{.name = name, .node_id = 7, .witness = below(6) == 0};
            resource.settings.options.lease = Milliseconds(1000 + below(3));
            resource.settings.net.timeout = Milliseconds(1000 + below(3));
            resource.settings.net.request_timeout = Milliseconds(9000 + below(3));
            resource.settings.options.on_no_quorum = static_cast<NoQuorum>(below(2));
            for (std::uint32_t number = 0; number < 3 && !resource.witness; number++) {
                if (below(3) != 0) {
                    resource.volumes.push_back({number, minors.back(), "", ""});
                    resource.volumes.back().disk = below(3) == 0 ? "" : disks.back();
                    minors.pop_back();
                    disks.pop_back();
                }
            }
            for (std::uint32_t node = 0; node < 5; node++) {
                if (below(2) == 0) {
                    Peer peer{.name = fmt::format("h{}", node), .node_id = node};
                    peer.witness = below(4) == 0;
                    peer.net.tls = below(2) == 0;
                    resource.peers.push_back(peer);
                }
            }
            wanted.resources.push_back(resource);
        }
        wanted.remove_unknown = true;
        return wanted;
    }

  private:
    std::mt19937 engine_;
};

std::vector<std::string> lines(const Plan& plan) {
    std::vector<std::string> all;
    for (const Operation& operation : plan.operations) {
        all.push_back(to_string(operation));
    }
    return all;
}

TEST(ConfigPlan, FromAnyStateToAnyState) {
    for (std::uint32_t seed = 0; seed < 1000; seed++) {
        Random random(seed);
        FakeKernel kernel;
        for (int step = 0; step < 4; step++) {
            const Wanted wanted = random.wanted();
            const Plan first = plan(wanted, kernel.resources);
            ASSERT_THAT(first.refusals, IsEmpty());
            kernel.run(first);
            ASSERT_EQ(sorted(kernel.resources), expected(wanted)) << "seed " << seed;
            ASSERT_THAT(lines(plan(wanted, kernel.resources)), IsEmpty()) << "seed " << seed;
            ASSERT_FALSE(HasFailure()) << "seed " << seed;
            // What has connected by the next time, and failed.
            for (KernelResource& resource : kernel.resources) {
                for (KernelPeer& peer : resource.peers) {
                    if (random.below(2) == 0) {
                        peer.link_state = link_state::connected;
                        peer.tls = random.below(2) == 0;
                    }
                }
                for (KernelVolume& volume : resource.volumes) {
                    if (volume.uuid && random.below(8) == 0) {
                        volume.disk_state = disk_state::failed;
                    }
                }
            }
        }
    }
}

// ---- one thing at a time ----

class ConfigPlanStep : public testing::Test {
  protected:
    ConfigPlanStep() {
        NodeResource resource{.name = "r", .node_id = 1};
        resource.volumes = {{0, 5, "/dev/vg/a", ""}};
        Peer peer{.name = "b", .node_id = 2, .diskful = true};
        peer.paths = {{{false, "10.0.0.1"}, {false, "10.0.0.2"}}};
        resource.peers = {peer, {.name = "w", .node_id = 3, .witness = true}};
        wanted_.resources = {resource};
        wanted_.disks["/dev/vg/a"].uuid = uuid_of("/dev/vg/a");
        kernel_.run(plan(wanted_, {}));
    }

    NodeResource& resource() { return wanted_.resources.front(); }
    KernelResource& is() { return kernel_.resources.front(); }
    [[nodiscard]] std::vector<std::string> steps() const {
        const Plan made = plan(wanted_, kernel_.resources);
        EXPECT_THAT(made.refusals, IsEmpty());
        return lines(made);
    }
    [[nodiscard]] Refusal refusal() const {
        const Plan made = plan(wanted_, kernel_.resources);
        EXPECT_THAT(made.operations, IsEmpty());
        EXPECT_EQ(made.refusals.size(), 1U);
        return made.refusals.empty() ? Refusal{} : made.refusals.front();
    }

    Wanted wanted_;
    FakeKernel kernel_;
};

TEST_F(ConfigPlanStep, FromNothing) {
    EXPECT_THAT(lines(plan(wanted_, {})),
                ElementsAre("resource-new name=r node-id=1 lease-ms=3000 timeout-ms=3000 "
                            "request-timeout-ms=30000 policy=suspend",
                            "peer-new name=r node-id=2", "volume-new name=r volume=0 minor=5",
                            "volume-attach name=r volume=0 disk=/dev/vg/a"));
    EXPECT_THAT(steps(), IsEmpty());
}

TEST_F(ConfigPlanStep, MetadataOnADeviceOfItsOwn) {
    resource().volumes[0].meta_disk = "/dev/m 1";
    is().volumes[0] = {.volume = 0, .minor = 5};
    EXPECT_THAT(steps(), ElementsAre("volume-attach name=r volume=0 disk=/dev/vg/a "
                                     "meta-disk=\"/dev/m 1\""));
}

TEST_F(ConfigPlanStep, OnlyWhatDiffersIsSet) {
    resource().settings.options.on_no_quorum = NoQuorum::io_error;
    resource().settings.net.timeout = Milliseconds(2500);
    EXPECT_THAT(steps(), ElementsAre("resource-set name=r timeout-ms=2500 policy=io-error"));
}

TEST_F(ConfigPlanStep, WhetherOpeningADevicePromotes) {
    resource().settings.options.auto_promote = true;
    EXPECT_THAT(lines(plan(wanted_, {})).front(), HasSubstr("policy=suspend open-wait-ms=30000"));
    EXPECT_THAT(steps(), ElementsAre("resource-set name=r open-wait-ms=30000"));
    is().open_wait_ms = 30000;
    EXPECT_THAT(steps(), IsEmpty());
    resource().settings.options.auto_promote = false;
    EXPECT_THAT(steps(), ElementsAre("resource-set name=r open-wait-ms=0"));
}

TEST_F(ConfigPlanStep, AnotherReplicaIsAttachedInItsPlace) {
    resource().volumes[0].disk = "/dev/vg/b";
    wanted_.disks["/dev/vg/b"].uuid = uuid_of("/dev/vg/b");
    EXPECT_THAT(steps(), ElementsAre("volume-detach name=r volume=0",
                                     "volume-attach name=r volume=0 disk=/dev/vg/b"));
    // The same one, which has moved.
    wanted_.disks["/dev/vg/b"].uuid = uuid_of("/dev/vg/a");
    EXPECT_THAT(steps(), IsEmpty());
    // Not known yet.
    is().volumes[0].disk_state = disk_state::attaching;
    is().volumes[0].uuid.reset();
    EXPECT_THAT(steps(), IsEmpty());
}

TEST_F(ConfigPlanStep, ADiskThatIsLeavingIsAwaited) {
    for (const auto state : {disk_state::failed, disk_state::detaching}) {
        is().volumes[0].disk_state = state;
        EXPECT_THAT(steps(), ElementsAre("volume-detach name=r volume=0",
                                         "volume-attach name=r volume=0 disk=/dev/vg/a"));
    }
}

TEST_F(ConfigPlanStep, ADiskThatHasGrownIsUsed) {
    is().volumes[0].disk_size = 1000;
    wanted_.disks["/dev/vg/a"].room = 1000;
    EXPECT_THAT(steps(), IsEmpty());
    wanted_.disks["/dev/vg/a"].room = 1001;
    EXPECT_THAT(steps(), ElementsAre("volume-resize name=r volume=0"));
}

TEST_F(ConfigPlanStep, AConnectionMadeOtherwiseIsEnded) {
    is().peers[0].link_state = link_state::connected;
    is().peers[0].tls = true;
    is().peers[0].checksums = false;
    is().peers[0].path = resource().peers[0].paths[0];
    EXPECT_THAT(steps(), IsEmpty());
    resource().peers[0].net.data_integrity_alg = Integrity::crc32c;
    EXPECT_THAT(steps(), ElementsAre("peer-disconnect name=r node-id=2"));
    resource().peers[0].net.data_integrity_alg = Integrity::automatic;
    resource().peers[0].paths[0].second.ip = "10.0.0.9";
    EXPECT_THAT(steps(), ElementsAre("peer-disconnect name=r node-id=2"));
    is().peers[0].path.reset();
    EXPECT_THAT(steps(), IsEmpty());
    is().peers[0].tls = false;
    EXPECT_THAT(steps(), ElementsAre("peer-disconnect name=r node-id=2"));
    is().peers[0].link_state = link_state::disconnected;
    EXPECT_THAT(steps(), IsEmpty());
}

TEST_F(ConfigPlanStep, WhoBecomesAWitnessHasNothingInTheKernel) {
    resource().witness = true;
    resource().volumes.clear();
    EXPECT_THAT(steps(), ElementsAre("resource-del name=r"));
}

TEST_F(ConfigPlanStep, WhatNoFileHasIsLeftAlone) {
    wanted_.resources.clear();
    const Plan made = plan(wanted_, kernel_.resources);
    EXPECT_THAT(lines(made), IsEmpty());
    EXPECT_THAT(made.notes, ElementsAre(HasSubstr("r is in the kernel, but not in the")));
    wanted_.remove_unknown = true;
    EXPECT_THAT(steps(), ElementsAre("resource-del name=r"));
    wanted_.only = "other";
    EXPECT_THAT(steps(), IsEmpty());
}

TEST_F(ConfigPlanStep, OnlyOneResource) {
    NodeResource other{.name = "s", .node_id = 0};
    wanted_.resources.push_back(other);
    resource().settings.net.timeout = Milliseconds(700);
    wanted_.only = "s";
    EXPECT_THAT(steps(), ElementsAre(HasSubstr("resource-new name=s")));
    wanted_.resources[1].volumes = {{0, 5, "", ""}};
    EXPECT_EQ(refusal(), (Refusal{"s/0", "its minor 5 is in use by r/0",
                                  "Take that down first, or adjust all resources at once."}));
}

TEST_F(ConfigPlanStep, WhatIsOpenStays) {
    is().volumes[0].opens = 1;
    EXPECT_THAT(steps(), IsEmpty());
    resource().volumes[0].minor = 6;
    EXPECT_THAT(refusal().cause, HasSubstr("/dev/braid5 is open"));
    resource().volumes.clear();
    EXPECT_THAT(refusal().cause, HasSubstr("/dev/braid5 is open"));
    resource().witness = true;
    EXPECT_THAT(refusal().cause, HasSubstr("/dev/braid5 is open"));
    resource().witness = false;
    wanted_.resources.clear();
    wanted_.remove_unknown = true;
    EXPECT_THAT(refusal().cause, HasSubstr("/dev/braid5 is open"));
}

TEST_F(ConfigPlanStep, ANodeIdDoesNotChange) {
    resource().node_id = 4;
    EXPECT_THAT(refusal().cause, HasSubstr("its node id is 1 in the kernel and in its metadata"));
    EXPECT_THAT(refusal().remedy, HasSubstr("Set 'node-id 1;'"));
}

TEST_F(ConfigPlanStep, AReplicaInSyncIsNotForgotten) {
    is().in_sync = 1U << 2;
    EXPECT_THAT(steps(), IsEmpty());
    resource().peers.erase(resource().peers.begin());
    EXPECT_EQ(refusal().what, "r, node 2");
    EXPECT_THAT(refusal().remedy, HasSubstr("'braidadm forget-peer r 2'"));
    is().in_sync = 1U << 1;
    EXPECT_THAT(steps(), ElementsAre("peer-del name=r node-id=2"));
}

TEST_F(ConfigPlanStep, ThePrimaryKeepsTheLastReplicaThatItReaches) {
    resource().volumes[0].disk.clear();
    is().writer = 1;
    is().in_sync = 1U << 1;
    EXPECT_EQ(refusal().what, "r/0");
    is().in_sync = 1U << 1 | 1U << 2;
    EXPECT_THAT(refusal().cause, HasSubstr("the only one in sync"));
    is().peers[0].link_state = link_state::connected;
    EXPECT_THAT(steps(), ElementsAre("volume-detach name=r volume=0"));
    is().peers[0].link_state = link_state::disconnected;
    is().writer = 2;
    EXPECT_THAT(steps(), ElementsAre("volume-detach name=r volume=0"));
}

TEST_F(ConfigPlanStep, ADiskThatCannotBeAttachedStopsAll) {
    resource().settings.net.timeout = Milliseconds(700);
    is().volumes[0] = {.volume = 0, .minor = 5};
    wanted_.disks["/dev/vg/a"].problem = "no metadata";
    EXPECT_EQ(refusal(), (Refusal{"r/0", "/dev/vg/a cannot be attached: no metadata",
                                  "If it is to be a new replica, use 'braidadm create-md r'."}));
}

}  // namespace
}  // namespace braid::config
