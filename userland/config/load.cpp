// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "config/draft.h"

namespace braid::config {

namespace {

/// Without control characters, which may come from anywhere.
std::string printable(std::string_view text) {
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            result += fmt::format("\\x{:02x}", byte);
        } else {
            result += c;
        }
    }
    return result;
}

std::string shortened(std::string_view word) {
    constexpr std::size_t enough = 80;
    return std::string(word.substr(0, enough)) + (word.size() > enough ? "..." : "");
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
    std::string text;
    if (diagnostic.line != 0) {  // else the message names the file
        text = fmt::format("{}:{}:{}: ", diagnostic.file, diagnostic.line, diagnostic.column);
    }
    if (diagnostic.severity == Diagnostic::Severity::warning) {
        text += "warning: ";
    }
    if (!diagnostic.word.empty()) {
        const bool sentence = !diagnostic.message.starts_with("expected");
        text += fmt::format("'{}'{} ", diagnostic.word, sentence ? "" : ":");
    }
    return printable(text + diagnostic.message);
}

void Draft::report(const Place& place, std::string_view word, std::string message,
                   Diagnostic::Severity severity) {
    Diagnostic diagnostic{severity,     files[place.file], place.line,
                          place.column, shortened(word),   std::move(message)};
    // What several hosts inherit is wrong on each of them; once is enough.
    const bool known = std::ranges::any_of(diagnostics, [&](const Diagnostic& each) {
        return each.line == place.line && each.column == place.column &&
               each.word == diagnostic.word && each.file == diagnostic.file;
    });
    if (!known && diagnostics.size() < diagnostics_max) {
        diagnostics.push_back(std::move(diagnostic));
    }
}

bool Loaded::has_errors() const {
    return std::ranges::any_of(diagnostics, [](const Diagnostic& each) {
        return each.severity == Diagnostic::Severity::error;
    });
}

Loaded load(const std::string& path, const Source& source) {
    Draft draft;
    parse(path, source, draft);
    Loaded loaded;
    loaded.config = resolve(draft);
    std::ranges::stable_sort(draft.diagnostics, {}, [&](const Diagnostic& each) {
        return std::tuple(std::ranges::find(draft.files, each.file), each.line, each.column);
    });
    loaded.diagnostics = std::move(draft.diagnostics);
    loaded.files = std::move(draft.files);
    if (loaded.has_errors()) {
        loaded.config = {};
        return loaded;
    }
    for (const DraftResource& resource : draft.resources) {
        loaded.origins.push_back(fmt::format("{}:{}", printable(loaded.files[resource.place.file]),
                                             resource.place.line));
    }
    return loaded;
}

}  // namespace braid::config
