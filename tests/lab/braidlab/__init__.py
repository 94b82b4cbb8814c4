# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab: emulated hosts for tests of Braid. See tests/lab/README.md."""
