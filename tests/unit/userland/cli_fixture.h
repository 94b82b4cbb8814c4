// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <gmock/gmock.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cli/braidadm.h"
#include "sys/blkid_mock.h"
#include "sys/netlink_mock.h"
#include "temporary_directory.h"

namespace braid::test {

/// Runs braidadm on a made-up host: kernel 6.1.0-9, with the files in `root_` and
/// netlink as `netlink_` answers it.
class CliTest : public testing::Test {
  protected:
    CliTest() {
        root_.write("sys/module/loop/initstate", "live\n");
        context_.ask_daemon = [](const std::string&,
                                 std::chrono::milliseconds) -> sys::Result<std::string> {
            return tl::unexpected(sys::Error{ENOENT, "/run/braid/satellite.sock: no such file"});
        };
        context_.open_events = []() -> sys::NetlinkResult<std::unique_ptr<sys::NetlinkEvents>> {
            ADD_FAILURE() << "events must not be opened here";
            return tl::unexpected(sys::NetlinkError{});
        };
        context_.terminal = false;
    }

    cli::ExitCode run(const std::vector<std::string>& arguments) {
        return cli::run(arguments, context_);
    }

    [[nodiscard]] std::string out() const { return out_.str(); }
    [[nodiscard]] std::string err() const { return err_.str(); }
    void forget_output() {
        out_.str("");
        err_.str("");
    }

    TemporaryDirectory root_;
    /// Handed over when the verb opens its socket; without it opening fails the test.
    std::unique_ptr<testing::StrictMock<sys::NetlinkMock>> netlink_;

    /// Finds nothing, unless told otherwise.
    std::shared_ptr<testing::NiceMock<sys::BlkidMock>> blkid_ =
        std::make_shared<testing::NiceMock<sys::BlkidMock>>();
    std::function<sys::Result<std::unique_ptr<sys::BlockDevice>>(const std::string&,
                                                                 sys::BlockDevice::Access)>
        open_device_ = &sys::BlockDevice::open;

  private:
    sys::NetlinkResult<std::unique_ptr<sys::Netlink>> open() {
        if (netlink_ == nullptr) {
            ADD_FAILURE() << "netlink must not be opened here";
            return tl::unexpected(sys::NetlinkError{});
        }
        return std::move(netlink_);
    }

    std::ostringstream out_;
    std::ostringstream err_;

  protected:
    cli::Context context_{out_,
                          err_,
                          sys::KernelModule("braid", "6.1.0-9", root_.path()),
                          [this] { return open(); },
                          [this](const std::string& path, sys::BlockDevice::Access access) {
                              return open_device_(path, access);
                          },
                          blkid_};
};

}  // namespace braid::test
