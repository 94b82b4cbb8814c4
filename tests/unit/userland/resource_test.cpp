// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/resource.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "satellite/kernel_view.h"
#include "sys/file_content.h"
#include "sys/netlink_gen.h"
#include "temporary_directory.h"

namespace braid::satellite {
namespace {

namespace attr = netlink::attr;
namespace enums = netlink::enums;
namespace op = netlink::op;
using membership::Bytes;
using membership::Cause;
using membership::Command;
using membership::Role;
using membership::Verb;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::uint16_t family = 0x20;

/// In the module's place: one resource with one volume, which does what it is told at once, but for
/// votes, which are durable when the test says so.
class FakeModule final : public sys::Netlink {
  public:
    using Replies = sys::NetlinkResult<std::vector<sys::NetlinkMessage>>;

    sys::NetlinkResult<std::uint16_t> resolve(std::string_view name) override {
        static_cast<void>(name);
        return family;
    }

    Replies transact(const sys::NetlinkMessage& request) override {
        if (request.command() == op::vote_get.id) {
            return vote_get();
        }
        const auto refusal = refusals.find(request.command());
        if (refusal != refusals.end()) {
            return refuse(refusal->second);
        }
        const auto attributes = request.attributes();
        if (request.command() == op::vote_set.id) {
            const auto vote = attributes.bytes(attr::volume::vote).value();
            votes.emplace_back(vote.begin(), vote.end());
        } else if (request.command() == op::resource_configure.id) {
            configure(attributes);
        } else if (request.command() == op::resource_serve.id) {
            calls.push_back("serve " + std::to_string(*attributes.u64(attr::resource::epoch)));
            service = enums::service::serving;
            tell(enums::event_kind::service);
        } else if (request.command() == op::resource_demote.id) {
            calls.emplace_back(attributes.has(attr::resource::force) ? "demote --force" : "demote");
            service = enums::service::secondary;
            done = true;
            tell(enums::event_kind::service);
        } else {
            ADD_FAILURE() << "operation " << int{request.command()};
        }
        return {};
    }

    Replies dump(const sys::NetlinkMessage& request) override {
        std::vector<sys::NetlinkMessage> replies;
        if (!present || request.command() == op::peer_get.id) {
            return replies;
        }
        auto& reply = replies.emplace_back(family, request.command(), std::uint8_t{1});
        if (request.command() == op::volume_get.id) {
            put_volume(reply);
            return replies;
        }
        put_resource(reply);
        // As if something happened each time that it is looked at.
        sequence += restless > 0 ? 1 : 0;
        restless -= restless > 0 ? 1 : 0;
        looks++;
        return replies;
    }

    void tell(std::uint64_t kind, int error = 0) {
        sequence++;
        sys::KernelEvent event;
        event.sequence = sequence;
        event.kind = static_cast<std::uint32_t>(kind);
        event.resource = "r0";
        event.error = error;
        event.volume = 0;
        events.push_back(event);
    }

    /// The disk has the oldest vote that it was given and did not have.
    void vote_durable() {
        durable = votes.front();
        votes.erase(votes.begin());
        tell(enums::event_kind::vote);
    }

    bool present = true;
    bool attached = true;
    bool done = false;
    int restless = 0;
    int looks = 0;
    std::uint32_t opens = 0;
    std::uint64_t sequence = 1;
    std::uint64_t service = enums::service::secondary;
    std::optional<sys::KernelConfig> config;
    std::vector<std::byte> durable;
    std::vector<std::vector<std::byte>> votes;
    std::vector<std::string> calls;
    std::vector<sys::KernelEvent> events;
    std::map<std::uint8_t, int> refusals;

  private:
    static tl::unexpected<sys::NetlinkError> refuse(int number) {
        return tl::unexpected(
            sys::NetlinkError{sys::NetlinkError::Kind::refused, number, "the test says so", {}});
    }

    Replies vote_get() {
        if (!attached) {
            return refuse(ENODEV);
        }
        std::vector<sys::NetlinkMessage> replies;
        auto& reply = replies.emplace_back(family, op::vote_get.id, std::uint8_t{1});
        if (!durable.empty()) {
            reply.put(attr::volume::vote, std::span<const std::byte>(durable));
        }
        return replies;
    }

    void configure(const sys::NetlinkAttributes& attributes) {
        const auto nest = attributes.nests(attr::resource::config).at(0);
        sys::KernelConfig next;
        const auto lineage = nest.bytes(attr::config::lineage).value();
        std::copy(lineage.begin(), lineage.end(), next.lineage.begin());
        next.epoch = nest.u64(attr::config::epoch).value();
        next.id = nest.u64(attr::config::id).value();
        next.writer = nest.u32(attr::config::writer).value();
        for (const auto& node : nest.nests(attr::config::node)) {
            next.members.push_back({.node = node.u32(attr::node::node_id).value(),
                                    .diskful = node.has(attr::node::diskful),
                                    .in_sync = node.has(attr::node::in_sync),
                                    .instance = node.u64(attr::node::instance).value_or(0)});
        }
        calls.push_back("configure " + std::to_string(next.epoch) +
                        (attributes.has(attr::resource::new_lineage) ? " new" : ""));
        config = next;
        done = false;
        service = next.writer == 0 ? enums::service::preparing : enums::service::secondary;
        tell(enums::event_kind::config);
    }

    void put_resource(sys::NetlinkMessage& reply) const {
        reply.put(attr::resource::name, std::string_view("r0"));
        for (const auto id :
             {attr::resource::node_id, attr::resource::lease_ms, attr::resource::timeout_ms,
              attr::resource::request_timeout_ms, attr::resource::policy}) {
            reply.put(id, std::uint32_t{0});
        }
        if (config) {
            reply.put_nest(attr::resource::config, [&] { put_config(reply); });
        }
        reply.put(attr::resource::instance, std::uint64_t{77});
        reply.put(attr::resource::service, static_cast<std::uint32_t>(service));
        reply.put(attr::resource::reason, std::string_view("the test says so"));
        reply.put(attr::resource::held, std::uint64_t{0});
        reply.put(attr::resource::sequence, sequence);
        if (done) {
            reply.put_flag(attr::resource::done);
        }
    }

    void put_config(sys::NetlinkMessage& reply) const {
        reply.put(attr::config::lineage, std::span<const std::byte>(config->lineage));
        reply.put(attr::config::epoch, config->epoch);
        reply.put(attr::config::id, config->id);
        reply.put(attr::config::writer, config->writer);
        for (const auto& member : config->members) {
            reply.put_nest(attr::config::node, [&] {
                reply.put(attr::node::node_id, member.node);
                if (member.diskful) {
                    reply.put_flag(attr::node::diskful);
                }
                if (member.in_sync) {
                    reply.put_flag(attr::node::in_sync);
                    reply.put(attr::node::instance, member.instance);
                }
            });
        }
    }

    void put_volume(sys::NetlinkMessage& reply) const {
        reply.put(attr::volume::name, std::string_view("r0"));
        for (const auto id : {attr::volume::volume, attr::volume::minor, attr::volume::block_size,
                              attr::volume::active_regions, attr::volume::in_flight}) {
            reply.put(id, std::uint32_t{0});
        }
        for (const auto id : {attr::volume::size, attr::volume::generation, attr::volume::stable}) {
            reply.put(id, std::uint64_t{0});
        }
        reply.put(attr::volume::opens, opens);
        reply.put(attr::volume::disk_state,
                  static_cast<std::uint32_t>(attached ? enums::disk_state::attached
                                                      : enums::disk_state::diskless));
    }
};

class ResourceTest : public testing::Test {
  protected:
    void start(Role role = Role::diskful) {
        ResourceSettings settings{.name = "r0", .node = 0, .role = role};
        settings.vote_file = (directory_.path() / "r0.vote").string();
        settings.disk_wait = disk_wait_;
        resource_ = std::make_unique<Resource>(
            Resource::Environment{
                .loop = loop_,
                .kernel = client_,
                .moment = [this] { return moment(); },
                .send = [this](membership::NodeId, const Bytes& bytes) { note_sent(bytes); },
                .reply = [this](const membership::Reply& reply) { replies_.push_back(reply); },
                .journal = [this](bool, const std::string& text) { journal_.push_back(text); },
                .fence = [this](membership::NodeId,
                                std::function<void(bool)> done) { fence_ = std::move(done); },
                .disk_is_back = [this] { disk_is_back_ = true; },
                .changed = [] {},
            },
            std::move(settings));
        settle();
    }

    void note_sent(const Bytes& bytes) {
        const auto message = membership::decode_message(bytes);
        ASSERT_TRUE(message.has_value());
        const auto* report = std::get_if<membership::Report>(&*message);
        sent_++;
        chosen_ = chosen_ || std::holds_alternative<membership::Chosen>(*message) ||
                  (report != nullptr && report->known.has_value());
    }

    membership::Moment moment() {
        const auto now = std::chrono::steady_clock::now().time_since_epoch();
        return {.now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
                .wall_ms = 1'700'000'000'000,
                .random = random_ += 0x9e3779b97f4a7c15};
    }

    /// The module's events reach the resource, until nothing happens any more.
    void settle() {
        do {
            for (const sys::KernelEvent& event : std::exchange(module_.events, {})) {
                resource_->kernel_event(event);
            }
            for (int rounds = 0; rounds < 3; rounds++) {
                loop_.run_once(std::chrono::milliseconds(1));
            }
        } while (!module_.events.empty());
    }

    /// With votes that become durable as they are stored.
    void settle_votes() {
        settle();
        while (!module_.votes.empty()) {
            module_.vote_durable();
            settle();
        }
    }

    void command(Verb verb, bool force = false) {
        Command command{.number = ++commands_, .verb = verb, .force = force};
        if (verb == Verb::initialise) {
            command.seats = {{.node = 0, .role = Role::diskful}};
        }
        resource_->command(command);
    }

    bool until(const std::function<bool()>& condition) {
        for (int rounds = 0; rounds < 5000 && !condition(); rounds++) {
            settle_votes();
        }
        return condition();
    }

    test::TemporaryDirectory directory_;
    sys::EventLoop loop_;
    FakeModule module_;
    sys::BraidClient client_{module_};
    std::vector<membership::Reply> replies_;
    std::chrono::milliseconds disk_wait_{3000};
    bool disk_is_back_ = false;
    std::vector<std::string> journal_;
    std::function<void(bool)> fence_;
    int sent_ = 0;
    /// Something that was sent says that a value was chosen.
    bool chosen_ = false;
    std::uint64_t random_ = 1;
    std::uint64_t commands_ = 0;
    std::unique_ptr<Resource> resource_;
};

TEST_F(ResourceTest, ANodeAloneIsInitialisedPromotedAndDemoted) {
    start();
    command(Verb::initialise);
    settle_votes();
    ASSERT_THAT(replies_, SizeIs(1));
    EXPECT_EQ(replies_[0].cause, Cause::none) << replies_[0].text;
    EXPECT_THAT(module_.calls, ElementsAre("configure 1 new"));
    command(Verb::promote);
    ASSERT_TRUE(until([&] { return replies_.size() == 2; }));
    EXPECT_EQ(replies_[1].cause, Cause::none) << replies_[1].text;
    EXPECT_THAT(module_.calls, ElementsAre("configure 1 new", "configure 2", "serve 2"));
    EXPECT_EQ(module_.config->writer, 0U);
    EXPECT_THAT(module_.config->members, ElementsAre(sys::KernelConfig::Member{0, true, true, 77}));
    command(Verb::demote);
    ASSERT_TRUE(until([&] { return replies_.size() == 3; }));
    EXPECT_EQ(replies_[2].cause, Cause::none) << replies_[2].text;
    EXPECT_THAT(module_.calls, Contains("demote"));
}

TEST_F(ResourceTest, WaitsForItsVoteBeforeItHasAMember) {
    module_.attached = false;
    start();
    EXPECT_EQ(resource_->member(), nullptr);
    EXPECT_THAT(resource_->why(), HasSubstr("the vote of volume 0 cannot be read"));
    EXPECT_THAT(journal_, ElementsAre(resource_->why()));
    command(Verb::promote);
    ASSERT_THAT(replies_, SizeIs(1));
    EXPECT_EQ(replies_[0].command, 1U);
    EXPECT_NE(replies_[0].cause, Cause::none);
    module_.attached = true;
    module_.tell(enums::event_kind::disk);
    settle();
    EXPECT_NE(resource_->member(), nullptr);
    EXPECT_THAT(resource_->why(), IsEmpty());
}

TEST_F(ResourceTest, WithoutItsDiskItGoesOnWithoutAVote) {
    disk_wait_ = std::chrono::milliseconds(1);
    module_.attached = false;
    start();
    ASSERT_TRUE(until([&] { return resource_->member() != nullptr; }));
    EXPECT_THAT(resource_->why(), IsEmpty());
    EXPECT_THAT(journal_, Contains(HasSubstr("goes on without either")));
    command(Verb::initialise);
    ASSERT_TRUE(until([&] { return replies_.size() == 1; }));
    EXPECT_EQ(replies_[0].cause, Cause::no_replica_here);
    EXPECT_FALSE(disk_is_back_);
    module_.attached = true;
    module_.tell(enums::event_kind::disk);
    settle();
    EXPECT_TRUE(disk_is_back_);
}

TEST_F(ResourceTest, WhatIsDurableSurvivesARestart) {
    start();
    command(Verb::initialise);
    settle_votes();
    const auto before = resource_->member()->known();
    resource_.reset();
    start();
    ASSERT_TRUE(resource_->member()->known().has_value());
    EXPECT_EQ(*resource_->member()->known(), *before);
}

TEST_F(ResourceTest, AnEventAboutAnEarlierVoteIsNotTakenForThisOne) {
    start();
    settle_votes();
    command(Verb::initialise);
    settle();
    ASSERT_THAT(module_.votes, SizeIs(1));
    // A daemon before this one had stored something, which is durable only now.
    module_.durable = {std::byte{1}, std::byte{2}};
    module_.tell(enums::event_kind::vote);
    settle();
    EXPECT_THAT(module_.calls, IsEmpty()) << "told the kernel what is not durable";
    module_.vote_durable();
    settle();
    EXPECT_THAT(module_.calls, ElementsAre("configure 1 new"));
}

TEST_F(ResourceTest, LostEventsAreMadeUpFor) {
    start();
    settle_votes();
    command(Verb::initialise);
    settle();
    ASSERT_THAT(module_.votes, SizeIs(1));
    // It was durable, and nobody heard of it.
    module_.vote_durable();
    module_.events.clear();
    resource_->events_lost();
    settle();
    EXPECT_THAT(module_.calls, ElementsAre("configure 1 new"));
    EXPECT_THAT(module_.votes, SizeIs(testing::Le(1)));
}

TEST_F(ResourceTest, AVoteOfWhichNothingIsKnownIsStoredAgain) {
    start();
    settle_votes();
    command(Verb::initialise);
    settle();
    const auto vote = module_.votes.at(0);
    module_.votes.clear();
    resource_->events_lost();
    EXPECT_THAT(module_.votes, ElementsAre(vote));
    settle_votes();
    EXPECT_THAT(module_.calls, ElementsAre("configure 1 new"));
}

TEST_F(ResourceTest, AVoteThatCannotBeStoredIsNotCounted) {
    start();
    settle_votes();
    module_.refusals[op::vote_set.id] = EIO;
    command(Verb::initialise);
    settle();
    EXPECT_THAT(journal_, Contains(HasSubstr("cannot be stored: the test says so")));
    EXPECT_THAT(module_.calls, IsEmpty());
    ASSERT_THAT(replies_, SizeIs(1));
    EXPECT_EQ(replies_[0].cause, Cause::kernel_refused);
}

TEST_F(ResourceTest, AnOpenDeviceIsNamed) {
    start();
    command(Verb::initialise);
    settle_votes();
    command(Verb::promote);
    ASSERT_TRUE(until([&] { return replies_.size() == 2; }));
    module_.opens = 1;
    module_.refusals[op::resource_demote.id] = EBUSY;
    command(Verb::demote);
    ASSERT_TRUE(until([&] { return replies_.size() == 3; }));
    EXPECT_EQ(replies_[2].cause, Cause::device_open) << replies_[2].text;
}

TEST_F(ResourceTest, WhatIsUnderWayIsNoRefusal) {
    start();
    command(Verb::initialise);
    settle_votes();
    module_.refusals[op::resource_serve.id] = EBUSY;
    command(Verb::promote);
    settle();
    EXPECT_THAT(journal_, Not(Contains(HasSubstr("the kernel refused"))));
    module_.refusals.clear();
    EXPECT_TRUE(until([&] { return replies_.size() == 2; }));
    EXPECT_THAT(module_.calls, Contains("serve 2"));
}

TEST_F(ResourceTest, LooksAgainWhileThingsChange) {
    module_.restless = 5;
    start();
    EXPECT_GE(module_.looks, 6);
    const int looks = module_.looks;
    settle();
    EXPECT_EQ(module_.looks, looks) << "it looks although nothing happened";
    // Many events, one look: the resource is listed twice.
    for (int events = 0; events < 10; events++) {
        module_.tell(enums::event_kind::peer);
    }
    settle();
    EXPECT_EQ(module_.looks, looks + 2);
}

TEST_F(ResourceTest, AWitnessKeepsItsVoteInAFile) {
    module_.present = false;
    const std::string path = (directory_.path() / "r0.vote").string();
    start(Role::witness);
    ASSERT_NE(resource_->member(), nullptr);
    const auto first = sys::read_file(path);
    ASSERT_TRUE(first.has_value()) << first.error().message;
    EXPECT_FALSE(first->empty());
    EXPECT_THAT(module_.votes, IsEmpty());
    resource_.reset();
    start(Role::witness);
    EXPECT_EQ(sys::read_file(path).value(), *first) << "another voter after a restart";
}

TEST_F(ResourceTest, AWitnessWhoseFileCannotBeReadTriesAgain) {
    const auto path = directory_.path() / "r0.vote";
    std::filesystem::create_directory(path);
    start(Role::witness);
    EXPECT_EQ(resource_->member(), nullptr);
    EXPECT_THAT(resource_->why(), HasSubstr("r0.vote"));
    std::filesystem::remove(path);
    EXPECT_TRUE(until([&] { return resource_->member() != nullptr; }));
    EXPECT_THAT(journal_, SizeIs(1)) << "once, however often it tried";
}

TEST_F(ResourceTest, PeersHearNothingOfARegisterThatIsNotDurable) {
    start();
    settle_votes();
    resource_->peer_up(1);
    settle_votes();
    sent_ = 0;
    chosen_ = false;
    command(Verb::initialise);
    settle();
    EXPECT_FALSE(chosen_) << "told of a value that a loss of power would undo";
    settle_votes();
    EXPECT_TRUE(chosen_);
    EXPECT_GT(sent_, 0);
}

// ---- translation ----

sys::VolumeState volume_of(std::uint64_t disk_state, std::uint32_t opens) {
    sys::VolumeState volume;
    volume.disk_state = static_cast<std::uint32_t>(disk_state);
    volume.opens = opens;
    return volume;
}

/// Connected, but without an announcement.
sys::PeerState peer_of(std::uint32_t node) {
    sys::PeerState peer;
    peer.node = node;
    peer.link = enums::link_state::connected;
    return peer;
}

TEST(KernelViewTest, TellsAllThatTheMembershipNeeds) {
    sys::ResourceView replies;
    replies.resource.name = "r0";
    replies.resource.node = 2;
    replies.resource.instance = 7;
    replies.resource.last_epoch = 11;
    replies.resource.service = enums::service::held;
    replies.resource.suspect = true;
    replies.resource.done = true;
    replies.resource.suspended = true;
    replies.resource.migration = enums::migration::asked;
    replies.resource.grant = 99;
    sys::KernelConfig config{.lineage = {}, .epoch = 12, .id = 13, .writer = 1, .members = {}};
    config.lineage[15] = std::byte{0xab};
    config.members = {{0, true, true, 70}, {1, false, false, 0}, {2, true, false, 0}};
    replies.resource.config = config;
    replies.volumes = {volume_of(enums::disk_state::attached, 2),
                       volume_of(enums::disk_state::attached, 1)};
    sys::PeerState up = peer_of(0);
    up.epoch = 12;
    up.config_id = 13;
    up.instance = 70;
    up.suspect = true;
    up.sync.state = enums::sync_state::paused;
    up.replicas = {{0, true, 1, 4096}, {1, true, 1, 8192}};
    const sys::PeerState quiet = peer_of(1);
    sys::PeerState own = peer_of(2);
    own.sync.state = enums::sync_state::joining;
    replies.peers = {up, quiet, own};

    const membership::KernelView view = view_of(replies);
    EXPECT_TRUE(view.present && view.done && view.suspect && view.suspended && view.diskful);
    EXPECT_EQ(view.service, membership::Service::held);
    EXPECT_EQ(view.stage, membership::Stage::asked);
    EXPECT_EQ(view.grant, 99U);
    EXPECT_EQ(view.instance, 7U);
    EXPECT_EQ(view.last_epoch, 11U);
    EXPECT_EQ(view.opens, 3U);
    EXPECT_EQ(view.sync, membership::SyncState::joining);
    ASSERT_TRUE(view.adopted.has_value());
    EXPECT_EQ(view.adopted->lineage[15], 0xab);
    EXPECT_EQ(view.adopted->epoch, 12U);
    EXPECT_EQ(view.adopted->id, 13U);
    EXPECT_EQ(view.adopted->writer, 1U);
    EXPECT_THAT(view.adopted->in_sync, ElementsAre(testing::Pair(0U, 70U)));
    ASSERT_THAT(view.peers, SizeIs(2));
    const membership::KernelPeer& peer = view.peers.at(0);
    EXPECT_TRUE(peer.connected && peer.diskful && peer.suspect && !peer.done);
    EXPECT_EQ(peer.epoch, 12U);
    EXPECT_EQ(peer.id, 13U);
    EXPECT_EQ(peer.instance, 70U);
    EXPECT_EQ(peer.dirty, 12288U);
    EXPECT_EQ(peer.sync, membership::SyncState::busy);
    EXPECT_FALSE(view.peers.at(1).connected) << "it has announced nothing";
}

TEST(KernelViewTest, ADiskThatIsMissingMakesANodeDiskless) {
    sys::ResourceView replies;
    EXPECT_FALSE(view_of(replies).diskful) << "without volumes";
    replies.volumes = {volume_of(enums::disk_state::attached, 0),
                       volume_of(enums::disk_state::failed, 0)};
    EXPECT_FALSE(view_of(replies).diskful);
    sys::PeerState peer = peer_of(1);
    peer.instance = 5;
    peer.replicas = {{.volume = 0, .attached = true}, {.volume = 1, .attached = false}};
    replies.peers = {peer};
    EXPECT_FALSE(view_of(replies).peers.at(1).diskful);
    EXPECT_TRUE(view_of(replies).peers.at(1).connected);
}

TEST(KernelViewTest, AVerifyIsNoResync) {
    sys::ResourceView replies;
    sys::PeerState peer = peer_of(1);
    peer.sync.state = enums::sync_state::verifying;
    replies.peers = {peer};
    EXPECT_EQ(view_of(replies).peers.at(1).sync, membership::SyncState::none);
}

TEST(KernelViewTest, AKernelIsNotToldOfWitnesses) {
    membership::Value value;
    value.lineage[0] = 0xcd;
    value.epoch = 3;
    value.id = 4;
    value.seats = {{.node = 0, .role = Role::diskful, .voter = 1, .instance = 8, .joined = 2},
                   {.node = 1, .role = Role::diskless},
                   {.node = 2, .role = Role::witness, .voter = 2},
                   {.node = 3, .role = Role::diskful, .voter = 3}};
    const sys::KernelConfig config = config_of(value);
    EXPECT_EQ(config.lineage[0], std::byte{0xcd});
    EXPECT_EQ(config.epoch, 3U);
    EXPECT_EQ(config.id, 4U);
    EXPECT_EQ(config.writer, netlink::writer_none);
    EXPECT_THAT(config.members, ElementsAre(sys::KernelConfig::Member{0, true, true, 8},
                                            sys::KernelConfig::Member{1, false, false, 0},
                                            sys::KernelConfig::Member{3, true, false, 0}));
}

}  // namespace
}  // namespace braid::satellite
