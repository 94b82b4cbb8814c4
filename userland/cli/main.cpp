// SPDX-License-Identifier: GPL-2.0-or-later
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "cli/braidadm.h"
#include "sys/netlink_gen.h"

int main(int argc, char** argv) {
    using namespace braid;
    try {
        const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
        cli::Context context{std::cout,
                             std::cerr,
                             sys::KernelModule(std::string(netlink::family_name)),
                             &sys::NetlinkSocket::open,
                             &sys::BlockDevice::open,
                             std::make_shared<sys::LibBlkid>()};
        return static_cast<int>(cli::run(arguments, context));
    } catch (const std::exception& error) {
        std::cerr << "braidadm: internal error: " << error.what() << '\n';
        return static_cast<int>(cli::ExitCode::failure);
    }
}
