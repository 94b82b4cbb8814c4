// SPDX-License-Identifier: GPL-2.0-or-later
#include "vmd/domain_xml.h"

#include <fmt/format.h>

#include <cerrno>
#include <pugixml.hpp>
#include <set>
#include <sstream>

namespace braid::vmd {

namespace {

/// FNV-1a, twice: it only has to be the same everywhere, and another for another name.
std::string uuid_of(const std::string& name) {
    const auto hash = [&name](std::uint64_t seed) {
        for (const char each : name) {
            seed = (seed ^ static_cast<unsigned char>(each)) * 0x100000001b3;
        }
        return seed;
    };
    const std::uint64_t high = hash(0xcbf29ce484222325);
    const std::uint64_t low = hash(high ^ 0x9e3779b97f4a7c15);
    // Version 8, "as the vendor likes".
    return fmt::format("{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}", high >> 32, high >> 16 & 0xffff,
                       high & 0xfff, 0x8000 | (low >> 48 & 0x3fff), low & 0xffffffffffff);
}

/// The child of this name, which is made if there is none.
pugi::xml_node child(pugi::xml_node node, const char* name) {
    const pugi::xml_node found = node.child(name);
    return found ? found : node.append_child(name);
}

void set(pugi::xml_node node, const char* name, const std::string& text) {
    child(node, name).text().set(text.c_str());
}

void attribute(pugi::xml_node node, const char* name, const std::string& value) {
    pugi::xml_attribute found = node.attribute(name);
    (found ? found : node.append_attribute(name)).set_value(value.c_str());
}

pugi::xml_node with(pugi::xml_node parent, const char* name, const char* attribute_name,
                    const std::string& value) {
    pugi::xml_node made = parent.append_child(name);
    attribute(made, attribute_name, value);
    return made;
}

void describe(const DomainSpec& spec, pugi::xml_node domain) {
    attribute(domain, "type", spec.emulated ? "qemu" : "kvm");
    with(domain, "memory", "unit", "b").text().set(std::to_string(spec.memory).c_str());
    set(domain, "vcpu", std::to_string(spec.vcpus));
    pugi::xml_node os = domain.append_child("os");
    if (spec.efi) {
        attribute(os, "firmware", "efi");
    }
    with(os, "type", "arch", "x86_64").text().set("hvm");
    attribute(os.child("type"), "machine", "q35");
    if (!spec.kernel.empty()) {
        set(os, "kernel", spec.kernel);
        if (!spec.initrd.empty()) {
            set(os, "initrd", spec.initrd);
        }
        if (!spec.cmdline.empty()) {
            set(os, "cmdline", spec.cmdline);
        }
    } else {
        with(os, "boot", "dev", "hd");
    }
    pugi::xml_node features = domain.append_child("features");
    features.append_child("acpi");
    features.append_child("apic");
    const bool mode =
        spec.cpu == "host-model" || spec.cpu == "host-passthrough" || spec.cpu == "maximum";
    if (mode && !(spec.emulated && spec.cpu != "maximum")) {
        with(domain, "cpu", "mode", spec.cpu);
    } else if (!mode && !spec.cpu.empty()) {
        with(with(domain, "cpu", "mode", "custom"), "model", "fallback", "forbid")
            .text()
            .set(spec.cpu.c_str());
    }
    pugi::xml_node devices = domain.append_child("devices");
    std::istringstream words(spec.network);
    std::string kind;
    std::string where;
    if (words >> kind >> where) {
        pugi::xml_node interface = with(devices, "interface", "type", kind);
        with(interface, "source", kind.c_str(), where);
        with(interface, "model", "type", "virtio");
        // The same on each host: else the guest would see another card after a failover.
        const std::string uuid = uuid_of(spec.name);
        attribute(interface.prepend_child("mac"), "address",
                  fmt::format("52:54:00:{}:{}:{}", uuid.substr(24, 2), uuid.substr(26, 2),
                              uuid.substr(28, 2)));
    }
    with(devices, "serial", "type", "pty");
    with(devices, "console", "type", "pty");
    with(with(devices, "rng", "model", "virtio"), "backend", "model", "random")
        .text()
        .set("/dev/urandom");
    with(devices, "memballoon", "model", "none");
}

/// The names by which the guest's bus knows disks that stay: CD drives, say.
std::set<std::string> remove_disks(pugi::xml_node devices) {
    std::set<std::string> kept;
    for (pugi::xml_node disk = devices.child("disk"); disk;) {
        const pugi::xml_node next = disk.next_sibling("disk");
        const std::string kind = disk.attribute("device").as_string("disk");
        if (kind == "disk" || kind == "lun") {
            devices.remove_child(disk);
        } else {
            kept.insert(disk.child("target").attribute("dev").as_string());
        }
        disk = next;
    }
    return kept;
}

/// vda, vdb, ..., vdz, vdaa, ...
std::string target_name(std::size_t number) {
    std::string letters;
    for (number++; number > 0; number = (number - 1) / 26) {
        letters.insert(letters.begin(), static_cast<char>('a' + (number - 1) % 26));
    }
    return "vd" + letters;
}

void add_disks(const DomainSpec& spec, pugi::xml_node devices) {
    const std::set<std::string> kept = remove_disks(devices);
    std::size_t number = 0;
    for (const Disk& each : spec.disks) {
        while (kept.contains(target_name(number))) {
            number++;
        }
        pugi::xml_node disk = with(devices, "disk", "type", "block");
        attribute(disk, "device", "disk");
        // Without a cache of the host: what QEMU has written is in Braid's hands, and a migration
        // finds nothing old. An error stops nothing: the guest is told, as of a real disk.
        pugi::xml_node driver = with(disk, "driver", "name", "qemu");
        attribute(driver, "type", "raw");
        attribute(driver, "cache", "none");
        attribute(driver, "io", "native");
        attribute(driver, "discard", "unmap");
        with(disk, "source", "dev", each.device);
        attribute(with(disk, "target", "dev", target_name(number)), "bus", "virtio");
        set(disk, "serial", each.serial);
        number++;
    }
}

}  // namespace

sys::Result<std::string> domain_xml(const DomainSpec& spec) {
    pugi::xml_document document;
    if (spec.text.empty()) {
        describe(spec, document.append_child("domain"));
    } else if (const auto parsed = document.load_string(spec.text.c_str()); !parsed) {
        return tl::unexpected(sys::Error{
            EINVAL, fmt::format("no XML: {} at byte {}", parsed.description(), parsed.offset)});
    }
    const pugi::xml_node domain = document.child("domain");
    if (!domain) {
        return tl::unexpected(sys::Error{EINVAL, "no XML of a libvirt domain: expected <domain>"});
    }
    set(domain, "name", spec.name);
    if (!domain.child("uuid")) {
        set(domain, "uuid", uuid_of(spec.name));
    }
    // What follows an end is Braid's to decide; a guest that boots anew does so by itself.
    set(domain, "on_poweroff", "destroy");
    set(domain, "on_crash", "destroy");
    add_disks(spec, child(domain, "devices"));
    std::ostringstream text;
    document.save(text, "  ");
    return text.str();
}

}  // namespace braid::vmd
