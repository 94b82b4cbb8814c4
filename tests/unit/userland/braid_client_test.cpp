// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/braid_client.h"

#include <gmock/gmock.h>

#include <cerrno>

#include "module_reply.h"
#include "sys/netlink_mock.h"

namespace braid::sys {
namespace {

using testing::_;
using testing::ByMove;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Return;
using testing::StrictMock;
using Kind = NetlinkError::Kind;
namespace attr = netlink::attr::module;

class BraidClientTest : public testing::Test {
  protected:
    void answer(NetlinkMock::Replies replies) {
        EXPECT_CALL(netlink_, resolve(std::string_view("braid"))).WillOnce(Return(test::family_id));
        EXPECT_CALL(netlink_, transact(_)).WillOnce(Return(ByMove(std::move(replies))));
    }

    StrictMock<NetlinkMock> netlink_;
    BraidClient client_{netlink_};
};

TEST_F(BraidClientTest, ModuleGetAsksWithTheRangeOfTheTool) {
    EXPECT_CALL(netlink_, resolve(std::string_view("braid"))).WillOnce(Return(test::family_id));
    EXPECT_CALL(netlink_, transact(_)).WillOnce([](const NetlinkMessage& request) {
        EXPECT_EQ(request.command(), netlink::op::module_get.id);
        EXPECT_EQ(request.u32(attr::api_min), 2U);
        EXPECT_EQ(request.u32(attr::api_max), 7U);
        return test::module_reply();
    });
    EXPECT_TRUE(client_.module_get({2, 7}));
}

TEST_F(BraidClientTest, ModuleGetReturnsWhatTheModuleSays) {
    answer(test::module_reply());
    const auto info = client_.module_get();
    ASSERT_TRUE(info);
    EXPECT_EQ(info->version, "0.9.1");
    EXPECT_EQ(info->api, (VersionRange{1, 3}));
    EXPECT_EQ(info->api_version, 2U);
    EXPECT_EQ(info->protocol, (VersionRange{4, 5}));
    EXPECT_EQ(info->features, 1U);
}

TEST_F(BraidClientTest, ResolvesTheFamilyOnce) {
    EXPECT_CALL(netlink_, resolve(_)).WillOnce(Return(test::family_id));
    EXPECT_CALL(netlink_, transact(_)).Times(2).WillRepeatedly([](const NetlinkMessage&) {
        return test::module_reply();
    });
    EXPECT_TRUE(client_.module_get());
    EXPECT_TRUE(client_.module_get());
}

TEST_F(BraidClientTest, AMissingAttributeIsNamed) {
    for (const netlink::Attribute& attribute : netlink::set::module.attributes) {
        testing::Mock::VerifyAndClearExpectations(&netlink_);
        EXPECT_CALL(netlink_, resolve(_)).WillRepeatedly(Return(test::family_id));
        EXPECT_CALL(netlink_, transact(_)).WillOnce([&](const NetlinkMessage&) {
            return test::module_reply(attribute.id);
        });
        const auto info = client_.module_get();
        ASSERT_FALSE(info) << attribute.name;
        EXPECT_EQ(info.error().kind, Kind::malformed);
        EXPECT_EQ(info.error().attribute, attribute.name);
    }
}

TEST_F(BraidClientTest, NoAnswerIsAnError) {
    answer(std::vector<NetlinkMessage>());
    const auto info = client_.module_get();
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().kind, Kind::malformed);
    EXPECT_EQ(info.error().cause, "0 messages in the module's answer instead of one");
}

TEST_F(BraidClientTest, ARefusalKeepsTheKernelsWordsAndNamesTheAttribute) {
    answer(tl::unexpected(
        NetlinkError{Kind::refused, EPROTONOSUPPORT, "speaks 3 to 4 only", {attr::api_max}}));
    const auto info = client_.module_get();
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().kind, Kind::refused);
    EXPECT_EQ(info.error().number, EPROTONOSUPPORT);
    EXPECT_EQ(info.error().cause, "speaks 3 to 4 only");
    EXPECT_EQ(info.error().attribute, "api-max");
}

TEST_F(BraidClientTest, AnAttributeUnknownToTheTablesIsShownAsNumbers) {
    answer(tl::unexpected(NetlinkError{Kind::refused, EINVAL, "", {99, 4}}));
    const auto info = client_.module_get();
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().cause, "Invalid argument");
    EXPECT_EQ(info.error().attribute, "99.4");
}

TEST_F(BraidClientTest, AMissingFamilyIsToldApart) {
    EXPECT_CALL(netlink_, resolve(_))
        .WillOnce(Return(tl::unexpected(NetlinkError{Kind::no_family, ENOENT, "", {}})));
    const auto info = client_.module_get();
    ASSERT_FALSE(info);
    EXPECT_EQ(info.error().kind, Kind::no_family);
}

TEST(FlagNames, NamesKnownBitsAndShowsOthers) {
    EXPECT_THAT(flag_names(netlink::enumeration::feature, 0), IsEmpty());
    EXPECT_THAT(flag_names(netlink::enumeration::feature, 0x80000003),
                ElementsAre("ktls", "object-log", "0x80000000"));
}

}  // namespace
}  // namespace braid::sys
