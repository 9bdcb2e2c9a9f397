#include <virtio/platforms/program/sweep/store.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>

namespace virtio::platform::sweep {

namespace {

constexpr std::string_view manifest_name = "sweep.json";
constexpr std::string_view lock_name = "sweep.lock";

std::optional<std::string> read(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream content;
  if (!stream || !(content << stream.rdbuf())) return std::nullopt;
  return content.str();
}

// FNV-1a: it has to notice an edit, not an attack.
std::string hash_of(const std::filesystem::path& file) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : read(file).value_or(""))
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

Json describe(const Plan& plan, const std::string& hash) {
  Json fixed = Json::array();
  for (const Override& value : plan.fixed)
    fixed.push_back({{"path", value.path}, {"value", value.value}});
  Json axes = Json::array();
  for (const Axis& axis : plan.axes)
    axes.push_back({{"path", axis.path}, {"values", axis.values}});
  return {{"program", VIRTIO_TLM_VERSION},
          {"platform", plan.file.string()},
          {"platform_hash", hash},
          {"set", fixed},
          {"vary", axes},
          {"runs", plan.runs()}};
}

Plan plan_of(const Json& manifest) {
  Plan plan{manifest.at("platform").get<std::string>(), {}, {}};
  for (const Json& value : manifest.at("set"))
    plan.fixed.push_back({value.at("path"), value.at("value")});
  for (const Json& axis : manifest.at("vary"))
    plan.axes.push_back({axis.at("path"), axis.at("values")});
  return plan;
}

// What one wants to see of `key` when two manifests differ in it.
std::string shown(const Json& manifest, const std::string& key) {
  std::string text;
  if (key == "set" || key == "vary")
    for (const Json& entry : manifest.at(key)) {
      text += fmt::format("{}--{} {}=", text.empty() ? "" : " ", key,
                          entry.at("path").get<std::string>());
      if (key == "set") text += entry.at("value").get<std::string>();
      if (key == "vary")
        text +=
            fmt::format("{}", fmt::join(entry.at("values").get<std::vector<std::string>>(), ","));
    }
  else
    text = manifest.at(key).get<std::string>();
  return text.empty() ? fmt::format("no --{}", key) : text;
}

// Empty if both are the same sweep.
std::string difference(const Json& before, const Json& now) {
  if (before.at("platform") == now.at("platform") &&
      before.at("platform_hash") != now.at("platform_hash"))
    return fmt::format("{} has been changed since", before.at("platform").get<std::string>());
  for (const char* key : {"platform", "set", "vary", "program"})
    if (before.at(key) != now.at(key))
      return fmt::format("{}: then {}, now {}", key, shown(before, key), shown(now, key));
  return {};
}

bool is_foreign(const std::filesystem::path& folder) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (!entry.path().filename().string().starts_with("sweep.")) return true;
  return false;
}

Json parsed(const std::filesystem::path& file) {
  return Json::parse(read(file).value_or(""), nullptr, false);
}

[[noreturn]] void fail(const std::filesystem::path& file) {
  throw std::system_error(errno, std::generic_category(), file.string());
}

} // namespace

tl::expected<Store, std::string> Store::open(const std::filesystem::path& folder, Plan plan) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    return tl::unexpected(fmt::format("the folder {} cannot be made: {}; choose another one with "
                                      "--out",
                                      folder.string(), error.message()));
  const auto place = std::filesystem::canonical(folder);
  const std::string hash = hash_of(plan.file);
  const Json now = describe(plan, hash);
  if (const auto manifest = place / manifest_name; std::filesystem::exists(manifest)) {
    const Json before = parsed(manifest);
    const std::string different =
        before.is_object() ? difference(before, now) : "its manifest cannot be read";
    if (!different.empty())
      return tl::unexpected(fmt::format("{} holds another sweep ({}): choose another folder with "
                                        "--out, or remove this one to begin again",
                                        folder.string(), different));
  } else if (is_foreign(place)) {
    return tl::unexpected(fmt::format("{} is not empty and holds no sweep: choose another folder "
                                      "with --out",
                                      folder.string()));
  } else {
    write_atomically(manifest, now.dump(2) + "\n");
  }
  return Store(place, std::move(plan), hash);
}

tl::expected<Store, std::string> Store::open_existing(const std::filesystem::path& folder) {
  std::error_code error;
  const auto place = std::filesystem::canonical(folder, error);
  const Json manifest = error ? Json() : parsed(place / manifest_name);
  if (!manifest.is_object())
    return tl::unexpected(fmt::format("{} holds no sweep", folder.string()));
  return Store(place, plan_of(manifest), manifest.at("platform_hash"));
}

bool Store::lock() const {
  const auto name = folder_ / lock_name;
  const int descriptor = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(name);
  return flock(descriptor, LOCK_EX | LOCK_NB) == 0; // closed by the end of the process
}

void Store::remove_leftovers() const {
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    if (const auto name = entry.path().filename().string();
        name.starts_with("sweep.") && name.ends_with(".tmp"))
      leftovers.push_back(entry.path());
  for (const auto& file : leftovers)
    std::filesystem::remove(file);
}

bool Store::platform_unchanged() const {
  return hash_of(plan_.file) == hash_;
}

std::filesystem::path Store::file(std::size_t run, std::string_view ending) const {
  return folder_ / fmt::format("run-{:04}{}", run, ending);
}

std::optional<Json> Store::result(std::size_t run) const {
  Json result = parsed(file(run, ".json"));
  if (!result.is_object()) return std::nullopt;
  return result;
}

bool Store::all_finished() const {
  // The last ones first: with many tasks at work, those are the ones that are missing.
  for (std::size_t run = plan_.runs(); run > 0; --run)
    if (!std::filesystem::exists(file(run, ".json"))) return false;
  return true;
}

std::vector<std::size_t> Store::unfinished() const {
  std::vector<std::size_t> runs;
  for (std::size_t run = 1; run <= plan_.runs(); ++run)
    if (!std::filesystem::exists(file(run, ".json"))) runs.push_back(run);
  return runs;
}

std::vector<std::size_t> Store::failed() const {
  std::vector<std::size_t> runs;
  for (std::size_t run = 1; run <= plan_.runs(); ++run)
    if (const auto finished = result(run); finished && !succeeded(*finished)) runs.push_back(run);
  return runs;
}

void Store::prepare(std::size_t run) const {
  std::filesystem::remove(file(run, ".json"));
  std::filesystem::remove(log(run));
  std::filesystem::remove_all(output(run));
}

void Store::finish(std::size_t run, const Json& result) const {
  write_atomically(file(run, ".json"),
                   result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

bool succeeded(const Json& result) {
  return result.value("status", "") == "ok";
}

void write_atomically(const std::filesystem::path& file, const std::string& content) {
  // Several machines may write the same file at a time.
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  const std::filesystem::path elsewhere =
      file.parent_path() / fmt::format("sweep.{}-{}.tmp", host.data(), getpid());
  const int descriptor = open(elsewhere.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(elsewhere);
  for (std::size_t done = 0; done < content.size();) {
    const auto written = write(descriptor, content.data() + done, content.size() - done);
    if (written < 0 && errno != EINTR) fail(elsewhere);
    done += written > 0 ? static_cast<std::size_t>(written) : 0;
  }
  if (fsync(descriptor) != 0 || close(descriptor) != 0) fail(elsewhere);
  std::filesystem::rename(elsewhere, file);
}

} // namespace virtio::platform::sweep
