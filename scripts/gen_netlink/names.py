# SPDX-License-Identifier: GPL-2.0-or-later
"""How things of the spec are called in C and C++, and text in general."""

import textwrap

SPEC = "kernel/spec/braid.yaml"


def snake(*names):
    return "_".join(names).replace("-", "_")


def macro(*names):
    return snake(*names).upper()


def attr_macro(family, attribute):
    return macro(family.name, "a", attribute.set.name, attribute.name)


def uapi_names(family):
    """Each identifier of the uapi header."""
    for definition in family.definitions:
        yield macro(family.name, definition.name)
        for entry in definition.entries:
            yield macro(family.name, definition.name, entry.name)
    for attribute_set in family.sets:
        yield from (attr_macro(family, attribute) for attribute in attribute_set.attributes)
        yield macro(family.name, "a", attribute_set.name, "max")
    for operation in family.operations:
        yield macro(family.name, "cmd", operation.name)
    yield macro(family.name, "cmd-max")
    for group in family.groups:
        yield macro(family.name, "mcgrp", group)
    yield macro(family.name, "family-name")
    yield macro(family.name, "family-version")


def number(value, kind="u64"):
    """An integer literal that every C compiler takes without a warning."""
    if kind[0] == "s" and value < -0x7FFFFFFF:
        return f"({value + 1}LL - 1)"
    if value > 0x7FFFFFFF:
        return f"{value}ULL" if kind[0] == "u" else f"{value}LL"
    return str(value)


def limit_text(family, limit, kind):
    if limit.const:
        return macro(family.name, limit.const.name)
    return number(limit.value, kind)


def banner(spdx_comment):
    """The head of each file; the kernel wants another comment in headers than in sources."""
    return [spdx_comment.format("SPDX-License-Identifier:"),
            f"/* Do not edit: scripts/gen-netlink wrote this from {SPEC}. */"]


def wrap(text, first, rest, width=80):
    """Text filled to width, where a tab would stand for eight columns."""
    return textwrap.wrap(" ".join(text.split()), width=width, initial_indent=first,
                         subsequent_indent=rest, break_on_hyphens=False)


def finish(lines):
    return "\n".join(lines) + "\n"
