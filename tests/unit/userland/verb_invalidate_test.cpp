// SPDX-License-Identifier: GPL-2.0-or-later
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernel_fixture.h"

namespace braid::cli {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
namespace disk_state = netlink::enums::disk_state;
namespace link_state = netlink::enums::link_state;

class VerbInvalidate : public test::KernelTest {
  protected:
    VerbInvalidate() {
        context_.ask_daemon = [this](const std::string& line,
                                     std::chrono::milliseconds) -> sys::Result<std::string> {
            asked_.push_back(line);
            if (!daemon_) {
                return tl::unexpected(sys::Error{ECONNREFUSED, "/run/x: Connection refused"});
            }
            if (json::parse(line)["verb"] != "show") {
                return *daemon_;
            }
            return show().dump();
        };
    }

    test::FakeModule::Resource& r0() { return module_.resources.at("r0"); }

    [[nodiscard]] bool detached() {
        const auto resource = module_.resources.find("r0");
        return resource != module_.resources.end() &&
               std::ranges::any_of(resource->second.volumes, [](const auto& volume) {
                   return volume.second.state == disk_state::diskless;
               });
    }

    /// Alice is in sync, until a Primary sees that its disks are gone.
    [[nodiscard]] json show() {
        json bob = bob_;
        if (bob_leaves_ && detached()) {
            bob["up"] = false;
        }
        const bool drops = writer_.is_string() && drops_;
        return {{"ok", true},
                {"node", "alice"},
                {"resources",
                 {{{"name", "r0"},
                   {"ready", true},
                   {"epoch", 7},
                   {"writer", writer_},
                   {"members",
                    {{{"name", "alice"},
                      {"node-id", 0},
                      {"role", "diskful"},
                      {"in-sync", !(drops && detached())},
                      {"up", true},
                      {"diskful", !detached()},
                      {"epoch", 7}},
                     bob}}}}}};
    }

    /// As a disk that was in use: in sync, with a vote.
    void make_old(const std::string& disk, std::uint32_t free_slots = 2) {
        auto device = sys::BlockDevice::open(disk, sys::BlockDevice::Access::exclusive);
        ASSERT_TRUE(device);
        const auto copies = read_superblocks(**device, false);
        for (const SuperblockCopy& copy : *copies) {
            braid_superblock sb = copy.superblock;
            sb.voter = 77;
            sb.last = {.epoch = 7, .id = 8, .instance = 9};
            sb.max_slots = free_slots;
            std::vector<std::uint8_t> block(BRAID_BLOCK_SIZE);
            braid_superblock_encode(&sb, block.data());
            ASSERT_TRUE((*device)->write(copy.offset, block));
        }
        std::vector<std::uint8_t> vote(BRAID_VOTE_BYTES);
        const std::vector<std::uint8_t> value{1, 2, 3};
        braid_vote_encode(vote.data(), 5, value.data(), 3);
        ASSERT_TRUE((*device)->write(copies->front().superblock.votes_offset, vote));
    }

    [[nodiscard]] static std::array<SuperblockCopy, 2> copies_on(const std::string& disk) {
        const auto device = sys::BlockDevice::open(disk, sys::BlockDevice::Access::read);
        return *read_superblocks(**device, false);
    }

    /// Data, votes and log.
    [[nodiscard]] static std::vector<std::uint8_t> content(const std::string& disk) {
        const auto device = sys::BlockDevice::open(disk, sys::BlockDevice::Access::read);
        return *(*device)->read(0, copies_on(disk).front().superblock.slots_offset);
    }

    void expect_untouched() {
        for (const char* disk : {"a", "b"}) {
            EXPECT_EQ(current(copies_on(path(disk)))->superblock.last.epoch, 7U) << disk;
        }
    }

    void bring_up_old() {
        bring_up();
        make_old(path("a"));
        make_old(path("b"));
    }

    json writer_;
    bool drops_ = true;
    bool bob_leaves_ = false;
    json bob_{{"name", "bob"}, {"node-id", 1},    {"role", "diskful"}, {"in-sync", true},
              {"up", true},    {"diskful", true}, {"suspect", false},  {"epoch", 7}};
};

TEST_F(VerbInvalidate, TheReplicaIsWorthNothingAndStaysAVoter) {
    bring_up_old();
    const auto before = content(path("a"));
    EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls,
                ElementsAre("volume-detach name=r0 volume=0", "volume-detach name=r0 volume=1",
                            "volume-attach name=r0 volume=0 disk=" + path("a"),
                            "volume-attach name=r0 volume=1 disk=" + path("b")));
    EXPECT_EQ(out(),
              "r0: this replica is copied anew from bob; 'braidadm wait-sync r0' waits for that\n");
    for (const char* disk : {"a", "b"}) {
        const auto copies = copies_on(path(disk));
        for (const SuperblockCopy& copy : copies) {
            ASSERT_EQ(copy.result, BRAID_ONDISK_OK);
            EXPECT_EQ(copy.superblock.last.epoch, 0U);
            EXPECT_EQ(copy.superblock.last.instance, 0U);
            EXPECT_NE(copy.superblock.flags & BRAID_SB_INCONSISTENT, 0U);
            EXPECT_EQ(copy.superblock.voter, 77U);
        }
        // They were 2 and 1: the older one came first.
        EXPECT_EQ(copies.front().superblock.sequence, 4U);
        EXPECT_EQ(copies.back().superblock.sequence, 3U);
        const auto device = sys::BlockDevice::open(path(disk), sys::BlockDevice::Access::read);
        const braid_superblock& sb = current(copies)->superblock;
        ASSERT_EQ(sb.slots[0].node, 0U) << "all of it is on the replica's own map";
        EXPECT_EQ(sb.slots[0].base.epoch, 0U);
        EXPECT_EQ(*dirty_bytes(**device, sb, 0), sb.data_bytes);
        EXPECT_EQ(*read_vote_length(**device, sb), 3U);
    }
    EXPECT_TRUE(content(path("a")) == before) << "data, vote or log changed";
}

TEST_F(VerbInvalidate, WithoutAFreeSlotTheStampIsEnough) {
    bring_up();
    make_old(path("a"), 0);
    make_old(path("b"), 0);
    EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::ok) << err();
    EXPECT_EQ(current(copies_on(path("a")))->superblock.last.epoch, 0U);
}

TEST_F(VerbInvalidate, APrimaryGoesOnWithoutItFirst) {
    bring_up_old();
    writer_ = "bob";
    EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::ok) << err();
    EXPECT_EQ(current(copies_on(path("a")))->superblock.last.epoch, 0U);
    make_old(path("a"));
    make_old(path("b"));
    drops_ = false;
    context_.patience = std::chrono::milliseconds(200);
    EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::failure);
    EXPECT_EQ(err(),
              "braidadm: r0: bob, the Primary, has not gone on without this replica\n"
              "'braidadm explain r0' says what it waits for.\n"
              "The replica is attached again.\n");
    EXPECT_FALSE(detached());
    expect_untouched();
}

TEST_F(VerbInvalidate, TheOnlyReplicaInSyncStays) {
    bring_up_old();
    const json bob = bob_;
    for (const auto& [name, value] :
         {std::pair{"in-sync", json(false)}, std::pair{"up", json(false)},
          std::pair{"diskful", json(false)}, std::pair{"suspect", json(true)},
          std::pair{"epoch", json(6)}}) {
        bob_ = bob;
        bob_[name] = value;
        EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::failure) << name;
        EXPECT_EQ(err(),
                  "braidadm: r0: no other replica in sync is reached: this one may be the only one "
                  "with all the data\n"
                  "Bring another one in sync first; 'braidadm explain r0' shows them.\n");
        EXPECT_THAT(module_.calls, IsEmpty());
    }
    // As this node's kernel sees it: it serves, and is not connected to bob.
    bob_ = bob;
    writer_ = "alice";
    r0().writer = 0;
    r0().in_sync = {0, 1};
    EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("no other replica in sync is reached"));
    EXPECT_THAT(module_.calls, IsEmpty());
    expect_untouched();
    r0().peers.at(1).link = link_state::connected;
    EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::ok) << err();
}

TEST_F(VerbInvalidate, AnotherThatGoesMeanwhileEndsIt) {
    bring_up_old();
    bob_leaves_ = true;
    EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), StartsWith("braidadm: r0: no other replica in sync is reached: "));
    EXPECT_THAT(err(), HasSubstr("\nThe replica is attached again.\n"));
    EXPECT_FALSE(detached());
    expect_untouched();
}

TEST_F(VerbInvalidate, NothingIsDoneWithoutTheDaemon) {
    bring_up_old();
    daemon_.reset();
    EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::no_daemon);
    EXPECT_THAT(err(), HasSubstr("braid-satellite: not running"));
    EXPECT_THAT(err(), HasSubstr("nobody knows who else has the data"));
    EXPECT_THAT(module_.calls, IsEmpty());
    expect_untouched();
}

TEST_F(VerbInvalidate, ADiskThatIsDetachedIsAttachedAgain) {
    bring_up_old();
    ASSERT_EQ(braidadm({"detach", "r0/1"}), ExitCode::ok) << err();
    EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::ok) << err();
    EXPECT_THAT(module_.calls, ElementsAre("volume-detach name=r0 volume=0",
                                           "volume-attach name=r0 volume=0 disk=" + path("a"),
                                           "volume-attach name=r0 volume=1 disk=" + path("b")));
}

TEST_F(VerbInvalidate, ADiskThatSomebodyElseUsesIsLeftAlone) {
    bring_up_old();
    context_.patience = std::chrono::milliseconds(300);
    const auto open = open_device_;
    open_device_ = [open, this](const std::string& name, sys::BlockDevice::Access access)
        -> sys::Result<std::unique_ptr<sys::BlockDevice>> {
        if (name == path("b") && access == sys::BlockDevice::Access::exclusive) {
            return tl::unexpected(sys::Error{EBUSY, name + ": Device or resource busy"});
        }
        return open(name, access);
    };
    EXPECT_EQ(braidadm({"invalidate", "r0"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr(path("b") + ": in use: "));
    EXPECT_FALSE(detached());
    expect_untouched();
}

TEST_F(VerbInvalidate, WhatCannotBeMeantIsTold) {
    const auto refused = [&](const std::string& name, const std::string& words) {
        EXPECT_NE(braidadm({"invalidate", name}), ExitCode::ok);
        EXPECT_THAT(err(), HasSubstr(words));
        EXPECT_THAT(module_.calls, IsEmpty());
    };
    refused("r0", "not up\nBring it up first: 'braidadm up r0'.\n");
    refused("r0/1", "All volumes of a replica are given up together: 'braidadm invalidate r0'.");
    refused("all", "not the name of one resource");
    refused("r1", "braid-satellite knows no members of it");
    refused("w0", "is its witness and has no disk");
    bring_up_old();
    ASSERT_EQ(braidadm({"wipe-md", "r0/1"}), ExitCode::ok);
    refused("r0", "cannot be attached again: " + path("b") + " has no metadata of Braid\n");
}

TEST_F(VerbInvalidate, APeersReplicaIsGivenUpThere) {
    EXPECT_EQ(run({"invalidate-remote", "r0:bob"}), ExitCode::usage);
    EXPECT_EQ(err(),
              "braidadm: invalidate-remote: a replica can be given up only on its own host\n"
              "Run 'braidadm invalidate RES' on that peer.\n");
}

}  // namespace
}  // namespace braid::cli
