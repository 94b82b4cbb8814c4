# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts/bench is made of: contestants, workloads, measuring them, and what is made of the figures."""
