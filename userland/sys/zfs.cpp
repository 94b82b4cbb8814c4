// SPDX-License-Identifier: GPL-2.0-or-later
#include "sys/zfs.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <sstream>

namespace braid::sys {

namespace {

/// Of volumes; ZFS refuses a size that is not a multiple.
constexpr std::uint64_t block = 16384;

/// Property of a volume that says whose it is.
constexpr std::string_view tag_property = "braid:volume";

/// 0 where ZFS has none, which it writes as "-".
std::uint64_t bytes_of(const std::string& word) {
    std::uint64_t number = 0;
    std::from_chars(word.data(), word.data() + word.size(), number);
    return number;
}

std::string whole_blocks(std::uint64_t size) {
    return fmt::format("{}", (size + block - 1) / block * block);
}

}  // namespace

/// Lines of columns with tabs between them, as -H prints them.
Result<std::vector<std::vector<std::string>>> Zfs::table(const std::vector<std::string>& words,
                                                         std::size_t columns) {
    const auto text = output_of(run_, words);
    if (!text) {
        return tl::unexpected(text.error());
    }
    std::vector<std::vector<std::string>> rows;
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        std::vector<std::string>& row = rows.emplace_back();
        std::istringstream cells(line);
        for (std::string cell; std::getline(cells, cell, '\t');) {
            row.push_back(cell);
        }
        if (row.size() != columns) {
            return tl::unexpected(
                Error{EPROTO, fmt::format("{}: expected {} columns, but it printed: {}",
                                          words.front(), columns, line)});
        }
    }
    return rows;
}

Result<void> Zfs::change(const std::vector<std::string>& words) {
    return output_of(run_, words).map([](const std::string&) {});
}

Result<std::vector<Zpool>> Zfs::pools() {
    const auto rows = table({"zpool", "list", "-Hp", "-o", "name,size,allocated,free,health"}, 5);
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    std::vector<Zpool> pools;
    for (const auto& row : *rows) {
        pools.push_back({row[0], bytes_of(row[1]), bytes_of(row[2]), bytes_of(row[3]), row[4]});
    }
    return pools;
}

Result<std::vector<Zdataset>> Zfs::datasets() {
    const auto rows = table({"zfs", "list", "-Hp", "-t", "filesystem,volume", "-o",
                             fmt::format("name,type,volsize,used,available,{}", tag_property)},
                            6);
    if (!rows) {
        return tl::unexpected(rows.error());
    }
    std::vector<Zdataset> datasets;
    for (const auto& row : *rows) {
        datasets.push_back({row[0], row[1] == "volume", bytes_of(row[2]), bytes_of(row[3]),
                            bytes_of(row[4]), row[5] == "-" ? "" : row[5]});
    }
    return datasets;
}

Result<void> Zfs::create_pool(const std::string& name, const std::vector<std::string>& devices) {
    // Blocks of 4 KiB: what claims 512 bytes mostly has these. Nothing of it is mounted.
    std::vector<std::string> words{"zpool", "create", "-o", "ashift=12", "-m", "none", name};
    words.insert(words.end(), devices.begin(), devices.end());
    return change(words);
}

Result<void> Zfs::extend_pool(const std::string& name, const std::vector<std::string>& devices) {
    std::vector<std::string> words{"zpool", "add", name};
    words.insert(words.end(), devices.begin(), devices.end());
    return change(words);
}

Result<void> Zfs::destroy_pool(const std::string& name) {
    return change({"zpool", "destroy", name});
}

Result<void> Zfs::create_volume(const std::string& name, std::uint64_t size, bool sparse,
                                const std::string& tag) {
    std::vector<std::string> words{"zfs", "create",
                                   "-V",  whole_blocks(size),
                                   "-b",  fmt::format("{}", block),
                                   "-o",  fmt::format("{}={}", tag_property, tag)};
    if (sparse) {
        words.emplace_back("-s");
    }
    words.push_back(name);
    return change(words);
}

Result<void> Zfs::resize_volume(const std::string& name, std::uint64_t size) {
    return change({"zfs", "set", "volsize=" + whole_blocks(size), name});
}

Result<void> Zfs::destroy_volume(const std::string& name) {
    return change({"zfs", "destroy", name});
}

}  // namespace braid::sys
