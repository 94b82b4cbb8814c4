// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/libvirt_client.h"

#include <fmt/format.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace braid::sys {

namespace {

/// libvirt gives a connection up that is silent for so long.
constexpr int keepalive_seconds = 2;
constexpr unsigned keepalive_count = 3;

constexpr std::array ends{"shutdown", "destroyed", "crashed", "migrated",
                          "saved",    "failed",    "failed"};
static_assert(VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN == 0 && VIR_DOMAIN_EVENT_STOPPED_DESTROYED == 1 &&
              VIR_DOMAIN_EVENT_STOPPED_CRASHED == 2 && VIR_DOMAIN_EVENT_STOPPED_MIGRATED == 3 &&
              VIR_DOMAIN_EVENT_STOPPED_SAVED == 4 && VIR_DOMAIN_EVENT_STOPPED_FAILED == 5);

struct FreeDomain {
    void operator()(virDomainPtr domain) const { virDomainFree(domain); }
};
struct Close {
    void operator()(virConnectPtr connection) const { virConnectClose(connection); }
};
using OwnedDomain = std::unique_ptr<virDomain, FreeDomain>;
using Connection = std::shared_ptr<virConnect>;

Error last_error(const std::string& what) {
    const virErrorPtr error = virGetLastError();
    const char* text = error != nullptr && error->message != nullptr ? error->message : "unknown";
    return {EIO, fmt::format("{}: {}", what, text)};
}

class LibvirtClient final : public Hypervisor {
  public:
    explicit LibvirtClient(std::string uri) : uri_(std::move(uri)) {
        // Errors are returned, and not written to stderr.
        virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
        virEventRegisterDefaultImpl();
        // For as long as the program runs.
        std::thread([] {
            while (virEventRunDefaultImpl() == 0) {
            }
        }).detach();
    }

    Result<std::vector<Domain>> domains() override {
        const auto connection = connect();
        if (!connection) {
            return tl::unexpected(connection.error());
        }
        virDomainPtr* list = nullptr;
        const int count =
            virConnectListAllDomains(connection->get(), &list, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
        if (count < 0) {
            return tl::unexpected(last_error("domains"));
        }
        std::vector<Domain> found;
        for (int i = 0; i < count; i++) {
            const OwnedDomain domain(list[i]);
            int state = 0;
            int reason = 0;
            if (virDomainGetState(domain.get(), &state, &reason, 0) == 0) {
                found.push_back({virDomainGetName(domain.get()), state_of(state)});
            }
        }
        std::free(list);
        return found;
    }

    Result<void> start(const std::string& xml) override {
        const auto connection = connect();
        if (!connection) {
            return tl::unexpected(connection.error());
        }
        const OwnedDomain domain(virDomainCreateXML(connection->get(), xml.c_str(), 0));
        return domain ? Result<void>() : tl::unexpected(last_error("start"));
    }

    Result<void> check(const std::string& xml) override {
        const auto connection = connect();
        if (!connection) {
            return tl::unexpected(connection.error());
        }
        char* arguments =
            virConnectDomainXMLToNative(connection->get(), "qemu-argv", xml.c_str(), 0);
        if (arguments == nullptr) {
            return tl::unexpected(last_error("check"));
        }
        std::free(arguments);
        return {};
    }

    Result<void> shutdown(const std::string& name) override {
        return with(name, "shutdown",
                    [](virDomainPtr domain) { return virDomainShutdown(domain); });
    }
    Result<void> destroy(const std::string& name) override {
        return with(name, "destroy", [](virDomainPtr domain) { return virDomainDestroy(domain); });
    }
    Result<void> resume(const std::string& name) override {
        return with(name, "resume", [](virDomainPtr domain) { return virDomainResume(domain); });
    }
    Result<void> abort(const std::string& name) override {
        return with(name, "abort", [](virDomainPtr domain) { return virDomainAbortJob(domain); });
    }

    /// It stays paused at the target until the target's satellite has the devices.
    Result<void> migrate(const std::string& name, const std::string& uri, bool tls) override {
        unsigned flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PAUSED |
                         VIR_MIGRATE_ABORT_ON_ERROR;
        flags |= tls ? unsigned{VIR_MIGRATE_TLS} : 0U;
        return with(name, "migrate", [&](virDomainPtr domain) {
            return virDomainMigrateToURI3(domain, uri.c_str(), nullptr, 0, flags);
        });
    }

    std::optional<MigrationProgress> progress(const std::string& name) override {
        virDomainJobInfo info{};
        const auto got = with(name, "progress", [&info](virDomainPtr domain) {
            return virDomainGetJobInfo(domain, &info);
        });
        if (!got || info.type == VIR_DOMAIN_JOB_NONE) {
            return std::nullopt;
        }
        return MigrationProgress{info.memProcessed, info.memTotal, 0};
    }

    std::vector<DomainEnd> wait(std::chrono::milliseconds most) override {
        std::unique_lock lock(mutex_);
        happened_.wait_for(lock, most, [this] { return news_; });
        news_ = false;
        return std::exchange(ended_, {});
    }

  private:
    static Domain::State state_of(int state) {
        switch (state) {
            case VIR_DOMAIN_SHUTOFF:
            case VIR_DOMAIN_CRASHED:
                return Domain::State::off;
            case VIR_DOMAIN_PAUSED:
            case VIR_DOMAIN_PMSUSPENDED:
                return Domain::State::paused;
            default:
                return Domain::State::running;
        }
    }

    Result<Connection> connect() {
        const std::lock_guard lock(connect_mutex_);
        if (connection_ && virConnectIsAlive(connection_.get()) == 1) {
            return connection_;
        }
        connection_ = Connection(virConnectOpen(uri_.c_str()), [](virConnectPtr connection) {
            if (connection != nullptr) {
                virConnectClose(connection);
            }
        });
        if (!connection_) {
            return tl::unexpected(last_error(uri_));
        }
        virConnectSetKeepAlive(connection_.get(), keepalive_seconds, keepalive_count);
        virConnectDomainEventRegisterAny(connection_.get(), nullptr, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                         VIR_DOMAIN_EVENT_CALLBACK(&lifecycle), this, nullptr);
        return connection_;
    }

    static void lifecycle(virConnectPtr /*connection*/, virDomainPtr domain, int event, int detail,
                          void* self) {
        static_cast<LibvirtClient*>(self)->tell(virDomainGetName(domain), event, detail);
    }

    void tell(const char* name, int event, int detail) {
        const std::lock_guard lock(mutex_);
        if (event == VIR_DOMAIN_EVENT_STOPPED) {
            const auto i = static_cast<std::size_t>(detail);
            ended_.push_back({name, i < ends.size() ? ends.at(i) : "failed"});
        }
        news_ = true;
        happened_.notify_all();
    }

    template <class Call>
    Result<void> with(const std::string& name, const char* what, const Call& call) {
        const auto connection = connect();
        if (!connection) {
            return tl::unexpected(connection.error());
        }
        const OwnedDomain domain(virDomainLookupByName(connection->get(), name.c_str()));
        if (!domain || call(domain.get()) < 0) {
            return tl::unexpected(last_error(what));
        }
        return {};
    }

    std::string uri_;
    std::mutex connect_mutex_;
    Connection connection_;
    std::mutex mutex_;
    std::condition_variable happened_;
    std::vector<DomainEnd> ended_;
    bool news_ = false;
};

}  // namespace

std::unique_ptr<Hypervisor> open_libvirt(std::string uri) {
    return std::make_unique<LibvirtClient>(std::move(uri));
}

}  // namespace braid::sys
