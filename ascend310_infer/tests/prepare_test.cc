#include "prepare.h"

#include <doctest/doctest.h>

#include "expect_fault.h"

namespace erfnet {
namespace {

Image Two() { return {{1, 2}, 3, {0, 51, 255, 1, 2, 3}}; }

TEST_CASE("counts the bytes of a tensor") {
  CHECK(BytesOf({{512, 1024}}) == std::size_t{512} * 1024 * 3 * 4);
  CHECK(BytesOf({{2, 3}, ElementType::kFloat16}) == 36);
  CHECK(BytesOf({{2, 3}, ElementType::kUint8}) == 18);
}

TEST_CASE("writes planes or pixels, from 0 to 1") {
  constexpr auto kUnit = static_cast<float>(1.0 / 255.0);
  std::vector<float> values(6);
  Prepare(Two(), {Two().size}, values.data());
  CHECK(values == std::vector<float>{0, kUnit, 51 * kUnit, 2 * kUnit, 255 * kUnit, 3 * kUnit});
  Prepare(Two(), {Two().size, ElementType::kFloat32, Layout::kNhwc}, values.data());
  CHECK(values == std::vector<float>{0, 51 * kUnit, 255 * kUnit, kUnit, 2 * kUnit, 3 * kUnit});
}

TEST_CASE("rounds to halves, and leaves bytes as they are") {
  std::vector<std::uint16_t> halves(6);
  Prepare(Two(), {Two().size, ElementType::kFloat16, Layout::kNhwc}, halves.data());
  // 0, 0.2, 1, 1/255, 2/255 and 3/255.
  CHECK(halves == std::vector<std::uint16_t>{0, 0x3266, 0x3c00, 0x1c04, 0x2004, 0x2206});
  std::vector<std::uint8_t> bytes(6);
  Prepare(Two(), {Two().size, ElementType::kUint8, Layout::kNhwc}, bytes.data());
  CHECK(bytes == Two().pixels);
}

TEST_CASE("resizes to the tensor's size") {
  const Image image{{4, 4}, 3, std::vector<std::uint8_t>(48, 9)};
  std::vector<std::uint8_t> bytes(12);
  Prepare(image, {{2, 2}, ElementType::kUint8}, bytes.data());
  CHECK(bytes == std::vector<std::uint8_t>(12, 9));
}

TEST_CASE("refuses a type that holds no picture") {
  std::vector<std::int32_t> values(6);
  ExpectFault([&] { Prepare(Two(), {Two().size, ElementType::kInt32}, values.data()); }, ExitCode::kBadModel,
              {"int32"});
}

}  // namespace
}  // namespace erfnet
