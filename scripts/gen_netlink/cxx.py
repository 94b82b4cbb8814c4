# SPDX-License-Identifier: GPL-2.0-or-later
"""The userland's side: constexpr tables in C++20."""

from .names import banner, finish, number, snake, wrap

KEYWORDS = frozenset("""
    alignas alignof and asm auto bool break case catch char class concept const constexpr
    continue decltype default delete do double else enum explicit export extern false float for
    friend goto if inline int long mutable namespace new noexcept not nullptr operator or private
    protected public register requires return short signed sizeof static struct switch template
    this throw true try typedef typeid typename union unsigned using virtual void volatile while
    xor detail""".split())  # and the one namespace that is ours

TYPES = """
enum class AttributeType : std::uint8_t {
    pad,
    flag,
    u8,
    u16,
    u32,
    u64,
    s32,
    s64,
    string,
    binary,
    nest
};

/// A name for one value of an enum, or for one bit of flags.
struct EnumEntry {
    std::string_view name;
    std::uint64_t value;
};

struct Enum {
    std::string_view name;
    bool flags;
    std::span<const EnumEntry> entries;
};

struct AttributeSet;

/// One row of an attribute set. A multi attribute may occur several times: a list.
struct Attribute {
    std::string_view name;
    std::uint16_t id;
    AttributeType type;
    bool multi;
    const AttributeSet* nested;
    const Enum* enumeration;
};

struct AttributeSet {
    std::string_view name;
    std::span<const Attribute> attributes;
};

/// The attributes that may occur in the two directions of a do or a dump.
struct Messages {
    std::span<const std::uint16_t> request;
    std::span<const std::uint16_t> reply;
};

/// A row of the operation table. A notification has neither do nor dump, but a group and an event.
struct Operation {
    std::string_view name;
    std::uint8_t id;
    const AttributeSet* attributes;
    const Messages* call;
    const Messages* dump;
    std::string_view group;
    std::span<const std::uint16_t> event;
};
"""


def identifier(name):
    return snake(name) + ("_" if snake(name) in KEYWORDS else "")


def header(family):
    lines = banner("// {} GPL-2.0-or-later")
    lines += ["#pragma once", "", "#include <array>", "#include <cstdint>", "#include <span>",
              "#include <string_view>", "", f"namespace {family.name}::netlink {{",
              TYPES.rstrip("\n"), "",
              f'inline constexpr std::string_view family_name = "{family.name}";',
              "inline constexpr std::uint8_t family_version = 1;"]
    lines += constants(family) + enums(family) + ids(family)
    for attribute_set in family.sets:
        lines += [""] + set_table(attribute_set)
    lines += ["", "inline constexpr auto attribute_sets = std::to_array<const AttributeSet*>({"]
    lines += [f"    &set::{identifier(s.name)}," for s in family.sets] + ["});"]
    for operation in family.operations:
        lines += [""] + operation_row(operation)
    lines += ["", "inline constexpr auto operations = std::to_array<const Operation*>({"]
    lines += [f"    &op::{identifier(o.name)}," for o in family.operations] + ["});"]
    return finish(lines + ["", f"}}  // namespace {family.name}::netlink"])


def comment(doc):
    return wrap(doc, "/// ", "/// ", 100)


def constants(family):
    lines = []
    for definition in family.definitions:
        if definition.type == "const":
            kind = "std::uint64_t" if definition.value >= 0 else "std::int64_t"
            literal = number(definition.value, "u" if definition.value >= 0 else "s")
            lines += [""] + comment(definition.doc)
            lines.append(f"inline constexpr {kind} {identifier(definition.name)} = {literal};")
    for group in family.groups:
        lines += ["", f'inline constexpr std::string_view group_{snake(group)} = "{group}";']
    return lines


def enums(family):
    lines = []
    for definition in family.definitions:
        if definition.type == "const":
            continue
        name = identifier(definition.name)
        lines += ["", f"namespace enums::{name} {{"]
        for entry in definition.entries:
            lines += comment(entry.doc) if entry.doc else []
            lines.append(f"inline constexpr std::uint64_t {identifier(entry.name)} = "
                         f"{entry.value:#x};")
        lines += [f"}}  // namespace enums::{name}", "", "namespace enums::detail {",
                  f"inline constexpr auto {name} = std::to_array<EnumEntry>({{"]
        lines += [f'    {{"{e.name}", {e.value:#x}}},' for e in definition.entries]
        lines += ["});", "}  // namespace enums::detail", "", "namespace enumeration {"]
        lines += comment(definition.doc)
        flags = "true" if definition.type == "flags" else "false"
        lines += [f'inline constexpr Enum {name}{{"{definition.name}", {flags}, '
                  f"enums::detail::{name}}};", "}  // namespace enumeration"]
    return lines


def ids(family):
    lines = []
    for attribute_set in family.sets:
        name = identifier(attribute_set.name)
        lines += ["", f"namespace attr::{name} {{"]
        for attribute in attribute_set.attributes:
            lines += comment(attribute.doc)
            lines.append(f"inline constexpr std::uint16_t {identifier(attribute.name)} = "
                         f"{attribute.id};")
        lines.append(f"}}  // namespace attr::{name}")
    return lines


def set_table(attribute_set):
    name = identifier(attribute_set.name)
    lines = ["namespace set::detail {",
             f"inline constexpr auto {name} = std::to_array<Attribute>({{"]
    for a in attribute_set.attributes:
        nested = f"&set::{identifier(a.nested.name)}" if a.nested else "nullptr"
        enum = a.enum or a.mask
        enum = f"&enumeration::{identifier(enum.name)}" if enum else "nullptr"
        multi = "true" if a.multi else "false"
        lines.append(f'    {{"{a.name}", {a.id}, AttributeType::{a.type}, {multi}, {nested}, '
                     f"{enum}}},")
    lines += ["});", "}  // namespace set::detail", "", "namespace set {"]
    lines += comment(attribute_set.doc)
    return lines + [f'inline constexpr AttributeSet {name}{{"{attribute_set.name}", '
                    f"detail::{name}}};", "}  // namespace set"]


def operation_row(operation):
    name = identifier(operation.name)
    # Lists live in a namespace of the operation's own; the name may not clash with it.
    inner = f"op::detail::{snake(operation.name)}_lists"
    lines, fields = [f"namespace {inner} {{"], []
    for label, messages in (("call", operation.do), ("dump", operation.dump)):
        if messages is None:
            fields.append("nullptr")
            continue
        for side in ("request", "reply"):
            lines.append(id_list(f"{label}_{side}", getattr(messages, side), operation))
        lines.append(f"inline constexpr Messages {label}{{{label}_request, {label}_reply}};")
        fields.append(f"&{inner}::{label}")
    event = "{}"
    if operation.event is not None:
        lines.append(id_list("event", operation.event, operation))
        event = f"{inner}::event"
    lines += [f"}}  // namespace {inner}", "", "namespace op {"]
    lines += comment(operation.doc)
    set_name = f"&set::{identifier(operation.set.name)}"
    return lines + [f"inline constexpr Operation {name}{{",
                    f'    "{operation.name}", {operation.id}, {set_name},',
                    f'    {fields[0]}, {fields[1]},',
                    f'    "{operation.group}", {event}}};', "}  // namespace op"]


def id_list(name, attributes, operation):
    head = f"inline constexpr std::array<std::uint16_t, {len(attributes)}> {name}"
    prefix = f"attr::{identifier(operation.set.name)}::"
    body = [f"    {prefix}{identifier(attribute.name)}," for attribute in attributes]
    return "\n".join([f"{head}{{"] + body + ["};"]) if body else f"{head}{{}};"
