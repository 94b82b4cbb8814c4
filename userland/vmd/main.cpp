// SPDX-License-Identifier: GPL-2.0-or-later
//
// braid-vmd: what the node daemon has of libvirt. Started by it, with the path of its socket; ends
// when that is closed. It may be killed at any time, and knows nothing that libvirt does not.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>

#include "sys/fd.h"
#include "sys/file_content.h"
#include "sys/libvirt_client.h"
#include "vmd/service.h"

namespace {

using namespace braid;

/// How often is looked, also without an event of libvirt.
constexpr std::chrono::milliseconds look_interval{1000};

sys::Fd connect(const std::string& path) {
    sys::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (!fd || path.size() >= sizeof(address.sun_path)) {
        return {};
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return {};
    }
    return fd;
}

void write_line(int fd, const std::string& line) {
    const std::string all = line + '\n';
    for (std::size_t sent = 0; sent < all.size();) {
        const ssize_t count = ::send(fd, all.data() + sent, all.size() - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            ::_exit(0);  // the daemon has gone
        }
        sent += count < 0 ? 0 : static_cast<std::size_t>(count);
    }
}

void serve(int fd, vmd::Service& service) {
    std::string input;
    std::array<char, 4096> part{};
    for (;;) {
        const ssize_t count = ::recv(fd, part.data(), part.size(), 0);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return;
        }
        input.append(part.data(), static_cast<std::size_t>(count));
        for (auto end = input.find('\n'); end != std::string::npos; end = input.find('\n')) {
            std::thread([&service, line = input.substr(0, end)] { service.handle(line); }).detach();
            input.erase(0, end + 1);
        }
    }
}

int start(const std::string& path, const std::string& uri) {
    const sys::Fd fd = connect(path);
    if (!fd) {
        std::cerr << "braid-vmd: " << path << ": " << std::strerror(errno)
                  << "; it is started by braid-satellite\n";
        return 1;
    }
    const auto hypervisor = sys::open_libvirt(uri);
    vmd::Service service(
        *hypervisor, [&fd](const std::string& line) { write_line(fd.get(), line); },
        [](const std::string& file) { return sys::read_file(file); });
    std::thread([&service] {
        for (;;) {
            service.watch(look_interval);
        }
    }).detach();
    serve(fd.get(), service);
    // Threads may be in the middle of something that takes any time.
    ::_exit(0);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2 || argc > 3 || std::string_view(argv[1]).starts_with('-')) {
        std::cerr << "braid-vmd: is started by braid-satellite: braid-vmd SOCKET [URI]\n";
        return 2;
    }
    try {
        return start(argv[1], argc == 3 ? argv[2] : "qemu:///system");
    } catch (const std::exception& error) {
        std::cerr << "braid-vmd: internal error: " << error.what() << '\n';
        return 1;
    }
}
