// Where a block device's sectors are: memory of this process, so that data moves between it and
// guest memory in one copy. RamStore is a RAM disk, FileStore an image file mapped into memory.
#pragma once

#include <tl/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace virtio::blk {

class Store {
public:
  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  /// The whole medium, always the same range. Must not be written when writable() is false.
  virtual std::span<std::byte> memory() = 0;
  virtual bool writable() const = 0;
  /// Commits what was written to [offset, offset + len) to the storage behind the memory. False:
  /// that failed.
  virtual bool commit(std::uint64_t offset, std::uint64_t len) = 0;
};

/// A RAM disk, all zero at first. There is nothing behind it to commit to.
class RamStore final : public Store {
public:
  /// `capacity` in bytes, a multiple of 512. Throws std::invalid_argument if it is not,
  /// std::bad_alloc without memory.
  explicit RamStore(std::uint64_t capacity);

  std::span<std::byte> memory() override { return {memory_.get(), size_}; }
  bool writable() const override { return true; }
  bool commit(std::uint64_t, std::uint64_t) override { return true; }

private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> memory_;
};

/// An image file. It is written where it is: whoever wants the original unchanged opens a copy.
class FileStore final : public Store {
public:
  enum class Access : std::uint8_t {
    read_only,
    /// The file is a copy made for this run: writes reach it, at the latest when the store is
    /// destroyed, but a commit does not wait for the disk of this machine.
    working_copy,
    /// The user's own file: a commit returns when the data is on the disk of this machine.
    durable,
  };
  /// The file must exist, be readable (and writable, unless read_only) and hold a positive multiple
  /// of 512 bytes. The error is a sentence that names the file. The file must not shrink while it
  /// is open.
  static tl::expected<std::unique_ptr<FileStore>, std::string>
  open(const std::filesystem::path& path, Access access);
  ~FileStore() override;

  std::span<std::byte> memory() override { return {memory_, size_}; }
  bool writable() const override { return access_ != Access::read_only; }
  bool commit(std::uint64_t offset, std::uint64_t len) override;

private:
  FileStore(std::byte* memory, std::size_t size, Access access)
      : memory_(memory), size_(size), access_(access) {}

  std::byte* memory_;
  std::size_t size_;
  Access access_;
};

} // namespace virtio::blk
