#include "predictor.h"

#include <doctest/doctest.h>

#include "expect_fault.h"

namespace erfnet {
namespace {

using Shape = std::vector<std::int64_t>;

ModelForm Understand(const Shape& input, const Shape& output, ElementType in = ElementType::kFloat32,
                     ElementType out = ElementType::kFloat32) {
  return UnderstandModel("m.mindir", input, in, output, out);
}

TEST_CASE("understands ERFNet, its encoder, classes and other layouts") {
  const ModelForm form = Understand({1, 3, 512, 1024}, {1, 20, 512, 1024});
  CHECK(form.input.size == Size{512, 1024});
  CHECK(form.output == Size{512, 1024});
  CHECK_FALSE(form.argmax);
  CHECK(Understand({1, 3, 64, 128}, {1, 20, 8, 16}).output == Size{8, 16});
  CHECK(Understand({1, 3, 64, 128}, {1, 64, 128}, ElementType::kFloat32, ElementType::kInt32).argmax);
  const ModelForm bytes = Understand({1, 64, 128, 3}, {1, 20, 64, 128}, ElementType::kUint8, ElementType::kFloat16);
  CHECK(bytes.input.layout == Layout::kNhwc);
  CHECK(bytes.input.size == Size{64, 128});
}

TEST_CASE("refuses other models, and names them with the remedy") {
  const auto refused = [](const Shape& input, const Shape& output, std::initializer_list<std::string> parts) {
    ExpectFault([&] { Understand(input, output); }, ExitCode::kBadModel, parts);
  };
  refused({2, 3, 64, 128}, {2, 20, 64, 128}, {"m.mindir", "2x3x64x128", "--batch 1"});
  refused({1, 1, 28, 28}, {1, 10}, {"1x1x28x28"});
  refused({}, {1, 10}, {"nothing"});
  refused({1, 3, -1, 128}, {1, 20, 64, 128}, {"fixed `--size`"});
  refused({1, 3, 64, 128}, {1, 1000}, {"1x1000", "1x20xHxW"});
  refused({1, 3, 64, 128}, {1, 21, 64, 128}, {"1x21x64x128"});
  refused({1, 3, 64, 128}, {1, 20, -1, -1}, {"neither logits"});
  refused({1, 3, 64, 128}, {1, 20, 64, 64}, {"do not belong together"});
  refused({1, 3, 64, 128}, {1, 20, 128, 256}, {"do not belong together"});
  ExpectFault([] { Understand({1, 3, 8, 8}, {1, 20, 8, 8}, ElementType::kInt32); }, ExitCode::kBadModel, {"int32"});
  ExpectFault([] { Understand({1, 3, 8, 8}, {1, 8, 8}, ElementType::kFloat32, ElementType::kUint8); },
              ExitCode::kBadModel, {"uint8"});
}

}  // namespace
}  // namespace erfnet
