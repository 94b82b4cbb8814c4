// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmd/service.h"

#include <fmt/format.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <sstream>

#include "vmd/domain_xml.h"

namespace braid::vmd {

namespace {

using nlohmann::json;

/// Free memory changes all the time; what matters is roughly how much there is.
constexpr std::uint64_t memory_step = std::uint64_t{64} << 20;

const char* name_of(sys::Domain::State state) {
    return state == sys::Domain::State::running  ? "running"
           : state == sys::Domain::State::paused ? "paused"
                                                 : "off";
}

DomainSpec spec_in(const json& vm) {
    DomainSpec spec{.name = vm.at("name"),
                    .memory = vm.at("memory"),
                    .vcpus = vm.at("vcpus"),
                    .cpu = vm.at("cpu"),
                    .network = vm.at("network"),
                    .efi = vm.at("efi"),
                    .kernel = vm.at("kernel"),
                    .initrd = vm.at("initrd"),
                    .cmdline = vm.at("cmdline"),
                    .emulated = vm.at("emulated")};
    for (const json& each : vm.at("disks")) {
        spec.disks.push_back({each.at("device"), each.at("serial")});
    }
    return spec;
}

}  // namespace

std::uint64_t available_memory(const std::string& meminfo) {
    std::istringstream words(meminfo);
    for (std::string word; words >> word;) {
        std::uint64_t kib = 0;
        if (word == "MemAvailable:" && words >> kib) {
            return kib << 10;
        }
    }
    return 0;
}

void Service::say(const json& message) {
    const std::lock_guard lock(mutex_);
    write_(message.dump(-1, ' ', false, json::error_handler_t::replace));
}

sys::Result<std::string> Service::xml_of(const json& vm) {
    DomainSpec spec = spec_in(vm);
    const std::string file = vm.at("domain");
    if (!file.empty()) {
        auto text = read_file_(file);
        if (!text) {
            return tl::unexpected(text.error());
        }
        spec.text = std::move(*text);
    }
    auto xml = domain_xml(spec);
    if (!xml && !file.empty()) {
        return tl::unexpected(sys::Error{EINVAL, fmt::format("{}: {}", file, xml.error().message)});
    }
    return xml;
}

sys::Result<void> Service::carry_out(const json& request) {
    const std::string what = request.at("do");
    const std::string name = request.value("name", "");
    if (what == "start" || what == "check") {
        const auto xml = xml_of(request.at("vm"));
        if (!xml) {
            return tl::unexpected(xml.error());
        }
        return what == "start" ? hypervisor_.start(*xml) : hypervisor_.check(*xml);
    }
    if (what == "shutdown") {
        return hypervisor_.shutdown(name);
    }
    if (what == "destroy") {
        return hypervisor_.destroy(name);
    }
    if (what == "resume") {
        return hypervisor_.resume(name);
    }
    if (what == "abort") {
        return hypervisor_.abort(name);
    }
    if (what == "migrate") {
        return hypervisor_.migrate(name, request.at("uri"), request.at("tls"));
    }
    if (what == "progress") {
        if (const auto now = hypervisor_.progress(name)) {
            say({{"progress", {{"name", name}, {"done", now->done}, {"total", now->total}}}});
        }
        return {};
    }
    return tl::unexpected(sys::Error{EINVAL, fmt::format("'{}': no such request", what)});
}

void Service::handle(const std::string& line) {
    const json request = json::parse(line, nullptr, false);
    if (!request.is_object()) {
        return;
    }
    sys::Result<void> done;
    try {
        done = carry_out(request);
    } catch (const json::exception& error) {
        done = tl::unexpected(sys::Error{EINVAL, error.what()});
    }
    say({{"id", request.value("id", 0)},
         {"ok", done.has_value()},
         {"text", done ? "" : done.error().message}});
}

void Service::watch(std::chrono::milliseconds most) {
    const auto ended = hypervisor_.wait(most);
    const auto domains = hypervisor_.domains();
    json list = json::array();
    if (domains) {
        for (const sys::Domain& each : *domains) {
            list.push_back({{"name", each.name}, {"state", name_of(each.state)}});
        }
    }
    const auto meminfo = read_file_("/proc/meminfo");
    const std::uint64_t memory = meminfo ? available_memory(*meminfo) : 0;
    const json state{{"state",
                      {{"ok", domains.has_value()},
                       {"text", domains ? "" : domains.error().message},
                       {"memory", memory / memory_step * memory_step},
                       {"domains", list}}}};
    // Why something ended comes before that it is not there.
    for (const sys::DomainEnd& each : ended) {
        say({{"ended", {{"name", each.name}, {"why", each.why}}}});
    }
    if (std::string now = state.dump(-1, ' ', false, json::error_handler_t::replace);
        now != said_) {
        said_ = std::move(now);
        say(state);
    }
}

}  // namespace braid::vmd
