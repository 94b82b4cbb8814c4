// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/metadata.h"
#include "cli_fixture.h"
#include "fake_module.h"

namespace braid::test {

/// A file in the place of a block device.
class FileAsDisk final : public sys::BlockDevice {
  public:
    explicit FileAsDisk(std::unique_ptr<BlockDevice> file) : file_(std::move(file)) {}
    [[nodiscard]] const std::string& path() const override { return file_->path(); }
    [[nodiscard]] std::uint64_t size() const override { return file_->size(); }
    [[nodiscard]] std::uint32_t logical_block_size() const override {
        return file_->logical_block_size();
    }
    [[nodiscard]] sys::Result<std::vector<std::uint8_t>> read(std::uint64_t offset,
                                                              std::size_t length) const override {
        return file_->read(offset, length);
    }
    [[nodiscard]] sys::Result<void> write(std::uint64_t offset,
                                          std::span<const std::uint8_t> bytes) override {
        return file_->write(offset, bytes);
    }
    [[nodiscard]] sys::Result<void> sync() override { return file_->sync(); }

  private:
    std::unique_ptr<BlockDevice> file_;
};

/// braidadm on the host alice, with these resources:
/// r0: two volumes on alice and bob, carol is its witness; dora is diskless
/// r1: one volume, metadata on a device of its own, on alice alone
/// w0: alice is its witness; x0: alice is no member
class KernelTest : public CliTest {
  protected:
    KernelTest() {
        for (const std::string name : {"a", "b", "c"}) {
            make(name, std::uint64_t{64} << 20);
        }
        make("meta", std::uint64_t{2} << 20);
        configure("");
        context_.host = "alice";
        context_.patience = std::chrono::seconds(5);
        context_.open_netlink = [this] { return std::make_unique<FakeNetlink>(module_); };
        context_.open_events = [this] { return std::make_unique<FakeEvents>(module_); };
        context_.ask_daemon = [this](const std::string& line,
                                     std::chrono::milliseconds) -> sys::Result<std::string> {
            asked_.push_back(line);
            if (!daemon_) {
                return tl::unexpected(
                    sys::Error{ECONNREFUSED, "/run/braid/satellite.sock: Connection refused"});
            }
            return *daemon_;
        };
        open_device_ = [this](const std::string& name, sys::BlockDevice::Access access)
            -> sys::Result<std::unique_ptr<sys::BlockDevice>> {
            auto file = sys::BlockDevice::open(name, access);
            if (!file || !block_devices_) {
                return file;
            }
            return std::make_unique<FileAsDisk>(std::move(*file));
        };
        module_.replica = [this](const std::string& disk) { return replica_on(disk); };
    }

    /// `options` go into the section options.
    void configure(const std::string& options) const {
        root_.write("braid.conf",
                    fmt::format("common {{ options {{ {1} }} }}\n"
                                "resource r0 {{\n"
                                "  volume 0 {{ device minor 10; disk {0}/a; }}\n"
                                "  volume 1 {{ device minor 11; disk {0}/b; }}\n"
                                "  on alice {{ node-id 0; address 10.0.0.1; }}\n"
                                "  on bob {{ node-id 1; address 10.0.0.2; }}\n"
                                "  witness carol {{ node-id 2; address 10.0.0.3; }}\n"
                                "  on dora {{ node-id 3; address 10.0.0.4;\n"
                                "    volume 0 {{ disk none; }} volume 1 {{ disk none; }} }}\n"
                                "  disk {{ verify-rate 5000K; }}\n"
                                "}}\n"
                                "resource r1 {{ device minor 12; disk {0}/c; meta-disk {0}/meta;\n"
                                "  on alice {{ node-id 4; address 10.0.0.1; }} }}\n"
                                "resource w0 {{ device minor 13; disk /dev/w;\n"
                                "  witness alice {{ node-id 0; address 10.0.0.1; }}\n"
                                "  on bob {{ node-id 1; address 10.0.0.2; }} }}\n"
                                "resource x0 {{ device minor 14; disk /dev/x;\n"
                                "  on bob {{ node-id 1; address 10.0.0.2; }} }}\n",
                                root_.path().string(), options));
    }

    void make(const std::string& name, std::uint64_t size) const {
        root_.write(name, "");
        std::filesystem::resize_file(root_.path() / name, size);
    }
    [[nodiscard]] std::string path(const std::string& name) const {
        return (root_.path() / name).string();
    }

    /// With the file of the configuration; what was printed before is forgotten.
    cli::ExitCode braidadm(std::vector<std::string> arguments) {
        forget_output();
        module_.calls.clear();
        asked_.clear();
        arguments.insert(arguments.end(), {"-c", path("braid.conf")});
        return run(arguments);
    }

    /// Metadata of all replicas; then r0 and r1 are brought up.
    void bring_up() {
        ASSERT_EQ(braidadm({"create-md", "r0", "r1"}), cli::ExitCode::ok) << err();
        ASSERT_EQ(braidadm({"up", "r0", "r1"}), cli::ExitCode::ok) << err();
    }

    /// As the kernel reads it when it attaches.
    [[nodiscard]] std::optional<FakeModule::Replica> replica_on(const std::string& disk) const {
        const bool external = disk == path("c");
        const auto device =
            sys::BlockDevice::open(external ? path("meta") : disk, sys::BlockDevice::Access::read);
        const auto copies = cli::read_superblocks(**device, external);
        const cli::SuperblockCopy* copy = copies ? cli::current(*copies) : nullptr;
        if (copy == nullptr) {
            return std::nullopt;
        }
        FakeModule::Replica replica{.bytes = copy->superblock.data_bytes};
        std::ranges::transform(copy->superblock.uuid, replica.uuid.begin(),
                               [](std::uint8_t each) { return std::byte{each}; });
        return replica;
    }
    [[nodiscard]] std::optional<sys::Uuid> uuid_on(const std::string& disk) const {
        const auto replica = replica_on(disk);
        return replica ? std::optional(replica->uuid) : std::nullopt;
    }

    FakeModule module_;
    std::vector<std::string> asked_;
    std::optional<std::string> daemon_ = R"({"ok":true})";
    bool block_devices_ = true;
};

}  // namespace braid::test
