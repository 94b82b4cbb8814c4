// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/kernel_state.h"

#include <gmock/gmock.h>
#include <netlink/msg.h>

#include <cerrno>
#include <functional>

#include "module_reply.h"
#include "sys/braid_client.h"
#include "sys/netlink_mock.h"

namespace braid::sys {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Return;
namespace attr = netlink::attr;

/// Appends attributes of a table's types to a message, each with a value of its own.
class Filler {
  public:
    Filler(NetlinkMessage& message, std::uint16_t omitted) : message_(message), omitted_(omitted) {}

    void fill(const netlink::AttributeSet& set, std::span<const std::uint16_t> which) {
        for (const netlink::Attribute& row : set.attributes) {
            if (row.id != omitted_ && std::ranges::find(which, row.id) != which.end()) {
                put(row);
            }
        }
    }

  private:
    void put(const netlink::Attribute& row) {
        const std::uint32_t value = 100U + row.id;
        switch (row.type) {
            case netlink::AttributeType::flag:
                return message_.put_flag(row.id);
            case netlink::AttributeType::u32:
                return message_.put(row.id, value);
            case netlink::AttributeType::s32:
                return message_.put(row.id, static_cast<std::uint32_t>(-EIO));
            case netlink::AttributeType::u64:
                return message_.put(row.id, (std::uint64_t{7} << 32) + value);
            case netlink::AttributeType::string:
                return message_.put(row.id, row.name);
            case netlink::AttributeType::binary:
                return message_.put(row.id, std::as_bytes(std::span("0123456789abcdef", 16)));
            case netlink::AttributeType::nest:
                for (int times = row.multi ? 2 : 1; times > 0; times--) {
                    message_.put_nest(row.id, [&] {
                        std::vector<std::uint16_t> all;
                        for (const netlink::Attribute& each : row.nested->attributes) {
                            all.push_back(each.id);
                        }
                        Filler(message_, 0).fill(*row.nested, all);
                    });
                }
                return;
            default:
                FAIL() << row.name << " has a type that is new";
        }
    }

    NetlinkMessage& message_;
    std::uint16_t omitted_;
};

NetlinkMessage reply_of(const netlink::Operation& operation, std::span<const std::uint16_t> which,
                        std::uint16_t omitted = 0) {
    NetlinkMessage reply(test::family_id, operation.id, netlink::family_version);
    Filler(reply, omitted).fill(*operation.attributes, which);
    return reply;
}

constexpr std::uint64_t high = std::uint64_t{7} << 32;

TEST(KernelState, AResourceHasAllThatTheSpecGivesIt) {
    const auto state =
        decode_resource(reply_of(netlink::op::resource_get, netlink::op::resource_get.dump->reply));
    ASSERT_TRUE(state) << state.error().attribute;
    EXPECT_EQ(state->name, "name");
    EXPECT_EQ(state->node, 100U + attr::resource::node_id);
    EXPECT_EQ(state->lease_ms, 100U + attr::resource::lease_ms);
    EXPECT_EQ(state->timeout_ms, 100U + attr::resource::timeout_ms);
    EXPECT_EQ(state->request_timeout_ms, 100U + attr::resource::request_timeout_ms);
    EXPECT_EQ(state->policy, 100U + attr::resource::policy);
    EXPECT_EQ(state->open_wait_ms, 100U + attr::resource::open_wait_ms);
    EXPECT_EQ(state->instance, high + 100 + attr::resource::instance);
    EXPECT_EQ(state->service, 100U + attr::resource::service);
    EXPECT_EQ(state->reason, "reason");
    EXPECT_TRUE(state->adopting && state->suspect && state->done && state->suspended);
    EXPECT_EQ(state->in_flight, 100U + attr::resource::in_flight);
    EXPECT_EQ(state->held, high + 100 + attr::resource::held);
    EXPECT_EQ(state->sequence, high + 100 + attr::resource::sequence);
    EXPECT_EQ(state->migration, 100U + attr::resource::migration);
    EXPECT_EQ(state->source, 100U + attr::resource::source);
    EXPECT_EQ(state->target, 100U + attr::resource::target);
    EXPECT_EQ(state->grant, high + 100 + attr::resource::grant);
    EXPECT_EQ(state->deadline_ms, 100U + attr::resource::deadline_ms);
    ASSERT_TRUE(state->config);
    EXPECT_EQ(state->config->epoch, high + 100 + attr::config::epoch);
    EXPECT_EQ(state->config->id, high + 100 + attr::config::id);
    EXPECT_EQ(state->config->writer, 100U + attr::config::writer);
    EXPECT_EQ(state->config->lineage.at(10), std::byte{'a'});
    const KernelConfig::Member member{100U + attr::node::node_id, true, true,
                                      high + 100 + attr::node::instance};
    EXPECT_THAT(state->config->members, ElementsAre(member, member));
}

TEST(KernelState, AVolumeHasAllThatTheSpecGivesIt) {
    const auto state =
        decode_volume(reply_of(netlink::op::volume_get, netlink::op::volume_get.dump->reply));
    ASSERT_TRUE(state) << state.error().attribute;
    VolumeState expected{.resource = "name",
                         .volume = 100U + attr::volume::volume,
                         .minor = 100U + attr::volume::minor,
                         .size = high + 100 + attr::volume::size,
                         .block_size = 100U + attr::volume::block_size,
                         .disk_state = 100U + attr::volume::disk_state,
                         .opens = 100U + attr::volume::opens,
                         .waiting_opens = 100U + attr::volume::waiting_opens,
                         .active_regions = 100U + attr::volume::active_regions,
                         .generation = high + 100 + attr::volume::generation,
                         .stable = high + 100 + attr::volume::stable,
                         .in_flight = 100U + attr::volume::in_flight,
                         .uuid = Uuid{},
                         .replica_flags = 100U + attr::volume::replica_flags,
                         .disk_size = high + 100 + attr::volume::disk_size};
    std::ranges::copy(std::as_bytes(std::span("0123456789abcdef", 16)), expected.uuid->begin());
    EXPECT_EQ(*state, expected);
}

TEST(KernelState, AnEventHasAllThatTheSpecGivesIt) {
    const auto event = decode_event(reply_of(netlink::op::event, netlink::op::event.event));
    ASSERT_TRUE(event) << event.error().attribute;
    const KernelEvent expected{.sequence = high + 100 + attr::event::sequence,
                               .kind = 100U + attr::event::kind,
                               .resource = "name",
                               .volume = 100U + attr::event::volume,
                               .node = 100U + attr::event::node_id,
                               .before = "old",
                               .after = "new",
                               .cause = "cause",
                               .epoch = high + 100 + attr::event::epoch,
                               .offset = high + 100 + attr::event::offset,
                               .length = high + 100 + attr::event::length,
                               .error = EIO,
                               .stream = 100U + attr::event::stream_id};
    EXPECT_EQ(*event, expected);
}

TEST(KernelState, WhatAlwaysComesIsMissedByName) {
    for (const std::uint16_t id : {attr::resource::name, attr::resource::instance}) {
        const auto state = decode_resource(
            reply_of(netlink::op::resource_get, netlink::op::resource_get.dump->reply, id));
        ASSERT_FALSE(state);
        EXPECT_EQ(state.error().kind, NetlinkError::Kind::malformed);
        EXPECT_EQ(state.error().attribute, find_attribute(netlink::set::resource, id)->name);
    }
    NetlinkMessage reply = reply_of(netlink::op::resource_get,
                                    netlink::op::resource_get.dump->reply, attr::resource::config);
    reply.put_nest(attr::resource::config,
                   [&] { reply.put(attr::config::lineage, std::as_bytes(std::span("short", 5))); });
    const auto state = decode_resource(reply);
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().attribute, "config.lineage");
}

NetlinkMessage peer_row(std::uint32_t node, const std::function<void(NetlinkMessage&)>& more) {
    NetlinkMessage reply(test::family_id, netlink::op::peer_get.id, netlink::family_version);
    reply.put(attr::peer::name, std::string_view("r0"));
    reply.put(attr::peer::node_id, node);
    more(reply);
    return reply;
}

NetlinkMessage link_row(std::uint32_t node) {
    return peer_row(node, [](NetlinkMessage& reply) {
        reply.put(attr::peer::link_state, std::uint32_t{2});
        reply.put(attr::peer::streams, std::uint32_t{1});
        reply.put(attr::peer::lease_ms, std::uint32_t{250});
        reply.put_nest(attr::peer::stream, [&] {
            reply.put(attr::stream::stream_id, std::uint32_t{4});
            reply.put(attr::stream::sent, std::uint64_t{1} << 33);
            reply.put_flag(attr::stream::tls);
        });
    });
}

NetlinkMessage replica_row(std::uint32_t node, std::uint32_t volume) {
    return peer_row(node, [&](NetlinkMessage& reply) {
        reply.put(attr::peer::volume, volume);
        reply.put(attr::peer::dirty, std::uint64_t{4096});
        reply.put(attr::peer::sync_state, std::uint32_t{2});
        reply.put(attr::peer::sync_left, std::uint64_t{4096});
        reply.put(attr::peer::sync_time_left, std::uint64_t{9});
        reply.put(attr::peer::waits_for, std::string_view("copies under way"));
    });
}

TEST(KernelState, RowsOfAPeerBecomeOne) {
    std::vector<NetlinkMessage> rows;
    rows.push_back(link_row(1));
    rows.push_back(replica_row(1, 0));
    rows.push_back(replica_row(1, 1));
    rows.push_back(link_row(2));
    rows.push_back(replica_row(0, 0));  // this node's own
    const auto peers = decode_peers(rows);
    ASSERT_TRUE(peers) << peers.error().attribute;
    ASSERT_EQ(peers->size(), 3U);
    const PeerState& first = peers->front();
    EXPECT_EQ(first.resource, "r0");
    EXPECT_EQ(first.link, 2U);
    EXPECT_EQ(first.lease_ms, 250U);
    EXPECT_THAT(first.streams, ElementsAre(StreamState{4, std::uint64_t{1} << 33, true, false}));
    EXPECT_THAT(first.replicas, ElementsAre(ReplicaState{.volume = 0, .dirty = 4096},
                                            ReplicaState{.volume = 1, .dirty = 4096}));
    EXPECT_EQ(first.sync.state, 2U);
    EXPECT_EQ(first.sync.seconds_left, 9U);
    EXPECT_EQ(first.sync.waits_for, "copies under way");
    EXPECT_THAT(peers->at(1).replicas, IsEmpty());
    EXPECT_EQ(peers->at(2).node, 0U);
    EXPECT_EQ(peers->at(2).sync.left, 4096U);

    rows.push_back(peer_row(3, [](NetlinkMessage&) {}));
    const auto incomplete = decode_peers(rows);
    ASSERT_FALSE(incomplete);
    EXPECT_EQ(incomplete.error().attribute, "link-state");
}

class Requests : public testing::Test {
  protected:
    Requests() {
        EXPECT_CALL(netlink_, resolve(_)).WillRepeatedly(Return(test::family_id));
        EXPECT_CALL(netlink_, transact(_)).WillRepeatedly([this](const NetlinkMessage& request) {
            sent_.emplace_back(*nlmsg_hdr(request.get()));
            return NetlinkMock::Replies();
        });
    }

    testing::NiceMock<NetlinkMock> netlink_;
    BraidClient client_{netlink_};
    std::vector<NetlinkMessage> sent_;
};

TEST_F(Requests, AnOperationHasTheAttributesThatItIsGiven) {
    ASSERT_TRUE(
        client_.run(netlink::op::sync_start, {{attr::peer::name, std::string_view("r0")},
                                              {attr::peer::node_id, std::uint32_t{3}},
                                              {attr::peer::full},
                                              {attr::peer::max_rate, std::uint64_t{1} << 40}}));
    ASSERT_EQ(sent_.size(), 1U);
    EXPECT_EQ(sent_[0].command(), netlink::op::sync_start.id);
    EXPECT_EQ(sent_[0].string(attr::peer::name), "r0");
    EXPECT_EQ(sent_[0].u32(attr::peer::node_id), 3U);
    EXPECT_TRUE(sent_[0].has(attr::peer::full));
    EXPECT_FALSE(sent_[0].has(attr::peer::compare));
    EXPECT_EQ(sent_[0].u64(attr::peer::max_rate), std::uint64_t{1} << 40);
}

TEST_F(Requests, AnAttributeOfAnotherOperationOrTypeIsAMistakeOfTheProgram) {
    const auto run = [&](Argument argument) {
        static_cast<void>(client_.run(netlink::op::sync_start, {argument}));
    };
    EXPECT_THROW(run({attr::peer::node_id, std::uint64_t{3}}), std::logic_error);
    EXPECT_THROW(run({attr::peer::session, std::uint64_t{3}}), std::logic_error);
    EXPECT_THROW(run({9999, std::uint32_t{3}}), std::logic_error);
    EXPECT_THROW(run({attr::peer::name}), std::logic_error);
    EXPECT_THAT(sent_, IsEmpty());
}

TEST_F(Requests, AConfigurationArrivesAsItWas) {
    KernelConfig config{.epoch = 9,
                        .id = 1ULL << 60,
                        .writer = 1,
                        .members = {{0, true, true, 77}, {1, true}, {2}}};
    config.lineage.fill(std::byte{0xA5});
    ASSERT_TRUE(client_.configure("r0", config, 6));
    ASSERT_EQ(sent_.size(), 1U);
    EXPECT_TRUE(sent_[0].has(attr::resource::new_lineage));
    EXPECT_EQ(sent_[0].attributes().u64(attr::resource::common_epoch), 6U);
    const auto nests = sent_[0].attributes().nests(attr::resource::config);
    ASSERT_EQ(nests.size(), 1U);
    EXPECT_EQ(nests[0].u64(attr::config::epoch), 9U);
    EXPECT_EQ(nests[0].u64(attr::config::id), 1ULL << 60);
    EXPECT_EQ(nests[0].u32(attr::config::writer), 1U);
    EXPECT_EQ(nests[0].bytes(attr::config::lineage)->size(), 16U);
    const auto nodes = nests[0].nests(attr::config::node);
    ASSERT_EQ(nodes.size(), 3U);
    EXPECT_TRUE(nodes[0].has(attr::node::in_sync) && nodes[0].has(attr::node::diskful));
    EXPECT_EQ(nodes[0].u64(attr::node::instance), 77U);
    EXPECT_TRUE(nodes[1].has(attr::node::diskful) && !nodes[1].has(attr::node::in_sync));
    EXPECT_FALSE(nodes[2].has(attr::node::diskful) || nodes[2].has(attr::node::instance));
}

TEST_F(Requests, AVoteIsBytes) {
    const std::vector<std::byte> vote(300, std::byte{0});
    ASSERT_TRUE(client_.vote_set("r0", 2, vote));
    EXPECT_EQ(sent_.at(0).attributes().bytes(attr::volume::vote)->size(), 300U);
    const auto none = client_.vote_get("r0", 2);
    ASSERT_TRUE(none);
    EXPECT_THAT(*none, IsEmpty());
    EXPECT_CALL(netlink_, transact(_)).WillOnce([&](const NetlinkMessage& request) {
        EXPECT_EQ(request.u32(attr::volume::volume), 2U);
        std::vector<NetlinkMessage> replies;
        replies.emplace_back(test::family_id, netlink::op::vote_get.id, netlink::family_version)
            .put(attr::volume::vote, std::span(vote));
        return NetlinkMock::Replies(std::move(replies));
    });
    EXPECT_EQ(client_.vote_get("r0", 2).value(), vote);
}

TEST_F(Requests, ADumpIsOfOneResourceOrAll) {
    std::vector<std::optional<std::string>> asked;
    EXPECT_CALL(netlink_, dump(_)).WillRepeatedly([&](const NetlinkMessage& request) {
        asked.push_back(request.string(attr::resource::name));
        return NetlinkMock::Replies();
    });
    EXPECT_THAT(client_.resources().value(), IsEmpty());
    EXPECT_THAT(client_.volumes("r0").value(), IsEmpty());
    EXPECT_THAT(client_.peers("r1").value(), IsEmpty());
    EXPECT_THAT(asked, ElementsAre(std::nullopt, "r0", "r1"));
}

TEST(NetlinkSubscription, ReceivesWhatIsSentToItsGroup) {
    const auto events = NetlinkSubscription::open("nlctrl", "notify");
    ASSERT_TRUE(events) << events.error().message;
    EXPECT_GE((*events)->fd(), 0);
    const auto none = (*events)->receive();
    ASSERT_TRUE(none) << none.error().message;
    EXPECT_THAT(*none, IsEmpty());
    const auto missing = NetlinkSubscription::open("nlctrl", "nothing");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().kind, NetlinkError::Kind::no_family);
}

}  // namespace
}  // namespace braid::sys
