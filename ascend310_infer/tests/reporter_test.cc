#include "reporter.h"

#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "expect_fault.h"

namespace erfnet {
namespace {

Start SomeStart() {
  Start start;
  start.lite = "2.0.0";
  start.device.ascend = 12;
  start.threads = 2;
  start.images = 3;
  start.model = "m.mindir";
  start.form.input_shape = {1, 3, 64, 128};
  start.form.output_shape = {1, 20, 64, 128};
  start.form.input.size = {64, 128};
  return start;
}

nlohmann::json Last(const std::ostringstream& out) {
  std::istringstream lines(out.str());
  std::string last;
  for (std::string line; std::getline(lines, line);) {
    last = line;
  }
  return nlohmann::json::parse(last);
}

TEST_CASE("tells programs one document a line") {
  std::ostringstream out;
  const auto reporter = JsonReporter(out);
  reporter->Started(SomeStart());
  CHECK(Last(out)["event"] == "start");
  CHECK(Last(out)["engine"] == "lite-ascend310");
  CHECK(Last(out)["device"] == "ascend:12");
  CHECK(Last(out)["model"]["input"] == nlohmann::json({1, 3, 64, 128}));
  CHECK(Last(out)["model"]["output_type"] == "float32");
  reporter->Advanced({0, 4, 1});
  CHECK(Last(out)["eta_seconds"].is_null());
  reporter->Advanced({1, 4, 2});
  CHECK(Last(out)["images_per_second"] == 0.5);
  CHECK(Last(out)["eta_seconds"] == 6.0);
  reporter->Saved("a", {{"labels", "o/a.png"}});
  CHECK(Last(out) == nlohmann::json{{"event", "saved"}, {"name", "a"}, {"files", {{"labels", "o/a.png"}}}});
  reporter->Skipped("b\xff.png", "is empty\nor not");
  CHECK(Last(out)["reason"] == "is empty\nor not");
  End end;
  end.images = 4;
  end.seconds = 2;
  end.phases.predict.threads = 3;
  reporter->Ended(end);
  CHECK(Last(out)["images_per_second"] == 2.0);
  CHECK(Last(out)["metric"].is_null());
  CHECK(Last(out)["phases_ms"]["predict"] ==
        nlohmann::json{{"mean", 0.0}, {"p50", 0.0}, {"p95", 0.0}, {"p99", 0.0}, {"threads", 3}});
  end.metric.emplace();
  reporter->Ended(end);
  CHECK(Last(out)["metric"]["images"] == 0);
  reporter->Failed(ExitCode::kDiskFull, "no room");
  CHECK(Last(out) == nlohmann::json{{"event", "error"}, {"exit_code", 13}, {"message", "no room"}});
}

TEST_CASE("standard output that takes no more ends the program, with the reason each time") {
  std::ofstream out("/dev/full");
  const auto reporter = JsonReporter(out);
  ExpectFault([&] { reporter->Advanced({}); }, ExitCode::kDiskFull, {"standard output", "No space left"});
  ExpectFault([&] { reporter->Failed(ExitCode::kDiskFull, "no room"); }, ExitCode::kDiskFull, {"No space left"});
}

TEST_CASE("keeps progress on one line of a terminal, and ends it before other text") {
  std::ostringstream out;
  const auto reporter = TextReporter(out, true);
  reporter->Advanced({1, 4, 20});
  reporter->Advanced({2, 4, 8000});
  reporter->Skipped("b.png", "is empty");
  CHECK(out.str() ==
        "\r1/4 images, 0.05 images/s, 1 min 0 s left\x1b[K"
        "\r2/4 images, 0.00 images/s, 2 h 13 min left\x1b[K\nskipped b.png: is empty\n");
}

TEST_CASE("names a skipped picture once, and beside its label") {
  std::ostringstream out;
  const auto reporter = TextReporter(out, false);
  reporter->Skipped("b.png", "b.png is empty");
  reporter->Skipped("b.png", "b_labelIds.png is empty");
  CHECK(out.str() == "skipped b.png is empty\nskipped b.png: b_labelIds.png is empty\n");
}

TEST_CASE("names steer no terminal, and stay on their line") {
  std::ostringstream out;
  TextReporter(out, true)->Skipped("b\n\x1b[2J\xc3\xa4.png", "is empty");
  CHECK(out.str() == "skipped b??[2J\xc3\xa4.png: is empty\n");
}

TEST_CASE("writes plain lines elsewhere, and all of the end") {
  std::ostringstream out;
  const auto reporter = TextReporter(out, false);
  CHECK(reporter->Interval() > TextReporter(out, true)->Interval());
  reporter->Started(SomeStart());
  reporter->Advanced({4, 4, 2});
  End end;
  end.images = 4;
  end.seconds = 2;
  end.metric.emplace();
  reporter->Ended(end);
  reporter->Failed(ExitCode::kBadData, "1 skipped");
  const std::string said = out.str();
  for (const char* part : {"Ascend 12", "64x128", "4/4 images, 2.00 images/s\n", "4 images in 2.00 s", "predict",
                           "mean IoU 0.0000", "erfnet_infer: 1 skipped\n"}) {
    CHECK_MESSAGE(said.find(part) != std::string::npos, part, " is not in ", said);
  }
}

}  // namespace
}  // namespace erfnet
