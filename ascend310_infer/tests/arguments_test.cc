#include "arguments.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "expect_fault.h"

namespace erfnet {
namespace {

using Words = std::vector<const char*>;

Arguments Parse(Words words) {
  words.insert(words.begin(), "erfnet_infer");
  const int count = static_cast<int>(words.size());
  words.push_back(nullptr);
  return ParseArguments(count, words.data());
}

Arguments ParseWith(const Words& more) {
  Words words = {"--model", "m.mindir", "--images", "frames", "--output", "out"};
  words.insert(words.end(), more.begin(), more.end());
  return Parse(words);
}

TEST_CASE("needs only model, images and output") {
  const Arguments arguments = ParseWith({});
  CHECK(arguments.model == "m.mindir");
  CHECK(arguments.images == std::vector<std::filesystem::path>{"frames"});
  CHECK(arguments.output == "out");
  CHECK(!arguments.labels);
  CHECK(arguments.split == "val");
  CHECK(!arguments.limit);
  CHECK(!arguments.device.ascend);
  CHECK(arguments.threads == 0);
  CHECK(arguments.precision == Precision::kFp32);
  CHECK((arguments.saves.labels && !arguments.saves.color && !arguments.saves.overlay && !arguments.saves.logits));
  CHECK((!arguments.json && !arguments.help && !arguments.version));
}

TEST_CASE("takes every option") {
  const Arguments arguments = ParseWith({"--labels", "gt", "--split=test", "--limit", "7", "--device", "ascend:12",
                                         "--threads", "3", "--precision", "fp16", "--save", "color,logits", "--json"});
  CHECK(arguments.labels == "gt");
  CHECK(arguments.split == "test");
  CHECK(arguments.limit == 7U);
  CHECK(arguments.device.ascend == 12);
  CHECK(arguments.threads == 3);
  CHECK(arguments.precision == Precision::kFp16);
  CHECK((!arguments.saves.labels && arguments.saves.color && !arguments.saves.overlay && arguments.saves.logits));
  CHECK(arguments.json);
}

TEST_CASE("takes many images, also behind --") {
  const Arguments arguments =
      Parse({"--model", "m", "--images", "a.png", "b", "--output", "o", "--images", "c", "--", "-d.png"});
  CHECK(arguments.images == std::vector<std::filesystem::path>{"a.png", "b", "c", "-d.png"});
}

TEST_CASE("may save nothing") {
  const Saves saves = ParseWith({"--save", "none"}).saves;
  CHECK((!saves.labels && !saves.color && !saves.overlay && !saves.logits));
}

TEST_CASE("needs nothing for help and version") {
  CHECK(Parse({"--help"}).help);
  CHECK(Parse({"--version"}).version);
  CHECK(Usage().find("--precision") != std::string::npos);
}

TEST_CASE("helps within 80 columns") {
  std::istringstream lines(Usage());
  for (std::string line; std::getline(lines, line);) {
    CHECK_MESSAGE(line.size() <= 80, line);
  }
}

TEST_CASE("names what is missing") {
  ExpectFault([] { Parse({"--images", "a", "--output", "o"}); }, ExitCode::kUsage, {"--model", "is missing"});
  ExpectFault([] { Parse({"--model", "m", "--output", "o"}); }, ExitCode::kUsage, {"--images", "is missing"});
  ExpectFault([] { Parse({"--model", "m", "--images", "a"}); }, ExitCode::kUsage, {"--output", "is missing"});
  ExpectFault([] { Parse({"--model", "m", "--images", "a", "--output"}); }, ExitCode::kUsage,
              {"--output", "has no value"});
}

TEST_CASE("refuses values that cannot be meant, and says what may be given") {
  struct Case {
    Words words;
    const char* said;
  };
  for (const Case& wrong : {
           Case{{"--device", "ascend"}, "--device 'ascend'"},
           Case{{"--device", "ascend:"}, "--device 'ascend:'"},
           Case{{"--device", "ascend:-1"}, "--device 'ascend:-1'"},
           Case{{"--device", "ascend:1x"}, "--device 'ascend:1x'"},
           Case{{"--device", "ascend:99999999999"}, "--device 'ascend:99999999999'"},
           Case{{"--device", "gpu"}, "--device 'gpu'"},
           Case{{"--threads", "0"}, "--threads '0'"},
           Case{{"--threads", "257"}, "--threads '257'"},
           Case{{"--limit", "0"}, "--limit '0'"},
           Case{{"--limit", "1.5"}, "--limit '1.5'"},
           Case{{"--limit", "-3"}, "--limit '-3'"},
           Case{{"--precision", "fp8"}, "--precision 'fp8'"},
           Case{{"--split", "../x"}, "--split '../x'"},
           Case{{"--save", "labels,"}, "--save 'labels,'"},
           Case{{"--save", "labels,none"}, "'none'"},
           Case{{"--save", "color,color"}, "names color twice"},
           Case{{"--labels", ""}, "--labels is empty"},
           Case{{"--labels="}, "--labels is empty"},
           Case{{"--json=1"}, "--json takes no value"},
           Case{{"--json", "x"}, "'x' stands behind no option"},
           Case{{"--frames", "x"}, "'--frames' is no option"},
           Case{{"-x"}, "'-x' is no option"},
           Case{{"--model", "other"}, "--model is given twice"},
       }) {
    CAPTURE(wrong.said);
    ExpectFault([&] { ParseWith(wrong.words); }, ExitCode::kUsage, {wrong.said, ": "});
  }
}

}  // namespace
}  // namespace erfnet
