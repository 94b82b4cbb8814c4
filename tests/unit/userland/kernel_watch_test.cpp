// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/kernel_watch.h"

#include <gmock/gmock.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sys/fd.h"
#include "sys/netlink_gen.h"

namespace braid::satellite {

namespace {

using sys::NetlinkError;
using testing::ElementsAre;

constexpr std::uint16_t family = 0x20;

/// A group of which messages come.
struct Group {
    sys::Fd bell{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    std::deque<sys::NetlinkResult<std::vector<sys::NetlinkMessage>>> batches{};

    void send(sys::NetlinkResult<std::vector<sys::NetlinkMessage>> batch) {
        batches.push_back(std::move(batch));
        eventfd_write(bell.get(), 1);
    }
};

class Subscription final : public sys::NetlinkEvents {
  public:
    explicit Subscription(std::shared_ptr<Group> group) : group_(std::move(group)) {}

    [[nodiscard]] int fd() const override { return group_->bell.get(); }
    sys::NetlinkResult<std::vector<sys::NetlinkMessage>> receive() override {
        if (group_->batches.empty()) {
            return std::vector<sys::NetlinkMessage>();
        }
        auto batch = std::move(group_->batches.front());
        group_->batches.pop_front();
        if (group_->batches.empty()) {
            eventfd_t value = 0;
            eventfd_read(group_->bell.get(), &value);
        }
        return batch;
    }

  private:
    std::shared_ptr<Group> group_;
};

class KernelWatchTest : public testing::Test {
  protected:
    void start() {
        watch_ = std::make_unique<KernelWatch>(
            loop_,
            [this](const std::string& name,
                   const std::string&) -> sys::NetlinkResult<std::unique_ptr<sys::NetlinkEvents>> {
                opened_.push_back(name);
                const auto group = groups_.find(name);
                if (group == groups_.end()) {
                    return tl::unexpected(
                        NetlinkError{NetlinkError::Kind::no_family, ENOENT, "", {}});
                }
                return std::make_unique<Subscription>(group->second);
            },
            KernelWatch::Callbacks{
                [this](const sys::KernelEvent& event) { seen_.push_back(event.resource); },
                [this] { changes_++; },
                [this](const std::string& why) { failures_.push_back(why); }});
    }

    void load() { groups_["braid"] = std::make_shared<Group>(); }
    void tell_of_families() {
        std::vector<sys::NetlinkMessage> some;
        some.emplace_back(0x10, 1, 1);
        groups_.at("nlctrl")->send(std::move(some));
        loop_.run_once(std::chrono::milliseconds(10));
    }
    static sys::NetlinkMessage event(std::string_view resource) {
        namespace attr = netlink::attr::event;
        sys::NetlinkMessage message(family, netlink::op::event.id, netlink::family_version);
        message.put(attr::sequence, std::uint64_t{1});
        message.put(attr::kind, static_cast<std::uint32_t>(netlink::enums::event_kind::disk));
        message.put(attr::name, resource);
        return message;
    }
    void send(const std::vector<std::string_view>& resources) {
        std::vector<sys::NetlinkMessage> batch;
        batch.reserve(resources.size());
        for (const auto resource : resources) {
            batch.push_back(event(resource));
        }
        groups_.at("braid")->send(std::move(batch));
        loop_.run_once(std::chrono::milliseconds(10));
    }

    sys::EventLoop loop_;
    std::map<std::string, std::shared_ptr<Group>> groups_{{"nlctrl", std::make_shared<Group>()}};
    std::vector<std::string> opened_;
    std::vector<std::string> seen_;
    std::vector<std::string> failures_;
    int changes_ = 0;
    std::unique_ptr<KernelWatch> watch_;
};

TEST_F(KernelWatchTest, TellsEachEventInOrder) {
    load();
    start();
    EXPECT_TRUE(watch_->is_open());
    send({"r0", "r1"});
    send({"r2"});
    EXPECT_THAT(seen_, ElementsAre("r0", "r1", "r2"));
    EXPECT_EQ(changes_, 0);
}

TEST_F(KernelWatchTest, WhatIsLostOrMakesNoSenseIsAChange) {
    load();
    start();
    groups_["braid"]->send(
        tl::unexpected(NetlinkError{NetlinkError::Kind::lost, ENOBUFS, "too many", {}}));
    loop_.run_once(std::chrono::milliseconds(10));
    EXPECT_EQ(changes_, 1);
    std::vector<sys::NetlinkMessage> nonsense;
    nonsense.emplace_back(family, netlink::op::event.id, netlink::family_version);
    groups_["braid"]->send(std::move(nonsense));
    loop_.run_once(std::chrono::milliseconds(10));
    EXPECT_EQ(changes_, 2);
    EXPECT_THAT(opened_, ElementsAre("nlctrl", "braid")) << "it goes on with what it has";
}

TEST_F(KernelWatchTest, HearsOfAModuleThatIsLoadedLater) {
    start();
    EXPECT_FALSE(watch_->is_open());
    tell_of_families();
    EXPECT_FALSE(watch_->is_open()) << "another module";
    load();
    tell_of_families();
    EXPECT_TRUE(watch_->is_open());
    EXPECT_EQ(changes_, 2);
    send({"r0"});
    EXPECT_THAT(seen_, ElementsAre("r0"));
    EXPECT_TRUE(failures_.empty());
}

TEST_F(KernelWatchTest, AModuleThatIsLoadedAnewIsAnotherFamily) {
    load();
    start();
    groups_.erase("braid");
    tell_of_families();
    EXPECT_FALSE(watch_->is_open());
    load();
    tell_of_families();
    send({"r0"});
    EXPECT_THAT(seen_, ElementsAre("r0"));
}

}  // namespace

}  // namespace braid::satellite
