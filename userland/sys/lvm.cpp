// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/lvm.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

namespace braid::sys {

namespace {

using Json = nlohmann::json;

constexpr std::string_view never_braid = "r|^/dev/braid|";

Error malformed(std::string_view what) {
    return {EPROTO,
            fmt::format("{}: its report makes no sense; is this version of LVM known?", what)};
}

/// Rows of one kind of a report, each an object of strings.
Result<std::vector<Json>> rows_of(std::string_view command, const std::string& report,
                                  const std::string& kind) {
    const Json parsed = Json::parse(report, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("report") || !parsed["report"].is_array()) {
        return tl::unexpected(malformed(command));
    }
    std::vector<Json> rows;
    for (const Json& part : parsed["report"]) {
        for (const Json& row : part.value(kind, Json::array())) {
            if (!row.is_object()) {
                return tl::unexpected(malformed(command));
            }
            rows.push_back(row);
        }
    }
    return rows;
}

/// Reads the members of a row; one that is missing or wrong makes it bad().
class Row {
  public:
    explicit Row(const Json& json) : json_(json) {}

    std::string text(const char* name) {
        const auto found = json_.find(name);
        if (found == json_.end() || !found->is_string()) {
            bad_ = true;
            return {};
        }
        return found->get<std::string>();
    }
    /// 0 where LVM has none.
    std::uint64_t bytes(const char* name) {
        const std::string word = text(name);
        std::uint64_t number = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
        bad_ = bad_ || (!word.empty() && error != std::errc());
        return number;
    }
    std::optional<double> percent(const char* name) {
        const std::string word = text(name);
        if (word.empty()) {
            return std::nullopt;
        }
        double number = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
        bad_ = bad_ || error != std::errc();
        return number;
    }
    [[nodiscard]] bool bad() const { return bad_; }

  private:
    const Json& json_;
    bool bad_ = false;
};

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) {
        if (!part.empty()) {
            parts.push_back(part);
        }
    }
    return parts;
}

/// The strings of ["a","b"]; what is between quotes is as it stands.
std::vector<std::string> strings_of(std::string_view list) {
    std::vector<std::string> strings;
    for (;;) {
        const auto open = list.find('"');
        const auto close = open == std::string_view::npos ? open : list.find('"', open + 1);
        if (close == std::string_view::npos) {
            return strings;
        }
        strings.emplace_back(list.substr(open + 1, close - open - 1));
        list.remove_prefix(close + 1);
    }
}

std::string list_of(const std::vector<std::string>& strings) {
    return fmt::format("[\"{}\"]", fmt::join(strings, "\",\""));
}

/// In front of the administrator's own filters, which hold as before.
std::string devices_section(const LvmSettings& settings) {
    std::vector<std::string> filter = settings.global_filter;
    filter.insert(filter.begin(), std::string(never_braid));
    return fmt::format("devices {{ global_filter={} scan_lvs=0 }}", list_of(filter));
}

LvmSettings settings_of(const std::string& text) {
    LvmSettings settings;
    for (const std::string& line : split(text, '\n')) {
        const auto start = line.find_first_not_of(" \t");
        const auto equals = line.find('=');
        if (start == std::string::npos || equals == std::string::npos || line[start] == '#') {
            continue;
        }
        const std::string name = line.substr(start, equals - start);
        const std::string value = line.substr(equals + 1);
        if (name == "global_filter") {
            settings.global_filter = strings_of(value);
        } else if (name == "filter") {
            settings.filter = strings_of(value);
        } else if (name == "scan_lvs") {
            settings.scans_volumes = value == "1";
        } else if (name == "use_devicesfile") {
            settings.devices_file = value == "1";
        } else if (name == "types") {
            settings.knows_braid = value.find("\"braid\"") != std::string::npos;
        }
    }
    return settings;
}

/// Of two rows of one volume the second is about its next segment.
bool known(const std::vector<LogicalVolume>& volumes, const LogicalVolume& volume) {
    return std::ranges::find(volumes, volume.path(), &LogicalVolume::path) != volumes.end();
}

}  // namespace

std::vector<std::string> LvmSettings::advice() const {
    std::vector<std::string> advice;
    const auto refuses = [](const std::string& pattern) {
        return pattern.starts_with('r') && pattern.find("/dev/braid") != std::string::npos;
    };
    if (knows_braid && !devices_file && std::ranges::none_of(global_filter, refuses)) {
        advice.push_back(fmt::format(
            "devices/types lets LVM look at devices of Braid, and what a guest keeps there is none "
            "of the host's: take \"braid\" out, or begin global_filter with \"{}\"",
            never_braid));
    }
    if (scans_volumes) {
        advice.emplace_back(
            "devices/scan_lvs is 1, so LVM finds volume groups of guests in the volumes under "
            "Braid: set it to 0");
    }
    return advice;
}

Result<std::string> Lvm::run(std::vector<std::string> words) {
    if (!devices_) {
        const auto found = settings();
        if (!found) {
            return tl::unexpected(found.error());
        }
        devices_ = devices_section(*found);
    }
    words.insert(words.begin() + 1, {"--config", *devices_});
    return output_of(run_, words);
}

Result<void> Lvm::change(std::vector<std::string> words) {
    return run(std::move(words)).map([](const std::string&) {});
}

Result<LvmSettings> Lvm::settings() {
    const auto text = output_of(run_, {"lvmconfig", "--typeconfig", "full", "devices"});
    if (!text) {
        return tl::unexpected(text.error());
    }
    return settings_of(*text);
}

Result<std::vector<VolumeGroup>> Lvm::groups() {
    const auto report = run({"vgs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o",
                             "vg_name,vg_size,vg_free,vg_extent_size"});
    if (!report) {
        return tl::unexpected(report.error());
    }
    const auto rows = rows_of("vgs", *report, "vg");
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    std::vector<VolumeGroup> groups;
    for (const Json& json : *rows) {
        Row row(json);
        groups.push_back({row.text("vg_name"), row.bytes("vg_size"), row.bytes("vg_free"),
                          row.bytes("vg_extent_size")});
        if (row.bad()) {
            return tl::unexpected(malformed("vgs"));
        }
    }
    return groups;
}

Result<std::vector<LogicalVolume>> Lvm::volumes() {
    const auto report =
        run({"lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o",
             "vg_name,lv_name,lv_size,pool_lv,lv_layout,lv_active,lv_tags,lv_metadata_size,"
             "chunk_size,data_percent,metadata_percent,lv_health_status,lv_when_full,zero"});
    if (!report) {
        return tl::unexpected(report.error());
    }
    const auto rows = rows_of("lvs", *report, "lv");
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    std::vector<LogicalVolume> volumes;
    for (const Json& json : *rows) {
        Row row(json);
        LogicalVolume volume{.group = row.text("vg_name"), .name = row.text("lv_name")};
        volume.size = row.bytes("lv_size");
        volume.pool = row.text("pool_lv");
        volume.thin_pool = row.text("lv_layout") == "thin,pool";
        volume.active = row.text("lv_active") == "active";
        volume.tags = split(row.text("lv_tags"), ',');
        volume.metadata_size = row.bytes("lv_metadata_size");
        volume.chunk = row.bytes("chunk_size");
        volume.data_percent = row.percent("data_percent");
        volume.metadata_percent = row.percent("metadata_percent");
        volume.health = row.text("lv_health_status");
        volume.errors_when_full = row.text("lv_when_full") == "error";
        volume.zeroes = row.text("zero") == "zero" || row.text("zero") == "1";
        if (row.bad()) {
            return tl::unexpected(malformed("lvs"));
        }
        if (!known(volumes, volume)) {
            volumes.push_back(std::move(volume));
        }
    }
    return volumes;
}

Result<void> Lvm::create_group(const std::string& name, const std::vector<std::string>& devices) {
    // Without --yes a device that carries something is refused: nobody answers the question.
    std::vector<std::string> words{"vgcreate", name};
    words.insert(words.end(), devices.begin(), devices.end());
    return change(std::move(words));
}

Result<void> Lvm::extend_group(const std::string& name, const std::vector<std::string>& devices) {
    std::vector<std::string> words{"vgextend", name};
    words.insert(words.end(), devices.begin(), devices.end());
    return change(std::move(words));
}

Result<void> Lvm::remove_group(const std::string& name) {
    return change({"vgremove", name});
}

Result<void> Lvm::create_thin_pool(const ThinPool& pool) {
    const auto made = change({"lvcreate", "--type", "thin-pool", "--name", pool.name, "--size",
                              fmt::format("{}b", pool.size), "--poolmetadatasize",
                              fmt::format("{}b", pool.metadata_size), "--chunksize",
                              fmt::format("{}b", pool.chunk), "--zero", "y", "--discards",
                              "passdown", pool.group});
    // lvcreate does not take that for a thin pool.
    return made ? make_thin_pool_safe({.group = pool.group, .name = pool.name, .zeroes = true})
                : made;
}

Result<void> Lvm::make_thin_pool_safe(const LogicalVolume& pool) {
    std::vector<std::string> words{"lvchange"};
    // What is so already would be an error.
    if (!pool.errors_when_full) {
        words.insert(words.end(), {"--errorwhenfull", "y"});
    }
    if (!pool.zeroes) {
        words.insert(words.end(), {"--zero", "y"});
    }
    words.push_back(pool.path());
    return words.size() == 2 ? Result<void>() : change(std::move(words));
}

Result<void> Lvm::create_volume(const std::string& group, const std::string& pool,
                                const std::string& name, std::uint64_t size,
                                const std::string& tag) {
    std::vector<std::string> words{"lvcreate", "--name", name, "--addtag", tag};
    if (pool.empty()) {
        // What another volume has left there must be taken for nothing of this one's.
        words.insert(words.end(),
                     {"--yes", "--wipesignatures", "y", "--size", fmt::format("{}b", size), group});
    } else {
        words.insert(words.end(),
                     {"--virtualsize", fmt::format("{}b", size), "--thinpool", pool, group});
    }
    return change(std::move(words));
}

Result<void> Lvm::extend_volume(const std::string& path, std::uint64_t size) {
    return change({"lvextend", "--size", fmt::format("{}b", size), path});
}

Result<void> Lvm::activate(const std::string& path) {
    return change({"lvchange", "--activate", "y", path});
}

Result<void> Lvm::remove_volume(const std::string& path) {
    return change({"lvremove", "--yes", path});
}

Result<void> Lvm::extend_thin_pool_metadata(const std::string& path, std::uint64_t by) {
    return change({"lvextend", "--poolmetadatasize", fmt::format("+{}b", by), path});
}

}  // namespace braid::sys
