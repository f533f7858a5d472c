// A file that appears whole or not at all; and whole files read.
#include "runtime/core/AtomicFile.h"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rondo::core {
namespace {

// Linux transfers at most this much in one call anyway.
constexpr size_t largestTransfer = size_t(1) << 30;

Error systemError(const std::string &path, const char *action, int code) {
  Error error(fmt::format("cannot {}: {}", action, std::strerror(code)));
  error.diagnostics.front().slug = "file-system";
  error.diagnostics.front().place.file = path;
  return error;
}

std::string folderOf(const std::string &path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

} // namespace

Error AtomicFile::failure(const char *action) const { return systemError(path, action, errno); }

AtomicFile::~AtomicFile() {
  if (descriptor >= 0)
    ::close(descriptor);
  if (!temporary.empty())
    ::unlink(temporary.c_str());
}

Result<void> AtomicFile::open(const std::string &wanted) {
  path = wanted;
  struct stat old{};
  const bool exists = ::stat(path.c_str(), &old) == 0;
  if (exists) {
    if (!S_ISREG(old.st_mode))
      return systemError(path, "write", S_ISDIR(old.st_mode) ? EISDIR : EINVAL);
    if (::access(path.c_str(), W_OK) != 0)
      return failure("write");
    // Renaming over a symbolic link would replace the link, not what it points to.
    if (char *real = ::realpath(path.c_str(), nullptr)) {
      path = real;
      std::free(real);
    }
  }
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 100 && descriptor < 0; ++attempt) {
    temporary = fmt::format("{}.{}.{}.tmp", path, ::getpid(), counter++);
    descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0 && errno != EEXIST)
      break;
  }
  if (descriptor < 0) {
    temporary.clear();
    return failure("create a file in its folder");
  }
  // The owner first: changing it may clear bits of the mode. Only root can always keep it; a file of another owner is
  // no reason to fail.
  if (exists && (::fchown(descriptor, old.st_uid, old.st_gid) == 0 || true) &&
      ::fchmod(descriptor, old.st_mode & 07777) != 0)
    return failure("keep the permissions");
  return {};
}

Result<void> AtomicFile::write(const void *data, size_t bytes) {
  const char *next = static_cast<const char *>(data);
  while (bytes > 0) {
    const ssize_t done = ::write(descriptor, next, std::min(bytes, largestTransfer));
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return failure("write");
    next += done;
    bytes -= size_t(done);
    position_ += uint64_t(done);
  }
  return {};
}

Result<void> AtomicFile::seek(uint64_t position) {
  if (::lseek(descriptor, off_t(position), SEEK_SET) < 0)
    return failure("seek");
  position_ = position;
  return {};
}

Result<void> AtomicFile::commit(Lasting lasting) {
  if (lasting == Lasting::Yes && ::fsync(descriptor) != 0)
    return failure("sync");
  const int closing = descriptor;
  descriptor = -1;
  if (::close(closing) != 0)
    return failure("close");
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return failure("rename the new file over the old");
  temporary.clear();
  if (lasting == Lasting::No)
    return {};
  // Makes the rename last through a crash. Some file systems cannot; the file is whole either way.
  if (const int folder = ::open(folderOf(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); folder >= 0) {
    ::fsync(folder);
    ::close(folder);
  }
  return {};
}

Result<std::string> readWholeFile(const std::string &path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return systemError(path, "read", errno);
  struct stat status{};
  std::string bytes;
  size_t size = 0;
  if (::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode))
    bytes.resize(size_t(status.st_size) + 1); // the one more finds the end without growing
  ssize_t done = 1;
  while (done > 0) {
    if (size == bytes.size())
      bytes.resize(std::max<size_t>(65536, size * 2));
    done = ::read(descriptor, bytes.data() + size, std::min(bytes.size() - size, largestTransfer));
    if (done < 0 && errno == EINTR) {
      done = 1;
      continue;
    }
    size += size_t(std::max<ssize_t>(done, 0));
  }
  const int code = errno;
  ::close(descriptor);
  if (done < 0)
    return systemError(path, "read", code);
  bytes.resize(size);
  return bytes;
}

} // namespace rondo::core
