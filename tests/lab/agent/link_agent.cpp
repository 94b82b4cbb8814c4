// SPDX-License-Identifier: GPL-2.0-or-later
//
// A node's connections without a satellite around them, for tests: link_agent CREDENTIALS
//
// Reads a JSON object a line and answers each with one:
//
//     {"apply": {"name": N, "port": N, "listen": [IP], "peers": [{"name": N, "paths": [[LOCAL,
//       REMOTE]]}], "links": [{"resource": R, "peer": N, "node": ID, "streams": N, "transport":
//       "ktls"|"plain", "key-limit": BYTES}]}}         -> {} or {"error": WHY}
//     {"send": [PEER, TEXT]}                          -> {"sent": BOOL}
//     {"key-used": [RESOURCE, NODE, STREAM]}          -> {}
//     {"network-changed": true}                       -> {}
//     {"state": true}  -> {"peers": {NAME: ADDRESS or null}, "links": {RESOURCE/NODE: {"up",
//     "session",
//                         "why"}}, "messages": [...], "log": [...], "rss-kb": N}
//
// Looks at the kernel's connections ten times a second, in place of its events.
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "satellite/network.h"
#include "sys/netlink.h"

namespace {

using namespace braid;
using nlohmann::json;
using satellite::NetworkSettings;

constexpr std::chrono::milliseconds look_interval{100};

NetworkSettings settings_of(const json& from) {
    const auto port = from.at("port").get<std::uint16_t>();
    const auto address = [port](const json& ip) {
        return sys::Address::parse(ip.get<std::string>(), port).value();
    };
    NetworkSettings settings;
    settings.name = from.at("name").get<std::string>();
    for (const json& ip : from.at("listen")) {
        settings.listen.push_back(address(ip));
    }
    for (const json& peer : from.at("peers")) {
        auto& made = settings.peers.emplace_back();
        made.name = peer.at("name").get<std::string>();
        for (const json& path : peer.at("paths")) {
            made.paths.push_back({address(path.at(0)), address(path.at(1))});
        }
    }
    for (const json& link : from.at("links")) {
        auto& made = settings.links.emplace_back();
        made.resource = link.at("resource").get<std::string>();
        made.peer = link.at("peer").get<std::string>();
        made.node = link.at("node").get<std::uint32_t>();
        made.streams = link.at("streams").get<std::uint32_t>();
        made.transport = link.at("transport") == "plain" ? satellite::Transport::plain
                                                         : satellite::Transport::ktls;
        if (link.contains("key-limit")) {
            made.key_limit = link.at("key-limit").get<std::uint64_t>();
        }
    }
    return settings;
}

long resident_kb() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word && word != "VmRSS:") {
    }
    long kb = 0;
    status >> kb;
    return kb;
}

class Agent {
  public:
    Agent(std::unique_ptr<sys::Netlink> netlink, const std::string& credentials)
        : netlink_(std::move(netlink)),
          client_(*netlink_),
          look_(loop_),
          network_(loop_, client_, credentials,
                   [this] { return std::uint64_t{random_()} << 32 | random_(); },
                   {[](const std::string&) {}, [](const std::string&, const std::string&) {},
                    [this](const std::string& peer, const std::string& message) {
                        messages_.push_back(peer + ": " + message);
                    },
                    [this](const satellite::Subject& about, const std::string& text) {
                        log_.push_back(about.resource + "/" + about.peer + ": " + text);
                    }}) {
        loop_.watch(0, EPOLLIN, [this] { read(); });
        look();
    }

    void run() { loop_.run(); }

  private:
    void read() {
        std::array<char, 4096> room{};
        const ssize_t got = ::read(0, room.data(), room.size());
        if (got <= 0) {
            loop_.stop();
            return;
        }
        input_.append(room.data(), static_cast<std::size_t>(got));
        for (auto end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
            const json command = json::parse(input_.substr(0, end));
            input_.erase(0, end + 1);
            std::cout << answer(command).dump() << std::endl;
        }
    }

    json answer(const json& command) {
        if (command.contains("apply")) {
            settings_ = settings_of(command["apply"]);
            const auto done = network_.apply(settings_);
            return done ? json::object() : json{{"error", done.error().message}};
        }
        if (command.contains("send")) {
            return {{"sent", network_.send(command["send"][0].get<std::string>(),
                                           command["send"][1].get<std::string>())}};
        }
        if (command.contains("key-used")) {
            const json& what = command["key-used"];
            network_.key_used(what[0].get<std::string>(), what[1].get<std::uint32_t>(),
                              what[2].get<std::uint32_t>());
            return json::object();
        }
        if (command.contains("network-changed")) {
            network_.network_changed();
            return json::object();
        }
        return state();
    }

    json state() const {
        json peers = json::object();
        for (const auto& peer : settings_.peers) {
            const auto* control = network_.control(peer.name);
            peers[peer.name] = control->is_up() ? json(control->address()) : json();
        }
        json links = json::object();
        for (const auto& link : settings_.links) {
            const auto* made = network_.link(link.resource, link.node);
            links[link.resource + "/" + std::to_string(link.node)] = {
                {"up", made->is_up()}, {"session", made->session()}, {"why", made->why()}};
        }
        return {{"peers", peers},
                {"links", links},
                {"messages", messages_},
                {"log", log_},
                {"rss-kb", resident_kb()}};
    }

    void look() {
        for (const auto& link : settings_.links) {
            network_.link_changed(link.resource, link.node);
        }
        look_.start(look_interval, [this] { look(); });
    }

    sys::EventLoop loop_;
    std::random_device random_;
    std::unique_ptr<sys::Netlink> netlink_;
    sys::BraidClient client_;
    sys::Timer look_;
    NetworkSettings settings_;
    std::vector<std::string> messages_;
    std::vector<std::string> log_;
    satellite::Network network_;
    std::string input_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: link_agent CREDENTIALS\n";
        return 2;
    }
    try {
        auto netlink = sys::NetlinkSocket::open();
        if (!netlink) {
            std::cerr << "link_agent: " << netlink.error().cause() << '\n';
            return 1;
        }
        Agent(std::move(*netlink), argv[1]).run();
    } catch (const std::exception& error) {
        std::cerr << "link_agent: " << error.what() << '\n';
        return 1;
    }
}
