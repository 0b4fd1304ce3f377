#include "captured_output.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace erfnet {
namespace {

TEST_CASE("takes what is written to the standard streams, and gives them back") {
  unsetenv("GLOG_v");
  CapturedOutput captured;
  std::fputs("to output\n", stdout);
  const std::string text = "to error\n";
  const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
  const std::string log = captured.Release();
  CHECK(written == static_cast<ssize_t>(text.size()));
  CHECK(log.find("to output") != std::string::npos);
  CHECK(log.find("to error") != std::string::npos);
  CHECK(captured.Release().empty());
}

// What is taken of a line, and what standard error shows of it afterwards.
std::pair<std::string, std::string> TakenAndShown() {
  CapturedOutput around;
  std::string taken;
  {
    CapturedOutput captured;
    const std::string text = "a reason\n";
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    CHECK(written == static_cast<ssize_t>(text.size()));
    taken = captured.Release();
  }
  return {taken, around.Release()};
}

TEST_CASE("takes as much at any level of GLOG_v, and shows it where all is to be seen") {
  for (const char* level : {"0", "1"}) {
    setenv("GLOG_v", level, 1);
    CHECK(TakenAndShown() == std::pair<std::string, std::string>("a reason\n", "a reason\n"));
  }
  for (const char* level : {"2", "3", "4", ""}) {
    setenv("GLOG_v", level, 1);
    CHECK(TakenAndShown() == std::pair<std::string, std::string>("a reason\n", ""));
  }
  unsetenv("GLOG_v");
}

TEST_CASE("finds the reason in a log") {
  const std::string warning = "[WARNING] ME(1,7f,infer):2026-01-01 [a.cc:35] NUMAAdapter] Open libnuma.so failed!\n";
  const std::string first = "[ERROR] ME(1,7f,infer):2026-01-01 [a.cc:1] Load] No such file.\n";
  const std::string second = "[ERROR] ME(1,7f,infer):2026-01-01 [a.cc:2] Build] Failed to build.\n";
  const std::string thrown =
      "[ERROR] ME(1,7f,infer):2026-01-01 [a.cc:2] Build] Catch exception: too new\n\n---\nStack\n";
  CHECK(ReasonIn("").empty());
  CHECK(ReasonIn(warning).empty());
  CHECK(ReasonIn(warning + first + second) == "No such file");
  CHECK(ReasonIn(first + thrown) == "too new");
  CHECK(ReasonIn("[ERROR] ME [a.cc:1] F] bad \xd7\t name.\n") == "bad ?? name");
  CHECK(ReasonIn("[ERROR] of another form\n") == "[ERROR] of another form");
  CHECK(ReasonIn("[ERROR] ME [a.cc:1] F] " + std::string(5000, 'x') + "\n").size() == 300);
}

}  // namespace
}  // namespace erfnet
