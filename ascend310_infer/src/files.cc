#include "files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "fault.h"

namespace erfnet {
namespace {

[[noreturn]] void Throw(const std::filesystem::path& path, int error) {
  const std::string folder = path.parent_path().empty() ? "." : path.parent_path().string();
  const std::string reason = std::generic_category().message(error);
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      throw Fault(ExitCode::kDiskFull,
                  "no room to write into " + folder + " (" + reason + "): free some, or give another --output");
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ENOENT:
      throw Fault(ExitCode::kUsage, path.string() + " cannot be written (" + reason + "): give another --output");
    default:
      throw Fault(ExitCode::kUnexpected, path.string() + " cannot be written: " + reason);
  }
}

std::string TemporaryName(const std::filesystem::path& path) {
  static std::atomic<unsigned> count{0};
  const std::string name = "." + path.filename().string() + "." + std::to_string(getpid()) + "." +
                           std::to_string(count.fetch_add(1)) + ".tmp";
  return (path.parent_path() / name).string();
}

// Makes a rename survive a power cut.
void SyncFolder(const std::filesystem::path& path) {
  const std::string folder = path.parent_path().empty() ? "." : path.parent_path().string();
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) {
    Throw(path, errno);
  }
  const int error = fsync(descriptor) == 0 ? 0 : errno;
  close(descriptor);
  // File systems that do not sync folders say EINVAL (fsync(2)).
  if (error != 0 && error != EINVAL) {
    Throw(path, error);
  }
}

}  // namespace

NewFile::NewFile(std::filesystem::path path) : path_(std::move(path)), temporary_(TemporaryName(path_)) {
  descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    Throw(path_, errno);
  }
}

NewFile::~NewFile() {
  if (descriptor_ >= 0) {
    close(descriptor_);
  }
  if (!temporary_.empty()) {
    unlink(temporary_.c_str());
  }
}

void NewFile::Write(const void* data, std::size_t size) {
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = write(descriptor_, from, size);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      Throw(path_, errno);
    }
    from += written;
    size -= static_cast<std::size_t>(written);
  }
}

void NewFile::Commit() {
  if (fsync(descriptor_) != 0) {
    Throw(path_, errno);
  }
  const int closed = close(std::exchange(descriptor_, -1));
  if (closed != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    Throw(path_, errno);
  }
  temporary_.clear();
  SyncFolder(path_);
}

void WriteFile(const std::filesystem::path& path, const void* data, std::size_t size) {
  NewFile file(path);
  file.Write(data, size);
  file.Commit();
}

void MoveFile(const std::filesystem::path& from, const std::filesystem::path& to) {
  const int descriptor = open(from.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    Throw(from, errno);
  }
  const mode_t mask = umask(0);
  umask(mask);
  const bool synced = fchmod(descriptor, 0666 & ~mask) == 0 && fsync(descriptor) == 0;
  const int error = errno;
  close(descriptor);
  if (!synced) {
    Throw(from, error);
  }
  if (std::rename(from.c_str(), to.c_str()) != 0) {
    Throw(to, errno);
  }
  SyncFolder(to);
}

void MakeFolder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    Throw(folder, error.value());
  }
  // Removed again when it goes out of scope.
  const NewFile probe(folder / "probe");
}

}  // namespace erfnet
