// SPDX-License-Identifier: GPL-2.0-or-later
#include "satellite/pool_watch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace braid::satellite {

namespace {

namespace event_kind = netlink::enums::event_kind;

/// In percent. The first is told, and answered by an extension.
constexpr std::array<unsigned, 3> thresholds{80, 90, 95};

unsigned percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : static_cast<unsigned>(part * 100 / whole);
}

std::string words_of(const sys::ProcessEnd& end) {
    return end.output.empty() ? to_string(end) : fmt::format("{}", fmt::join(end.output, " | "));
}

}  // namespace

PoolWatch::PoolWatch(Environment environment) : env_(std::move(environment)), timer_(env_.loop) {}

void PoolWatch::configure(const std::vector<config::Pool>& pools,
                          const std::vector<config::NodeResource>& resources) {
    std::map<std::string, Watched> kept = std::exchange(watched_, {});
    for (const config::Pool& pool : pools) {
        if (pool.kind != config::PoolKind::lvmthin) {
            continue;
        }
        Watched& watched = watched_[pool.name];
        if (const auto old = kept.find(pool.name); old != kept.end() && old->second.pool == pool) {
            watched = std::move(old->second);
        }
        watched.pool = pool;
        watched.extend_after = {};  // an administrator may have made room
    }
    pool_of_.clear();
    for (const config::NodeResource& resource : resources) {
        for (const config::Volume& volume : resource.volumes) {
            if (!volume.pool.empty()) {
                pool_of_[{resource.name, volume.number}] = volume.pool;
            }
        }
    }
    if (watched_.empty()) {
        timer_.stop();
    } else {
        look();
    }
}

PoolWatch::Watched* PoolWatch::find(const std::string& pool) {
    const auto found = watched_.find(pool);
    return found == watched_.end() ? nullptr : &found->second;
}

/// A disk that failed, perhaps for want of room: then it comes back with that.
void PoolWatch::kernel_event(const sys::KernelEvent& event) {
    if (event.kind != event_kind::disk || event.after != "failed" || event.cause == "requested" ||
        !event.volume) {
        return;
    }
    const Replica replica{event.resource, *event.volume};
    const auto pool = pool_of_.find(replica);
    Watched* watched = pool == pool_of_.end() ? nullptr : find(pool->second);
    if (watched == nullptr) {
        return;
    }
    look_at(*watched);
    if (!watched->full && !watched->extending && Clock::now() > watched->blamed_until) {
        return;
    }
    watched->lost.insert(replica);
    env_.journal(true, watched->pool.name,
                 fmt::format("pool {}: {}/{} was detached because the pool was full; its peers go "
                             "on, and it is attached and resynced once there is room",
                             watched->pool.name, event.resource, *event.volume));
}

void PoolWatch::look() {
    for (auto& [name, watched] : watched_) {
        look_at(watched);
    }
    timer_.start(env_.limits.interval, [this] { look(); });
}

void PoolWatch::look_at(Watched& watched) {
    const auto state = env_.pools.state(watched.pool.group, watched.pool.thin);
    if (!state) {
        if (!std::exchange(watched.unknown, true)) {
            env_.journal(true, watched.pool.name,
                         fmt::format("pool {}: {}", watched.pool.name, state.error().message));
        }
        return;
    }
    watched.unknown = false;
    if (*state) {
        judge(watched, **state);
    }
}

void PoolWatch::judge(Watched& watched, const sys::ThinPoolState& state) {
    const unsigned data = percent(state.data_used, state.data_total);
    const unsigned metadata = percent(state.metadata_used, state.metadata_total);
    const bool full = !state.takes_writes() || state.data_used >= state.data_total;
    warn(watched, data, metadata);
    if (full != std::exchange(watched.full, full)) {
        env_.journal(
            full, watched.pool.name,
            full ? fmt::format("pool {}: {}: 'braidadm pool extend {} DEVICE' gives it room",
                               watched.pool.name,
                               state.failed ? "failed, not even reads work"
                               : state.read_only
                                   ? "its metadata are full or damaged, all writes fail"
                                   : "full, writes to new blocks fail",
                               watched.pool.name)
                 : fmt::format("pool {}: takes writes again", watched.pool.name));
    }
    const auto now = Clock::now();
    if (full) {
        watched.blamed_until = now + env_.limits.blamed;
    }
    const bool much_data = data >= thresholds.front();
    if ((much_data || metadata >= thresholds.front()) && !state.failed && !watched.extending &&
        now >= watched.extend_after) {
        extend(watched, !much_data);
    }
    if (!full && !watched.lost.empty() && !watched.attaching && now >= watched.attach_after) {
        attach(watched);
    }
}

void PoolWatch::warn(Watched& watched, unsigned data, unsigned metadata) {
    const unsigned most = std::max(data, metadata);
    unsigned reached = 0;
    for (const unsigned threshold : thresholds) {
        reached = most >= threshold ? threshold : reached;
    }
    if (reached > watched.warned) {
        env_.journal(
            true, watched.pool.name,
            fmt::format("pool {}: data {}% used, metadata {}%", watched.pool.name, data, metadata));
    }
    // Down again only well below, so that it is not told each time it swings.
    constexpr unsigned swing = 5;
    if (reached > watched.warned || most + swing < watched.warned) {
        watched.warned = reached;
    }
}

void PoolWatch::extend(Watched& watched, bool metadata) {
    watched.extending = true;
    std::vector<std::string> words{"pool", "extend", watched.pool.name};
    if (metadata) {
        words.emplace_back("--metadata");
    }
    env_.braidadm(words, [this, name = watched.pool.name](const sys::ProcessEnd& end) {
        Watched* pool = find(name);
        if (pool == nullptr) {
            return;
        }
        pool->extending = false;
        const auto now = Clock::now();
        pool->blamed_until = std::max(pool->blamed_until, now + env_.limits.blamed);
        const bool told = std::exchange(pool->refused, !end.success());
        pool->extend_after = end.success() ? now : now + env_.limits.again;
        if (end.success() || !told) {
            env_.journal(!end.success(), name,
                         end.success()
                             ? words_of(end)
                             : fmt::format("pool {}: cannot be extended: {}", name, words_of(end)));
        }
        look_at(*pool);
    });
}

/// One after the other; whether it worked the kernel's next event tells anyway.
void PoolWatch::attach(Watched& watched) {
    watched.attaching = true;
    const Replica replica = *watched.lost.begin();
    const std::string text = fmt::format("{}/{}", replica.first, replica.second);
    env_.braidadm({"attach", text}, [this, name = watched.pool.name, replica,
                                     text](const sys::ProcessEnd& end) {
        Watched* pool = find(name);
        if (pool == nullptr) {
            return;
        }
        pool->attaching = false;
        if (end.success()) {
            pool->lost.erase(replica);
        } else {
            pool->attach_after = Clock::now() + env_.limits.again;
        }
        env_.journal(!end.success(), name,
                     end.success() ? fmt::format("pool {}: {} is attached again", name, text)
                                   : fmt::format("pool {}: {} cannot be attached: {}", name, text,
                                                 words_of(end)));
    });
}

}  // namespace braid::satellite
