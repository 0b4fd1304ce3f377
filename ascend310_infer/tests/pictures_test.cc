#include "pictures.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "expect_fault.h"
#include "temporary_folder.h"

namespace erfnet {
namespace {

using Names = std::vector<std::string>;
using Paths = std::vector<std::filesystem::path>;

Names NamesOf(const std::vector<Picture>& pictures) {
  Names names;
  std::transform(pictures.begin(), pictures.end(), std::back_inserter(names),
                 [](const Picture& picture) { return picture.name; });
  return names;
}

Names Find(const Paths& images, const std::string& split = "val") {
  return NamesOf(FindPictures(images, std::nullopt, split));
}

void WriteDataset(const TemporaryFolder& folder) {
  for (const char* name : {"leftImg8bit/val/ulm/ulm_2_leftImg8bit.png", "leftImg8bit/val/bonn/bonn_1_leftImg8bit.jpg",
                           "leftImg8bit/val/bonn/notes.txt", "leftImg8bit/train/jena/jena_3_leftImg8bit.png",
                           "gtFine/val/ulm/ulm_2_gtFine_labelIds.png", "gtFine/val/ulm/ulm_2_gtFine_labelTrainIds.png",
                           "gtFine/val/bonn/bonn_1_gtFine_labelTrainIds.png"}) {
    folder.Write(name, "");
  }
}

TEST_CASE("walks a dataset, its images, a split and a city") {
  const TemporaryFolder folder;
  WriteDataset(folder);
  const Names both = {"bonn_1", "ulm_2"};
  CHECK(Find({folder / "."}) == both);
  CHECK(Find({folder / "leftImg8bit"}) == both);
  CHECK(Find({folder / "leftImg8bit/"}) == both);
  CHECK(Find({folder / "leftImg8bit/val"}) == both);
  CHECK(Find({folder / "leftImg8bit/val/ulm"}) == Names{"ulm_2"});
  CHECK(Find({folder / "."}, "train") == Names{"jena_3"});
  CHECK(Find({folder / "leftImg8bit/val", folder / "leftImg8bit/train/jena/jena_3_leftImg8bit.png"}) ==
        Names{"bonn_1", "jena_3", "ulm_2"});
  ExpectFault([&] { Find({folder / "."}, "test"); }, ExitCode::kBadData, {"leftImg8bit/test", "train, val", "--split"});
}

TEST_CASE("gives each its label, of labelIds and trainIds the former") {
  const TemporaryFolder folder;
  WriteDataset(folder);
  for (const char* labels : {".", "gtFine", "gtFine/val"}) {
    const auto pictures = FindPictures({folder / "."}, folder / labels, "val");
    REQUIRE(pictures.size() == 2);
    CHECK(pictures[0].label.value_or("").filename() == "bonn_1_gtFine_labelTrainIds.png");
    CHECK(pictures[1].label.value_or("").filename() == "ulm_2_gtFine_labelIds.png");
  }
  const auto one = FindPictures({folder / "leftImg8bit/val"}, folder / "gtFine/val/ulm", "val");
  CHECK(!one[0].label);
  CHECK(one[1].label.value_or("").filename() == "ulm_2_gtFine_labelIds.png");
}

TEST_CASE("never takes another city's label") {
  const TemporaryFolder folder;
  folder.Write("leftImg8bit/val/ulm/a_leftImg8bit.png", "");
  folder.Write("leftImg8bit/val/bonn/b_leftImg8bit.png", "");
  folder.Write("gtFine/val/bonn/a_gtFine_labelIds.png", "");
  folder.Write("gtFine/val/bonn/b_gtFine_labelIds.png", "");
  const auto pictures = FindPictures({folder / "."}, folder / ".", "val");
  CHECK(!pictures[0].label);
  CHECK(pictures[1].label);
}

TEST_CASE("takes flat folders and files, with labels called as they are") {
  const TemporaryFolder folder;
  for (const char* name : {"i/b.PNG", "i/a.jpg", "i/a.png", "i/c_leftImg8bit.png", "i/text.txt", "l/b.png", "l/a.png",
                           "l/c_gtFine_labelIds.png", "l/c.png"}) {
    folder.Write(name, "");
  }
  const auto pictures = FindPictures({folder / "i"}, folder / "l", "val");
  CHECK(NamesOf(pictures) == Names{"a.jpg", "a.png", "b", "c"});
  CHECK(pictures[2].label == folder / "l/b.png");
  CHECK(pictures[3].label == folder / "l/c_gtFine_labelIds.png");
  CHECK(Find({folder / "i/b.PNG", folder / "i/b.PNG", folder / "i/a.png"}) == Names{"a", "b"});
}

TEST_CASE("takes no picture for its own label") {
  const TemporaryFolder folder;
  folder.Write("a.png", "");
  ExpectFault([&] { FindPictures({folder / "."}, folder / ".", "val"); }, ExitCode::kBadData, {"none of the labels"});
}

TEST_CASE("an output among pictures or labels is refused, whichever way it is written") {
  const TemporaryFolder folder;
  folder.Write("i/a.png", "");
  folder.Write("l/a.png", "");
  std::filesystem::create_directory_symlink(folder / "i", folder / "link");
  const auto pictures = FindPictures({folder / "i"}, folder / "l", "val");
  for (const char* output : {"i", "i/../i/", "link", "l"}) {
    ExpectFault([&] { CheckApart(pictures, folder / output); }, ExitCode::kUsage, {"--output", output, "give another"});
  }
  for (const char* output : {".", "out", "i/out", "i/a.png"}) {
    CheckApart(pictures, folder / output);
  }
}

TEST_CASE("refuses what holds nothing, naming it") {
  const TemporaryFolder folder;
  folder.Write("empty/notes.txt", "");
  folder.Write("one/a.png", "");
  folder.Write("two/a.png", "");
  folder.Write("other/z.png", "");
  ExpectFault([&] { Find({folder / "none"}); }, ExitCode::kBadData, {"none does not exist"});
  ExpectFault([&] { Find({folder / "empty"}); }, ExitCode::kBadData, {"empty has no pictures"});
  ExpectFault([&] { Find({folder / "one", folder / "two"}); }, ExitCode::kBadData,
              {"one/a.png and", "two/a.png", "rename"});
  ExpectFault([&] { FindPictures({folder / "one"}, folder / "none", "val"); }, ExitCode::kBadData,
              {"--labels", "no folder"});
  ExpectFault([&] { FindPictures({folder / "one"}, folder / "empty", "val"); }, ExitCode::kBadData, {"has no labels"});
  ExpectFault([&] { FindPictures({folder / "one"}, folder / "other", "val"); }, ExitCode::kBadData,
              {"none of the labels"});
}

TEST_CASE("counts the files that it leaves alone") {
  const TemporaryFolder folder;
  for (const char* name : {"a.png", "b.bmp", "c.tif", "d.txt", "in/e.bmp"}) {
    (void)folder.Write(name, "");
  }
  CHECK(CountOthers({folder.path()}) == 3);
  CHECK(CountOthers({folder / "a.png", folder / "in"}) == 0);
  WriteDataset(folder);
  CHECK(CountOthers({folder / "leftImg8bit", folder.path()}) == 0);
}

}  // namespace
}  // namespace erfnet
