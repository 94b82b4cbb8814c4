// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/dump.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "config_sample.h"
#include "config_source.h"

namespace braid::config {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string dump_all(const Config& config, bool defaults) {
    std::string text;
    for (const Resource& resource : config.resources) {
        text += dump_text(resource, defaults);
    }
    return text;
}

TEST(ConfigDump, WhatIsDumpedIsReadBack) {
    for (std::uint32_t seed = 0; seed < 400; seed++) {
        const Config config = test::ConfigSample(seed).config(1 + seed % 4);
        for (const bool defaults : {false, true}) {
            const std::string text = dump_all(config, defaults);
            const Loaded loaded = test::load_text(text);
            ASSERT_FALSE(loaded.has_errors()) << to_string(loaded.diagnostics.front()) << '\n'
                                              << text;
            ASSERT_EQ(loaded.config, config) << "seed " << seed << '\n' << text;
        }
    }
}

Resource small() {
    Resource resource{.name = "r0"};
    resource.hosts = {{"a", 0, false, {false, "10.0.0.1"}, {{0, 1, "/dev/x", "/dev/m"}}},
                      {"b", 1, false, {true, "fd00::1", 9}, {{0, 2, "", ""}}}};
    return resource;
}

TEST(ConfigDump, TextIsAsAPersonWouldWriteIt) {
    Resource resource = small();
    resource.settings.net.timeout = Milliseconds(1500);
    resource.settings.handlers.degraded = "/bin/tell \"it\"";
    EXPECT_EQ(dump_text(resource), R"(resource r0 {
    net {
        timeout 1500ms;
    }
    handlers {
        degraded "/bin/tell \"it\"";
    }
    on a {
        node-id 0;
        address ipv4 10.0.0.1:7780;
        volume 0 {
            device /dev/braid1 minor 1;
            disk /dev/x;
            meta-disk /dev/m;
        }
    }
    on b {
        node-id 1;
        address ipv6 [fd00::1]:9;
        volume 0 {
            device /dev/braid2 minor 2;
            disk none;
        }
    }
}
)");
}

TEST(ConfigDump, DefaultsAreShownWhenAskedFor) {
    const std::string text = dump_text(small(), true);
    EXPECT_THAT(text, HasSubstr("quorum majority;\n"));
    EXPECT_THAT(text, HasSubstr("promote-after never;\n"));
    EXPECT_THAT(text, HasSubstr("lease 3s;\n"));
    EXPECT_THAT(text, HasSubstr("c-max-rate 0;\n"));
    EXPECT_THAT(text, Not(HasSubstr("degraded")));
    EXPECT_THAT(dump_text(small()), Not(HasSubstr("quorum")));
}

TEST(ConfigDump, JsonHasAllOptions) {
    Resource resource = small();
    resource.settings.net.tls = false;
    resource.connections = {{{0, 1}, {{{false, "10.1.0.1"}, {false, "10.1.0.2"}}}, {}, {}}};
    const auto json = nlohmann::json::parse(dump_json({.pools = {}, .resources = {resource}}));
    const auto& r0 = json.at("resources").at(0);
    EXPECT_EQ(r0.at("resource"), "r0");
    EXPECT_EQ(r0.at("options").at("lease"), 3000);
    EXPECT_EQ(r0.at("options").at("quorum"), "majority");
    EXPECT_EQ(r0.at("net").at("tls"), false);
    EXPECT_EQ(r0.at("hosts").at(1).at("volumes").at(0).at("disk"), "none");
    EXPECT_EQ(r0.at("hosts").at(0).at("volumes").at(0).at("meta-disk"), "/dev/m");
    EXPECT_EQ(r0.at("hosts").at(1).at("address"), "ipv6 [fd00::1]:9");
    EXPECT_EQ(r0.at("connections").at(0).at("hosts").at(1), "b");
    EXPECT_EQ(r0.at("connections").at(0).at("paths").at(0).at(1), "ipv4 10.1.0.2:7780");
    EXPECT_EQ(r0.at("connections").at(0).at("net").at("tls"), true);
    EXPECT_FALSE(r0.at("connections").at(0).at("net").contains("timeout"));
}

}  // namespace
}  // namespace braid::config
