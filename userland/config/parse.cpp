// SPDX-License-Identifier: GPL-2.0-or-later
//
// A parser by recursive descent, as deep as the sections nest. After an error it
// goes on behind the next ';', or behind the block that the statement began.
#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <utility>

#include "config/draft.h"
#include "sys/netlink_gen.h"

namespace braid::config {

namespace {

namespace fs = std::filesystem;
using Kind = Token::Kind;

/// What a statement is about; what does not apply is null.
struct Scope {
    Section parent = Section::top;
    DraftResource* resource = nullptr;
    DraftHost* host = nullptr;
    std::vector<DraftVolume>* volumes = nullptr;
    DraftVolume* volume = nullptr;
    DraftLink* link = nullptr;
    DraftPool* pool = nullptr;
    std::vector<DraftEnd>* ends = nullptr;
    std::vector<Setting>* settings = nullptr;
};

constexpr std::size_t pool_name_max = 48;
constexpr std::size_t pool_place_max = 120;  // LVM takes 127

bool good_name(std::string_view name, std::size_t max) {
    return !name.empty() && name.size() <= max && name[0] != '.' && name[0] != '-' &&
           name.find_first_not_of(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
               "0123456789._-") == std::string_view::npos;
}

/// "IP", "IP:PORT", "[IP]" or "[IP]:PORT".
std::optional<Address> parse_address(std::string_view word) {
    Address address;
    std::string_view port;
    address.v6 = word.starts_with('[');
    const auto end = word.find(address.v6 ? ']' : ':');
    if (address.v6 && end == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string ip(word.substr(address.v6 ? 1 : 0, address.v6 ? end - 1 : end));
    if (end != std::string_view::npos) {
        port = word.substr(address.v6 ? end + 1 : end);
    }
    if (!port.empty()) {
        const auto number =
            port.starts_with(':') ? parse_number(port.substr(1), 65535) : std::nullopt;
        if (number.value_or(0) == 0) {
            return std::nullopt;
        }
        address.port = static_cast<std::uint16_t>(*number);
    }
    const int family = address.v6 ? AF_INET6 : AF_INET;
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (ip.size() > INET6_ADDRSTRLEN || inet_pton(family, ip.c_str(), bytes.data()) != 1 ||
        inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr) {
        return std::nullopt;
    }
    // No host has an address that is all zeroes, or one of many hosts.
    const bool multicast = address.v6 ? bytes[0] == 0xff : bytes[0] >= 224;
    if (multicast || std::ranges::all_of(bytes, [](unsigned char byte) { return byte == 0; })) {
        return std::nullopt;
    }
    address.ip = text.data();
    return address;
}

class Parser {
  public:
    Parser(const Source& source, Draft& draft) : source_(source), draft_(draft) {}

    /// `from`: the include, none for the first file.
    void file(const std::string& path, const Token* from);

  private:
    void advance();
    void fail(const Place& place, std::string_view word, std::string message);
    void fail(const Token& token, std::string message) {
        if (token.kind == Kind::end) {
            message = "the file ends here: " + message;
        }
        fail(token.place, token.text, std::move(message));
    }
    void skip_statement();
    void end_of_statement();
    std::optional<Token> value(std::string_view expected);
    std::optional<std::uint64_t> number(std::string_view expected, std::uint64_t max);

    void block(Section section, const Scope& scope);
    void statement(Section section, const Scope& scope);
    void dispatch(const Keyword& row, const Token& word, const Scope& scope);
    void open_block(const Keyword& row, const Token& word, const Scope& scope);
    void open_resource(const Token& word);
    void open_host(const Token& word, const Scope& scope, bool witness);
    void open_volume(const Token& word, const Scope& scope);
    void open_link(const Token& word, const Scope& scope, bool mesh);
    void open_path(const Token& word, const Scope& scope);

    void include(const Token& word);
    void setting(const Keyword& row, const Token& word, const Scope& scope);
    void device(const Token& word, const Scope& scope);
    void disk(const Token& word, const Scope& scope, bool meta);
    void open_pool();
    void pool_name(const Token& word, const Scope& scope);
    void pool_size(const Keyword& row, const Token& word, const Scope& scope);
    void pool_place(const Token& word, const Scope& scope);
    void address_of(const Token& word, const Scope& scope);
    void node_id(const Token& word, const Scope& scope);
    void host(const Scope& scope);
    void hosts(const Scope& scope);
    std::optional<Placed<Address>> address();

    /// Stores a value that may be given once.
    template <class T>
    void store(std::optional<Placed<T>>& target, const Token& word, T value);

    static DraftVolume& volume_of(const Token& word, const Scope& scope);

    const Source& source_;
    Draft& draft_;
    Lexer* lexer_ = nullptr;
    Token token_;
    Place previous_;  ///< where the last token that was taken began
    std::string previous_text_;
    DraftResource* current_ = nullptr;
    bool unclosed_ = false;
    unsigned depth_ = 0;
    std::size_t total_bytes_ = 0;
    std::set<std::string> seen_;
};

void Parser::fail(const Place& place, std::string_view word, std::string message) {
    draft_.report(place, word, std::move(message));
    if (current_ != nullptr) {
        current_->damaged = true;
    }
}

void Parser::advance() {
    previous_ = token_.place;
    previous_text_ = std::move(token_.text);
    token_ = lexer_->next();
    if (draft_.diagnostics.size() >= diagnostics_max) {
        token_.kind = Kind::end;  // enough is enough
    } else if (token_.kind == Kind::bad) {
        fail(token_.place, {}, token_.text);
    }
}

void Parser::skip_statement() {
    for (unsigned depth = 0; token_.kind != Kind::end; advance()) {
        if (token_.kind == Kind::open) {
            depth++;
        } else if (token_.kind == Kind::close && depth-- <= 1) {
            if (depth == 0) {
                advance();
            }
            return;
        } else if (token_.kind == Kind::semicolon && depth == 0) {
            advance();
            return;
        }
    }
}

void Parser::end_of_statement() {
    if (token_.kind == Kind::semicolon) {
        advance();
        return;
    }
    const bool same_line = token_.place.line == previous_.line;
    if (token_.kind != Kind::bad) {
        fail(token_, fmt::format("expected ';' after '{}'", previous_text_));
    }
    // In a new line stands what follows; a ';' is missing, no more.
    if (same_line && token_.kind != Kind::close) {
        skip_statement();
    }
}

std::optional<Token> Parser::value(std::string_view expected) {
    if (!token_.is_value()) {
        if (token_.kind != Kind::bad) {
            fail(token_, fmt::format("expected {} after '{}'", expected, previous_text_));
        }
        skip_statement();
        return std::nullopt;
    }
    Token token = token_;
    advance();
    return token;
}

std::optional<std::uint64_t> Parser::number(std::string_view expected, std::uint64_t max) {
    const std::string what = fmt::format("{} from 0 to {}", expected, max);
    const auto token = value(what);
    if (!token) {
        return std::nullopt;
    }
    const auto result = parse_number(token->text, max);
    if (!result) {
        fail(*token, fmt::format("expected {}", what));
        skip_statement();
    }
    return result;
}

template <class T>
void Parser::store(std::optional<Placed<T>>& target, const Token& word, T value) {
    if (target) {
        fail(word, fmt::format("is given twice, first in line {}", target->place.line));
    } else {
        target = {std::move(value), word.place};
    }
}

// ---- sections ----

void Parser::block(Section section, const Scope& scope) {
    const Token open = token_;
    if (open.kind != Kind::open) {
        if (open.kind != Kind::bad) {
            fail(open, fmt::format("expected '{{' after '{}'", previous_text_));
        }
        skip_statement();
        return;
    }
    advance();
    while (token_.kind != Kind::close && token_.kind != Kind::end) {
        statement(section, scope);
    }
    if (token_.kind == Kind::close) {
        advance();
    } else if (!std::exchange(unclosed_, true)) {
        fail(open, "is never closed");
    }
}

void Parser::statement(Section section, const Scope& scope) {
    if (token_.kind == Kind::semicolon) {
        advance();
        return;
    }
    const Token word = token_;
    if (word.kind != Kind::word) {
        if (word.kind != Kind::bad) {
            fail(word, fmt::format("expected a keyword of {}", name_of(section)));
        }
        skip_statement();
        return;
    }
    advance();
    if (word.text == "skip") {
        skip_statement();
        return;
    }
    const Keyword* row = find_keyword(section, word.text, token_.kind == Kind::open);
    if (row == nullptr) {
        fail(word, explain_unknown(section, word.text));
        skip_statement();
    } else if (row->form == Form::refused) {
        fail(word, fmt::format("has no use here; {}", row->doc));
        skip_statement();
    } else {
        dispatch(*row, word, scope);
    }
}

void Parser::dispatch(const Keyword& row, const Token& word, const Scope& scope) {
    switch (row.form) {
        case Form::block:
            return open_block(row, word, scope);
        case Form::include:
            return include(word);
        case Form::device:
            return device(word, scope);
        case Form::disk:
        case Form::meta_disk:
            return disk(word, scope, row.form == Form::meta_disk);
        case Form::pool_name:
            return pool_name(word, scope);
        case Form::pool_size:
            return pool_size(row, word, scope);
        case Form::pool_place:
            return pool_place(word, scope);
        case Form::address:
            return address_of(word, scope);
        case Form::node_id:
            return node_id(word, scope);
        case Form::host:
            return host(scope);
        case Form::hosts:
            return hosts(scope);
        default:
            return setting(row, word, scope);
    }
}

void Parser::open_block(const Keyword& row, const Token& word, const Scope& scope) {
    switch (row.opens) {
        case Section::resource:
            return open_resource(word);
        case Section::pool:
            return open_pool();
        case Section::on:
        case Section::witness:
            return open_host(word, scope, row.opens == Section::witness);
        case Section::volume:
            return open_volume(word, scope);
        case Section::connection:
        case Section::mesh:
            return open_link(word, scope, row.opens == Section::mesh);
        case Section::path:
            return open_path(word, scope);
        default: {
            Scope inner = scope;
            inner.parent = row.section;
            if (row.section == Section::top) {
                inner.settings = &draft_.common;
            }
            return block(row.opens, inner);
        }
    }
}

void Parser::open_resource(const Token& word) {
    DraftResource resource{.place = word.place};
    current_ = &resource;
    if (const auto name = value("a name")) {
        resource.name = name->text;
        resource.place = name->place;
        if (!good_name(name->text, netlink::name_max)) {
            fail(*name, fmt::format("is no name: expected up to {} letters, digits, '.', '_', '-', "
                                    "beginning with none of '.' and '-'",
                                    netlink::name_max));
        } else if (name->text == "all") {
            fail(*name, "is no name: for braidadm it means all resources");
        }
        Scope scope{.resource = &resource};
        scope.volumes = &resource.volumes;
        scope.settings = &resource.settings;
        block(Section::resource, scope);
        draft_.resources.push_back(std::move(resource));
    }
    current_ = nullptr;
}

void Parser::open_host(const Token& word, const Scope& scope, bool witness) {
    const auto name = value("the name of a host");
    if (!name) {
        return;
    }
    DraftHost host{.place = name->place, .name = name->text, .witness = witness};
    if (!good_name(name->text, 64)) {
        fail(*name, "is no name of a host: expected what 'uname -n' prints there");
    }
    if (token_.is_value()) {
        fail(token_, fmt::format("expected '{{': '{}' takes one host", word.text));
        while (token_.is_value()) {
            advance();
        }
    }
    Scope inner = scope;
    inner.host = &host;
    inner.volumes = &host.volumes;
    std::vector<Setting> fixed;  // no option differs from host to host
    inner.settings = &fixed;
    block(witness ? Section::witness : Section::on, inner);
    scope.resource->hosts.push_back(std::move(host));
}

void Parser::open_volume(const Token& word, const Scope& scope) {
    const auto volume = number("the number of a volume", netlink::volume_max);
    if (!volume) {
        return;
    }
    DraftVolume draft{.place = word.place, .number = static_cast<std::uint32_t>(*volume)};
    const auto first = std::ranges::find(*scope.volumes, draft.number, &DraftVolume::number);
    if (first != scope.volumes->end()) {
        fail(word,
             fmt::format("{} is given twice, first in line {}", draft.number, first->place.line));
    }
    Scope inner = scope;
    inner.volume = &draft;
    std::vector<Setting> fixed;  // no option differs from volume to volume
    inner.settings = &fixed;
    block(Section::volume, inner);
    scope.volumes->push_back(std::move(draft));
}

void Parser::open_link(const Token& word, const Scope& scope, bool mesh) {
    DraftLink link{.place = word.place, .mesh = mesh};
    if (token_.is_value()) {  // a name, which DRBD allows
        advance();
    }
    Scope inner = scope;
    inner.link = &link;
    inner.ends = &link.ends;
    inner.settings = &link.settings;
    block(mesh ? Section::mesh : Section::connection, inner);
    scope.resource->links.push_back(std::move(link));
}

void Parser::open_path(const Token& word, const Scope& scope) {
    DraftPath path{.place = word.place};
    Scope inner = scope;
    inner.ends = &path.ends;
    block(Section::path, inner);
    scope.link->paths.push_back(std::move(path));
}

// ---- statements ----

void Parser::setting(const Keyword& row, const Token& word, const Scope& scope) {
    if ((row.levels & level(scope.parent)) == 0) {
        fail(word,
             fmt::format("is not allowed in {} {{ }} of {}; it holds for a whole resource{}",
                         name_of(row.section), name_of(scope.parent),
                         (row.levels & level(Section::connection)) != 0 ? " or connection" : ""));
        skip_statement();
        return;
    }
    Value parsed{1, {}};  // a boolean without value
    if (row.form != Form::boolean || token_.kind != Kind::semicolon) {
        const auto token = value("a value");
        if (!token) {
            return;
        }
        if (auto result = parse_value(row, token->text)) {
            parsed = std::move(*result);
        } else {
            fail(*token, fmt::format("is no value of '{}': {}", row.name, result.error()));
            end_of_statement();
            return;
        }
    }
    const auto first = std::ranges::find(*scope.settings, &row, &Setting::option);
    if (first != scope.settings->end()) {
        fail(word, fmt::format("is given twice, first in line {}", first->place.line));
    } else {
        scope.settings->push_back({&row, std::move(parsed), word.place});
    }
    end_of_statement();
}

/// The volume of a statement; outside of a volume's section it is number 0.
DraftVolume& Parser::volume_of(const Token& word, const Scope& scope) {
    if (scope.volume != nullptr) {
        return *scope.volume;
    }
    const auto zero = std::ranges::find(*scope.volumes, 0U, &DraftVolume::number);
    return zero != scope.volumes->end()
               ? *zero
               : scope.volumes->emplace_back(DraftVolume{.place = word.place});
}

void Parser::device(const Token& word, const Scope& scope) {
    const auto token = value("/dev/braidM or 'minor M'");
    if (!token) {
        return;
    }
    constexpr std::string_view prefix = "/dev/braid";
    std::optional<std::uint64_t> minor;
    std::optional<std::uint64_t> named;
    if (token->text != "minor") {
        named = token->text.starts_with(prefix)
                    ? parse_number(token->text.substr(prefix.size()), netlink::minor_max)
                    : std::nullopt;
        if (!named) {
            fail(*token, fmt::format("expected /dev/braidM with a minor M from 0 to {}: devices "
                                     "have the names of their minors",
                                     netlink::minor_max));
            skip_statement();
            return;
        }
        minor = named;
    }
    if (!named || (token_.kind == Kind::word && token_.text == "minor")) {
        if (named) {
            advance();
        }
        const Token at = token_;
        minor = number("a minor", netlink::minor_max);
        if (!minor) {
            return;
        }
        if (named && named != minor) {
            fail(at, fmt::format("is not the minor of {}", token->text));
        }
    }
    store(volume_of(word, scope).minor, word, static_cast<std::uint32_t>(*minor));
    end_of_statement();
}

void Parser::disk(const Token& word, const Scope& scope, bool meta) {
    const std::string_view special = meta ? "internal" : "none";
    const std::string expected = fmt::format("an absolute path, or {}", special);
    const auto token = value(expected);
    if (!token) {
        return;
    }
    std::string path;
    if (token->text != special || token->kind == Kind::string) {
        path = fs::path(token->text).lexically_normal().string();
        if (!path.starts_with('/') || path.ends_with('/')) {
            fail(*token, fmt::format("expected {}", expected));
        } else if (path.starts_with("/dev/braid")) {
            fail(*token, "is a device of Braid, which cannot hold a replica");
        }
    }
    // DRBD's "/dev/x[0]" or "/dev/x [0]".
    const bool apart = meta && token_.kind == Kind::word && token_.text.starts_with('[');
    if (apart || (meta && path.ends_with(']'))) {
        fail(apart ? token_ : *token,
             "expected no index: each volume has a device of its own for its metadata");
    }
    if (apart) {
        advance();
    }
    DraftVolume& volume = volume_of(word, scope);
    store(meta ? volume.meta_disk : volume.disk, word, std::move(path));
    end_of_statement();
}

// ---- pools ----

void Parser::open_pool() {
    const auto name = value("the name of a pool");
    if (!name) {
        return;
    }
    if (!good_name(name->text, pool_name_max)) {
        fail(*name,
             fmt::format("is no name of a pool: expected up to {} letters, digits, '.', '_', "
                         "'-', beginning with none of '.' and '-'",
                         pool_name_max));
    }
    DraftPool pool{.name = {name->text, name->place}};
    Scope scope;
    scope.pool = &pool;
    block(Section::pool, scope);
    draft_.pools.push_back(std::move(pool));
}

/// "lvmthin vg0/thin;": what is in a pool's section.
void Parser::pool_place(const Token& word, const Scope& scope) {
    const auto kind = pool_kind(word.text);
    const bool thin = kind == PoolKind::lvmthin;
    const std::string_view expected = thin ? "a volume group and its thin pool: VG/LV"
                                      : word.text == "lvm" ? "the name of a volume group"
                                                           : "a ZFS pool or dataset";
    const auto token = value(expected);
    if (!token) {
        return;
    }
    Pool pool{.name = scope.pool->name.value, .kind = kind.value_or(PoolKind::lvm)};
    const auto stroke = token->text.find('/');
    pool.group = thin ? token->text.substr(0, stroke) : token->text;
    pool.thin = thin && stroke != std::string::npos ? token->text.substr(stroke + 1) : "";
    bool good = !thin || good_name(pool.thin, pool_place_max);
    for (std::string_view rest = pool.group; good; rest.remove_prefix(rest.find('/') + 1)) {
        good = good_name(rest.substr(0, rest.find('/')), pool_place_max);
        if (!pool.zfs() || rest.find('/') == std::string_view::npos) {
            break;
        }
    }
    if (!good) {
        fail(*token, fmt::format("expected {}", expected));
    }
    store(scope.pool->pool, word, std::move(pool));
    end_of_statement();
}

void Parser::pool_name(const Token& word, const Scope& scope) {
    if (const auto name = value("the name of a pool")) {
        if (!good_name(name->text, pool_name_max)) {
            fail(*name, "is no name of a pool; 'braidadm pool list' shows those of this host");
        }
        store(volume_of(word, scope).pool, word, name->text);
        end_of_statement();
    }
}

void Parser::pool_size(const Keyword& row, const Token& word, const Scope& scope) {
    const auto token = value("a size, as 10G");
    if (!token) {
        return;
    }
    const auto size = parse_value(row, token->text);
    if (!size) {
        fail(*token, fmt::format("is no value of 'size': {}", size.error()));
    }
    store(volume_of(word, scope).size, word, size ? size->number : row.min);
    end_of_statement();
}

std::optional<Placed<Address>> Parser::address() {
    constexpr std::string_view expected = "an address: IP:PORT or [IPV6]:PORT";
    auto token = value(expected);
    if (!token) {
        return std::nullopt;
    }
    const bool v4 = token->text == "ipv4";
    const bool v6 = token->text == "ipv6";
    if (v4 || v6) {
        token = value(expected);
        if (!token) {
            return std::nullopt;
        }
    } else if (token->text == "sdp" || token->text == "ssocks" || token->text == "sci") {
        fail(*token, "has no use here; use ipv4 or ipv6");
        skip_statement();
        return std::nullopt;
    }
    auto address = parse_address(token->text);
    if (!address || (v4 && address->v6) || (v6 && !address->v6)) {
        fail(*token, fmt::format("expected {}; names are not looked up",
                                 v4   ? "IP:PORT with a host's IPv4 address"
                                 : v6 ? "[IPV6]:PORT with a host's IPv6 address"
                                      : "IP:PORT or [IPV6]:PORT with a host's address"));
        skip_statement();
        return std::nullopt;
    }
    return Placed<Address>{std::move(*address), token->place};
}

void Parser::address_of(const Token& word, const Scope& scope) {
    if (auto parsed = address()) {
        store(scope.host->address, word, std::move(parsed->value));
        end_of_statement();
    }
}

void Parser::node_id(const Token& word, const Scope& scope) {
    if (const auto id = number("a node id", netlink::node_max)) {
        store(scope.host->node_id, word, static_cast<std::uint32_t>(*id));
        end_of_statement();
    }
}

void Parser::host(const Scope& scope) {
    const auto name = value("the name of a host");
    if (!name) {
        return;
    }
    DraftEnd end{{name->text, name->place}, std::nullopt};
    while (token_.kind == Kind::word && (token_.text == "address" || token_.text == "port")) {
        const bool port = token_.text == "port";
        if (port) {
            fail(token_, "has no use here; give an address with a port: a node has one port");
            skip_statement();
            return;
        }
        advance();
        auto parsed = address();
        if (!parsed) {
            return;
        }
        end.address = std::move(*parsed);
    }
    scope.ends->push_back(std::move(end));
    end_of_statement();
}

void Parser::hosts(const Scope& scope) {
    if (!value("names of hosts")) {
        return;
    }
    scope.ends->push_back({{previous_text_, previous_}, std::nullopt});
    while (token_.is_value()) {
        scope.ends->push_back({{token_.text, token_.place}, std::nullopt});
        advance();
    }
    end_of_statement();
}

// ---- files ----

void Parser::include(const Token& word) {
    const auto pattern = value("a file, or a pattern");
    if (!pattern) {
        return;
    }
    end_of_statement();
    const fs::path here = fs::path(draft_.files[word.place.file]).parent_path();
    auto paths = source_.match((here / pattern->text).string());
    if (!paths) {
        fail(*pattern, paths.error().message);
        return;
    }
    if (depth_ >= include_depth_max) {
        fail(*pattern,
             fmt::format("files include one another more than {} deep", include_depth_max));
        return;
    }
    for (const std::string& path : *paths) {
        file(path, &*pattern);
    }
}

void Parser::file(const std::string& path, const Token* from) {
    const auto index = static_cast<std::uint32_t>(draft_.files.size());
    const auto refuse = [&](std::string why) {
        if (from == nullptr) {
            draft_.files.push_back(path);
            draft_.report({index, 0, 0}, {}, std::move(why));
        } else {
            fail(*from, std::move(why));
        }
    };
    if (!seen_.insert(fs::path(path).lexically_normal().string()).second) {
        return refuse(fmt::format("{} is included twice", path));
    }
    if (draft_.files.size() >= files_max) {
        return refuse(fmt::format("there are more than {} files", files_max));
    }
    const auto text = source_.read(path);
    if (!text) {
        return refuse(text.error().message);
    }
    total_bytes_ += text->size();
    if (total_bytes_ > total_bytes_max) {
        return refuse(fmt::format("with {} there are more than {} bytes", path, total_bytes_max));
    }
    draft_.files.push_back(path);

    Lexer lexer(*text, index);
    Lexer* const outer = std::exchange(lexer_, &lexer);
    const Token token = std::exchange(token_, {});
    const bool unclosed = std::exchange(unclosed_, false);
    depth_++;
    advance();
    while (token_.kind != Kind::end) {
        if (token_.kind == Kind::close) {
            fail(token_, "closes nothing");
            advance();
        } else {
            statement(Section::top, {});
        }
    }
    depth_--;
    unclosed_ = unclosed;
    token_ = token;
    lexer_ = outer;
}

}  // namespace

void parse(const std::string& path, const Source& source, Draft& draft) {
    Parser(source, draft).file(path, nullptr);
}

}  // namespace braid::config
