// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/certificate.h"

#include <gmock/gmock.h>

#include <string>

namespace braid::sys {
namespace {

using std::chrono::hours;
using std::chrono::sys_seconds;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;

const sys_seconds now{std::chrono::seconds(1'900'000'000)};
const Validity year{now - hours(24), now + hours(24 * 365)};

std::string authority() {
    static const std::string made = make_authority("0123456789abcdef", year).value();
    return made;
}

std::string issue(const std::string& node, const Validity& validity = year) {
    return issue_certificate(authority(), node, validity).value();
}

std::string reason(const std::string& pem, sys_seconds at = now) {
    const auto checked = check_node_certificate(pem, at);
    return checked ? "none" : checked.error().message;
}

/// Its `number`th PEM block, from 0.
std::string block(const std::string& pem, int number) {
    std::size_t from = 0;
    std::size_t to = 0;
    for (int i = 0; i <= number; i++) {
        from = to;
        to = pem.find("-----BEGIN", from + 1);
    }
    return pem.substr(from, to - from);
}

TEST(Certificate, ANodesIsWhatItShouldBe) {
    const auto info = check_node_certificate(issue("host-1.example"), now).value();
    EXPECT_FALSE(info.authority);
    EXPECT_EQ(info.node, "host-1.example");
    EXPECT_EQ(info.cluster, "0123456789abcdef");
    EXPECT_EQ(info.validity, year);
    EXPECT_EQ(info.fingerprint.size(), 64U);
}

TEST(Certificate, ABundleHoldsTheNodesAndTheAuthoritys) {
    const std::string bundle = issue("a");
    EXPECT_THAT(describe_certificates(bundle).value(),
                ElementsAre(Field(&CertificateInfo::authority, false),
                            Field(&CertificateInfo::authority, true)));
    EXPECT_THAT(bundle, HasSubstr(block(authority(), 1)));
    EXPECT_EQ(bundle.find(block(authority(), 0)), std::string::npos)
        << "the authority's key stays where it is";
}

TEST(Certificate, KeysAndSerialsDiffer) {
    EXPECT_NE(block(issue("a"), 0), block(issue("a"), 0));
    EXPECT_NE(check_node_certificate(issue("a"), now)->fingerprint,
              check_node_certificate(issue("a"), now)->fingerprint);
}

TEST(Certificate, ItDoesNotOutliveTheAuthority) {
    const std::string bundle = issue("a", {now - hours(48), now + hours(24 * 9999)});
    EXPECT_EQ(check_node_certificate(bundle, now)->validity, year);
}

TEST(Certificate, TimeIsChecked) {
    const std::string bundle = issue("a", {now, now + hours(1)});
    EXPECT_EQ(reason(bundle), "none");
    EXPECT_THAT(reason(bundle, now - hours(1)), HasSubstr("of a is not valid before 2030-03-17"));
    EXPECT_THAT(reason(bundle, now + hours(1)), HasSubstr("of a expired at 2030-03-17 18:46 UTC"));
    EXPECT_EQ(reason(bundle, now + hours(1) - std::chrono::seconds(1)), "none");
}

TEST(Certificate, PartsThatDoNotBelongTogetherAreRefused) {
    const std::string a = issue("a");
    const std::string other = make_authority("0123456789abcdef", year).value();
    EXPECT_THAT(reason(block(issue("a"), 0) + block(a, 1) + block(a, 2)),
                HasSubstr("do not belong together"));
    EXPECT_THAT(reason(block(a, 0) + block(a, 1)), HasSubstr("no authority in it has signed"));
    EXPECT_THAT(reason(block(a, 0) + block(a, 1) + block(other, 1)),
                HasSubstr("no authority in it has signed"));
    EXPECT_THAT(reason(block(a, 0) + block(a, 1) + block(other, 1) + block(a, 2)), "none")
        << "more than one authority may be trusted";
    EXPECT_THAT(reason(authority()), HasSubstr("not a node's"));
    EXPECT_THAT(reason("x"), HasSubstr("no private key"));
    EXPECT_THAT(reason(block(a, 0)), HasSubstr("no certificate"));
}

TEST(Certificate, ANodeCannotIssue) {
    const auto refused = issue_certificate(issue("a"), "b", year);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("not an authority's"));
}

TEST(Certificate, NamesOfNodes) {
    for (const char* name : {"a", "host1", "0", "a.b-c_d"}) {
        EXPECT_TRUE(is_node_name(name)) << name;
    }
    for (const std::string& name :
         {std::string(), std::string("-a"), std::string("a b"), std::string("a/b"),
          std::string(65, 'a'), std::string("a\0b", 3), std::string("\xc3\xa4")}) {
        EXPECT_FALSE(is_node_name(name)) << name;
        EXPECT_FALSE(issue_certificate(authority(), name, year)) << name;
    }
}

}  // namespace
}  // namespace braid::sys
