// SPDX-License-Identifier: GPL-2.0-or-later
//
// Inside of config/: what the files say, as they say it, with the places for
// messages. parse() makes it of text, resolve() makes the model of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/keywords.h"
#include "config/lexer.h"
#include "config/load.h"
#include "config/model.h"

namespace braid::config {

template <class T>
struct Placed {
    T value{};
    Place place{};
};

struct Setting {
    const Keyword* option = nullptr;
    Value value{};
    Place place{};
};

struct DraftVolume {
    Place place{};
    std::uint32_t number = 0;
    std::optional<Placed<std::uint32_t>> minor{};
    std::optional<Placed<std::string>> disk{};       ///< empty: none
    std::optional<Placed<std::string>> meta_disk{};  ///< empty: internal
    std::optional<Placed<std::string>> pool{};
    std::optional<Placed<std::uint64_t>> size{};
};

struct DraftHost {
    Place place{};
    std::string name{};
    bool witness = false;
    std::optional<Placed<std::uint32_t>> node_id{};
    std::optional<Placed<Address>> address{};
    std::vector<DraftVolume> volumes{};
};

struct DraftEnd {
    Placed<std::string> host{};
    std::optional<Placed<Address>> address{};
};

struct DraftPath {
    Place place{};
    std::vector<DraftEnd> ends{};
};

/// A connection or a mesh.
struct DraftLink {
    Place place{};
    bool mesh = false;
    std::vector<DraftEnd> ends{};
    std::vector<DraftPath> paths{};
    std::vector<Setting> settings{};
};

struct DraftPool {
    Placed<std::string> name{};
    std::optional<Placed<Pool>> pool{};
};

struct DraftResource {
    Place place{};
    std::string name{};
    std::vector<Setting> settings{};
    std::vector<DraftVolume> volumes{};
    std::vector<DraftHost> hosts{};
    std::vector<DraftLink> links{};
    /// Something in it could not be read: what seems missing may be there.
    bool damaged = false;
};

struct Draft {
    std::vector<std::string> files;
    std::vector<Setting> common{};
    std::vector<DraftResource> resources{};
    std::vector<DraftPool> pools{};
    std::vector<Diagnostic> diagnostics{};

    /// Appends a message, as long as there are not too many.
    void report(const Place& place, std::string_view word, std::string message,
                Diagnostic::Severity severity = Diagnostic::Severity::error);
};

/// Reads the file and what it includes.
void parse(const std::string& path, const Source& source, Draft& draft);

/// Checks and inherits. What it returns is of use only if `draft` has no errors after it.
[[nodiscard]] Config resolve(Draft& draft);

}  // namespace braid::config
