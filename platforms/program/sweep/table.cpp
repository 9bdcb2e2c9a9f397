#include <virtio/platforms/program/sweep/table.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace virtio::platform::sweep {

namespace {

using Row = std::vector<std::string>;

std::string scalar(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  return json.is_null() ? "" : json.dump();
}

// What the elements of an array are called in a path.
std::vector<std::string> element_names(const Json& array) {
  std::vector<std::string> names;
  for (const char* key : {"name", "device"}) {
    names.clear();
    for (const Json& element : array)
      if (element.is_object() && element.contains(key) && element[key].is_string())
        names.push_back(element[key]);
    if (std::set<std::string>(names.begin(), names.end()).size() == array.size()) return names;
  }
  names.clear();
  for (std::size_t i = 0; i < array.size(); ++i)
    names.push_back(std::to_string(i));
  return names;
}

void flatten(const Json& json, const std::string& path,
             std::vector<std::pair<std::string, std::string>>& values) {
  const auto below = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
  if (json.is_object()) {
    for (const auto& [key, value] : json.items())
      flatten(value, below(key), values);
  } else if (json.is_array()) {
    const std::vector<std::string> names = element_names(json);
    for (std::size_t i = 0; i < names.size(); ++i)
      flatten(json[i], below(names[i]), values);
  } else {
    values.emplace_back(path, scalar(json));
  }
}

std::string line(const Row& row) {
  std::string text;
  for (const std::string& field : row)
    text += (&field == &row.front() ? "" : ",") + csv_field(field);
  return text + "\n";
}

// The columns that every run has, and those of the runs' own summaries as they turn up.
class Csv {
public:
  explicit Csv(const Plan& plan) {
    for (const Axis& axis : plan.axes)
      header_.push_back(axis.path);
    header_.insert(header_.begin(), "run");
    header_.insert(header_.end(), {"status", "exit_code", "error"});
    fixed_ = {header_.begin(), header_.end()};
  }

  void add(const Json& result) {
    Row row{scalar(result.at("run"))};
    for (const Json& value : result.at("vary"))
      row.push_back(scalar(value));
    for (const char* key : {"status", "exit_code", "error"})
      row.push_back(scalar(result.at(key)));
    for (auto& [path, value] : sweep::flatten(result.at("summary"))) {
      const std::size_t column = column_of(fixed_.contains(path) ? "summary." + path : path);
      row.resize(std::max(row.size(), column + 1));
      row[column] = std::move(value);
    }
    rows_.push_back(std::move(row));
  }

  std::string text() {
    std::string text = line(header_);
    for (Row& row : rows_) {
      row.resize(header_.size());
      text += line(row);
    }
    return text;
  }

private:
  std::size_t column_of(const std::string& path) {
    const auto [column, is_new] = columns_.emplace(path, header_.size());
    if (is_new) header_.push_back(path);
    return column->second;
  }

  Row header_;
  std::set<std::string> fixed_;
  std::map<std::string, std::size_t> columns_;
  std::vector<Row> rows_;
};

} // namespace

std::vector<std::pair<std::string, std::string>> flatten(const Json& json) {
  std::vector<std::pair<std::string, std::string>> values;
  if (!json.is_null()) flatten(json, "", values);
  return values;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text)
    quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

void write_tables(const Store& store) {
  const Plan& plan = store.plan();
  Csv csv(plan);
  Json runs = Json::array();
  for (std::size_t run = 1; run <= plan.runs(); ++run)
    if (auto result = store.result(run)) {
      csv.add(*result);
      result->erase("host_seconds");
      runs.push_back(std::move(*result));
    }
  Json axes = Json::object();
  for (const Axis& axis : plan.axes)
    axes[axis.path] = axis.values;
  const Json all{{"platform", plan.file.string()}, {"vary", axes}, {"runs", runs}};
  write_atomically(store.folder() / "results.csv", csv.text());
  write_atomically(store.folder() / "results.json",
                   all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

} // namespace virtio::platform::sweep
