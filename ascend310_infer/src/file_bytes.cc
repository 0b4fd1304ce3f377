#include "file_bytes.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "fault.h"

namespace erfnet {
namespace {

// Above what the largest picture takes uncompressed.
constexpr std::uintmax_t kMostBytes = std::uintmax_t{1} << 30;

[[noreturn]] void Refuse(const std::filesystem::path& path, const std::string& why) {
  throw Fault(ExitCode::kBadData, path.string() + " cannot be read (" + why + "): correct the data or its permissions");
}

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

Bytes ReadFile(const std::filesystem::path& path) {
  std::error_code error;
  // Asked before it is opened: opening a pipe would wait for who writes into it.
  const auto status = std::filesystem::status(path, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    Refuse(path, "it is no file");
  }
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file) {
    Refuse(path, std::strerror(errno));
  }
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error || size > kMostBytes) {
    Refuse(path, error ? error.message() : "it has more than " + std::to_string(kMostBytes) + " bytes");
  }
  Bytes bytes(static_cast<std::size_t>(size));
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    Refuse(path, std::strerror(errno));
  }
  return bytes;
}

}  // namespace erfnet
