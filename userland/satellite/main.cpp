// SPDX-License-Identifier: GPL-2.0-or-later
//
// braid-satellite, the node daemon: braid-satellite(8).
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "config/load.h"
#include "satellite/admin.h"
#include "satellite/handlers.h"
#include "satellite/kernel_watch.h"
#include "satellite/node.h"
#include "satellite/pki.h"
#include "satellite/pool_watch.h"
#include "sys/command.h"
#include "sys/config_files.h"
#include "sys/file_content.h"
#include "sys/local_socket.h"
#include "sys/route_events.h"
#include "sys/service_manager.h"

namespace {

using namespace braid;

struct Options {
    std::string config = "/etc/braid.conf";
    std::string host = sys::host_name();
    std::string pki = satellite::pki_directory;
    std::string state = "/var/lib/braid";
    std::string socket = sys::daemon_socket;
    bool no_lock = false;
};

/// How often the certificate's end is looked at.
constexpr std::chrono::hours certificate_interval{24};
/// How often the service manager is told the status.
constexpr std::chrono::seconds status_interval{5};

sys::Result<config::Config> load_config(const std::string& file) {
    config::Loaded loaded = config::load(
        file, {[](const std::string& path) { return sys::read_file(path, config::file_bytes_max); },
               &sys::match_paths});
    if (!loaded.has_errors()) {
        return std::move(loaded.config);
    }
    std::string all;
    for (const config::Diagnostic& each : loaded.diagnostics) {
        if (each.severity == config::Diagnostic::Severity::error) {
            all += (all.empty() ? "" : "\n") + to_string(each);
        }
    }
    return tl::unexpected(sys::Error{EINVAL, all});
}

std::uint64_t random_bits() {
    static std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

membership::Moment moment() {
    timespec boot{};
    ::clock_gettime(CLOCK_BOOTTIME, &boot);
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    return {.now_ms = std::int64_t{boot.tv_sec} * 1000 + boot.tv_nsec / 1000000,
            .wall_ms = std::chrono::duration_cast<std::chrono::milliseconds>(wall).count(),
            .random = random_bits()};
}

class Daemon {
  public:
    Daemon(std::unique_ptr<sys::Netlink> netlink, sys::RouteEvents route, const Options& options);

    sys::Result<void> listen() { return admin_.listen(options_.socket); }
    void run();

  private:
    satellite::Node::Environment environment();
    void journal(bool warning, const satellite::Subject& about, const std::string& text);
    void reload();
    void alive(std::chrono::microseconds interval);
    void status();
    void look_at_certificate();
    void run_braidadm(const std::vector<std::string>& words,
                      const std::function<void(const sys::ProcessEnd&)>& ended);

    Options options_;
    sys::Journal journal_;
    std::unique_ptr<sys::Netlink> netlink_;
    sys::RouteEvents route_;
    sys::EventLoop loop_;
    sys::BraidClient client_;
    sys::Timer alive_;
    sys::Timer status_;
    sys::Timer certificate_;
    std::string shown_;
    /// Resources whose handlers are known.
    std::vector<std::string> handled_;
    satellite::Handlers handlers_;
    sys::LibDevmapper devmapper_;
    satellite::PoolWatch pools_;
    std::vector<config::Pool> pools_read_;  ///< with the configuration that is being taken over
    std::map<std::uint64_t, std::unique_ptr<sys::Process>> commands_;
    std::uint64_t next_command_ = 0;
    satellite::Node node_;
    satellite::Admin admin_;
    satellite::KernelWatch kernel_;
};

Daemon::Daemon(std::unique_ptr<sys::Netlink> netlink, sys::RouteEvents route,
               const Options& options)
    : options_(options),
      netlink_(std::move(netlink)),
      route_(std::move(route)),
      client_(*netlink_),
      alive_(loop_),
      status_(loop_),
      certificate_(loop_),
      handlers_(
          loop_, options.host,
          [this](sys::Priority priority, const std::string& text,
                 const sys::Journal::Fields& fields) { journal_.write(priority, text, fields); }),
      pools_({.loop = loop_,
              .pools = devmapper_,
              .journal =
                  [this](bool warning, const std::string& pool, const std::string& text) {
                      journal_.write(warning ? sys::Priority::warning : sys::Priority::info, text,
                                     {{"BRAID_POOL", pool}});
                  },
              .braidadm =
                  [this](const std::vector<std::string>& words,
                         std::function<void(const sys::ProcessEnd&)> ended) {
                      run_braidadm(words, ended);
                  }}),
      node_(environment(), {options.host, satellite::Pki(options.pki).node_file(), options.state}),
      admin_(loop_,
             [this](satellite::Admin::Id id, const std::string& line) { node_.ask(id, line); }),
      kernel_(loop_, &sys::NetlinkSubscription::open,
              {[this](const sys::KernelEvent& event) {
                   handlers_.kernel_event(event);
                   pools_.kernel_event(event);
                   node_.kernel_event(event);
               },
               [this] {
                   client_.forget_family();
                   node_.kernel_changed();
               },
               [this](const std::string& why) { journal(true, {}, "kernel events: " + why); }}) {
    loop_.on_signals({SIGTERM, SIGINT, SIGHUP}, [this](int signal) {
        if (signal == SIGHUP) {
            reload();
        } else {
            loop_.stop();
        }
    });
    loop_.watch(route_.fd(), EPOLLIN, [this] {
        if (route_.drain()) {
            node_.network_changed();
        }
    });
}

satellite::Node::Environment Daemon::environment() {
    return {
        .loop = loop_,
        .kernel = client_,
        .load =
            [this] {
                auto loaded = load_config(options_.config);
                pools_read_ = loaded ? loaded->pools : pools_read_;
                return loaded;
            },
        .random = &random_bits,
        .moment = &moment,
        .journal = [this](bool warning, const satellite::Subject& about,
                          const std::string& text) { journal(warning, about, text); },
        .answer = [this](satellite::Node::RequestId id,
                         const std::string& line) { admin_.answer(id, line); },
        .configured =
            [this](const std::vector<config::NodeResource>& resources) {
                for (const std::string& name : std::exchange(handled_, {})) {
                    if (std::ranges::find(resources, name, &config::NodeResource::name) ==
                        resources.end()) {
                        handlers_.remove(name);
                    }
                }
                for (const config::NodeResource& each : resources) {
                    handlers_.update(each);
                    handled_.push_back(each.name);
                }
                pools_.configure(pools_read_, resources);
            },
        .fence =
            [this](const std::string& resource, membership::NodeId peer,
                   std::function<void(bool)> done) {
                handlers_.fence(resource, peer, std::move(done));
            },
        .quorum_lost = [this](const std::string& resource) { handlers_.quorum_lost(resource); },
        .forked = [this](const std::string& resource,
                         membership::NodeId peer) { handlers_.split_brain(resource, peer); },
        .seen = [this](const sys::ResourceView& replies) { handlers_.kernel_state(replies); },
    };
}

/// The one that was installed with this program.
void Daemon::run_braidadm(const std::vector<std::string>& words,
                          const std::function<void(const sys::ProcessEnd&)>& ended) {
    std::error_code none;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", none);
    std::vector<std::string> all{(self.parent_path() / "braidadm").string()};
    all.insert(all.end(), words.begin(), words.end());
    all.insert(all.end(), {"--config-file", options_.config});
    sys::Process::Setup setup{"exec " + sys::shell_command(all)};
    setup.limit = std::chrono::seconds(120);
    const std::uint64_t number = next_command_++;
    auto process = sys::Process::start(
        loop_, std::move(setup), [this, number, ended](const sys::ProcessEnd& end) {
            loop_.dispose(std::move(commands_.extract(number).mapped()));
            ended(end);
        });
    if (process) {
        commands_[number] = std::move(*process);
        return;
    }
    // From the loop, as if it had run.
    const sys::ProcessEnd end{.number = 1, .output = {process.error().message}};
    loop_.after(sys::EventLoop::Clock::duration::zero(), [ended, end] { ended(end); });
}

void Daemon::journal(bool warning, const satellite::Subject& about, const std::string& text) {
    sys::Journal::Fields fields;
    if (!about.resource.empty()) {
        fields.emplace_back("BRAID_RESOURCE", about.resource);
    }
    if (!about.peer.empty()) {
        fields.emplace_back("BRAID_PEER", about.peer);
    }
    journal_.write(warning ? sys::Priority::warning : sys::Priority::info, text, fields);
}

void Daemon::reload() {
    sys::notify_reloading();
    if (const auto loaded = node_.load(); !loaded) {
        journal(true, {},
                options_.config + " is not taken over, all goes on as it was:\n" +
                    loaded.error().message);
    }
    look_at_certificate();
    sys::notify_ready();
}

void Daemon::alive(std::chrono::microseconds interval) {
    sys::notify_alive();
    alive_.start(interval, [this, interval] { alive(interval); });
}

void Daemon::status() {
    if (const std::string now = node_.summary(); now != shown_) {
        shown_ = now;
        sys::notify_status(now);
    }
    status_.start(status_interval, [this] { status(); });
}

/// Says what will keep peers from believing this node, or does already.
void Daemon::look_at_certificate() {
    const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
    const satellite::Pki pki(options_.pki);
    const auto found = pki.show();
    if (!found) {
        journal(true, {}, "certificate: " + found.error().message);
    } else if (found->empty()) {
        journal(true, {},
                pki.node_file() + ": there is none, so no peer can be reached: 'braidadm cert'");
    } else {
        if (found->front().node != options_.host) {
            journal(true, {},
                    fmt::format("{} is for {}, but this host is {}", pki.node_file(),
                                found->front().node, options_.host));
        }
        if (const auto end = satellite::expiry(found->front(), now)) {
            journal(true, {}, pki.node_file() + " " + *end + ": 'braidadm cert renew'");
        }
    }
    certificate_.start(certificate_interval, [this] { look_at_certificate(); });
}

void Daemon::run() {
    if (const auto loaded = node_.load(); !loaded) {
        // It can be mended while this runs; a daemon that does not start can be asked nothing.
        journal(
            true, {},
            options_.config + ": nothing runs before this is mended:\n" + loaded.error().message);
    }
    look_at_certificate();
    if (const auto interval = sys::watchdog_interval()) {
        alive(*interval);
    }
    status();
    sys::notify_ready();
    loop_.run();
    sys::notify_stopping();
}

int serve(const Options& options) {
    auto netlink = sys::NetlinkSocket::open();
    auto route = sys::RouteEvents::open();
    if (!netlink || !route) {
        std::cerr << "braid-satellite: netlink: "
                  << (netlink ? route.error().message : netlink.error().cause()) << '\n';
        return 1;
    }
    Daemon daemon(std::move(*netlink), std::move(*route), options);
    if (const auto listening = daemon.listen(); !listening) {
        std::cerr << "braid-satellite: " << listening.error().message
                  << (listening.error().number == EADDRINUSE ? "; is another one running?" : "")
                  << '\n';
        return 1;
    }
    // What it would page from may be the disk that waits for it.
    if (!options.no_lock && ::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) {
        std::cerr << "braid-satellite: memory cannot be locked: "
                  << std::generic_category().message(errno) << "; --no-lock runs without\n";
        return 1;
    }
    daemon.run();
    return 0;
}

int start(int argc, char** argv) {
    Options options;
    CLI::App app("Braid's node daemon: connects this node and decides with the others.",
                 "braid-satellite");
    app.set_help_flag("-h,--help", "Show this help");
    app.set_version_flag("-V,--version", BRAID_VERSION);
    app.add_option("-c,--config", options.config, "The configuration")->capture_default_str();
    app.add_option("--name", options.host, "This host's name in it")->capture_default_str();
    app.add_option("--pki", options.pki, "Directory of the certificate")->capture_default_str();
    app.add_option("--state", options.state, "Directory of a witness's votes")
        ->capture_default_str();
    app.add_option("--socket", options.socket, "Socket for braidadm")->capture_default_str();
    app.add_flag("--no-lock", options.no_lock, "Do not lock the memory");
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& done) {
        return app.exit(done);
    } catch (const CLI::ParseError& error) {
        std::cerr << "braid-satellite: " << error.what()
                  << "\nRun 'braid-satellite --help' for usage.\n";
        return 2;
    }
    return serve(options);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return start(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "braid-satellite: internal error: " << error.what() << '\n';
        return 1;
    }
}
