// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

namespace braid::test {

using namespace config;

namespace {

/// Hosts and their numbers are the same in all resources: h3 has 10.0.0.4.
Address address_of(unsigned host, unsigned network = 0) {
    return {false, fmt::format("10.{}.0.{}", network, host + 1), default_port};
}

}  // namespace

std::string ConfigSample::text() {
    constexpr std::string_view bytes = "ab \"\\;{}#\t\xc3\xa4/'";
    std::string text;
    for (unsigned length = below(12); length > 0; length--) {
        text += bytes[below(bytes.size())];
    }
    return text;
}

void ConfigSample::net(NetOptions& net) {
    if (chance(30)) {
        net.connect_int = Milliseconds(1000 + below(119001));
    }
    if (chance(30)) {
        net.streams = 1 + below(8);
    }
    if (chance(30)) {
        net.tls = !net.tls;
    }
    if (chance(30)) {
        net.data_integrity_alg = static_cast<Integrity>(below(3));
    }
}

void ConfigSample::disk(DiskOptions& disk) {
    if (chance(30)) {
        disk.c_max_rate = std::uint64_t{512} * below(1U << 31);
    }
    if (chance(30)) {
        disk.verify_rate = std::uint64_t{1} << (10 + below(31));
    }
    if (chance(30)) {
        disk.resync_compare = !disk.resync_compare;
    }
}

void ConfigSample::settings(Settings& settings) {
    ResourceOptions& options = settings.options;
    options.auto_promote = chance(50);
    options.on_no_quorum = static_cast<NoQuorum>(below(2));
    if (chance(50)) {
        options.lease = Milliseconds(100 + below(599901));
    }
    if (chance(50)) {
        options.promote_after = options.lease + Milliseconds(below(1000000));
    }
    if (chance(50)) {
        settings.net.timeout = Milliseconds(100 + below(20000));
        settings.net.request_timeout = settings.net.timeout + Milliseconds(below(500000));
    }
    if (chance(40)) {
        settings.vm.memory = (std::uint64_t{1} + below(4096)) << 20;
        settings.vm.vcpus = 1 + below(1024);
        settings.vm.ha = chance(50);
        settings.vm.cmdline = text();
        settings.vm.firmware = static_cast<Firmware>(below(2));
    }
    net(settings.net);
    disk(settings.disk);
    for (std::string* handler : {&settings.handlers.split_brain, &settings.handlers.degraded,
                                 &settings.handlers.fence_peer}) {
        if (chance(30)) {
            *handler = text();
        }
    }
}

void ConfigSample::hosts(Resource& resource, unsigned index) {
    std::array<unsigned, 32> ids{};
    std::iota(ids.begin(), ids.end(), 0U);
    std::ranges::shuffle(ids, random_);
    const unsigned count = 1 + below(6);
    const unsigned volumes = 1 + below(3);
    for (unsigned i = 0; i < count; i++) {
        Host host{fmt::format("h{}", i), ids.at(i), i > 0 && chance(20), address_of(i), {}};
        const bool diskful = i == 0 || chance(70);
        for (unsigned number = 0; !host.witness && number < volumes; number++) {
            const unsigned minor = index * 16 + number * 4;
            Volume volume{number * 7, minor, {}, {}};
            if (diskful) {
                volume.disk = fmt::format("/dev/vg/{} {}", resource.name, number);
                volume.meta_disk =
                    chance(30) ? fmt::format("/dev/md/{}_{}", resource.name, number) : "";
            }
            host.volumes.push_back(volume);
        }
        resource.hosts.push_back(host);
    }
}

void ConfigSample::connections(Resource& resource) {
    const auto count = static_cast<std::uint32_t>(resource.hosts.size());
    for (std::uint32_t a = 0; a + 1 < count; a += 2) {
        if (!chance(50)) {
            continue;
        }
        Connection connection{{a, a + 1}, {}, resource.settings.net, resource.settings.disk};
        if (a + 2 < count && chance(30)) {
            connection.hosts.push_back(a + 2);
            a++;
        }
        for (unsigned path = connection.hosts.size() == 2 ? below(3) : 0; path > 0; path--) {
            connection.paths.push_back({address_of(a, path), address_of(a + 1, path)});
        }
        net(connection.net);
        disk(connection.disk);
        resource.connections.push_back(connection);
    }
}

Resource ConfigSample::resource(unsigned index) {
    Resource resource;
    resource.name = fmt::format("r{}.x-_{}", index, below(10));
    settings(resource.settings);
    hosts(resource, index);
    connections(resource);
    const auto voters = std::ranges::count_if(
        resource.hosts, [](const Host& host) { return host.witness || host.diskful(); });
    if (voters == 2 && !resource.settings.handlers.fence_peer.empty() && chance(50)) {
        resource.settings.options.quorum = Quorum::off;
    }
    return resource;
}

Config ConfigSample::config(unsigned resources) {
    Config config;
    for (unsigned index = 0; index < resources; index++) {
        config.resources.push_back(resource(index));
    }
    return config;
}

}  // namespace braid::test
