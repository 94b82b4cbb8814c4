// SPDX-License-Identifier: GPL-2.0-or-later
//
// The one table of what may stand in a configuration file: a row for each keyword
// and option, also for those of DRBD that Braid answers with what to use instead.
// Parsing, printing, messages and the check of braid.res(5) come from it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "config/model.h"
#include "sys/result.h"

namespace braid::config {

/// What keywords stand in.
enum class Section : std::uint8_t {
    top,
    global,
    common,
    resource,
    on,
    witness,
    volume,
    connection,
    mesh,
    path,
    options,
    net,
    disk,
    handlers,
    startup,
    pool,
};

/// How a section is spelt, "connection-mesh" say.
[[nodiscard]] std::string_view name_of(Section section);

/// What follows a keyword.
enum class Form : std::uint8_t {
    block,    ///< { ... }, a section in which no name is needed or one is
    include,  ///< a pattern of files
    device,
    disk,
    meta_disk,
    address,
    node_id,
    host,
    hosts,
    pool_name,
    pool_size,
    pool_place,  ///< of the storage of a pool; the keyword is its kind
    boolean,     ///< yes or no; nothing is yes
    number,
    size,    ///< bytes or bytes per second, with a suffix
    time,    ///< with a suffix
    choice,  ///< one of `names`
    text,
    refused,  ///< an option of DRBD; `doc` says what to use instead
};

/// A value of an option: in bytes, milliseconds, or the index of a choice; or a text.
struct Value {
    std::uint64_t number = 0;
    std::string text;

    bool operator==(const Value&) const = default;
};

/// Sections in which a section of settings may stand.
using Levels = std::uint16_t;

struct Keyword {
    Section section;
    std::string_view name;
    Form form;
    /// What it does, or instead of what it is to be used; a sentence without a full stop.
    std::string_view doc;
    /// Of a block: the section that it opens.
    Section opens = Section::top;
    /// Of an option: where its section has to stand.
    Levels levels = 0;
    std::uint64_t min = 0;
    std::uint64_t max = 0;
    /// What a number without suffix counts, in bytes or milliseconds.
    std::uint64_t unit = 1;
    /// Of a choice, in the order of their values. Of a time: the name of 0.
    std::span<const std::string_view> names{};
    /// Of a choice: what to do about any other value.
    std::string_view otherwise{};
    void (*set)(Settings& settings, const Value& value) = nullptr;
    Value (*get)(const Settings& settings) = nullptr;

    [[nodiscard]] bool is_option() const { return form >= Form::boolean && form < Form::refused; }
};

[[nodiscard]] constexpr Levels level(Section section) {
    return static_cast<Levels>(1U << static_cast<unsigned>(section));
}

[[nodiscard]] std::span<const Keyword> keywords();

/// The row of a word; a block if `block`, else a statement, if there are both. Null if none.
[[nodiscard]] const Keyword* find_keyword(Section section, std::string_view name, bool block);

/// What is wrong with a word that `section` does not have, and what was meant.
[[nodiscard]] std::string explain_unknown(Section section, std::string_view word);

/// The value that a word stands for, or what was expected.
[[nodiscard]] sys::Result<Value, std::string> parse_value(const Keyword& option,
                                                          std::string_view word);

/// The value as parse_value() takes it, with the unit; a text without quotes.
[[nodiscard]] std::string value_text(const Keyword& option, const Value& value);

/// A decimal number without sign; nothing if it is none or above `max`.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view word, std::uint64_t max);

}  // namespace braid::config
