// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/netlink.h"

#include <gmock/gmock.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

namespace braid::sys {
namespace {

using Kind = NetlinkError::Kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint16_t family = 0x20;

/// Builds what the kernel would send, byte by byte, without the code under test.
class Datagram {
  public:
    Datagram& begin(std::uint16_t type, std::uint16_t flags = 0, std::uint32_t sequence = 0) {
        start_ = bytes_.size();
        return append(nlmsghdr{0, type, flags, sequence, 0});
    }
    template <class T>
    Datagram& append(const T& value) {
        const auto* first = reinterpret_cast<const std::byte*>(&value);
        bytes_.insert(bytes_.end(), first, first + sizeof(T));
        return end();
    }
    Datagram& attribute(std::uint16_t type, const std::string& value) {
        append(nlattr{static_cast<std::uint16_t>(NLA_HDRLEN + value.size()), type});
        for (const char c : value) {
            bytes_.push_back(static_cast<std::byte>(c));
        }
        bytes_.resize(NLMSG_ALIGN(bytes_.size()));
        return end();
    }
    Datagram& attribute(std::uint16_t type, std::uint32_t value) {
        return attribute(type, std::string(reinterpret_cast<const char*>(&value), sizeof(value)));
    }
    [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
    [[nodiscard]] const nlmsghdr& header() const {
        return *reinterpret_cast<const nlmsghdr*>(bytes_.data());
    }

  private:
    Datagram& end() {
        const auto length = static_cast<std::uint32_t>(bytes_.size() - start_);
        std::memcpy(bytes_.data() + start_, &length, sizeof(length));
        return *this;
    }

    std::vector<std::byte> bytes_;
    std::size_t start_ = 0;
};

constexpr std::uint16_t capped_with_attributes = NLM_F_CAPPED | NLM_F_ACK_TLVS;

NetlinkMessage request() {
    return {family, 1, 1};
}

std::string terminated(const std::string& text) {
    return text + '\0';
}

TEST(NetlinkMessage, ReturnsWhatWasPut) {
    NetlinkMessage message(family, 7, 1);
    message.put(1, std::uint32_t{0x12345678});
    message.put(2, std::string_view("braid"));
    EXPECT_EQ(message.command(), 7);
    EXPECT_EQ(message.u32(1), 0x12345678U);
    EXPECT_EQ(message.string(2), "braid");
}

TEST(NetlinkMessage, ReadsAReceivedMessage) {
    Datagram datagram;
    datagram.begin(family).append(genlmsghdr{3, 1, 0});
    datagram.attribute(1, std::uint32_t{5}).attribute(2, terminated("text"));
    const NetlinkMessage message(datagram.header());
    EXPECT_EQ(message.command(), 3);
    EXPECT_EQ(message.u32(1), 5U);
    EXPECT_EQ(message.string(2), "text");
}

TEST(NetlinkMessage, AbsentAndMalformedAttributesHaveNoValue) {
    Datagram datagram;
    datagram.begin(family).append(genlmsghdr{3, 1, 0});
    datagram.attribute(1, std::string("abc")).attribute(2, std::string("unterminated"));
    datagram.attribute(3, std::string());
    const NetlinkMessage message(datagram.header());
    EXPECT_EQ(message.u32(1), std::nullopt) << "three bytes";
    EXPECT_EQ(message.u16(1), std::nullopt) << "three bytes";
    EXPECT_EQ(message.string(2), std::nullopt) << "no terminator";
    EXPECT_EQ(message.string(3), std::nullopt) << "no bytes";
    EXPECT_EQ(message.u32(4), std::nullopt) << "absent";
}

TEST(NetlinkMessage, RefusesMoreThanItsLimit) {
    NetlinkMessage message = request();
    EXPECT_THROW(message.put(1, std::string(20000, 'x')), std::length_error);
}

TEST(NetlinkMessage, NamesTheAttributeAtAnOffset) {
    NetlinkMessage message = request();
    message.put(1, std::uint32_t{1});
    nlattr* nest = nla_nest_start(message.get(), 2);
    message.put(5, std::uint32_t{1});
    message.put(6, std::uint32_t{1});
    nla_nest_end(message.get(), nest);
    // Header 20; attribute 1 at 20, 2 at 28, in it 5 at 32 and 6 at 40; end 48.
    EXPECT_THAT(message.attribute_at(20), ElementsAre(1));
    EXPECT_THAT(message.attribute_at(28), ElementsAre(2));
    EXPECT_THAT(message.attribute_at(32), ElementsAre(2, 5));
    EXPECT_THAT(message.attribute_at(40), ElementsAre(2, 6));
    EXPECT_THAT(message.attribute_at(0), IsEmpty()) << "header";
    EXPECT_THAT(message.attribute_at(24), IsEmpty()) << "inside a value";
    EXPECT_THAT(message.attribute_at(44), IsEmpty()) << "inside a nested value";
    EXPECT_THAT(message.attribute_at(48), IsEmpty()) << "behind the end";
    EXPECT_THAT(message.attribute_at(0xffffffff), IsEmpty());
}

TEST(NetlinkMessage, DoesNotTakeAValueForANest) {
    NetlinkMessage message = request();
    const nlattr looks_nested{NLA_HDRLEN, 5};
    nla_put(message.get(), 1, sizeof(looks_nested), &looks_nested);
    EXPECT_THAT(message.attribute_at(24), IsEmpty());
}

TEST(NetlinkReplies, CollectsRepliesUntilTheAcknowledgement) {
    const NetlinkMessage asked = request();
    NetlinkReplies replies(asked);
    Datagram answer;
    answer.begin(family).append(genlmsghdr{4, 1, 0}).attribute(1, std::uint32_t{8});
    EXPECT_FALSE(replies.add(answer.bytes()).value());
    Datagram acknowledgement;
    acknowledgement.begin(NLMSG_ERROR, NLM_F_CAPPED).append(nlmsgerr{});
    EXPECT_TRUE(replies.add(acknowledgement.bytes()).value());
    const auto taken = replies.take();
    ASSERT_EQ(taken.size(), 1U);
    EXPECT_EQ(taken[0].u32(1), 8U);
    EXPECT_FALSE(replies.interrupted());
}

TEST(NetlinkReplies, CollectsADumpFromOneDatagram) {
    const NetlinkMessage asked = request();
    NetlinkReplies replies(asked);
    Datagram datagram;
    datagram.begin(family, NLM_F_MULTI).append(genlmsghdr{4, 1, 0});
    datagram.begin(family, NLM_F_MULTI).append(genlmsghdr{5, 1, 0});
    datagram.begin(NLMSG_DONE, NLM_F_MULTI).append(int{0});
    EXPECT_TRUE(replies.add(datagram.bytes()).value());
    const auto taken = replies.take();
    ASSERT_EQ(taken.size(), 2U);
    EXPECT_EQ(taken[1].command(), 5);
}

TEST(NetlinkReplies, NoticesAnInterruptedDump) {
    const NetlinkMessage asked = request();
    NetlinkReplies replies(asked);
    Datagram datagram;
    datagram.begin(NLMSG_DONE, NLM_F_MULTI | NLM_F_DUMP_INTR).append(int{0});
    EXPECT_TRUE(replies.add(datagram.bytes()).value());
    EXPECT_TRUE(replies.interrupted());
}

TEST(NetlinkReplies, IgnoresAnswersToAnEarlierRequest) {
    const NetlinkMessage asked = request();
    NetlinkReplies replies(asked);
    Datagram late;
    late.begin(family, 0, 99).append(genlmsghdr{4, 1, 0});
    late.begin(NLMSG_ERROR, NLM_F_CAPPED, 99).append(nlmsgerr{-EPERM, {}});
    EXPECT_FALSE(replies.add(late.bytes()).value());
    EXPECT_THAT(replies.take(), IsEmpty());
}

TEST(NetlinkReplies, GivesTheKernelsWordsAndTheAttributeToBlame) {
    NetlinkMessage asked = request();
    asked.put(1, std::uint32_t{1});
    asked.put(2, std::uint32_t{1});
    Datagram refusal;
    refusal.begin(NLMSG_ERROR, capped_with_attributes).append(nlmsgerr{-EINVAL, {}});
    refusal.attribute(NLMSGERR_ATTR_MSG, terminated("range ends before it begins"));
    refusal.attribute(NLMSGERR_ATTR_OFFS, std::uint32_t{28});
    const auto done = NetlinkReplies(asked).add(refusal.bytes());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, Kind::refused);
    EXPECT_EQ(done.error().number, EINVAL);
    EXPECT_EQ(done.error().cause(), "range ends before it begins");
    EXPECT_THAT(done.error().attribute, ElementsAre(2));
}

TEST(NetlinkReplies, NamesAMissingAttribute) {
    const NetlinkMessage asked = request();
    Datagram refusal;
    refusal.begin(NLMSG_ERROR, capped_with_attributes).append(nlmsgerr{-EINVAL, {}});
    refusal.attribute(NLMSGERR_ATTR_MISS_TYPE, std::uint32_t{3});
    const auto done = NetlinkReplies(asked).add(refusal.bytes());
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error().attribute, ElementsAre(3));
    EXPECT_EQ(done.error().cause(), "Invalid argument");
}

TEST(NetlinkReplies, NamesAnAttributeMissingInANest) {
    NetlinkMessage asked = request();
    nlattr* nest = nla_nest_start(asked.get(), 2);
    asked.put(5, std::uint32_t{1});
    nla_nest_end(asked.get(), nest);
    Datagram refusal;
    refusal.begin(NLMSG_ERROR, capped_with_attributes).append(nlmsgerr{-EINVAL, {}});
    refusal.attribute(NLMSGERR_ATTR_MISS_NEST, std::uint32_t{20});
    refusal.attribute(NLMSGERR_ATTR_MISS_TYPE, std::uint32_t{6});
    const auto done = NetlinkReplies(asked).add(refusal.bytes());
    ASSERT_FALSE(done);
    EXPECT_THAT(done.error().attribute, ElementsAre(2, 6));
}

TEST(NetlinkReplies, FindsTheWordsBehindAnEchoedRequest) {
    const NetlinkMessage asked = request();
    Datagram refusal;
    nlmsgerr error{-EBUSY, {}};
    error.msg.nlmsg_len = NLMSG_HDRLEN + 8;
    refusal.begin(NLMSG_ERROR, NLM_F_ACK_TLVS).append(error).append(std::uint64_t{0});
    refusal.attribute(NLMSGERR_ATTR_MSG, terminated("in use"));
    const auto done = NetlinkReplies(asked).add(refusal.bytes());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().cause(), "in use");
}

TEST(NetlinkReplies, AnEchoLongerThanTheMessageIsNotFollowed) {
    const NetlinkMessage asked = request();
    for (const std::uint32_t length : {0U, 15U, 4096U, 0xffffffffU}) {
        Datagram refusal;
        nlmsgerr error{-EBUSY, {}};
        error.msg.nlmsg_len = length;
        refusal.begin(NLMSG_ERROR, NLM_F_ACK_TLVS).append(error).append(std::uint64_t{0});
        const auto done = NetlinkReplies(asked).add(refusal.bytes());
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().number, EBUSY) << length;
    }
}

TEST(NetlinkReplies, ADumpMayEndWithAnError) {
    const NetlinkMessage asked = request();
    Datagram datagram;
    datagram.begin(NLMSG_DONE, NLM_F_MULTI | NLM_F_ACK_TLVS).append(int{-ENOMEM});
    datagram.attribute(NLMSGERR_ATTR_MSG, terminated("no room"));
    const auto done = NetlinkReplies(asked).add(datagram.bytes());
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().number, ENOMEM);
    EXPECT_EQ(done.error().cause(), "no room");
}

TEST(NetlinkReplies, RefusesBytesThatMakeNoSense) {
    const NetlinkMessage asked = request();
    Datagram no_error;
    no_error.begin(NLMSG_ERROR).append(int{0});
    Datagram no_genl_header;
    no_genl_header.begin(family);
    Datagram overrun;
    overrun.begin(NLMSG_OVERRUN);
    Datagram whole;
    whole.begin(family).append(genlmsghdr{4, 1, 0}).attribute(1, std::uint32_t{8});
    const auto cut = whole.bytes().first(whole.bytes().size() - 4);
    for (const auto bytes : {no_error.bytes(), no_genl_header.bytes(), overrun.bytes(), cut}) {
        const auto done = NetlinkReplies(asked).add(bytes);
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().kind, Kind::malformed);
        EXPECT_THAT(done.error().cause(), HasSubstr("the kernel"));
    }
}

// The rest talks to the running kernel: the family "nlctrl" is always there and
// answers without privilege.

class NetlinkSocketTest : public testing::Test {
  protected:
    std::unique_ptr<Netlink> netlink_ = NetlinkSocket::open().value();
};

TEST_F(NetlinkSocketTest, ResolvesAFamily) {
    EXPECT_EQ(netlink_->resolve("nlctrl").value(), GENL_ID_CTRL);
}

TEST_F(NetlinkSocketTest, TellsAFamilyThatDoesNotExist) {
    const auto id = netlink_->resolve("braid-none");
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().kind, Kind::no_family);
    EXPECT_EQ(id.error().number, ENOENT);
}

TEST_F(NetlinkSocketTest, NamesTheAttributeThatTheKernelRejects) {
    const auto id = netlink_->resolve(std::string(100, 'x'));
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().kind, Kind::refused);
    // Kernels differ in the number that they give for a name that is too long.
    EXPECT_THAT(id.error().number, testing::AnyOf(EINVAL, ERANGE));
    EXPECT_THAT(id.error().attribute, ElementsAre(CTRL_ATTR_FAMILY_NAME));
}

TEST_F(NetlinkSocketTest, GoesOnAfterARefusal) {
    EXPECT_FALSE(netlink_->resolve("braid-none"));
    EXPECT_TRUE(netlink_->resolve("nlctrl"));
}

TEST_F(NetlinkSocketTest, ListsTheFamilies) {
    const auto families = netlink_->dump(NetlinkMessage(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1));
    ASSERT_TRUE(families);
    std::vector<std::string> names;
    for (const NetlinkMessage& one : *families) {
        names.push_back(one.string(CTRL_ATTR_FAMILY_NAME).value_or("?"));
    }
    EXPECT_THAT(names, testing::Contains("nlctrl"));
}

TEST_F(NetlinkSocketTest, RefusesAnUnknownCommand) {
    const auto replies = netlink_->transact(NetlinkMessage(GENL_ID_CTRL, 200, 1));
    ASSERT_FALSE(replies);
    EXPECT_EQ(replies.error().kind, Kind::refused);
    EXPECT_EQ(replies.error().number, EOPNOTSUPP);
}

}  // namespace
}  // namespace braid::sys
