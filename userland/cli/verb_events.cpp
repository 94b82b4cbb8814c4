// SPDX-License-Identifier: GPL-2.0-or-later
//
// braidadm events: the state of all objects, then every change of it, in lines that monitors of
// DRBD understand. The kernel's events say when to look; what is printed is what then differs.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/configuration.h"
#include "cli/kernel_reader.h"
#include "cli/status_report.h"

namespace braid::cli {

namespace {

using Json = nlohmann::ordered_json;

struct Options {
    std::string file = default_config_file;
    std::string resource = "all";
    bool now = false;
    bool timestamps = false;
    bool json = false;
};

/// An object that lines are about: what names it, and its state.
struct Object {
    std::string type{};
    Json identity{};
    Json state{};
};

std::vector<Object> objects_of(const ResourceStatus& status) {
    const auto& kernel = status.kernel;
    std::vector<Object> all;
    all.push_back({"resource",
                   {{"name", status.name}},
                   {{"role", status.role},
                    {"suspended", status.suspended},
                    {"suspended-user", kernel.suspended},
                    {"force-io-failures", status.failing},
                    {"service", enum_name(netlink::enumeration::service, kernel.service)},
                    {"epoch", kernel.config ? kernel.config->epoch : 0},
                    {"writer", status.writer.value_or("none")},
                    {"migration", enum_name(netlink::enumeration::migration, kernel.migration)}}});
    const auto connection_identity = [&](const ConnectionStatus& each) {
        return Json{{"name", status.name}, {"peer-node-id", each.node}, {"conn-name", each.name}};
    };
    for (const auto& each : status.connections) {
        all.push_back({"connection",
                       connection_identity(each),
                       {{"connection", each.state}, {"role", each.role}}});
    }
    for (const auto& each : status.devices) {
        all.push_back({"device",
                       {{"name", status.name}, {"volume", each.volume}, {"minor", each.minor}},
                       {{"disk", each.disk},
                        {"client", each.client},
                        {"open", each.open},
                        {"size", each.size / 1024}}});
    }
    for (const auto& connection : status.connections) {
        for (const auto& each : connection.devices) {
            Json identity = connection_identity(connection);
            identity["volume"] = each.volume;
            all.push_back({"peer-device",
                           std::move(identity),
                           {{"replication", each.replication},
                            {"peer-disk", each.disk},
                            {"peer-client", each.client},
                            {"resync-suspended", each.resync_suspended ? "user" : "no"}}});
        }
    }
    return all;
}

std::string word(const Json& value) {
    if (value.is_boolean()) {
        return value.get<bool>() ? "yes" : "no";
    }
    return value.is_string() ? value.get<std::string>() : value.dump();
}

class Printer {
  public:
    Printer(std::ostream& out, const Options& options) : out_(out), options_(options) {}

    void line(std::string_view event, std::string_view type, const Json& members) {
        const std::string time = options_.timestamps ? now() : "";
        if (options_.json) {
            Json json{{"event", event}, {"type", type}};
            if (!time.empty()) {
                json["timestamp"] = time;
            }
            json.update(members);
            out_ << json.dump(-1, ' ', false, Json::error_handler_t::replace);
        } else {
            out_ << (time.empty() ? "" : time + " ") << event << ' ' << type;
            for (const auto& [name, value] : members.items()) {
                out_ << ' ' << name << ':' << word(value);
            }
        }
        out_ << std::endl;  // whoever reads a pipe wants it now
    }

    void object(std::string_view event, const Object& object) {
        Json members = object.identity;
        members.update(object.state);
        line(event, object.type, members);
    }

  private:
    static std::string now() {
        const auto time = std::chrono::system_clock::now();
        const auto micros =
            std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count() %
            1'000'000;
        return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z",
                           fmt::gmtime(std::chrono::system_clock::to_time_t(time)), micros);
    }

    std::ostream& out_;
    const Options& options_;
};

/// What was printed of each resource, and what has changed since.
class Follower {
  public:
    Follower(Printer& printer, NodeName name_of)
        : printer_(printer), name_of_(std::move(name_of)) {}

    void all_exist(const std::vector<ResourceView>& views) {
        known_.clear();
        for (const auto& view : views) {
            const auto& entry = known_[view.resource.name] = make(view);
            for (const Object& each : entry.objects) {
                printer_.object("exists", each);
            }
        }
        printer_.line("exists", "-", Json::object());
    }

    /// One resource as it is now; nothing: it is gone.
    void changed(const std::string& name, const ResourceView* view) {
        const Entry before = std::move(known_[name]);
        known_.erase(name);
        Entry after;
        if (view != nullptr) {
            after = make(*view);
        }
        for (auto each = before.objects.rbegin(); each != before.objects.rend(); ++each) {
            if (find(after.objects, *each) == nullptr) {
                printer_.line("destroy", each->type, each->identity);
            }
        }
        for (const Object& each : after.objects) {
            if (const Object* was = find(before.objects, each)) {
                print_difference(*was, each);
            } else {
                printer_.object("create", each);
            }
        }
        if (view != nullptr) {
            known_[name] = std::move(after);
        }
    }

    [[nodiscard]] std::set<std::string> names() const {
        std::set<std::string> all;
        for (const auto& [name, entry] : known_) {
            all.insert(name);
        }
        return all;
    }

    /// Whether events are missing between what was seen last and these. They may come in another
    /// order than they are counted.
    [[nodiscard]] bool has_gap(const std::vector<sys::KernelEvent>& events) const {
        std::map<std::string, std::set<std::uint64_t>> numbers;
        for (const auto& event : events) {
            const auto entry = known_.find(event.resource);
            if (entry != known_.end() && event.sequence > entry->second.sequence) {
                numbers[event.resource].insert(event.sequence);
            }
        }
        return std::ranges::any_of(numbers, [&](const auto& each) {
            const auto& [name, set] = each;
            return *set.rbegin() - known_.at(name).sequence != set.size();
        });
    }

  private:
    struct Entry {
        std::vector<Object> objects{};
        std::uint64_t sequence = 0;
    };

    [[nodiscard]] Entry make(const ResourceView& view) const {
        return {objects_of(derive(view, name_of_)), view.resource.sequence};
    }

    static const Object* find(const std::vector<Object>& all, const Object& wanted) {
        const auto found = std::ranges::find_if(all, [&](const Object& each) {
            return each.type == wanted.type && each.identity == wanted.identity;
        });
        return found == all.end() ? nullptr : &*found;
    }

    void print_difference(const Object& before, const Object& after) {
        Json members = after.identity;
        for (const auto& [name, value] : after.state.items()) {
            if (before.state.at(name) != value) {
                members[name] = value;
            }
        }
        if (members.size() > after.identity.size()) {
            printer_.line("change", after.type, members);
        }
    }

    Printer& printer_;
    NodeName name_of_;
    std::map<std::string, Entry> known_;
};

class Events {
  public:
    Events(Context& context, const Options& options)
        : context_(context),
          options_(options),
          only_(options.resource == "all" ? "" : options.resource),
          printer_(context.out, options),
          follower_(printer_, node_names(options.file)) {}

    sys::Result<void, Failure> run() {
        // First the events, then the state: what happens in between is not missed.
        auto watch = KernelWatch::open(context_);
        if (!watch) {
            return tl::unexpected(watch.error());
        }
        auto reader = KernelReader::open(context_);
        if (!reader) {
            return tl::unexpected(reader.error());
        }
        if (auto shown = show_all(*reader); !shown || options_.now) {
            return shown;
        }
        while (context_.out) {
            auto batch = watch->wait(std::nullopt);
            if (!batch) {
                return tl::unexpected(batch.error());
            }
            if (auto followed = follow(*reader, batch->value()); !followed) {
                return followed;
            }
        }
        return {};
    }

  private:
    sys::Result<void, Failure> show_all(KernelReader& reader) {
        const auto views = reader.read(only_);
        if (!views) {
            return tl::unexpected(views.error());
        }
        if (!only_.empty() && views->empty() && follower_.names().empty()) {
            const auto configured =
                choose_resources(read_config(options_.file).config, options_.file, {only_});
            if (!configured) {
                return tl::unexpected(configured.error());
            }
        }
        follower_.all_exist(*views);
        return {};
    }

    sys::Result<void, Failure> follow(KernelReader& reader, KernelWatch::Batch batch) {
        std::erase_if(batch.events, [&](const sys::KernelEvent& event) {
            return !only_.empty() && event.resource != only_;
        });
        if (batch.lost || follower_.has_gap(batch.events)) {
            printer_.line("lost", "-", Json::object());
            return show_all(reader);
        }
        std::set<std::string> names;
        for (const auto& event : batch.events) {
            names.insert(event.resource);
        }
        if (names.empty()) {
            return {};
        }
        const auto views = reader.read(names.size() == 1 ? *names.begin() : only_);
        if (!views) {
            return tl::unexpected(views.error());
        }
        for (const auto& name : names) {
            const auto view = std::ranges::find(
                *views, name, [](const ResourceView& each) { return each.resource.name; });
            follower_.changed(name, view == views->end() ? nullptr : &*view);
        }
        return {};
    }

    Context& context_;
    const Options& options_;
    std::string only_;
    Printer printer_;
    Follower follower_;
};

ExitCode events(Context& context, const Options& options) {
    return finish(context, Events(context, options).run());
}

}  // namespace

Action configure_events(CLI::App& command) {
    auto options = std::make_shared<Options>();
    add_config_option(command, options->file);
    command.add_option("RES", options->resource, "Name of a resource; else all");
    command.add_flag("--now", options->now, "End after the present state");
    command.add_flag("--timestamps", options->timestamps, "Begin each line with the time (UTC)");
    command.add_flag("--json", options->json, "Print a JSON object a line");
    return [options](Context& context) { return events(context, *options); };
}

}  // namespace braid::cli
