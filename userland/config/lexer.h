// SPDX-License-Identifier: GPL-2.0-or-later
//
// The words of a configuration file, as drbd.conf(5) has them: '{', '}', ';',
// strings in double quotes, and what stands between blanks. '#' begins a comment
// up to the end of the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace braid::config {

/// Where something stands. Lines and columns (bytes) count from 1.
struct Place {
    std::uint32_t file = 0;  ///< index into the list of files that were read
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

struct Token {
    enum class Kind : std::uint8_t { word, string, open, close, semicolon, end, bad };

    Kind kind = Kind::end;
    /// A word as it stands, a string without quotes and escapes; of a bad one why.
    std::string text;
    Place place;

    [[nodiscard]] bool is_value() const { return kind == Kind::word || kind == Kind::string; }
};

/// Longest word or string, in bytes: that of a path in the kernel.
inline constexpr std::size_t word_max = 4095;

class Lexer {
  public:
    /// `text` must outlive the lexer.
    Lexer(std::string_view text, std::uint32_t file) : text_(text), place_{file, 1, 1} {}

    /// The next token. After a bad one it goes on behind it.
    Token next();

  private:
    void skip_blanks();
    char take();
    Token string(Token token);
    Token word(Token token);

    std::string_view text_;
    std::size_t at_ = 0;
    Place place_;
};

/// A value as a file must spell it to be read back: in quotes where it needs them.
[[nodiscard]] std::string spell(std::string_view value, bool always_quoted = false);

}  // namespace braid::config
