// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/lexer.h"

#include <gmock/gmock.h>

namespace braid::config {
namespace {

using Kind = Token::Kind;

std::vector<Token> tokens(std::string_view text) {
    Lexer lexer(text, 0);
    std::vector<Token> all;
    do {
        all.push_back(lexer.next());
    } while (all.back().kind != Kind::end);
    return all;
}

/// The only token of a text.
Token token(std::string_view text) {
    const auto all = tokens(text);
    EXPECT_EQ(all.size(), 2U) << text;
    return all.front();
}

TEST(ConfigLexer, WordsEndAtBlanksAndSpecials) {
    std::string seen;
    for (const Token& each : tokens("a{b;c}d\"e\"f#g;\nh\r\ti")) {
        seen += each.text + ' ';
    }
    EXPECT_EQ(seen, "a { b ; c } d e f h i  ");
}

TEST(ConfigLexer, PlacesCountFromOne) {
    const auto all = tokens("# x\n  ab\tc");
    EXPECT_EQ(all[0].place.line, 2U);
    EXPECT_EQ(all[0].place.column, 3U);
    EXPECT_EQ(all[1].place.column, 6U);
    EXPECT_EQ(all[2].kind, Kind::end);
    EXPECT_EQ(all[2].place.column, 7U);
}

TEST(ConfigLexer, StringsHaveEscapes) {
    EXPECT_EQ(token(R"("a b;{#}\"\\\x")").text, R"(a b;{#}"\x)");
    EXPECT_EQ(token("\"\"").kind, Kind::string);
}

TEST(ConfigLexer, StringsEndInTheirLine) {
    const auto all = tokens("\"ab\ncd");
    EXPECT_EQ(all[0].kind, Kind::bad);
    EXPECT_EQ(all[1].text, "cd");
    EXPECT_EQ(tokens("\"a\\\nb")[0].kind, Kind::bad);
}

TEST(ConfigLexer, ControlCharactersAreRefused) {
    EXPECT_EQ(token(std::string_view("a\0b", 3)).text, "byte 0x00 in a word");
    EXPECT_EQ(token("\"a\x1b\"").text, "byte 0x1b in a string");
    EXPECT_EQ(token("\"a\tb\"").kind, Kind::string);
    EXPECT_EQ(token("\xc3\xa4").kind, Kind::word);
}

TEST(ConfigLexer, WordsAndStringsHaveABound) {
    EXPECT_EQ(token(std::string(word_max, 'x')).kind, Kind::word);
    EXPECT_EQ(token(std::string(word_max + 1, 'x')).kind, Kind::bad);
    EXPECT_EQ(token('"' + std::string(word_max, 'x') + '"').kind, Kind::string);
    EXPECT_EQ(token('"' + std::string(word_max + 1, 'x') + '"').kind, Kind::bad);
}

TEST(ConfigLexer, WhatIsSpelledIsReadBack) {
    for (const std::string value :
         {"", "a", "/dev/x", "a b", "a\"b", "a\\b", "#", "{", "x;", "\t"}) {
        for (const bool always : {false, true}) {
            EXPECT_EQ(token(spell(value, always)).text, value);
        }
    }
    EXPECT_EQ(spell("/dev/x"), "/dev/x");
    EXPECT_EQ(spell("/dev/x", true), "\"/dev/x\"");
}

}  // namespace
}  // namespace braid::config
