// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli_fixture.h"
#include "module_reply.h"
#include "sys/braid_client.h"

namespace braid::cli {
namespace {

using nlohmann::json;
using testing::_;
using testing::ByMove;
using testing::HasSubstr;
using testing::Return;
using testing::StartsWith;
using testing::StrictMock;
using Kind = sys::NetlinkError::Kind;

const std::string tool_line = "braidadm:  " TEST_VERSION " (netlink API 1)\n";

class VersionTest : public test::CliTest {
  protected:
    void load_module() {
        root_.write("sys/module/braid/version", "0.9.0\n");
        netlink_ = std::make_unique<StrictMock<sys::NetlinkMock>>();
        EXPECT_CALL(*netlink_, resolve(_)).WillRepeatedly(Return(test::family_id));
    }
    void load_module(sys::NetlinkMock::Replies replies) {
        load_module();
        EXPECT_CALL(*netlink_, transact(_)).WillOnce(Return(ByMove(std::move(replies))));
    }
    void load_module_that_refuses(int number, const std::string& message,
                                  std::vector<std::uint16_t> attribute = {}) {
        load_module(tl::unexpected(
            sys::NetlinkError{Kind::refused, number, message, std::move(attribute)}));
    }
};

TEST_F(VersionTest, ShowsToolAndModule) {
    load_module(test::module_reply());
    EXPECT_EQ(run({"version"}), ExitCode::ok);
    EXPECT_EQ(err(), "");
    EXPECT_EQ(out(), tool_line +
                         "module:    0.9.1 (netlink API 1 to 3, in use 2)\n"
                         "protocol:  4 to 5\n"
                         "features:  ktls\n");
}

TEST_F(VersionTest, SaysThatThereAreNoFeatures) {
    load_module(test::module_reply(0, 0));
    EXPECT_EQ(run({"version"}), ExitCode::ok);
    EXPECT_THAT(out(), HasSubstr("features:  none\n"));
}

TEST_F(VersionTest, JsonHasTheDocumentedFields) {
    load_module(test::module_reply());
    EXPECT_EQ(run({"version", "--json"}), ExitCode::ok);
    EXPECT_EQ(json::parse(out()), json::parse(R"({
        "tool": {"version": ")" TEST_VERSION R"(", "api-min": 1, "api-max": 1},
        "kernel": {"release": "6.1.0-9"},
        "module": {"loaded": true, "version": "0.9.1", "api-min": 1, "api-max": 3,
                   "api-version": 2, "protocol-min": 4, "protocol-max": 5,
                   "features": ["ktls"]}})"));
}

TEST_F(VersionTest, NotInstalledNamesTheKernelAndThePackages) {
    EXPECT_EQ(run({"version"}), ExitCode::module_not_loaded);
    EXPECT_EQ(out(), tool_line);
    EXPECT_EQ(err(),
              "braidadm: kernel module braid: not loaded, and not installed for the running "
              "kernel 6.1.0-9\n"
              "Install it with 'apt install braid-dkms linux-headers-6.1.0-9', then load it "
              "with 'modprobe braid'.\n");
}

TEST_F(VersionTest, InstalledButNotLoadedSaysHowToLoad) {
    root_.write("lib/modules/6.1.0-9/modules.dep", "updates/dkms/braid.ko:\n");
    EXPECT_EQ(run({"version"}), ExitCode::module_not_loaded);
    EXPECT_EQ(out(), tool_line);
    EXPECT_EQ(err(),
              "braidadm: kernel module braid: not loaded\n"
              "Load it with 'modprobe braid'.\n");
}

TEST_F(VersionTest, JsonTellsNotInstalledFromNotLoaded) {
    root_.write("lib/modules/6.1.0-9/modules.dep", "updates/dkms/braid.ko:\n");
    EXPECT_EQ(run({"version", "--json"}), ExitCode::module_not_loaded);
    EXPECT_EQ(json::parse(out())["module"], json::parse(R"({"loaded": false, "installed": true})"));
    EXPECT_THAT(err(), HasSubstr("not loaded"));
}

TEST_F(VersionTest, ABrokenModuleIndexIsNamed) {
    root_.write("lib/modules/6.1.0-9/modules.alias", "");
    EXPECT_EQ(run({"version"}), ExitCode::module_not_loaded);
    EXPECT_THAT(err(), HasSubstr("6.1.0-9/modules.dep: No such file"));
    EXPECT_THAT(err(), HasSubstr("depmod"));
}

TEST_F(VersionTest, WithoutSysfsNothingIsClaimedAboutTheModule) {
    std::filesystem::remove_all(root_.path() / "sys");
    EXPECT_EQ(run({"version", "--json"}), ExitCode::failure);
    EXPECT_EQ(json::parse(out())["module"], json::object());
    EXPECT_THAT(err(), HasSubstr("sysfs is not mounted"));
}

TEST_F(VersionTest, WithoutPrivilegeShowsWhatSysfsTells) {
    load_module_that_refuses(EPERM, "");
    EXPECT_EQ(run({"version"}), ExitCode::failure);
    EXPECT_EQ(out(), tool_line + "module:    0.9.0\n");
    EXPECT_EQ(
        err(),
        "braidadm: kernel module braid: only root may ask it for more than its version: "
        "Operation not permitted\n"
        "Run braidadm as root (CAP_NET_ADMIN and CAP_SYS_ADMIN in the initial user namespace).\n");
}

TEST_F(VersionTest, AnApiMismatchShowsTheKernelsText) {
    load_module_that_refuses(EPROTONOSUPPORT, "this module speaks versions 7 to 9");
    EXPECT_EQ(run({"version"}), ExitCode::failure);
    EXPECT_EQ(out(), tool_line + "module:    0.9.0\n");
    EXPECT_THAT(err(),
                StartsWith("braidadm: kernel module braid: this module speaks versions 7 to 9\n"
                           "Install braid-utils and braid-dkms of the same version"));
}

TEST_F(VersionTest, AnyOtherRefusalNamesTheAttribute) {
    load_module_that_refuses(EINVAL, "must be at least 1", {netlink::attr::module::api_min});
    EXPECT_EQ(run({"version"}), ExitCode::failure);
    EXPECT_EQ(err(), "braidadm: kernel module braid: api-min: must be at least 1\n");
}

TEST_F(VersionTest, AMissingFamilyIsExplained) {
    root_.write("sys/module/braid/version", "0.9.0\n");
    netlink_ = std::make_unique<StrictMock<sys::NetlinkMock>>();
    EXPECT_CALL(*netlink_, resolve(_))
        .WillOnce(Return(tl::unexpected(sys::NetlinkError{Kind::no_family, ENOENT, "", {}})));
    EXPECT_EQ(run({"version"}), ExitCode::failure);
    EXPECT_THAT(err(), StartsWith("braidadm: netlink family braid: does not exist in this network "
                                  "namespace, although the module is loaded\n"));
}

}  // namespace
}  // namespace braid::cli
