// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/keywords.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "config/nearest.h"
#include "config_source.h"

namespace braid::config {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::string read(const std::string& path) {
    std::ifstream file(std::string(TEST_SOURCE) + "/" + path);
    EXPECT_TRUE(file) << path;
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// As roff spells it.
std::string roff(std::string_view text) {
    return std::regex_replace(std::string(text), std::regex("-"), "\\-");
}

TEST(ConfigKeywords, RowsAreUnique) {
    std::set<std::tuple<Section, std::string_view, bool>> seen;
    for (const Keyword& row : keywords()) {
        EXPECT_TRUE(seen.insert({row.section, row.name, row.form == Form::block}).second)
            << row.name;
        EXPECT_THAT(row.doc, Not(IsEmpty())) << row.name;
        EXPECT_EQ(row.is_option(), row.levels != 0) << row.name;
        if (row.form == Form::refused) {
            EXPECT_THAT(row.doc,
                        AnyOf(StartsWith("use "), StartsWith("remove it"), StartsWith("give it")))
                << row.name;
        }
    }
}

TEST(ConfigKeywords, DefaultsAreValuesAndAreReadBack) {
    for (const Keyword& row : keywords()) {
        if (row.get == nullptr) {
            continue;
        }
        const Value value = row.get(Settings{});
        const auto again = parse_value(row, value_text(row, value));
        ASSERT_TRUE(again) << row.name << ": " << again.error();
        EXPECT_EQ(*again, value) << row.name;
        Settings settings;
        Value other = value;
        other.number = row.form == Form::boolean ? 1 - value.number : row.max;
        other.text = "x";
        if (row.form == Form::choice) {
            other.number = row.names.size() - 1;
        }
        row.set(settings, other);
        EXPECT_EQ(row.get(settings),
                  row.form == Form::text ? (Value{0, "x"}) : (Value{other.number, {}}))
            << row.name;
    }
}

TEST(ConfigKeywords, TheManualHasEveryOptionWithItsDefault) {
    const std::string page = read("packaging/man/braid.res.5");
    for (const Keyword& row : keywords()) {
        if (!row.is_option()) {
            continue;
        }
        const std::regex paragraph(
            "\\.T[PQ]\n\\.B[RI] " +
            std::regex_replace(roff(row.name), std::regex(R"(\\)"), R"(\\)") +
            " [^]*?\n(\\.TP|\\.S[SH])");
        std::smatch found;
        ASSERT_TRUE(std::regex_search(page, found, paragraph)) << row.name;
        if (row.get != nullptr && row.form != Form::text) {
            EXPECT_THAT(found.str(), HasSubstr("The default is " +
                                               roff(value_text(row, row.get(Settings{}))) + ".\n"))
                << row.name;
        }
        if (row.form == Form::time && row.min != 0) {
            EXPECT_THAT(found.str(),
                        HasSubstr(fmt::format("{} to {}", value_text(row, {row.min, {}}),
                                              value_text(row, {row.max, {}}))))
                << row.name;
        }
        for (const std::string_view name : row.names) {
            EXPECT_THAT(found.str(), HasSubstr(roff(name))) << row.name;
        }
    }
}

/// In lines of up to 72 bytes.
std::string sentence(std::string_view doc) {
    std::string text = roff(doc) + ".\n";
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
    for (std::size_t line = 0; text.size() - line > 72;) {
        line = text.rfind(' ', line + 72);
        text[line++] = '\n';
        if (text[line] == '\'') {
            text.insert(line, "\\&");  // else a request
        }
    }
    return text;
}

/// The part of braid.res(5) about words that are refused: rows of one section and
/// one answer together.
std::string refused_part() {
    std::string text;
    const Keyword* last = nullptr;
    for (const Keyword& row : keywords()) {
        if (row.form != Form::refused) {
            continue;
        }
        const bool same = last != nullptr && last->section == row.section && last->doc == row.doc;
        const std::string head =
            row.section == Section::top
                ? roff(row.name)
                : fmt::format("{} \" ({})\"", roff(row.name), roff(name_of(row.section)));
        if (!same && last != nullptr) {
            text += sentence(last->doc);
        }
        text += fmt::format("{}\n.BR {}\n", same ? ".TQ" : ".TP", head);
        last = &row;
    }
    return text + sentence(last->doc);
}

TEST(ConfigKeywords, TheManualHasAllThatIsRefused) {
    const std::string page = read("packaging/man/braid.res.5");
    const std::string begin = "as its test says\n";
    const auto from = page.find(begin) + begin.size();
    const auto to = page.find(".\\\" end of refused");
    ASSERT_NE(to, std::string::npos);
    EXPECT_EQ(page.substr(from, to - from), refused_part()) << "put this there:\n"
                                                            << refused_part();
}

TEST(ConfigKeywords, ExamplesOfTheManualAndThePackageAreRight) {
    const std::string page = read("packaging/man/braid.res.5");
    const std::regex example("\\.EX\n([^]*?)\\.EE\n");
    std::size_t count = 0;
    for (std::sregex_iterator each(page.begin(), page.end(), example), end; each != end; ++each) {
        EXPECT_THAT(test::messages(test::load_text((*each)[1].str())), IsEmpty());
        count++;
    }
    EXPECT_EQ(count, 4U);
    EXPECT_THAT(test::messages(test::load_text(read("packaging/examples/three-hosts.res"))),
                IsEmpty());
    const std::string installed = read("packaging/etc/braid.conf");
    EXPECT_THAT(installed, HasSubstr("include \"braid.d/*.res\";"));
    EXPECT_THAT(test::messages(
                    test::load_text(std::regex_replace(installed, std::regex("\\*\\.res"), "*"))),
                IsEmpty());
}

struct Known {
    Section section;
    std::vector<std::string_view> names;
};

// What drbdsetup(8) and drbd.conf(5) of DRBD 8.4, 9.0, 9.2 and 9.3 have.
const std::vector<Known> known_to_drbd{
    {Section::options,
     {"cpu-mask", "on-no-data-accessible", "auto-promote", "peer-ack-window", "peer-ack-delay",
      "twopc-timeout", "twopc-retry-timeout", "auto-promote-timeout", "max-io-depth", "quorum",
      "on-no-quorum", "quorum-minimum-redundancy", "on-suspended-primary-outdated"}},
    {Section::net,
     {"protocol",
      "timeout",
      "max-epoch-size",
      "connect-int",
      "ping-int",
      "sndbuf-size",
      "rcvbuf-size",
      "ko-count",
      "allow-two-primaries",
      "cram-hmac-alg",
      "shared-secret",
      "after-sb-0pri",
      "after-sb-1pri",
      "after-sb-2pri",
      "always-asbp",
      "rr-conflict",
      "ping-timeout",
      "data-integrity-alg",
      "tcp-cork",
      "on-congestion",
      "congestion-fill",
      "congestion-extents",
      "csums-alg",
      "csums-after-crash-only",
      "verify-alg",
      "use-rle",
      "socket-check-timeout",
      "fencing",
      "max-buffers",
      "allow-remote-read",
      "_name",
      "transport",
      "unplug-watermark",
      "load-balance-paths",
      "rdma-ctrl-rcvbuf-size",
      "rdma-ctrl-sndbuf-size",
      "tls",
      "tls-keyring",
      "tls-privkey",
      "tls-certificate"}},
    {Section::disk,
     {"on-io-error",
      "disk-barrier",
      "disk-flushes",
      "disk-drain",
      "md-flushes",
      "resync-after",
      "al-extents",
      "al-updates",
      "discard-zeroes-if-aligned",
      "disable-write-same",
      "disk-timeout",
      "read-balancing",
      "rs-discard-granularity",
      "resync-rate",
      "c-plan-ahead",
      "c-delay-target",
      "c-fill-target",
      "c-max-rate",
      "c-min-rate",
      "bitmap",
      "fencing",
      "size",
      "max-bio-bvecs",
      "resync-without-replication",
      "peer-tiebreaker",
      "block-size",
      "max-bio-size",
      "discard-granularity"}},
    {Section::handlers,
     {"pri-on-incon-degr", "pri-lost-after-sb", "pri-lost", "fence-peer", "unfence-peer",
      "local-io-error", "initial-split-brain", "split-brain", "before-resync-target",
      "after-resync-target", "before-resync-source", "out-of-sync", "quorum-lost", "disconnected",
      "outdate-peer"}},
    {Section::startup,
     {"wfc-timeout", "degr-wfc-timeout", "outdated-wfc-timeout", "wait-after-sb",
      "stacked-timeouts", "become-primary-on"}},
    {Section::global,
     {"usage-count", "dialog-refresh", "minor-count", "disable-ip-verification",
      "udev-always-use-vnr", "cmd-timeout-short", "cmd-timeout-medium", "cmd-timeout-long"}},
    {Section::resource,
     {"on", "volume", "connection", "connection-mesh", "floating", "stacked-on-top-of", "options",
      "net", "disk", "handlers", "startup", "syncer", "proxy", "device", "meta-disk",
      "flexible-meta-disk"}},
    {Section::on, {"volume", "node-id", "address", "device", "disk", "meta-disk", "proxy"}},
    {Section::connection, {"host", "path", "net", "disk", "volume"}},
};

TEST(ConfigKeywords, EveryWordOfDrbdIsKnown) {
    for (const Known& known : known_to_drbd) {
        for (const std::string_view name : known.names) {
            EXPECT_NE(find_keyword(known.section, name, false), nullptr)
                << name_of(known.section) << ' ' << name;
        }
    }
}

TEST(ConfigKeywords, AStatementAndABlockOfOneNameAreToldApart) {
    EXPECT_EQ(find_keyword(Section::volume, "disk", true)->form, Form::block);
    EXPECT_EQ(find_keyword(Section::volume, "disk", false)->form, Form::disk);
    EXPECT_EQ(find_keyword(Section::witness, "disk", false), nullptr);
}

TEST(ConfigKeywords, DistancesAreLevenshteins) {
    EXPECT_EQ(edit_distance("", ""), 0U);
    EXPECT_EQ(edit_distance("abc", ""), 3U);
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
    EXPECT_EQ(edit_distance("timout", "timeout"), 1U);
}

}  // namespace
}  // namespace braid::config
