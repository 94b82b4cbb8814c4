// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace braid::config {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Ends a word.
bool is_special(char c) {
    return is_blank(c) || c == '{' || c == '}' || c == ';' || c == '"' || c == '#';
}

Token bad(Token token, std::string why) {
    token.kind = Token::Kind::bad;
    token.text = std::move(why);
    return token;
}

}  // namespace

char Lexer::take() {
    const char c = text_[at_++];
    if (c == '\n') {
        place_.line++;
        place_.column = 1;
    } else {
        place_.column++;
    }
    return c;
}

void Lexer::skip_blanks() {
    while (at_ < text_.size()) {
        if (text_[at_] == '#') {
            while (at_ < text_.size() && text_[at_] != '\n') {
                take();
            }
        } else if (is_blank(text_[at_])) {
            take();
        } else {
            return;
        }
    }
}

Token Lexer::string(Token token) {
    token.kind = Token::Kind::string;
    std::string control;
    while (at_ < text_.size() && text_[at_] != '\n') {
        char c = take();
        if (c == '"') {
            if (token.text.size() > word_max) {
                return bad(std::move(token), fmt::format("longer than {} bytes", word_max));
            }
            return control.empty() ? token : bad(std::move(token), std::move(control));
        }
        if (c == '\\' && at_ < text_.size() && text_[at_] != '\n') {
            c = take();
        }
        if (is_control(c) && c != '\t') {
            control = fmt::format("byte 0x{:02x} in a string", static_cast<unsigned char>(c));
        }
        if (token.text.size() <= word_max) {
            token.text += c;
        }
    }
    return bad(std::move(token), "the closing '\"' is missing");
}

Token Lexer::word(Token token) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && !is_special(text_[at_])) {
        take();
    }
    const std::string_view text = text_.substr(begin, at_ - begin);
    const auto strange = std::ranges::find_if(text, is_control);
    if (strange != text.end()) {
        return bad(std::move(token),
                   fmt::format("byte 0x{:02x} in a word", static_cast<unsigned char>(*strange)));
    }
    if (text.size() > word_max) {
        return bad(std::move(token), fmt::format("longer than {} bytes", word_max));
    }
    token.kind = Token::Kind::word;
    token.text = text;
    return token;
}

Token Lexer::next() {
    skip_blanks();
    Token token{Token::Kind::end, {}, place_};
    if (at_ == text_.size()) {
        return token;
    }
    switch (text_[at_]) {
        case '{':
            token.kind = Token::Kind::open;
            break;
        case '}':
            token.kind = Token::Kind::close;
            break;
        case ';':
            token.kind = Token::Kind::semicolon;
            break;
        case '"':
            take();
            return string(std::move(token));
        default:
            return word(std::move(token));
    }
    token.text = take();
    return token;
}

std::string spell(std::string_view value, bool always_quoted) {
    if (!always_quoted && !value.empty() && std::ranges::none_of(value, is_special) &&
        std::ranges::find(value, '\\') == value.end()) {
        return std::string(value);
    }
    std::string text = "\"";
    for (const char c : value) {
        if (c == '"' || c == '\\') {
            text += '\\';
        }
        text += c;
    }
    return text + '"';
}

}  // namespace braid::config
