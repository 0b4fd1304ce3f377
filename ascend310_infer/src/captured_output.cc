#include "captured_output.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

namespace erfnet {
namespace {

constexpr std::size_t kLongestReason = 300;
constexpr std::string_view kException = "Catch exception: ";
// Of GLOG_v: 0 debug, 1 info, 2 warning, 3 error.
constexpr const char* kLevel = "GLOG_v";
constexpr const char* kWarnings = "2";

std::string_view Level() {
  const char* level = std::getenv(kLevel);
  return level == nullptr ? kWarnings : level;
}

// Whether all that MindSpore Lite logs is to be seen.
bool SeesAll() { return Level() == "0" || Level() == "1"; }

std::string ReadAll(int file) {
  std::string text;
  std::array<char, 4096> part{};
  lseek(file, 0, SEEK_SET);
  for (ssize_t got = 0; (got = read(file, part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(got));
  }
  return text;
}

// "[ERROR] ME(1,2,name):time [file:line] Function] text" -> "text"; nothing for other lines.
std::string ErrorText(const std::string& line) {
  if (line.rfind("[ERROR]", 0) != 0) {
    return "";
  }
  const std::size_t source = line.find(" [");
  const std::size_t place = source == std::string::npos ? source : line.find("] ", source);
  const std::size_t function = place == std::string::npos ? place : line.find("] ", place + 2);
  return function == std::string::npos ? line : line.substr(function + 2);
}

// As part of a line: what a damaged model makes Lite print may be any bytes.
std::string Shown(std::string text) {
  text.resize(std::min(text.size(), kLongestReason));
  for (char& letter : text) {
    letter = letter < ' ' || letter > '~' ? '?' : letter;
  }
  text.erase(text.find_last_not_of(". ") + 1);
  return text;
}

}  // namespace

void LetWarningsBeLogged(char* const* argv) {
  if (SeesAll() || Level() == kWarnings) {
    return;
  }
  setenv(kLevel, kWarnings, 1);
  // The libraries of MindSpore Lite ask for it when they are loaded.
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  execv(program.c_str(), argv);
  throw std::system_error(errno, std::generic_category(), program.string() + " cannot start itself anew");
}

CapturedOutput::CapturedOutput() : shown_(SeesAll()) {
  std::fflush(stdout);
  file_ = memfd_create("lite", MFD_CLOEXEC);
  output_ = dup(STDOUT_FILENO);
  error_ = dup(STDERR_FILENO);
  if (file_ < 0 || dup2(file_, STDOUT_FILENO) < 0 || dup2(file_, STDERR_FILENO) < 0) {
    throw std::system_error(errno, std::generic_category(), "the output of MindSpore Lite cannot be taken");
  }
}

CapturedOutput::~CapturedOutput() { Restore(); }

std::string CapturedOutput::Release() {
  if (file_ < 0) {
    return "";
  }
  std::fflush(stdout);
  const std::string text = ReadAll(file_);
  Restore();
  return text;
}

void CapturedOutput::Restore() {
  if (file_ < 0) {
    return;
  }
  std::fflush(stdout);
  dup2(output_, STDOUT_FILENO);
  dup2(error_, STDERR_FILENO);
  if (shown_) {
    std::cerr << ReadAll(file_) << std::flush;
  }
  for (const int descriptor : {std::exchange(file_, -1), output_, error_}) {
    close(descriptor);
  }
}

std::string ReasonIn(const std::string& log) {
  std::istringstream lines(log);
  std::string first;
  for (std::string line; std::getline(lines, line);) {
    const std::string text = ErrorText(line);
    const std::size_t exception = text.find(kException);
    if (exception != std::string::npos) {
      return Shown(text.substr(exception + kException.size()));
    }
    first = first.empty() ? text : first;
  }
  return Shown(first);
}

}  // namespace erfnet
