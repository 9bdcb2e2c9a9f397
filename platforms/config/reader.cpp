#include <virtio/platforms/config/reader.hpp>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <tuple>

namespace virtio::platform {

namespace {

constexpr std::string_view override_source = "--set";

std::string_view describe(const toml::node& node) {
  switch (node.type()) {
  case toml::node_type::table:
    return "a table";
  case toml::node_type::array:
    return "an array";
  case toml::node_type::string:
    return "a string";
  case toml::node_type::integer:
    return "a number";
  case toml::node_type::floating_point:
    return "a number with a fraction";
  case toml::node_type::boolean:
    return "a truth value";
  default:
    return "a date or time";
  }
}

std::vector<std::string> keys_below(const std::vector<BoundParameter>& parameters,
                                    const std::string& prefix) {
  std::vector<std::string> keys;
  for (const BoundParameter& parameter : parameters)
    if (parameter.key.starts_with(prefix)) keys.push_back(parameter.key.substr(prefix.size()));
  return keys;
}

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

} // namespace

Reader::Reader(const std::filesystem::path& file, const std::vector<Override>& overrides)
    : file_(file), overrides_(overrides) {}

std::optional<toml::table> Reader::open() {
  std::error_code ignored;
  std::ifstream stream(file_, std::ios::binary);
  if (std::filesystem::is_directory(file_, ignored) || !stream) {
    const int reason = std::filesystem::is_directory(file_, ignored) ? EISDIR : errno;
    add(at({}, {}), fmt::format("cannot be read: {}", std::strerror(reason)));
    return std::nullopt;
  }
  std::ostringstream content;
  content << stream.rdbuf();
  try {
    return toml::parse(content.view());
  } catch (const toml::parse_error& error) {
    add(at({}, error.source()), fmt::format("not valid TOML: {}", error.description()));
    return std::nullopt;
  }
}

namespace {

// What is in `from` and not in `to` moves there; nodes keep the place they were read from.
void fill(toml::table& to, toml::table& from) {
  for (auto&& [key, node] : from) {
    if (toml::node* there = to.get(key.str())) {
      if (there->is_table() && node.is_table()) fill(*there->as_table(), *node.as_table());
      continue;
    }
    const toml::key copy = key;
    node.visit([&](auto& value) { to.insert(copy, std::move(value)); });
  }
}

// Beside the programs as installed, and where this was built.
std::vector<std::filesystem::path> preset_folders() {
  std::error_code ignored;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  return {here.parent_path() / "share" / "virtio-tlm" / "presets", VIRTIO_TLM_PRESETS};
}

} // namespace

std::filesystem::path Reader::find_preset(const std::string& name) const {
  if (name.find('/') != std::string::npos || name.ends_with(".toml"))
    return (file_.parent_path() / name).lexically_normal();
  for (const auto& folder : preset_folders())
    if (const auto file = folder / (name + ".toml"); std::filesystem::exists(file)) return file;
  return {};
}

void Reader::include_preset(toml::table& root) {
  toml::table* platform = root["platform"].as_table();
  if (!platform) return;
  const auto name = peek(*platform, "platform", "preset");
  if (!name || !name->has_letters()) return;
  const toml::node* node = platform->get("preset");
  const ConfigError place =
      override_of("platform.preset")
          ? ConfigError{std::string(override_source), 0, 0, "platform.preset", {}}
          : at("platform.preset", node->source());
  const auto file = find_preset(name->string);
  std::ifstream stream(file, std::ios::binary);
  if (file.empty() || !stream)
    return add(place, fmt::format("there is no preset \"{}\": platforms/presets has those that "
                                  "come with virtio-tlm",
                                  name->string));
  std::ostringstream content;
  content << stream.rdbuf();
  try {
    toml::table preset = toml::parse(content.view(), file.string());
    for (const auto& [key, value] : preset)
      if (key.str() != "platform")
        add(at(std::string(key.str()), key.source()), "a preset has [platform] tables only");
    if (toml::table* defaults = preset["platform"].as_table()) fill(*platform, *defaults);
  } catch (const toml::parse_error& error) {
    add(at({}, error.source()), fmt::format("not valid TOML: {}", error.description()));
  }
}

void Reader::read(const toml::table& table, Object object) {
  places_.insert_or_assign(object.path, object.where);
  for (const BoundParameter& parameter : object.parameters) {
    const std::string path = object.path + "." + parameter.key;
    const Override* text = override_of(path);
    if (!text) continue;
    const ConfigError place{std::string(override_source), 0, 0, path, {}};
    if (parameter.key == "name")
      add(place, "names cannot be overridden, as paths are made of them: change the file");
    else
      set(parameter, raw(*text), place);
  }
  read_table(table, "", object);
  for (const BoundParameter& parameter : object.parameters)
    if (parameter.required && absent(object.path + "." + parameter.key))
      add(at(object.path + "." + parameter.key, object.where), "is required and missing");
  objects_.insert_or_assign(object.path, std::move(object));
}

void Reader::read_table(const toml::table& table, const std::string& prefix, const Object& object) {
  for (const auto& [key, node] : table) {
    const std::string below = prefix + std::string(key.str());
    const std::string path = object.path + "." + below;
    const auto parameter =
        std::find_if(object.parameters.begin(), object.parameters.end(),
                     [&](const BoundParameter& candidate) { return candidate.key == below; });
    if (parameter != object.parameters.end()) {
      if (!override_of(path) || below == "name")
        set(*parameter, raw(node), at(path, node.source()));
    } else if (contains(object.subtables, below)) {
      if (const toml::table* subtable = node.as_table()) {
        places_.insert_or_assign(path, subtable->source());
        read_table(*subtable, below + ".", object);
      } else
        add(at(path, node.source()), fmt::format("must be a table, not {}", describe(node)));
    } else if (const auto reason = object.foreign.find(below); reason != object.foreign.end()) {
      if (!reason->second.empty()) add(at(path, key.source()), reason->second);
    } else {
      std::vector<std::string> known = keys_below(object.parameters, prefix);
      if (prefix.empty())
        known.insert(known.end(), object.subtables.begin(), object.subtables.end());
      add(at(path, key.source()),
          known.empty() ? "unknown: this table has no parameters in this build"
                        : fmt::format("unknown parameter{}", did_you_mean(key.str(), known)));
    }
  }
}

void Reader::set(const BoundParameter& parameter, const RawValue& raw, ConfigError place) {
  const std::optional<std::string> problem = parameter.set(raw);
  values_[place.key] = {place, !problem};
  if (problem) add(std::move(place), *problem);
}

std::optional<RawValue> Reader::peek(const toml::table& table, const std::string& path,
                                     std::string_view key) const {
  if (const Override* text = override_of(fmt::format("{}.{}", path, key))) return raw(*text);
  if (const toml::node* node = table.get(key)) return raw(*node);
  return std::nullopt;
}

std::vector<const toml::table*> Reader::tables(const toml::table& root, std::string_view key) {
  std::vector<const toml::table*> found;
  const toml::node* node = root.get(key);
  if (!node) return found;
  const toml::array* array = node->as_array();
  if (!array || !array->is_homogeneous(toml::node_type::table)) {
    if (!array || !array->empty())
      add(at(std::string(key), node->source()),
          fmt::format("must be written [[{}]], one such block for each", key));
    return found;
  }
  for (const toml::node& element : *array)
    found.push_back(element.as_table());
  return found;
}

const toml::table* Reader::single_table(const toml::table& root, std::string_view key) {
  const toml::node* node = root.get(key);
  if (!node) {
    add({file_.string(), 1, 1, std::string(key), {}},
        fmt::format("the table [{}] is missing", key));
    return nullptr;
  }
  if (!node->is_table())
    add(at(std::string(key), node->source()),
        fmt::format("must be a table [{}], not {}", key, describe(*node)));
  return node->as_table();
}

void Reader::refuse_other_keys(const toml::table& root, const std::vector<std::string>& known) {
  for (const auto& [key, node] : root)
    if (!contains(known, key.str()))
      add(at(std::string(key.str()), key.source()),
          fmt::format("unknown table{}", did_you_mean(key.str(), known)));
}

bool Reader::good(const std::string& path) const {
  const auto found = values_.find(path);
  return found != values_.end() && found->second.good;
}

void Reader::fail(const std::string& path, std::string sentence) {
  if (const auto value = values_.find(path); value != values_.end()) {
    add(value->second.place, std::move(sentence));
    return;
  }
  for (std::string parent = path; parent.find('.') != std::string::npos;) {
    parent.resize(parent.rfind('.'));
    if (const auto place = places_.find(parent); place != places_.end())
      return add(at(path, place->second), std::move(sentence));
  }
  add(at(path, {}), std::move(sentence));
}

void Reader::fail_about(const std::string& table, const std::string& key, std::string sentence) {
  const auto is_letter = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
  };
  std::vector<std::string> named{key};
  for (auto begin = sentence.begin(); begin != sentence.end();) {
    begin = std::find_if(begin, sentence.end(), is_letter);
    const auto end = std::find_if_not(begin, sentence.end(), is_letter);
    named.emplace_back(begin, end);
    begin = end;
  }
  for (const std::string& name : named)
    if (!absent(table + "." + name)) return fail(table + "." + name, std::move(sentence));
  fail(table + "." + key, std::move(sentence));
}

std::vector<ConfigError> Reader::finish() {
  for (const Override& text : overrides_)
    if (absent(text.path))
      add({std::string(override_source), 0, 0, text.path, {}}, explain_unmatched(text.path));
  const auto order = [](const ConfigError& error) {
    return std::tuple(error.source == override_source, error.line, error.column);
  };
  std::stable_sort(errors_.begin(), errors_.end(),
                   [&](const auto& a, const auto& b) { return order(a) < order(b); });
  return errors_;
}

std::string Reader::explain_unmatched(const std::string& path) const {
  // The object that the path goes furthest into.
  for (std::string parent = path; !parent.empty();
       parent.resize(std::min(parent.rfind('.'), parent.size()))) {
    const auto found = objects_.find(parent);
    if (found == objects_.end()) {
      if (parent.find('.') == std::string::npos) break;
      continue;
    }
    const Object& object = found->second;
    if (parent == path) return "is a table: name one of its parameters";
    const std::string key = path.substr(parent.size() + 1);
    for (const std::string& word : {key, key.substr(0, key.find('.'))})
      if (const auto reason = object.foreign.find(word); reason != object.foreign.end())
        return reason->second;
    if (contains(object.subtables, key)) return "is a table: name one of its parameters";
    return fmt::format("unknown parameter{}", did_you_mean(key, keys_below(object.parameters, "")));
  }
  const std::string kind = path.substr(0, path.find('.'));
  std::vector<std::string> kinds;
  std::vector<std::string> names;
  for (const auto& [object_path, object] : objects_) {
    const std::string object_kind = object_path.substr(0, object_path.find('.'));
    if (!contains(kinds, object_kind)) kinds.push_back(object_kind);
    if (object_kind == kind && object_path.size() > kind.size())
      names.push_back(object_path.substr(kind.size() + 1));
  }
  if (names.empty())
    return fmt::format("a path starts with one of {}{}", quoted_list(kinds),
                       did_you_mean(kind, kinds));
  const std::string rest = path.size() > kind.size() ? path.substr(kind.size() + 1) : "";
  const std::string name = rest.substr(0, rest.find('.'));
  return fmt::format("the file has no {} \"{}\", only {}{}", kind, name, quoted_list(names),
                     did_you_mean(name, names));
}

const Override* Reader::override_of(const std::string& path) const {
  // The last one counts.
  const auto found = std::find_if(overrides_.rbegin(), overrides_.rend(),
                                  [&](const Override& text) { return text.path == path; });
  return found == overrides_.rend() ? nullptr : &*found;
}

RawValue Reader::raw(const toml::node& node) const {
  RawValue value;
  value.kind_name = describe(node);
  const auto& source = node.source().path;
  value.base = source ? std::filesystem::path(*source).parent_path() : file_.parent_path();
  if (const auto* boolean = node.as_boolean()) {
    value.kind = RawValue::Kind::boolean;
    value.boolean = boolean->get();
  } else if (const auto* integer = node.as_integer()) {
    value.kind = RawValue::Kind::integer;
    value.integer = integer->get();
  } else if (node.is_floating_point()) {
    value.kind = RawValue::Kind::real;
  } else if (const auto* string = node.as_string()) {
    value.kind = RawValue::Kind::string;
    value.string = string->get();
  } else if (const auto* array = node.as_array()) {
    value.kind = RawValue::Kind::array;
    for (const toml::node& element : *array)
      value.elements.push_back(raw(element));
  }
  return value;
}

RawValue Reader::raw(const Override& text) const {
  RawValue value;
  value.kind = RawValue::Kind::text;
  value.kind_name = "text";
  value.string = text.value;
  return value;
}

ConfigError Reader::at(const std::string& key, const toml::source_region& where) const {
  return {where.path ? *where.path : file_.string(), where.begin.line, where.begin.column, key, {}};
}

void Reader::add(ConfigError place, std::string sentence) {
  place.sentence = std::move(sentence);
  errors_.push_back(std::move(place));
}

} // namespace virtio::platform
