// Fills objects from TOML tables and `--set` overrides through their parameter tables, and collects
// every error with its place. Knows nothing of particular parameters.
#pragma once

#include <virtio/platforms/config/parameter_table.hpp>

#include <toml++/toml.h>

#include <map>

namespace virtio::platform {

class Reader {
public:
  Reader(const std::filesystem::path& file, const std::vector<Override>& overrides);

  // The root table; nullopt if the file cannot be read or is not TOML, with the error noted.
  std::optional<toml::table> open();

  // Fills what `root` leaves out from the [platform] tables of the preset that it, or an override,
  // names. Errors in there name the preset's file.
  void include_preset(toml::table& root);

  // What one object consists of. `path` is its own, as --set writes it: device.blk0.
  struct Object {
    std::string path;
    toml::source_region where; // of its table, for what is missing in it
    std::vector<BoundParameter> parameters;
    std::vector<std::string> subtables;         // keys that lead to further tables, even empty ones
    std::map<std::string, std::string> foreign; // keys of other kinds of object, and why not here
  };
  void read(const toml::table& table, Object object);

  // The value of one key as the override or else the table has it, before it is read for good.
  std::optional<RawValue> peek(const toml::table& table, const std::string& path,
                               std::string_view key) const;

  // The tables of `[[key]]`, or of `[key]` if there is only to be one.
  std::vector<const toml::table*> tables(const toml::table& root, std::string_view key);
  const toml::table* single_table(const toml::table& root, std::string_view key);
  void refuse_other_keys(const toml::table& root, const std::vector<std::string>& known);

  bool absent(const std::string& path) const { return !values_.contains(path); }
  bool good(const std::string& path) const;

  // An error at the place where that parameter was given, or else at the table it belongs to.
  void fail(const std::string& path, std::string sentence);
  // An error about several parameters of one table: at the place of `key`, or else of the first one
  // that the sentence names and that was given.
  void fail_about(const std::string& table, const std::string& key, std::string sentence);

  // So far, in the order found.
  const std::vector<ConfigError>& errors() const { return errors_; }

  // Errors of the file by line, then those of overrides, including overrides that met no parameter.
  std::vector<ConfigError> finish();

private:
  struct Value {
    ConfigError place; // without a sentence
    bool good = false;
  };

  std::filesystem::path find_preset(const std::string& name) const;
  void read_table(const toml::table& table, const std::string& prefix, const Object& object);
  void set(const BoundParameter& parameter, const RawValue& raw, ConfigError place);
  const Override* override_of(const std::string& path) const;
  RawValue raw(const toml::node& node) const;
  RawValue raw(const Override& text) const;
  ConfigError at(const std::string& key, const toml::source_region& where) const;
  void add(ConfigError place, std::string sentence);
  std::string explain_unmatched(const std::string& path) const;

  std::filesystem::path file_;
  const std::vector<Override>& overrides_;
  std::vector<ConfigError> errors_;
  std::map<std::string, Value> values_;               // by path
  std::map<std::string, Object> objects_;             // by path; parameters' setters are spent
  std::map<std::string, toml::source_region> places_; // of tables, by path
};

} // namespace virtio::platform
