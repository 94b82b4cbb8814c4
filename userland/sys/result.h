// SPDX-License-Identifier: GPL-2.0-or-later
//
// How functions report errors.
//
// What a caller can act on, or has to tell a person about, is a value: a missing
// file, a refusal by the kernel, a reply that makes no sense. What nobody can act
// on (no memory, a mistake in the program) is an exception, and only main()
// catches those.
#pragma once

#include <string>
#include <tl/expected.hpp>

namespace braid::sys {

/// An error of the system, with what a person needs to understand it.
struct Error {
    /// errno value, > 0.
    int number = 0;
    /// Sentence without a full stop that names the object and the cause.
    std::string message;
};

template <class T, class E = Error>
using Result = tl::expected<T, E>;

}  // namespace braid::sys
