// SPDX-License-Identifier: GPL-2.0-or-later
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli_fixture.h"
#include "satellite/pki.h"

namespace braid::cli {
namespace {

using std::chrono::days;
using testing::HasSubstr;
using testing::Not;

class CertTest : public test::CliTest {
  protected:
    [[nodiscard]] std::string path(const std::string& name) const {
        return (root_.path() / name).string();
    }

    ExitCode cert(std::vector<std::string> arguments, const std::string& directory = "pki") {
        arguments.insert(arguments.begin(), "cert");
        arguments.insert(arguments.end(), {"--directory", path(directory)});
        return run(arguments);
    }

    [[nodiscard]] std::string content(const std::string& name) const {
        return sys::read_file(path(name)).value();
    }

    [[nodiscard]] unsigned mode(const std::string& name) const {
        struct stat status {};
        return stat(path(name).c_str(), &status) == 0 ? status.st_mode & 07777U : 0;
    }

    /// A cluster in pki/, and what node b needs in b.pem.
    void make_cluster() {
        ASSERT_EQ(cert({"init", "--node", "a"}), ExitCode::ok) << err();
        ASSERT_EQ(cert({"issue", "b", "--output", path("b.pem")}), ExitCode::ok) << err();
    }

    std::chrono::sys_seconds now_ =
        std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
};

TEST_F(CertTest, FromInitToAnotherNode) {
    make_cluster();
    EXPECT_THAT(out(), HasSubstr("Made cluster "));
    EXPECT_THAT(out(), HasSubstr("private key"));
    EXPECT_EQ(mode("pki"), 0700U);
    for (const char* file : {"pki/authority.pem", "pki/node.pem", "b.pem"}) {
        EXPECT_EQ(mode(file), 0600U) << file;
    }
    ASSERT_EQ(cert({"install", path("b.pem"), "--node", "b"}, "of-b"), ExitCode::ok) << err();
    EXPECT_EQ(content("of-b/node.pem"), content("b.pem"));
    EXPECT_FALSE(std::filesystem::exists(path("of-b/authority.pem")));
    EXPECT_THAT(out(), HasSubstr("Delete " + path("b.pem")));
}

TEST_F(CertTest, NothingIsOverwrittenWithoutForce) {
    make_cluster();
    const std::string authority = content("pki/authority.pem");
    const std::string carried = content("b.pem");
    EXPECT_EQ(cert({"init", "--node", "a"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("authority.pem: is there already"));
    EXPECT_EQ(cert({"issue", "b", "--output", path("b.pem")}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("--force"));
    EXPECT_EQ(cert({"install", path("b.pem"), "--node", "b"}, "of-b"), ExitCode::ok);
    EXPECT_EQ(cert({"install", path("b.pem"), "--node", "b"}, "of-b"), ExitCode::failure);
    EXPECT_EQ(content("pki/authority.pem"), authority);
    EXPECT_EQ(content("b.pem"), carried);

    EXPECT_EQ(cert({"issue", "b", "--output", path("b.pem"), "--force"}), ExitCode::ok);
    EXPECT_NE(content("b.pem"), carried);
    EXPECT_EQ(cert({"install", path("b.pem"), "--node", "b", "--force"}, "of-b"), ExitCode::ok);
    EXPECT_EQ(content("of-b/node.pem"), content("b.pem"));
    EXPECT_EQ(cert({"init", "--node", "a", "--force"}), ExitCode::ok);
    EXPECT_NE(content("pki/authority.pem"), authority);
}

TEST_F(CertTest, WithoutAFileItGoesThroughAPipe) {
    make_cluster();
    ASSERT_EQ(cert({"issue", "b", "--output", "-"}), ExitCode::ok) << err();
    std::string bundle = out().substr(out().find("-----BEGIN"));
    context_.read_input = [&] { return bundle; };
    ASSERT_EQ(cert({"install", "-", "--node", "b"}, "of-b"), ExitCode::ok) << err();
    EXPECT_EQ(content("of-b/node.pem"), bundle);
    context_.read_input = [] { return std::string("nonsense"); };
    EXPECT_EQ(cert({"install", "-", "--node", "b", "--force"}, "of-b"), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("standard input"));
    EXPECT_EQ(content("of-b/node.pem"), bundle) << "nothing is lost";
}

TEST_F(CertTest, SeveralNodesGetAFileEach) {
    make_cluster();
    EXPECT_EQ(cert({"issue", "c", "d", "--output", path("x")}), ExitCode::usage);
    EXPECT_THAT(err(), HasSubstr("--output is for one node"));
    EXPECT_FALSE(std::filesystem::exists(path("x")));
}

TEST_F(CertTest, AnotherNodesFileIsRefused) {
    make_cluster();
    EXPECT_EQ(cert({"install", path("b.pem"), "--node", "c"}, "of-c"), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("b.pem: is for node b, but this node is c"));
    EXPECT_FALSE(std::filesystem::exists(path("of-c/node.pem")));
}

TEST_F(CertTest, IssuingNeedsTheAuthority) {
    EXPECT_EQ(cert({"issue", "b"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("authority.pem: cannot be opened"));
    EXPECT_THAT(err(), HasSubstr("where 'braidadm cert init' was run"));
    EXPECT_EQ(cert({"renew"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("cert issue"));
}

TEST_F(CertTest, ANameThatCannotBeANodesMakesNothing) {
    EXPECT_EQ(cert({"init", "--node", "a b"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("'a b' is not a node's name"));
    EXPECT_FALSE(std::filesystem::exists(path("pki")));
}

TEST_F(CertTest, RenewReplacesTheNodesAndKeepsTheAuthority) {
    make_cluster();
    const std::string authority = content("pki/authority.pem");
    const std::string node = content("pki/node.pem");
    EXPECT_EQ(cert({"renew", "--node", "a", "--days", "30"}), ExitCode::ok) << err();
    EXPECT_EQ(content("pki/authority.pem"), authority);
    EXPECT_NE(content("pki/node.pem"), node);
    EXPECT_EQ(cert({"show"}), ExitCode::ok);
    // A second later it is less than 30 days.
    EXPECT_THAT(err(), testing::AnyOf(HasSubstr("warning: node a: expires in 30 days"),
                                      HasSubstr("warning: node a: expires in 29 days")));
}

TEST_F(CertTest, ShowTellsBothInJson) {
    make_cluster();
    ASSERT_EQ(cert({"init", "--node", "a", "--force"}), ExitCode::ok);
    const std::string before = out();
    ASSERT_EQ(cert({"show", "--json"}), ExitCode::ok);
    const auto json = nlohmann::json::parse(out().substr(before.size()));
    ASSERT_EQ(json.size(), 2U) << "the authority is told once";
    EXPECT_EQ(json[0]["kind"], "node");
    EXPECT_EQ(json[0]["name"], "a");
    EXPECT_NEAR(json[0]["days-left"].get<int>(), 3 * 365, 1);
    EXPECT_EQ(json[1]["kind"], "authority");
    EXPECT_EQ(json[0]["cluster"], json[1]["cluster"]);
    EXPECT_THAT(err(), Not(HasSubstr("warning")));
}

TEST_F(CertTest, ShowFailsWithoutOrWithExpiredOnes) {
    EXPECT_EQ(cert({"show"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("this node has no certificate"));
    const auto past = now_ - days(4 * 365);
    ASSERT_TRUE(satellite::Pki(path("pki")).init("a", sys::Existing::refuse, past));
    EXPECT_EQ(cert({"show"}), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("warning: node a: expired"));
    EXPECT_THAT(err(), HasSubstr("node a: the certificate has expired"));
    EXPECT_EQ(cert({"install", path("pki/node.pem"), "--node", "a"}, "of-a"), ExitCode::failure);
    EXPECT_THAT(err(), HasSubstr("the certificate of a expired at"));
}

TEST_F(CertTest, ACrashBetweenTheTwoFilesOfInitIsMendedByRenew) {
    make_cluster();
    std::filesystem::remove(path("pki/node.pem"));
    EXPECT_EQ(cert({"renew", "--node", "a"}), ExitCode::ok) << err();
    EXPECT_EQ(mode("pki/node.pem"), 0600U);
}

TEST_F(CertTest, ClocksMayDiffer) {
    make_cluster();
    const auto info = satellite::Pki(path("pki")).show()->front();
    EXPECT_LE(info.validity.from, now_ - std::chrono::hours(23));
}

TEST_F(CertTest, WrongCommandLines) {
    EXPECT_EQ(run({"cert"}), ExitCode::usage);
    EXPECT_EQ(run({"cert", "shwo"}), ExitCode::usage);
    EXPECT_EQ(run({"cert", "issue"}), ExitCode::usage);
    EXPECT_EQ(run({"cert", "show", "x"}), ExitCode::usage);
    EXPECT_EQ(cert({"renew", "--days", "0"}), ExitCode::usage);
}

}  // namespace
}  // namespace braid::cli
