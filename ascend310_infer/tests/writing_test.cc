#include "writing.h"

#include <doctest/doctest.h>

#include <random>

#include "classes.h"
#include "expect_fault.h"
#include "image_reader.h"
#include "png_file.h"
#include "temporary_folder.h"

namespace erfnet {
namespace {

Image Random(Size size, std::size_t channels, unsigned below) {
  std::mt19937 random(3);
  Image image{size, channels, std::vector<std::uint8_t>(size.height * size.width * channels)};
  for (std::uint8_t& pixel : image.pixels) {
    pixel = static_cast<std::uint8_t>(random() % below);
  }
  return image;
}

TEST_CASE("PNGs are read back as they were, whatever the size") {
  const TemporaryFolder folder;
  for (const Size size : {Size{1, 1}, Size{3, 5}, Size{64, 33}}) {
    for (const Rows rows : {Rows::kAsTheyAre, Rows::kDifferences}) {
      const Image image = Random(size, 3, 256);
      const auto png = EncodePng(image, rows);
      const Image read = ReadImage(folder.Write("a.png", {png.begin(), png.end()}));
      CHECK(read.size == size);
      CHECK(read.pixels == image.pixels);
    }
  }
}

TEST_CASE("mixes half of the colour in, rounded to even, and leaves what is ignored") {
  const Image image{{1, 4}, 3, {0, 1, 2, 3, 255, 254, 9, 9, 9, 255, 255, 255}};
  const Image classes{{1, 4}, 1, {0, 1, 19, 10}};
  // Of 128, 64, 128; 244, 35, 232; nothing; 70, 130, 180.
  CHECK(Overlay(image, classes).pixels == std::vector<std::uint8_t>{64, 32, 65, 124, 145, 243, 9, 9, 9, 162, 192, 218});
  CHECK(Colours(classes).pixels == std::vector<std::uint8_t>{128, 64, 128, 244, 35, 232, 0, 0, 0, 70, 130, 180});
  CHECK(LabelIds(classes).pixels == std::vector<std::uint8_t>{7, 8, 0, 23});
}

TEST_CASE("a npy header ends at a multiple of 64") {
  const auto header = NpyHeader(20, {512, 1024});
  const std::string text(header.begin(), header.end());
  CHECK(text.size() % 64 == 0);
  CHECK(text.substr(1, 5) == "NUMPY");
  CHECK(text.find("'shape': (20, 512, 1024), }") != std::string::npos);
  CHECK(text.back() == '\n');
  CHECK(static_cast<unsigned char>(text[8]) + 10U == text.size());
}

TEST_CASE("writes what is asked for, under the names of the contract, at the picture's size") {
  const TemporaryFolder folder;
  const Image image = Random({8, 16}, 3, 256);
  const Image classes = Random({4, 8}, 1, 20);
  const std::vector<float> logits(kOutputs * 32, 0.5F);
  const Segmented segmented{"bonn_000000", image.size, classes, image, logits};
  CHECK(Write(segmented, {}, folder.path()).empty());
  CHECK(folder.Names().empty());
  const auto files = Write(segmented, {true, true, true, true}, folder.path());
  CHECK(files.size() == 4);
  CHECK(folder.Names() == std::vector<std::string>{"bonn_000000.npy", "bonn_000000_overlay.png",
                                                   "bonn_000000_pred_labelIds.png", "bonn_000000_prediction.png"});
  CHECK(ContentOf(files.at("logits")).size() == 128 + kOutputs * 32 * 4);
  const Image colours = ReadImage(files.at("color"));
  CHECK(colours.size == image.size);
  const Colour first = kPalette[classes.pixels[0]];
  CHECK(std::equal(first.begin(), first.end(), colours.pixels.begin()));
  CHECK(ReadImage(files.at("labels")).pixels[0] == kLabelIds[classes.pixels[0]]);
  CHECK(ReadImage(files.at("overlay")).size == image.size);
}

}  // namespace
}  // namespace erfnet
