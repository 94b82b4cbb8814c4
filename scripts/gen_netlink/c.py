# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's side: uapi header, policies, table of operations."""

from .names import attr_macro, banner, finish, limit_text, macro, number, snake, wrap
from .spec import S16_MAX, S16_MIN, Limit, reachable, type_bounds


def comment(text, tabs=""):
    """Kernel style: on one line if it fits there."""
    width = 80 - 8 * len(tabs)
    short = f"/* {' '.join(text.split())} */"
    body = [short] if len(short) <= width else ["/*"] + wrap(text, " * ", " * ", width) + [" */"]
    return [tabs + line for line in body]


def uapi_members(members):
    lines = []
    for name, value, doc in members:
        lines += comment(doc, "\t") if doc else []
        lines.append(f"\t{name}{value},")
    return lines


def uapi_header(family):
    guard = f"_UAPI_LINUX_{macro(family.name)}_H"
    lines = banner("/* {} GPL-2.0 WITH Linux-syscall-note */")
    lines += ["", f"#ifndef {guard}", f"#define {guard}", ""]
    lines += comment(family.doc)
    lines += [f'#define {macro(family.name, "family-name")}\t"{family.name}"',
              f'#define {macro(family.name, "family-version")}\t1']
    for definition in family.definitions:
        lines += [""] + uapi_definition(family, definition)
    for attribute_set in family.sets:
        lines += [""] + uapi_set(family, attribute_set)
    lines += [""] + uapi_enum(
        family, "cmd", "The operations, events and notifications.",
        [(macro(family.name, "cmd", o.name), o.doc) for o in family.operations])
    if family.groups:
        lines += [""] + [f'#define {macro(family.name, "mcgrp", group)}\t"{group}"'
                         for group in family.groups]
    return finish(lines + ["", f"#endif /* {guard} */"])


def uapi_definition(family, definition):
    name = macro(family.name, definition.name)
    if definition.type == "const":
        kind = "u" if definition.value >= 0 else "s"
        value = number(definition.value, kind)
        value = f"({value})" if value[0] == "-" else value
        return comment(definition.doc) + [f"#define {name}\t{value}"]
    form = "#x" if definition.type == "flags" else "d"
    members = [(macro(family.name, definition.name, e.name), f" = {e.value:{form}}", e.doc)
               for e in definition.entries]
    return (comment(definition.doc) + [f"enum {snake(family.name, definition.name)} {{"]
            + uapi_members(members) + ["};"])


def uapi_set(family, attribute_set):
    return uapi_enum(family, f"a-{attribute_set.name}", attribute_set.doc,
                     [(attr_macro(family, a), a.doc) for a in attribute_set.attributes])


def uapi_enum(family, name, doc, members):
    """An enum that counts from 1 and ends in its own maximum."""
    top = macro(family.name, name, "max")
    numbered = [(member, "" if i else " = 1", text) for i, (member, text) in enumerate(members)]
    return (comment(doc) + [f"enum {snake(family.name, name)} {{"] + uapi_members(numbered)
            + ["", f"\t__{top},", f"\t{top} = __{top} - 1", "};"])


def callable_operations(family):
    return [operation for operation in family.operations if operation.do or operation.dump]


def kernel_header(family):
    prefix = snake(family.name)
    guard = f"_{macro(family.name)}_NETLINK_GEN_H"
    lines = banner("/* {} GPL-2.0 */")
    lines += ["", f"#ifndef {guard}", f"#define {guard}", "",
              f"#include <uapi/linux/{family.name}.h>", "",
              "#include <net/genetlink.h>", "#include <net/netlink.h>", "",
              "/* To be written by hand, once for each operation. */"]
    for operation in callable_operations(family):
        name = snake(family.name, "nl", operation.name)
        if operation.do:
            lines.append(f"int {name}_doit(struct sk_buff *skb, struct genl_info *info);")
        if operation.dump:
            lines.append(f"int {name}_dumpit(struct sk_buff *skb, struct netlink_callback *cb);")
    if any(operation.dump for operation in family.operations):
        lines += ["", "/* pre_doit does not see dumps: this is where their callers are checked. */",
                  f"int {prefix}_nl_dump_start(struct netlink_callback *cb);"]
    lines += ["", f"extern const struct genl_ops {prefix}_nl_ops"
                  f"[{len(callable_operations(family))}];"]
    if family.groups:
        lines += ["", f"enum {prefix}_nlgrp {{"]
        lines += [f'\t{macro(family.name, "nlgrp", group)},' for group in family.groups]
        lines += ["};", "", f"extern const struct genl_multicast_group {prefix}_nl_mcgrps"
                            f"[{len(family.groups)}];"]
    return finish(lines + ["", f"#endif /* {guard} */"])


def kernel_source(family):
    """Policies of what can be sent, inner ones first, then the table of operations."""
    operations = callable_operations(family)
    requested = [a for o in operations for a in reachable(o.request)]
    lines = banner("// {} GPL-2.0") + ["", '#include "netlink_gen.h"']
    for attribute_set in family.sets:
        for attribute in attribute_set.attributes:
            if any(attribute is other for other in requested) and needs_range(attribute):
                lines += [""] + range_table(family, attribute)
    for attribute_set in family.sets:
        if any(a.nested is attribute_set for a in requested):
            lines += [""] + policy_table(family, nest_policy(family, attribute_set),
                                         attribute_set.attributes)
    for operation in operations:
        if operation.request:
            lines += [""] + policy_table(family, operation_policy(family, operation),
                                         operation.request)
    if not all(operation.request for operation in operations):
        lines += ["", "/* For operations that take no attributes at all. */",
                  f"static const struct nla_policy {snake(family.name)}_nl_no_policy[2] = {{",
                  "\t[1] = { .type = NLA_REJECT },", "};"]
    lines += ["", f"const struct genl_ops {snake(family.name)}_nl_ops[{len(operations)}] = {{"]
    for operation in operations:
        lines += operation_row(family, operation)
    lines.append("};")
    if family.groups:
        lines += [""] + group_table(family)
    return finish(lines)


def needs_range(attribute):
    limits = [limit.value for key, limit in attribute.checks.items() if key in ("min", "max")]
    return any(not S16_MIN <= value <= S16_MAX for value in limits)


def range_name(family, attribute):
    return snake(family.name, "nl", attribute.set.name, attribute.name, "range")


def range_table(family, attribute):
    low, high = type_bounds(attribute.type)
    signed = "_signed" if attribute.type[0] == "s" else ""
    bounds = [limit_text(family, attribute.checks.get(key, Limit(value)), attribute.type)
              for key, value in (("min", low), ("max", high))]
    # Not const: 6.1 has a plain pointer to it in struct nla_policy.
    head = declaration(f"static struct netlink_range_validation{signed}",
                       range_name(family, attribute))
    return head + [f"\t.min = {bounds[0]},", f"\t.max = {bounds[1]},", "};"]


def declaration(kind, name):
    """The head of a table, broken after its type where it is too long for a line."""
    head = f"{kind} {name} = {{"
    return [head] if len(head) <= 100 else [kind, f"{name} = {{"]


def nest_policy(family, attribute_set):
    return snake(family.name, attribute_set.name, "nl", "policy")


def operation_policy(family, operation):
    return snake(family.name, "nl", operation.name, "policy")


def last_attribute(family, attributes):
    """The attribute with the highest number: where a policy table ends."""
    return attr_macro(family, max(attributes, key=lambda attribute: attribute.id))


def policy_table(family, name, attributes):
    lines = declaration("static const struct nla_policy",
                        f"{name}[{last_attribute(family, attributes)} + 1]")
    for attribute in sorted(attributes, key=lambda a: a.id):
        if attribute.type == "pad":
            continue
        index = f"\t[{attr_macro(family, attribute)}] ="
        text = policy(family, attribute)
        # The tab counts for eight columns, the comma and the blank for two.
        fits = len(index) + 7 + len(text) + 2 <= 100
        lines += [f"{index} {text},"] if fits else [index, f"\t\t{text},"]
    return lines + ["};"]


def policy(family, attribute):
    kind = "NLA_NUL_STRING" if attribute.type == "string" else f"NLA_{attribute.type.upper()}"
    limits = {key: limit_text(family, limit, attribute.type)
              for key, limit in attribute.checks.items()}
    if attribute.type == "nest":
        return f"NLA_POLICY_NESTED({nest_policy(family, attribute.nested)})"
    if needs_range(attribute):
        signed = "_SIGNED" if attribute.type[0] == "s" else ""
        return f"NLA_POLICY_FULL_RANGE{signed}({kind}, &{range_name(family, attribute)})"
    if attribute.enum and attribute.enum.type == "enum":
        first, last = attribute.enum.entries[0].value, attribute.enum.entries[-1].value
        return (f"NLA_POLICY_RANGE({kind}, {first}, {last})" if first
                else f"NLA_POLICY_MAX({kind}, {last})")
    if attribute.enum or attribute.mask:
        return f"NLA_POLICY_MASK({kind}, {(attribute.enum or attribute.mask).mask:#x})"
    if "exact-len" in limits:
        return f'NLA_POLICY_EXACT_LEN({limits["exact-len"]})'
    low = limits.get("min", limits.get("min-len"))
    high = limits.get("max", limits.get("max-len"))
    if low and high:
        return f"NLA_POLICY_RANGE({kind}, {low}, {high})"
    if low:
        return f"NLA_POLICY_MIN({kind}, {low})"
    if "max" in limits:
        return f"NLA_POLICY_MAX({kind}, {high})"
    if high:
        return f"{{ .type = {kind}, .len = {high} }}"
    return f"{{ .type = {kind} }}"


def operation_row(family, operation):
    name = snake(family.name, "nl", operation.name)
    lines = ["\t{", f'\t\t.cmd\t\t= {macro(family.name, "cmd", operation.name)},']
    if operation.do:
        lines.append(f"\t\t.doit\t\t= {name}_doit,")
    if operation.dump:
        lines += [f"\t\t.start\t\t= {snake(family.name)}_nl_dump_start,",
                  f"\t\t.dumpit\t\t= {name}_dumpit,"]
    if operation.request:
        lines += [f"\t\t.policy\t\t= {operation_policy(family, operation)},",
                  f"\t\t.maxattr\t= {last_attribute(family, operation.request)},"]
    else:
        lines += [f"\t\t.policy\t\t= {snake(family.name)}_nl_no_policy,", "\t\t.maxattr\t= 1,"]
    return lines + ["\t\t.flags\t\t= GENL_ADMIN_PERM,", "\t},"]


def group_table(family):
    lines = [f"const struct genl_multicast_group {snake(family.name)}_nl_mcgrps"
             f"[{len(family.groups)}] = {{"]
    for group in family.groups:
        lines += [f'\t[{macro(family.name, "nlgrp", group)}] = {{',
                  f'\t\t.name\t= {macro(family.name, "mcgrp", group)},',
                  "\t\t.flags\t= GENL_MCAST_CAP_NET_ADMIN | GENL_MCAST_CAP_SYS_ADMIN,", "\t},"]
    return lines + ["};"]
