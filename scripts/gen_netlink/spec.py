# SPDX-License-Identifier: GPL-2.0-or-later
"""The netlink spec: its shape, its rules, and the model that is written out.

parse() gives a Family or raises SpecError. Whatever a Family can hold, the
writers can write: everything else is refused here.
"""

from dataclasses import dataclass, field
from typing import Optional

import jsonschema
import yaml

from .names import uapi_names

INT_BITS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64, "s32": 32, "s64": 64}
CHECKS_OF_TYPE = {
    **{name: {"min", "max", "flags-mask"} for name in ("u8", "u16", "u32", "u64")},
    **{name: {"min", "max"} for name in ("s32", "s64")},
    "string": {"max-len"},
    "binary": {"min-len", "max-len", "exact-len"},
    "flag": set(),
    "nest": set(),
    "pad": set(),
}
# struct nla_policy holds short bounds in an s16 and a plain length in a u16,
# which has to leave room for the attribute's header and a string's NUL.
S16_MIN, S16_MAX, LENGTH_MAX = -0x8000, 0x7FFF, 0xFFFF - 4 - 1

NAME = {"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "maxLength": 32}
DOC = {"type": "string", "minLength": 1}
LIMIT = {"type": ["integer", "string"]}
FLAGS = {"type": "array", "items": {"enum": ["admin-perm"]}}


def mapping(required, optional=None):
    """Schema of a mapping with these keys and no others."""
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
        "additionalProperties": False,
    }


def sequence(items):
    return {"type": "array", "items": items, "minItems": 1}


ATTRIBUTE_NAMES = mapping({"attributes": {"type": "array", "items": NAME}})
MESSAGES = mapping({}, {"request": ATTRIBUTE_NAMES, "reply": ATTRIBUTE_NAMES})
SCHEMA = mapping(
    {
        "name": {**NAME, "maxLength": 15},
        "protocol": {"const": "genetlink"},
        "doc": DOC,
        "attribute-sets": sequence(
            mapping({
                "name": NAME,
                "doc": DOC,
                "attributes": sequence(mapping(
                    {"name": NAME, "type": {"enum": sorted(CHECKS_OF_TYPE)}, "doc": DOC},
                    {
                        "multi-attr": {"type": "boolean"},
                        "nested-attributes": NAME,
                        "enum": NAME,
                        "checks": mapping({}, {
                            "min": LIMIT, "max": LIMIT, "flags-mask": NAME,
                            "min-len": LIMIT, "max-len": LIMIT, "exact-len": LIMIT,
                        }),
                    })),
            })),
        "operations": mapping({
            "list": sequence(mapping(
                {"name": NAME, "doc": DOC},
                {
                    "attribute-set": NAME,
                    "flags": FLAGS,
                    "do": MESSAGES,
                    "dump": MESSAGES,
                    "notify": NAME,
                    "event": ATTRIBUTE_NAMES,
                    "mcgrp": NAME,
                })),
        }),
    },
    {
        "definitions": sequence(mapping(
            {"name": NAME, "type": {"enum": ["const", "enum", "flags"]}, "doc": DOC},
            {
                "value": {"type": "integer"},
                "value-start": {"type": "integer", "minimum": 0},
                "entries": sequence({
                    **mapping({"name": NAME}, {"doc": DOC}),
                    "type": ["object", "string"],
                    "pattern": NAME["pattern"],
                }),
            })),
        "mcast-groups": mapping({
            "list": sequence(mapping({"name": {**NAME, "maxLength": 15}}, {"flags": FLAGS})),
        }),
    })


class SpecError(Exception):
    """What is wrong with a spec, and at which of its keys."""

    def __init__(self, path, message):
        super().__init__(f"{show_path(path)}: {message}")


def show_path(path):
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "top level"


class UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader takes the last of two equal keys; a spec must not hide one."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise yaml.YAMLError(f'line {line}: key "{key}" is given twice')
            seen.add(key)
        return super().construct_mapping(node, deep)


@dataclass
class Entry:
    name: str
    value: int
    doc: str


@dataclass
class Definition:
    name: str
    type: str
    doc: str
    value: int = 0
    entries: list = field(default_factory=list)

    @property
    def mask(self):
        return sum(entry.value for entry in self.entries)


@dataclass
class Limit:
    value: int
    const: Optional[Definition] = None


@dataclass
class Attribute:
    name: str
    id: int
    type: str
    doc: str
    path: list
    multi: bool = False
    nested: Optional["AttributeSet"] = None
    enum: Optional[Definition] = None
    checks: dict = field(default_factory=dict)
    mask: Optional[Definition] = None
    set: Optional["AttributeSet"] = None


@dataclass
class AttributeSet:
    name: str
    doc: str
    attributes: list


@dataclass
class Messages:
    """The two directions of a do or a dump."""
    request: list
    reply: list


@dataclass
class Operation:
    name: str
    id: int
    doc: str
    set: Optional[AttributeSet]
    do: Optional[Messages]
    dump: Optional[Messages]
    event: Optional[list]
    group: str

    @property
    def request(self):
        return (self.do or self.dump).request


@dataclass
class Family:
    name: str
    doc: str
    definitions: list
    sets: list
    operations: list
    groups: list


def parse(text):
    """The Family that a spec's text describes, or SpecError."""
    try:
        spec = yaml.load(text, Loader=UniqueKeyLoader)
    except yaml.YAMLError as error:
        raise SpecError([], f"not readable as YAML: {error}") from error
    check_shape(spec)
    definitions = read_definitions(spec.get("definitions", []))
    sets = read_sets(spec["attribute-sets"], {d.name: d for d in definitions})
    groups = [group["name"] for group in named(spec.get("mcast-groups", {}).get("list", []),
                                               ["mcast-groups", "list"])]
    for i, group in enumerate(spec.get("mcast-groups", {}).get("list", [])):
        demand_admin(group, ["mcast-groups", "list", i])
    operations = read_operations(spec["operations"]["list"], sets, groups)
    family = Family(spec["name"], spec["doc"], definitions, sets, operations, groups)
    check_identifiers(family)
    return family


def check_shape(spec):
    errors = sorted(jsonschema.Draft7Validator(SCHEMA).iter_errors(spec),
                    key=lambda error: [str(step) for step in error.absolute_path])
    for error in errors:
        path = list(error.absolute_path)
        if error.validator == "additionalProperties":
            unknown = sorted(set(error.instance) - set(error.schema["properties"]), key=str)
            raise SpecError(path + [unknown[0]], "unknown key")
        if error.validator == "enum":
            raise SpecError(path, f'"{error.instance}" is not one of '
                                  f'{", ".join(error.validator_value)}')
        raise SpecError(path, error.message)


def named(items, path):
    """The items, once it is certain that no two have the same name."""
    seen = set()
    for i, item in enumerate(items):
        name = item["name"] if isinstance(item, dict) else item
        if name in seen:
            raise SpecError(path + [i, "name"], f'"{name}" is already defined')
        seen.add(name)
    return items


def demand_admin(item, path):
    if item.get("flags") != ["admin-perm"]:
        raise SpecError(path, "flags: [ admin-perm ] is missing, Braid has nothing for the "
                              "unprivileged")


def read_definitions(items):
    return [read_definition(item, ["definitions", i])
            for i, item in enumerate(named(items, ["definitions"]))]


def read_definition(item, path):
    allowed = {"const": {"value"}, "enum": {"entries", "value-start"}, "flags": {"entries"}}
    needed = {"const": "value", "enum": "entries", "flags": "entries"}[item["type"]]
    for key in item:
        if key not in allowed[item["type"]] | {"name", "type", "doc"}:
            raise SpecError(path + [key], f'does not go with type {item["type"]}')
    if needed not in item:
        raise SpecError(path, f'"{needed}" is missing')
    entries = []
    for i, entry in enumerate(named(item.get("entries", []), path + ["entries"])):
        entry = {"name": entry} if isinstance(entry, str) else entry
        value = 1 << i if item["type"] == "flags" else item.get("value-start", 0) + i
        entries.append(Entry(entry["name"], value, entry.get("doc", "")))
    if item["type"] == "flags" and len(entries) > 31:
        raise SpecError(path + ["entries"], "31 flags fit in a C enum's int")
    if entries and item["type"] == "enum" and entries[-1].value > S16_MAX:
        raise SpecError(path, f"a policy's bounds end at {S16_MAX}")
    if not -(1 << 63) <= item.get("value", 0) < 1 << 64:
        raise SpecError(path + ["value"], "does not fit in 64 bits")
    return Definition(item["name"], item["type"], item["doc"], item.get("value", 0), entries)


def read_sets(items, definitions):
    sets = []
    for i, item in enumerate(named(items, ["attribute-sets"])):
        path = ["attribute-sets", i, "attributes"]
        attributes = [read_attribute(attribute, k + 1, path + [k], definitions)
                      for k, attribute in enumerate(named(item["attributes"], path))]
        sets.append(AttributeSet(item["name"], item["doc"], attributes))
        for attribute in attributes:
            attribute.set = sets[-1]
    link_nests(sets, items)
    return in_nesting_order(sets)


def read_attribute(item, number, path, definitions):
    attribute = Attribute(item["name"], number, item["type"], item["doc"], path,
                          multi=item.get("multi-attr", False))
    if (item["type"] == "nest") != ("nested-attributes" in item):
        raise SpecError(path, "type nest and nested-attributes go together")
    if attribute.multi and item["type"] in ("flag", "pad"):
        raise SpecError(path + ["multi-attr"], f'means nothing with type {item["type"]}')
    checks = item.get("checks", {})
    for key in checks:
        if key not in CHECKS_OF_TYPE[item["type"]]:
            raise SpecError(path + ["checks", key], f'does not go with type {item["type"]}')
    if "enum" in item:
        attribute.enum = read_enum(item, path, definitions)
    if "flags-mask" in checks:
        attribute.mask = find_flags(checks["flags-mask"], path + ["checks", "flags-mask"],
                                    definitions)
        check_mask_fits(attribute, attribute.mask, path + ["checks", "flags-mask"])
        if len(checks) > 1 or attribute.enum:
            raise SpecError(path + ["checks"], "flags-mask stands alone")
    attribute.checks = {key: read_limit(value, path + ["checks", key], definitions)
                        for key, value in checks.items() if key != "flags-mask"}
    check_limits(attribute, path + ["checks"])
    return attribute


def read_enum(item, path, definitions):
    path = path + ["enum"]
    enum = definitions.get(item["enum"])
    if enum is None or enum.type == "const":
        raise SpecError(path, f'no enum or flags named "{item["enum"]}"')
    if item["type"] not in ("u8", "u16", "u32", "u64"):
        raise SpecError(path, f'does not go with type {item["type"]}')
    if item.get("checks"):
        raise SpecError(path, "an enum is its own check, checks cannot be added")
    if enum.type == "flags":
        check_mask_fits(item, enum, path)
    elif enum.entries[-1].value >= 1 << INT_BITS[item["type"]]:
        raise SpecError(path, f'"{enum.name}" does not fit in {item["type"]}')
    return enum


def check_mask_fits(attribute, flags, path):
    kind = attribute.type if isinstance(attribute, Attribute) else attribute["type"]
    if flags.mask >= 1 << INT_BITS[kind]:
        raise SpecError(path, f'"{flags.name}" does not fit in {kind}')


def find_flags(name, path, definitions):
    flags = definitions.get(name)
    if flags is None or flags.type != "flags":
        raise SpecError(path, f'no flags named "{name}"')
    return flags


def read_limit(value, path, definitions):
    if isinstance(value, int):
        return Limit(value)
    const = definitions.get(value)
    if const is None or const.type != "const":
        raise SpecError(path, f'no const named "{value}"')
    return Limit(const.value, const)


def check_limits(attribute, path):
    checks = attribute.checks
    if attribute.type in INT_BITS:
        low, high = type_bounds(attribute.type)
        for key, limit in checks.items():
            if not low <= limit.value <= high:
                raise SpecError(path + [key], f"{limit.value} is no {attribute.type}")
    else:
        for key, limit in checks.items():
            most = LENGTH_MAX if list(checks) == ["max-len"] else S16_MAX
            if not 1 <= limit.value <= most:
                raise SpecError(path + [key], f"{limit.value} is not in 1..{most}")
    if "exact-len" in checks and len(checks) > 1:
        raise SpecError(path + ["exact-len"], "stands alone")
    for low, high in (("min", "max"), ("min-len", "max-len")):
        if low in checks and high in checks and checks[low].value > checks[high].value:
            raise SpecError(path, f"{low} is above {high}")


def type_bounds(kind):
    bits = INT_BITS[kind]
    return (0, (1 << bits) - 1) if kind[0] == "u" else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def link_nests(sets, items):
    by_name = {attribute_set.name: attribute_set for attribute_set in sets}
    for attribute_set, item in zip(sets, items):
        for attribute, source in zip(attribute_set.attributes, item["attributes"]):
            if attribute.type != "nest":
                continue
            attribute.nested = by_name.get(source["nested-attributes"])
            if attribute.nested is None:
                raise SpecError(attribute.path + ["nested-attributes"],
                                f'no attribute set named "{source["nested-attributes"]}"')


def in_nesting_order(sets):
    """Inner sets first, so that each table can point at those it nests."""
    done, order = {}, []

    def visit(attribute_set):
        done[attribute_set.name] = False
        for attribute in attribute_set.attributes:
            inner = attribute.nested
            if inner and done.get(inner.name) is False:
                raise SpecError(attribute.path + ["nested-attributes"],
                                f'"{inner.name}" contains itself')
            if inner and inner.name not in done:
                visit(inner)
        done[attribute_set.name] = True
        order.append(attribute_set)

    for attribute_set in sets:
        if attribute_set.name not in done:
            visit(attribute_set)
    return order


def read_operations(items, sets, groups):
    sets = {attribute_set.name: attribute_set for attribute_set in sets}
    operations = []
    for i, item in enumerate(named(items, ["operations", "list"])):
        operations.append(read_operation(item, i + 1, ["operations", "list", i], sets, groups))
    if not any(operation.do or operation.dump for operation in operations):
        raise SpecError(["operations", "list"], "nothing can be called")
    by_name = {operation.name: operation for operation in operations}
    for i, item in enumerate(items):
        if "notify" in item:
            link_notify(operations[i], item["notify"], ["operations", "list", i, "notify"],
                        by_name)
    for i, group in enumerate(groups):
        if group not in {operation.group for operation in operations}:
            raise SpecError(["mcast-groups", "list", i], f'nothing is sent to "{group}"')
    return operations


def read_operation(item, number, path, sets, groups):
    kinds = [kind for kind in ("do", "dump", "notify", "event") if kind in item]
    if kinds not in (["do"], ["dump"], ["do", "dump"], ["notify"], ["event"]):
        raise SpecError(path, "an operation is a do, a dump, both of them, a notify or an event")
    called = kinds[0] in ("do", "dump")
    if called:
        demand_admin(item, path)
    elif "flags" in item:
        raise SpecError(path + ["flags"], f"does not go with {kinds[0]}")
    if called == ("mcgrp" in item):
        raise SpecError(path, "mcgrp belongs to each notify and event, and to nothing else")
    if not called and item["mcgrp"] not in groups:
        raise SpecError(path + ["mcgrp"], f'no group named "{item["mcgrp"]}"')
    if (kinds[0] == "notify") == ("attribute-set" in item):
        raise SpecError(path, "attribute-set belongs to each operation but a notify")
    attribute_set = sets.get(item.get("attribute-set"))
    if "attribute-set" in item and attribute_set is None:
        raise SpecError(path + ["attribute-set"],
                        f'no attribute set named "{item["attribute-set"]}"')

    def attributes(holder, where):
        return pick((holder or {}).get("attributes", []), where + ["attributes"], attribute_set)

    def messages(kind):
        if kind not in item:
            return None
        sides = item[kind] or {}
        return Messages(*(attributes(sides.get(side), path + [kind, side])
                          for side in ("request", "reply")))

    event = attributes(item["event"], path + ["event"]) if "event" in item else None
    operation = Operation(item["name"], number, item["doc"], attribute_set, messages("do"),
                          messages("dump"), event, item.get("mcgrp", ""))
    if called:
        check_requests(operation, path)
    return operation


def pick(names, path, attribute_set):
    by_name = {attribute.name: attribute for attribute in attribute_set.attributes}
    picked = []
    for i, name in enumerate(names):
        if name not in by_name:
            raise SpecError(path + [i], f'"{name}" is not in attribute set '
                                        f'"{attribute_set.name}"')
        if by_name[name] in picked:
            raise SpecError(path + [i], f'"{name}" is listed twice')
        picked.append(by_name[name])
    return picked


def check_requests(operation, path):
    if operation.do and operation.dump and (
            {a.name for a in operation.do.request} != {a.name for a in operation.dump.request}):
        raise SpecError(path, "do and dump must take the same request: struct genl_ops has one "
                              "policy for both")
    for attribute in reachable(operation.request):
        bounded = {"max-len", "exact-len"} & set(attribute.checks)
        if attribute.type in ("string", "binary") and not bounded:
            raise SpecError(attribute.path, f'is sent with "{operation.name}" and needs a '
                                            "maximal length")


def reachable(attributes):
    for attribute in attributes:
        yield attribute
        if attribute.nested:
            yield from reachable(attribute.nested.attributes)


def link_notify(operation, name, path, by_name):
    source = by_name.get(name)
    if source is None or not (source.do or source.dump):
        raise SpecError(path, f'no do or dump named "{name}"')
    operation.set = source.set
    operation.event = (source.do or source.dump).reply or (source.dump or source.do).reply


def check_identifiers(family):
    """Different names can still meet in C: set a-b/c and set a/b-c."""
    seen = set()
    for name in uapi_names(family):
        if name in seen:
            raise SpecError([], f"two things would both be called {name} in C")
        seen.add(name)
