// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/dump.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "config/keywords.h"
#include "config/lexer.h"

namespace braid::config {

namespace {

using Json = nlohmann::ordered_json;

/// Text with sections, four blanks a level.
class Printer {
  public:
    void open(std::string_view head) {
        line(fmt::format("{} {{", head));
        level_++;
    }
    void close() {
        level_--;
        line("}");
    }
    void statement(std::string_view name, std::string_view value) {
        line(fmt::format("{} {};", name, value));
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

  private:
    void line(std::string_view line) { text_ += fmt::format("{:{}}{}\n", "", 4 * level_, line); }

    std::string text_;
    std::size_t level_ = 0;
};

/// The options of a section that may stand in `parent` and differ from `base`; all
/// of them if there is no base. The section is left out if there is none.
void print_section(Printer& printer, Section section, Section parent, const Settings& settings,
                   const Settings* base) {
    bool any = false;
    for (const Keyword& row : keywords()) {
        if (row.section != section || row.get == nullptr || (row.levels & level(parent)) == 0) {
            continue;
        }
        const Value value = row.get(settings);
        // A handler that does not exist cannot be written.
        if (base != nullptr ? value == row.get(*base)
                            : row.form == Form::text && value.text.empty()) {
            continue;
        }
        if (!any) {
            printer.open(name_of(section));
            any = true;
        }
        printer.statement(row.name, spell(value_text(row, value), row.form == Form::text));
    }
    if (any) {
        printer.close();
    }
}

void print_host(Printer& printer, const Host& host) {
    printer.open(fmt::format("{} {}", host.witness ? "witness" : "on", host.name));
    printer.statement("node-id", fmt::format("{}", host.node_id));
    printer.statement("address", to_string(host.address));
    for (const Volume& volume : host.volumes) {
        printer.open(fmt::format("volume {}", volume.number));
        printer.statement("device",
                          fmt::format("/dev/braid{} minor {}", volume.minor, volume.minor));
        if (!volume.pool.empty()) {
            printer.statement("pool", spell(volume.pool));
            printer.statement("size", value_text(*find_keyword(Section::volume, "size", false),
                                                 {volume.size, {}}));
        } else {
            printer.statement("disk", volume.disk.empty() ? "none" : spell(volume.disk));
        }
        if (!volume.disk.empty()) {
            printer.statement("meta-disk",
                              volume.meta_disk.empty() ? "internal" : spell(volume.meta_disk));
        }
        printer.close();
    }
    printer.close();
}

void print_connection(Printer& printer, const Resource& resource, const Connection& connection,
                      bool defaults) {
    const bool mesh = connection.hosts.size() > 2;
    printer.open(mesh ? "connection-mesh" : "connection");
    if (mesh) {
        std::string names;
        for (const std::uint32_t host : connection.hosts) {
            names += (names.empty() ? "" : " ") + resource.hosts[host].name;
        }
        printer.statement("hosts", names);
    } else if (connection.paths.empty()) {
        for (const std::uint32_t host : connection.hosts) {
            printer.statement("host", resource.hosts[host].name);
        }
    }
    for (const Path& path : connection.paths) {
        printer.open("path");
        printer.statement("host",
                          fmt::format("{} address {}", resource.hosts[connection.hosts[0]].name,
                                      to_string(path.first)));
        printer.statement("host",
                          fmt::format("{} address {}", resource.hosts[connection.hosts[1]].name,
                                      to_string(path.second)));
        printer.close();
    }
    Settings settings = resource.settings;
    settings.net = connection.net;
    settings.disk = connection.disk;
    const Settings* base = defaults ? nullptr : &resource.settings;
    for (const Section section : {Section::net, Section::disk}) {
        print_section(printer, section, mesh ? Section::mesh : Section::connection, settings, base);
    }
    printer.close();
}

/// The value of an option: a number, a truth, or a text.
Json json_value(const Keyword& row, const Value& value) {
    switch (row.form) {
        case Form::boolean:
            return value.number != 0;
        case Form::choice:
        case Form::text:
            return value_text(row, value);
        default:
            return value.number;
    }
}

Json json_section(Section section, Section parent, const Settings& settings) {
    Json object = Json::object();
    for (const Keyword& row : keywords()) {
        if (row.section == section && row.get != nullptr && (row.levels & level(parent)) != 0) {
            object[std::string(row.name)] = json_value(row, row.get(settings));
        }
    }
    return object;
}

Json json_host(const Host& host) {
    Json volumes = Json::array();
    for (const Volume& volume : host.volumes) {
        Json& json = volumes.emplace_back(
            Json({{"volume", volume.number},
                  {"device", fmt::format("/dev/braid{}", volume.minor)},
                  {"minor", volume.minor},
                  {"disk", volume.disk.empty() ? "none" : volume.disk},
                  {"meta-disk", volume.meta_disk.empty() ? "internal" : volume.meta_disk}}));
        if (!volume.pool.empty()) {
            json["pool"] = volume.pool;
            json["size"] = volume.size;
        }
    }
    return {{"name", host.name},
            {"node-id", host.node_id},
            {"witness", host.witness},
            {"address", to_string(host.address)},
            {"volumes", volumes}};
}

Json json_connection(const Resource& resource, const Connection& connection) {
    Json hosts = Json::array();
    for (const std::uint32_t host : connection.hosts) {
        hosts.push_back(resource.hosts[host].name);
    }
    Json paths = Json::array();
    for (const Path& path : connection.paths) {
        paths.push_back({to_string(path.first), to_string(path.second)});
    }
    Settings settings = resource.settings;
    settings.net = connection.net;
    settings.disk = connection.disk;
    return {{"hosts", hosts},
            {"paths", paths},
            {"net", json_section(Section::net, Section::connection, settings)},
            {"disk", json_section(Section::disk, Section::connection, settings)}};
}

}  // namespace

std::string dump_text(const Resource& resource, bool defaults) {
    static const Settings unset;
    Printer printer;
    printer.open(fmt::format("resource {}", resource.name));
    for (const Section section :
         {Section::options, Section::net, Section::disk, Section::handlers}) {
        print_section(printer, section, Section::resource, resource.settings,
                      defaults ? nullptr : &unset);
    }
    for (const Host& host : resource.hosts) {
        print_host(printer, host);
    }
    for (const Connection& connection : resource.connections) {
        print_connection(printer, resource, connection, defaults);
    }
    printer.close();
    return printer.take();
}

std::string dump_json(const Config& config) {
    Json resources = Json::array();
    for (const Resource& resource : config.resources) {
        Json object{{"resource", resource.name}};
        for (const Section section :
             {Section::options, Section::net, Section::disk, Section::handlers}) {
            object[std::string(name_of(section))] =
                json_section(section, Section::resource, resource.settings);
        }
        object["hosts"] = Json::array();
        for (const Host& host : resource.hosts) {
            object["hosts"].push_back(json_host(host));
        }
        object["connections"] = Json::array();
        for (const Connection& connection : resource.connections) {
            object["connections"].push_back(json_connection(resource, connection));
        }
        resources.push_back(std::move(object));
    }
    Json pools = Json::array();
    for (const Pool& pool : config.pools) {
        pools.push_back(
            {{"pool", pool.name}, {"kind", name_of(pool.kind)}, {"place", pool.place()}});
    }
    const Json document{{"pools", pools}, {"resources", resources}};
    return document.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace braid::config
