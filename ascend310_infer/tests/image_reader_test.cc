#include "image_reader.h"

#include <doctest/doctest.h>

#include "expect_fault.h"
#include "made_images.h"
#include "temporary_folder.h"

namespace erfnet {
namespace {

TEST_CASE("reads RGB as it is") {
  const TemporaryFolder folder;
  const Image image = Ramp({5, 7}, 3);
  const Image read = ReadImage(folder.Write("a.png", PngOf(image)));
  CHECK(read.size == image.size);
  CHECK(read.channels == 3);
  CHECK(read.pixels == image.pixels);
}

TEST_CASE("reads grey into three equal channels") {
  const TemporaryFolder folder;
  const Image read = ReadImage(folder.Write("a.png", PngOf({{1, 2}, 1, {7, 200}})));
  CHECK(read.pixels == std::vector<std::uint8_t>{7, 7, 7, 200, 200, 200});
}

TEST_CASE("refuses files that are cut short anywhere, and what is no picture") {
  const TemporaryFolder folder;
  const std::string whole = PngOf(Ramp({9, 9}, 3, 77));
  // Without its last chunk (12 bytes, IEND) a picture is whole.
  for (std::size_t size = 0; size < whole.size() - 16; ++size) {
    const auto path = folder.Write("cut.png", whole.substr(0, size));
    ExpectFault([&] { ReadImage(path); }, ExitCode::kBadData,
                {path.string(), "damaged or no picture", "copy it again"});
  }
  const auto text = folder.Write("text.png", "no picture");
  ExpectFault([&] { ReadImage(text); }, ExitCode::kBadData, {text.string(), "neither PNG nor JPEG"});
  const auto missing = folder / "missing.png";
  ExpectFault([&] { ReadImage(missing); }, ExitCode::kBadData, {missing.string(), "cannot be read"});
}

TEST_CASE("refuses a small file that would unpack to gigabytes") {
  const TemporaryFolder folder;
  std::string bomb = PngOf(Ramp({1, 1}, 3));
  // IHDR of 262144 x 262144, with its checksum.
  bomb.replace(16, 17, std::string("\x00\x04\x00\x00\x00\x04\x00\x00\x08\x02\x00\x00\x00\x33\xa5\xde\xc0", 17));
  const auto path = folder.Write("bomb.png", bomb);
  ExpectFault([&] { ReadImage(path); }, ExitCode::kBadData, {path.string(), "262144x262144", "give a smaller one"});
}

TEST_CASE("turns labelIds and trainIds into train ids, 19 for what is ignored") {
  const TemporaryFolder folder;
  const Image label_ids = ReadLabel(folder.Write("a_gtFine_labelIds.png", PngOf({{1, 5}, 1, {7, 33, 0, 29, 255}})));
  CHECK(label_ids.channels == 1);
  CHECK(label_ids.pixels == std::vector<std::uint8_t>{0, 18, 19, 19, 19});
  const Image train_ids = ReadLabel(folder.Write("a_gtFine_labelTrainIds.png", PngOf({{1, 3}, 1, {0, 18, 255}})));
  CHECK(train_ids.pixels == std::vector<std::uint8_t>{0, 18, 19});
}

TEST_CASE("refuses labels that are none, naming what they hold") {
  const TemporaryFolder folder;
  const auto train_ids = folder.Write("a_labelTrainIds.png", PngOf({{1, 3}, 1, {0, 19, 33}}));
  ExpectFault([&] { ReadLabel(train_ids); }, ExitCode::kBadData, {"holds the values 19, 33", "0 to 18"});
  const auto label_ids = folder.Write("a_labelIds.png", PngOf(Ramp({16, 16}, 1)));
  ExpectFault([&] { ReadLabel(label_ids); }, ExitCode::kBadData,
              {"34, 35, 36, 37, 38, 39, 40, 41, 42, 43 ...: it may hold 0 to 33"});
  const auto colours = folder.Write("b_labelIds.png", PngOf(Ramp({2, 2}, 3)));
  ExpectFault([&] { ReadLabel(colours); }, ExitCode::kBadData, {"is a 8-bit RGB PNG", "one channel"});
  const auto text = folder.Write("c_labelIds.png", "no picture");
  ExpectFault([&] { ReadLabel(text); }, ExitCode::kBadData, {"is no PNG"});
}

}  // namespace
}  // namespace erfnet
