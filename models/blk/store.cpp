#include <virtio/blk/config.hpp>
#include <virtio/blk/store.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

namespace virtio::blk {

RamStore::RamStore(std::uint64_t capacity)
    : size_(capacity), memory_(static_cast<std::byte*>(std::calloc(capacity ? capacity : 1, 1))) {
  if (capacity % sector_size != 0)
    throw std::invalid_argument(
        fmt::format("RAM disk of {} bytes: the size must be a multiple of 512", capacity));
  if (!memory_) throw std::bad_alloc();
}

void RamStore::Free::operator()(std::byte* memory) const {
  std::free(memory);
}

tl::expected<std::unique_ptr<FileStore>, std::string>
FileStore::open(const std::filesystem::path& path, Access access) {
  const auto failed = [&](std::string_view what) {
    return tl::make_unexpected(fmt::format("{}: {}", path.string(), what));
  };
  const bool read_only = access == Access::read_only;
  struct File {
    int fd;
    ~File() {
      if (fd >= 0) ::close(fd);
    }
  };
  const File file{::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC)};
  if (file.fd < 0)
    return failed(fmt::format("cannot be opened for {}: {}",
                              read_only ? "reading" : "reading and writing", std::strerror(errno)));

  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return failed(std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return failed("is not a regular file");
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size == 0) return failed("is empty: a disk image needs at least one sector of 512 bytes");
  if (size % sector_size != 0)
    return failed(fmt::format(
        "holds {} bytes, which is not a multiple of 512: pad it with `truncate -s %512`", size));

  void* memory =
      ::mmap(nullptr, size, PROT_READ | (read_only ? 0 : PROT_WRITE), MAP_SHARED, file.fd, 0);
  if (memory == MAP_FAILED)
    return failed(fmt::format("cannot be mapped into memory: {}", std::strerror(errno)));
  return std::unique_ptr<FileStore>(new FileStore(static_cast<std::byte*>(memory), size, access));
}

FileStore::~FileStore() {
  ::munmap(memory_, size_);
}

bool FileStore::commit(std::uint64_t offset, std::uint64_t len) {
  if (access_ != Access::durable || len == 0) return true;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t start = offset - offset % page;
  return ::msync(memory_ + start, len + (offset - start), MS_SYNC) == 0;
}

} // namespace virtio::blk
