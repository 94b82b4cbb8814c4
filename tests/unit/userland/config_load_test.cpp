// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <random>

#include "config_source.h"

namespace braid::config {
namespace {

using test::Files;
using test::load_files;
using test::load_text;
using test::messages;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// Line 2 is the resource's, 3 the volume's, 4 to 6 the members'.
constexpr std::string_view good = R"(
resource r0 {
    volume 0 { device minor 1; disk /dev/vg/a; }
    on alice { node-id 0; address 10.0.0.1; }
    on bob { node-id 1; address 10.0.0.2; }
    witness wendy { node-id 2; address 10.0.0.3; }
})";

/// `good` with one text in place of another.
std::string with(std::string_view old, std::string_view by) {
    std::string text(good);
    const auto at = text.find(old);
    EXPECT_NE(at, std::string::npos) << old;
    return text.replace(at, old.size(), by);
}

/// `good` with something more in the resource, in line 7.
std::string plus(std::string_view more) {
    return std::string(good.substr(0, good.size() - 1)) + std::string(more) + "}";
}

Resource only(const Loaded& loaded) {
    EXPECT_THAT(messages(loaded), IsEmpty());
    EXPECT_THAT(loaded.config.resources, SizeIs(1));
    return loaded.config.resources.empty() ? Resource{} : loaded.config.resources.front();
}

TEST(ConfigLoad, VolumesOfPools) {
    const std::string pools =
        "pool fast { lvmthin vg0/thin; }\npool z { zfs tank/vms; }\npool l { lvm vg1; }\n";
    const Loaded loaded =
        load_text(pools + with("disk /dev/vg/a;", "pool fast; size 10G;") +
                  "resource r1 { volume 3 { device minor 2; pool z; size 1536; }\n"
                  "on alice { node-id 0; address 10.0.0.1; }\n"
                  "on bob { node-id 1; address 10.0.0.2; volume 3 { pool l; size 2M; } }\n"
                  "on carol { node-id 2; address 10.0.0.4; volume 3 { disk none; } } }\n");
    ASSERT_THAT(messages(loaded), ElementsAre(HasSubstr("is no value of 'size': expected 1M to")));
    const Loaded good_one =
        load_text(pools + with("disk /dev/vg/a;", "pool fast; size 10G;") +
                  "resource r1 { volume 3 { device minor 2; pool z; size 1536K; }\n"
                  "on alice { node-id 0; address 10.0.0.1; }\n"
                  "on bob { node-id 1; address 10.0.0.2; volume 3 { pool l; } }\n"
                  "on carol { node-id 2; address 10.0.0.4; volume 3 { disk none; } }\n"
                  "on dora { node-id 3; address 10.0.0.5; volume 3 { pool other; } } }\n");
    ASSERT_THAT(messages(good_one), IsEmpty());
    ASSERT_THAT(good_one.config.pools, SizeIs(3));
    EXPECT_EQ(good_one.config.pools[0],
              (Pool{.name = "fast", .kind = PoolKind::lvmthin, .group = "vg0", .thin = "thin"}));
    EXPECT_EQ(good_one.config.pools[2].place(), "tank/vms");
    const auto volume = [&](std::size_t resource, std::size_t host) {
        return good_one.config.resources.at(resource).hosts.at(host).volumes.at(0);
    };
    EXPECT_EQ(volume(0, 0).disk, "/dev/vg0/r0_00000");
    EXPECT_EQ(volume(0, 0).size, std::uint64_t{10} << 30);
    EXPECT_EQ(volume(1, 0).disk, "/dev/zvol/tank/vms/r1_00003");
    EXPECT_EQ(volume(1, 1).disk, "/dev/vg1/r1_00003");
    EXPECT_EQ(volume(1, 1).size, 1536U * 1024);
    EXPECT_EQ(volume(1, 2).disk, "");
    EXPECT_EQ(volume(1, 2).pool, "");
    // Of another host: its files know it.
    EXPECT_EQ(volume(1, 3).disk, "/dev/other/r1_00003");
}

TEST(ConfigLoad, RefusesPoolsThatMakeNoSense) {
    EXPECT_THAT(messages(load_text("pool p { lvmthin vg; }\n")),
                ElementsAre(HasSubstr("expected a volume group and its thin pool: VG/LV")));
    EXPECT_THAT(messages(load_text("pool p { lvm vg/x; }\n")),
                ElementsAre(HasSubstr("expected the name of a volume group")));
    EXPECT_THAT(messages(load_text("pool p { zfs tank//x; }\n")),
                ElementsAre(HasSubstr("expected a ZFS pool or dataset")));
    EXPECT_THAT(messages(load_text("pool ../p { lvm vg; }\n")),
                ElementsAre(HasSubstr("is no name of a pool")));
    EXPECT_THAT(messages(load_text("pool p { }\n")), ElementsAre(HasSubstr("has no storage")));
    EXPECT_THAT(messages(load_text("pool p { lvm a; }\npool p { lvm b; }\n")),
                ElementsAre(HasSubstr("is given twice, first in /etc/braid.conf:1")));
    EXPECT_THAT(messages(load_text(with("disk /dev/vg/a;", "pool p;"))),
                testing::Contains(HasSubstr("has no size; add 'size SIZE;', as 10G")));
    EXPECT_THAT(messages(load_text(with("disk /dev/vg/a;", "disk /dev/vg/a; pool p; size 1G;"))),
                testing::Contains(HasSubstr("has a disk, too: remove one of the two")));
    EXPECT_THAT(messages(load_text(with("disk /dev/vg/a;", "disk /dev/vg/a; size 1G;"))),
                testing::Contains(HasSubstr("is of a volume of a pool")));
}

TEST(ConfigLoad, ReadsAResource) {
    const Loaded loaded = load_text(std::string(good));
    const Resource resource = only(loaded);
    EXPECT_EQ(resource.name, "r0");
    EXPECT_EQ(resource.settings, Settings{});
    ASSERT_THAT(resource.hosts, SizeIs(3));
    EXPECT_EQ(resource.hosts[0].volumes, (std::vector<Volume>{{0, 1, "/dev/vg/a", ""}}));
    EXPECT_EQ(resource.hosts[1].volumes, resource.hosts[0].volumes);
    EXPECT_EQ(resource.hosts[1].node_id, 1U);
    EXPECT_EQ(resource.hosts[1].address, (Address{false, "10.0.0.2", default_port}));
    EXPECT_TRUE(resource.hosts[2].witness);
    EXPECT_THAT(resource.hosts[2].volumes, IsEmpty());
    EXPECT_THAT(resource.connections, IsEmpty());
    EXPECT_THAT(loaded.origins, ElementsAre("/etc/braid.conf:2"));
}

TEST(ConfigLoad, AHostHasWhatItSaysAndInheritsTheRest) {
    const Resource resource =
        only(load_text(with("node-id 1;", "node-id 1; volume 0 { meta-disk /dev/vg/m; }")));
    EXPECT_EQ(resource.hosts[1].volumes, (std::vector<Volume>{{0, 1, "/dev/vg/a", "/dev/vg/m"}}));
    EXPECT_EQ(resource.hosts[0].volumes, (std::vector<Volume>{{0, 1, "/dev/vg/a", ""}}));
}

TEST(ConfigLoad, StatementsOutsideOfAVolumeAreAboutVolumeZero) {
    const std::string text = R"(resource r { device /dev/braid5; disk "/dev/a b";
        on a { node-id 4; address [fd00:0::1]:7; }
        on b { node-id 5; address ipv6 [fd00::2]:7; disk none; device /dev/braid6 minor 6; } })";
    const Resource resource = only(load_text(text));
    EXPECT_EQ(resource.hosts[0].volumes, (std::vector<Volume>{{0, 5, "/dev/a b", ""}}));
    EXPECT_EQ(resource.hosts[1].volumes, (std::vector<Volume>{{0, 6, "", ""}}));
    EXPECT_EQ(resource.hosts[0].address, (Address{true, "fd00::1", 7}));
}

TEST(ConfigLoad, OptionsAreInherited) {
    const std::string common = R"(common { net { timeout 1s; streams 2; tls off; }
        options { lease 2s; on-no-quorum io-error; } })";
    const std::string own = R"(net { streams 3; } options { lease 900ms; }
        connection { host alice; host bob; net { tls yes; connect-int 5; } disk { c-max-rate 3; } })";
    const Resource resource = only(load_text(common + plus(own)));
    EXPECT_EQ(resource.settings.net.timeout, Milliseconds(1000));
    EXPECT_EQ(resource.settings.net.streams, 3U);
    EXPECT_FALSE(resource.settings.net.tls);
    EXPECT_EQ(resource.settings.options.lease, Milliseconds(900));
    EXPECT_EQ(resource.settings.options.on_no_quorum, NoQuorum::io_error);

    const auto alice = on_host(resource, "alice");
    ASSERT_TRUE(alice);
    ASSERT_THAT(alice->peers, SizeIs(2));
    EXPECT_TRUE(alice->peers[0].net.tls);
    EXPECT_EQ(alice->peers[0].net.streams, 3U);
    EXPECT_EQ(alice->peers[0].net.connect_int, Milliseconds(5000));
    EXPECT_EQ(alice->peers[0].disk.c_max_rate, 3072U);
    EXPECT_FALSE(alice->peers[1].net.tls);
    EXPECT_EQ(alice->peers[1].disk.c_max_rate, 0U);
}

TEST(ConfigLoad, ChecksumsAreOnWhereNothingIsEncrypted) {
    EXPECT_FALSE(NetOptions{}.checksums());
    EXPECT_TRUE(only(load_text(plus("net { tls no; }"))).settings.net.checksums());
    EXPECT_FALSE(
        only(load_text(plus("net { tls no; data-integrity-alg none; }"))).settings.net.checksums());
    EXPECT_TRUE(
        only(load_text(plus("net { data-integrity-alg crc32c; }"))).settings.net.checksums());
}

TEST(ConfigLoad, EveryHostSeesItsOwnEndFirst) {
    const Resource resource = only(load_text(plus(R"(
        connection { path { host bob address 10.1.0.2; host alice address 10.1.0.1; }
                     path { host alice address 10.2.0.1; host bob; } })")));
    const Address alice_1{false, "10.1.0.1", default_port};
    const Address bob_1{false, "10.1.0.2", default_port};
    const auto alice = on_host(resource, "alice");
    const auto bob = on_host(resource, "bob");
    EXPECT_EQ(alice->peers[0].paths[0], (Path{alice_1, bob_1}));
    EXPECT_EQ(bob->peers[0].paths[0], (Path{bob_1, alice_1}));
    EXPECT_EQ(bob->peers[0].paths[1].first, resource.hosts[1].address);
    EXPECT_EQ(bob->peers[1].name, "wendy");
    EXPECT_TRUE(bob->peers[1].witness);
    EXPECT_EQ(bob->peers[1].paths,
              (std::vector<Path>{{resource.hosts[1].address, resource.hosts[2].address}}));
    EXPECT_FALSE(on_host(resource, "mallory"));
}

TEST(ConfigLoad, AMeshHoldsBetweenItsMembers) {
    const Resource resource = only(
        load_text(plus("connection-mesh { hosts wendy alice; net { streams 8; } } connection x { "
                       "host alice address 10.3.0.1; host bob address 10.3.0.2; }")));
    const auto alice = on_host(resource, "alice");
    EXPECT_EQ(alice->peers[1].net.streams, 8U);
    EXPECT_EQ(alice->peers[0].net.streams, NetOptions{}.streams);
    EXPECT_EQ(alice->peers[0].paths[0].second.ip, "10.3.0.2");
}

TEST(ConfigLoad, NumbersHaveSuffixes) {
    const auto rate = [](std::string_view word) {
        return only(load_text(plus(fmt::format("disk {{ c-max-rate {}; }}", word))))
            .settings.disk.c_max_rate;
    };
    EXPECT_EQ(rate("7"), 7U << 10);
    EXPECT_EQ(rate("7s"), 7U * 512);
    EXPECT_EQ(rate("7k"), rate("7K"));
    EXPECT_EQ(rate("7M"), 7U << 20);
    EXPECT_EQ(rate("7g"), 7ULL << 30);
    EXPECT_EQ(rate("1T"), 1ULL << 40);
    const auto lease = [](std::string_view word) {
        return only(load_text(plus(fmt::format("options {{ lease {}; }}", word))))
            .settings.options.lease.count();
    };
    EXPECT_EQ(lease("7"), 700);
    EXPECT_EQ(lease("700ms"), 700);
    EXPECT_EQ(lease("7s"), 7000);
    EXPECT_EQ(lease("7m"), 420000);
    const auto after = [](std::string_view word) {
        return only(load_text(plus(fmt::format("options {{ promote-after {}; }}", word))))
            .settings.options.promote_after.count();
    };
    EXPECT_EQ(after("never"), 0);
    EXPECT_EQ(after("2h"), 7200000);
}

TEST(ConfigLoad, SkippedSectionsAreNotRead) {
    EXPECT_EQ(
        only(load_text(std::string(good) + "skip resource r0 { nonsense { ; } } skip x;")).name,
        "r0");
    EXPECT_EQ(only(load_text(plus("skip net { x { y; } }"))).name, "r0");
}

// ---- one error a text ----

struct Case {
    std::string text;
    std::string message;
};

class ConfigError : public testing::TestWithParam<Case> {};

TEST_P(ConfigError, IsTheOnlyMessage) {
    const Loaded loaded = load_text(GetParam().text);
    EXPECT_THAT(messages(loaded), ElementsAre(HasSubstr(GetParam().message))) << GetParam().text;
    EXPECT_TRUE(loaded.has_errors());
    EXPECT_THAT(loaded.config.resources, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Syntax, ConfigError,
    testing::Values(
        Case{plus("net { timout 60; }"),
             "7:7: 'timout' is no keyword of net; the nearest is 'timeout'"},
        Case{"resorce r { }",
             "1:1: 'resorce' is no keyword of the top of the file; the nearest is 'resource'"},
        Case{plus("timeout 60;"),
             "7:1: 'timeout' is no keyword of resource; it belongs into net { }"},
        Case{plus("protocol C;"), "it belongs into net { }"},
        Case{plus("net { timeout 60 }"), "7:18: '}': expected ';' after '60'"},
        Case{plus("net { timeout 60\n streams 2; }"), "8:2: 'streams': expected ';' after '60'"},
        Case{plus("net { timeout 60 61; }"), "'61': expected ';' after '60'"},
        Case{plus("net { timeout; }"), "';': expected a value after 'timeout'"},
        Case{plus("net timeout 5;"), "'timeout': expected '{' after 'net'"},
        Case{plus("net { ; \"timeout\" 5; }"), "'timeout': expected a keyword of net"},
        Case{plus("net { streams 2;"), "2:13: '{' is never closed"},
        Case{std::string(good) + "}", "7:2: '}' closes nothing"},
        Case{plus("net { streams \"2; }\n}"), "7:15: the closing '\"' is missing"},
        Case{plus("net { streams 0; }"), "'0' is no value of 'streams': expected 1 to 8"},
        Case{plus("net { streams 9; }"), "'9' is no value of 'streams': expected 1 to 8"},
        Case{plus("net { streams 2x; }"), "'2x' is no value of 'streams'"},
        Case{plus("net { streams 99999999999999999999; }"), "is no value of 'streams'"},
        Case{plus("net { tls maybe; }"), "'maybe' is no value of 'tls': expected yes or no"},
        Case{plus("net { protocol A; }"),
             "'A' is no value of 'protocol': expected C: a write completes on every"},
        Case{plus("net { timeout 5x; }"),
             "expected 100ms to 10m, with a suffix (ms, s, m, h) or in units of 100ms"},
        Case{plus("net { timeout 11m; }"), "'11m' is no value of 'timeout'"},
        Case{plus("net { timeout 99ms; }"), "'99ms' is no value of 'timeout'"},
        Case{plus("disk { c-max-rate 18446744073709551615T; }"),
             "is no value of 'c-max-rate': expected 0 to 1T"},
        Case{plus("disk { c-max-rate 5Mb; }"), "'5Mb' is no value"},
        Case{plus("options { promote-after x; }"), "expected 0 to 168h or never, with"},
        Case{plus("net { streams 2; streams 3; }"),
             "7:18: 'streams' is given twice, first in line 7"},
        Case{plus("net { streams 2; } net { streams 2; }"), "'streams' is given twice"},
        Case{plus("net { ko-count 7; }"), "7:7: 'ko-count' has no use here; use 'request-timeout'"},
        Case{plus("syncer { rate 10M; verify-alg x; }"), "7:1: 'syncer' has no use here; use disk"},
        Case{plus("floating ipv4:10.0.0.1:1 { node-id 3; }"), "'floating' has no use here"},
        Case{plus("stacked-on-top-of r { }"), "'stacked-on-top-of' has no use here"},
        Case{plus("on x y { node-id 3; address 10.0.0.9; }"),
             "7:6: 'y': expected '{': 'on' takes one host"},
        Case{plus("connection { host alice; host bob; net { timeout 5; } }"),
             "'timeout' is not allowed in net { } of connection; it holds for a whole resource"},
        Case{plus("volume 1 { device minor 2; disk /dev/c; disk { c-max-rate 1; } }"),
             "'c-max-rate' is not allowed in disk { } of volume; it holds for a whole resource or "
             "connection"},
        Case{"resource { }", "'{': expected a name after 'resource'"},
        Case{with("r0", "a/b"), "'a/b' is no name"}, Case{with("r0", "-r"), "'-r' is no name"},
        Case{with("r0", std::string(64, 'x')), "is no name: expected up to 63"},
        Case{with("r0", "all"), "'all' is no name: for braidadm it means all resources"},
        Case{with("alice", "al/ice"), "'al/ice' is no name of a host"},
        Case{with("volume 0", "volume 65536"),
             "'65536': expected the number of a volume from 0 to 65535"},
        Case{with("minor 1", "minor 1048576"), "'1048576': expected a minor from 0 to 1048575"},
        Case{with("minor 1", "/dev/drbd1"), "'/dev/drbd1': expected /dev/braidM"},
        Case{with("minor 1", "/dev/braid1 minor 2"), "'2' is not the minor of /dev/braid1"},
        Case{with("node-id 0", "node-id 32"), "'32': expected a node id from 0 to 31"},
        Case{with("/dev/vg/a", "vg/a"), "'vg/a': expected an absolute path, or none"},
        Case{with("/dev/vg/a", "/dev/braid3"), "'/dev/braid3' is a device of Braid"},
        Case{with("/dev/vg/a;", "/dev/vg/a; meta-disk none;"),
             "'none': expected an absolute path, or internal"},
        Case{with("/dev/vg/a;", "/dev/vg/a; meta-disk /dev/m[0];"),
             "'/dev/m[0]': expected no index"},
        Case{with("/dev/vg/a;", "/dev/vg/a; meta-disk /dev/m [0];"), "'[0]': expected no index"},
        Case{with("10.0.0.1", "alice.example"), "'alice.example': expected IP:PORT or [IPV6]:PORT"},
        Case{with("10.0.0.1", "10.0.0.1:0"), "'10.0.0.1:0': expected IP:PORT"},
        Case{with("10.0.0.1", "10.0.0.1:65536"), "expected IP:PORT"},
        Case{with("10.0.0.1", "0.0.0.0"), "expected IP:PORT"},
        Case{with("10.0.0.1", "224.0.0.1"), "expected IP:PORT"},
        Case{with("10.0.0.1", "[ff02::1]"), "expected IP:PORT"},
        Case{with("10.0.0.1", "[fd00::1"), "expected IP:PORT"},
        Case{with("10.0.0.1", "ipv6 10.0.0.1"), "'10.0.0.1': expected [IPV6]:PORT"},
        Case{with("10.0.0.1", "sdp 10.0.0.1"), "'sdp' has no use here; use ipv4 or ipv6"},
        Case{"include \"nowhere\";", "1:9: 'nowhere' /etc/nowhere: No such file or directory"},
        Case{"include;", "1:8: ';': expected a file, or a pattern after 'include'"}));

INSTANTIATE_TEST_SUITE_P(
    Meaning, ConfigError,
    testing::Values(
        Case{std::string(good) + "resource r0 { on x { node-id 0; address 10.0.0.9; device minor "
                                 "2; disk /dev/x; } }",
             "7:11: 'r0' is given twice, first in /etc/braid.conf:2"},
        Case{with("on bob", "on alice"), "5:8: 'alice' is a member of r0 already, in line 4"},
        Case{with("node-id 1", "node-id 2"), "6:21: 'node-id' 2 of wendy is that of bob, too"},
        Case{with("node-id 0;", ""), "4:8: 'alice' has no node id; add 'node-id 0;'"},
        Case{with("address 10.0.0.1;", ""), "4:8: 'alice' has no address; add 'address IP:7780;'"},
        Case{with("10.0.0.3", "10.0.0.2"),
             "'10.0.0.2' is an address of bob already, in /etc/braid.conf:5"},
        Case{std::string(good) + "resource r1 { on alice { node-id 0; address 10.0.0.1:99; device "
                                 "minor 2; disk /dev/x; } }",
             "'99' is not the port of alice in /etc/braid.conf:4, which is 7780"},
        Case{std::string(good) + "resource r1 { on alice { node-id 0; address 10.0.0.1; device "
                                 "minor 1; disk /dev/x; } }",
             "'minor 1' is used twice on alice, first in /etc/braid.conf:3"},
        Case{std::string(good) + "resource r1 { on alice { node-id 0; address 10.0.0.1; device "
                                 "minor 2; disk /dev//vg/a; } }",
             "'/dev/vg/a' is used twice on alice, first in /etc/braid.conf:3"},
        Case{with("device minor 1; ", ""),
             "3:5: 'volume 0' has no device on alice; add 'device minor M;'"},
        Case{with("node-id 0;", "node-id 0; volume 1 { device minor 2; disk /dev/b; }"),
             "5:8: 'bob' has no volume 1, which other hosts have"},
        Case{std::string(good) +
                 "resource r1 { volume 0 { device minor 2; disk /dev/x; } volume 1 { device minor "
                 "3; } "
                 "on alice { node-id 0; address 10.0.0.1; volume 1 { disk none; } } "
                 "on bob { node-id 1; address 10.0.0.2; volume 1 { disk /dev/y; } } }",
             "has a disk for volume 0, but none for volume 1"},
        Case{plus("volume 0 { disk /dev/x; }"), "7:1: 'volume' 0 is given twice, first in line 3"},
        Case{with("/dev/vg/a", "none"), "2:10: 'r0' has no member with a disk"},
        Case{plus("options { quorum off; }"),
             "'quorum' is off, but r0 has 3 voters: off is for two"},
        Case{plus("net { timeout 5s; request-timeout 4s; }"),
             "7:19: 'request-timeout' is 4000 ms, less than the timeout of 5000 ms"},
        Case{plus("options { promote-after 2s; }"),
             "'promote-after' is 2000 ms, less than the lease"},
        Case{plus("connection { host alice; host bib; }"),
             "'bib' is no member of r0; the nearest is 'bob'"},
        Case{plus("connection { host alice; host alice; }"), "'alice' is named twice"},
        Case{plus("connection { host alice; }"),
             "7:1: 'connection': expected two hosts, but it has 1"},
        Case{plus("connection { host alice; host bob; host wendy; }"),
             "expected two hosts, but it has 3"},
        Case{plus("connection-mesh { hosts alice; }"),
             "'connection-mesh': expected 'hosts' with two names"},
        Case{
            plus("connection-mesh { hosts alice bob wendy; } connection { host bob; host alice; }"),
            "'connection' alice and bob are connected in line 7 already"},
        Case{plus("connection { host alice; host bob; path { host alice; host wendy; } }"),
             "'path': expected the two hosts of the connection"},
        Case{plus("connection { path { host alice address [fd00::1]; host bob; } }"),
             "'path' has ends of different families, ipv6 [fd00::1]:7780 and ipv4 10.0.0.2:7780"},
        Case{plus("on eve { node-id 4; address [fd00::4]; } connection-mesh { hosts alice bob "
                  "wendy; }"),
             "7:4: 'eve' has ipv6 [fd00::4]:7780, but alice has ipv4"}));

// ---- several errors, files ----

TEST(ConfigLoad, AllErrorsAreFoundInTheirOrder) {
    const Loaded loaded = load_text(R"(
resource r0 {
    net { timout 60; streams 77; tls yes; }
    on alice { node-id 0; adress 10.0.0.1; device minor 1; disk x; }
    on bob { node-id 0 address 10.0.0.2; }
    bogus { a { b; } }
    options { quorum 3; }
}
resource r0 { on x }
)");
    EXPECT_THAT(messages(loaded),
                ElementsAre(HasSubstr("3:11: 'timout'"), HasSubstr("3:30: '77'"),
                            HasSubstr("4:27: 'adress'"), HasSubstr("4:65: 'x'"),
                            HasSubstr("5:14: 'node-id' 0 of bob is that of alice, too"),
                            HasSubstr("5:24: 'address': expected ';'"), HasSubstr("6:5: 'bogus'"),
                            HasSubstr("7:22: '3'"), HasSubstr("9:10: 'r0' is given twice"),
                            HasSubstr("9:20: '}': expected '{'")));
}

TEST(ConfigLoad, AMissingSemicolonDoesNotHideTheNextLine) {
    EXPECT_THAT(messages(load_text(plus("net { timeout 60\n streams 77; }"))),
                ElementsAre(HasSubstr("8:2: 'streams': expected ';' after '60'"),
                            HasSubstr("8:10: '77' is no value")));
}

TEST(ConfigLoad, ASizeDoesNotWrapAround) {
    EXPECT_TRUE(load_text(plus("disk { c-max-rate 16777216T; }")).has_errors());
}

TEST(ConfigLoad, EachHostWithoutANodeIdIsToldAnUnusedOne) {
    const std::string text = R"(resource r { device minor 1; disk /dev/a;
        on a { address 10.0.0.1; } on b { node-id 1; address 10.0.0.2; }
        on c { address 10.0.0.3; } })";
    EXPECT_THAT(messages(load_text(text)),
                ElementsAre(HasSubstr("add 'node-id 0;'"), HasSubstr("add 'node-id 2;'")));
}

TEST(ConfigLoad, QuorumOffNeedsAFenceHandlerAndIsWarnedOf) {
    const std::string two = R"(resource r { device minor 1; disk /dev/a; options { quorum off; }
        on a { node-id 0; address 10.0.0.1; } on b { node-id 1; address 10.0.0.2; } )";
    EXPECT_THAT(messages(load_text(two + "}")),
                ElementsAre(HasSubstr("1:53: 'quorum' is off, but r has no handler 'fence-peer'")));
    const Loaded loaded = load_text(two + "handlers { fence-peer /bin/fence; } }");
    EXPECT_THAT(messages(loaded), ElementsAre(HasSubstr("1:53: warning: 'quorum' is off")));
    EXPECT_FALSE(loaded.has_errors());
    EXPECT_EQ(loaded.config.resources.at(0).settings.options.quorum, Quorum::off);
}

TEST(ConfigLoad, FilesAreIncluded) {
    const Loaded loaded = load_files({
        {"/etc/braid.conf", "include \"braid.d/*\"; common { net { streams 7; } }"},
        {"/etc/braid.d/a.res", std::string(good)},
        {"/etc/braid.d/b.res", "include \"c\";"},
        {"/etc/braid.d/c", "common { net { strems 7; } }"},
    });
    EXPECT_THAT(messages(loaded),
                ElementsAre(HasSubstr("1:9: 'braid.d/*' /etc/braid.d/c is included twice"),
                            "/etc/braid.d/c:1:16: 'strems' is no keyword of net; the nearest is "
                            "'streams'"));
}

TEST(ConfigLoad, WhatIsCommonHoldsWhereverItStands) {
    const Loaded loaded = load_files({
        {"/etc/braid.conf", "include \"braid.d/*\"; common { net { streams 7; } }"},
        {"/etc/braid.d/a.res", std::string(good)},
    });
    EXPECT_EQ(only(loaded).settings.net.streams, 7U);
    EXPECT_THAT(loaded.files, ElementsAre("/etc/braid.conf", "/etc/braid.d/a.res"));
    EXPECT_THAT(loaded.origins, ElementsAre("/etc/braid.d/a.res:2"));
}

TEST(ConfigLoad, AMissingFileIsNamed) {
    EXPECT_THAT(messages(load_files({}, "/x")), ElementsAre("/x: No such file or directory"));
}

TEST(ConfigLoad, LoopsOfIncludesEnd) {
    EXPECT_THAT(messages(load_files({{"/etc/braid.conf", "include \"./braid.conf\";"}})),
                ElementsAre(HasSubstr("braid.conf is included twice")));
    Files chain{{"/etc/braid.conf", "include \"1\";"}};
    for (int i = 1; i < 20; i++) {
        chain[fmt::format("/etc/{}", i)] = fmt::format("include \"{}\";", i + 1);
    }
    EXPECT_THAT(
        messages(load_files(chain)),
        ElementsAre(HasSubstr("/etc/7:1:9: '8' files include one another more than 8 deep")));
}

TEST(ConfigLoad, SizesAndNumbersAreBounded) {
    Files many{{"/etc/braid.conf", "include \"d/*\";"}};
    for (std::size_t i = 0; i < 18; i++) {
        many[fmt::format("/etc/d/{:02}", i)] = std::string(file_bytes_max - 1, ' ');
    }
    EXPECT_THAT(messages(load_files(many)),
                ElementsAre(HasSubstr("there are more than 16777216 bytes")));
    std::string hosts;
    for (int i = 0; i < 33; i++) {
        hosts += fmt::format("on h{0} {{ node-id {1}; address 10.1.0.{0}; }}\n", i + 1, i % 32);
    }
    EXPECT_THAT(messages(load_text("resource r { device minor 1; disk /dev/a;\n" + hosts + "}")),
                ElementsAre("34:4: 'h33' is one too many: r has more than 32 members"));
    std::string volumes;
    for (std::size_t i = 0; i < 9000; i++) {
        volumes += fmt::format("volume {0} {{ device minor {0}; disk /dev/{0}; }}\n", i);
    }
    std::string members = hosts.substr(0, hosts.find("on h33"));
    EXPECT_THAT(messages(load_text("resource r {\n" + volumes + members + "}")),
                ElementsAre(HasSubstr("has one volume too many: all hosts have more than 262144")));
}

TEST(ConfigLoad, MessagesAreBounded) {
    std::string text;
    for (int i = 0; i < 10000; i++) {
        text += "x y;\n";
    }
    EXPECT_THAT(load_text(text).diagnostics, SizeIs(diagnostics_max));
    const std::string deep(100000, '{');
    EXPECT_TRUE(load_text("resource r " + deep).has_errors());
    EXPECT_TRUE(load_text("x " + deep).has_errors());
}

TEST(ConfigLoad, MessagesAreOneLineOfPrintableText) {
    const Loaded loaded = load_text("resource \"a\tb" + std::string(200, 'x') + "\" { }");
    ASSERT_TRUE(loaded.has_errors());
    const std::string text = to_string(loaded.diagnostics.front());
    EXPECT_THAT(text, HasSubstr("'a\\x09bxxx"));
    EXPECT_THAT(text, HasSubstr("xxx...'"));
    EXPECT_LT(text.size(), 300U);
}

TEST(ConfigLoad, EveryPrefixAndEveryDamageEndsWithErrorsOrAConfiguration) {
    const std::string text =
        "common { net { tls no; } } " +
        plus(
            "handlers { degraded \"a \\\" b\"; } connection { path { host alice "
            "address 10.4.0.1; host bob; } net { streams 2; } }");
    ASSERT_FALSE(load_text(text).has_errors());
    for (std::size_t length = 0; length < text.size(); length++) {
        const Loaded loaded = load_text(text.substr(0, length));
        EXPECT_THAT(loaded.config.resources, IsEmpty()) << length;
        EXPECT_TRUE(loaded.has_errors() || length <= text.find("resource")) << length;
    }
    std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same every time
    for (int i = 0; i < 2000; i++) {
        std::string damaged = text;
        for (unsigned k = random() % 4; k < 4; k++) {
            damaged[random() % damaged.size()] = static_cast<char>(random() % 256);
        }
        const Loaded loaded = load_text(damaged);
        EXPECT_TRUE(!loaded.has_errors() || loaded.config.resources.empty());
    }
}

}  // namespace
}  // namespace braid::config
