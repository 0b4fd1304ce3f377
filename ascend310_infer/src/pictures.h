// Which pictures are segmented, what they are called, and which label belongs to which.
#ifndef ASCEND310_INFER_PICTURES_H_
#define ASCEND310_INFER_PICTURES_H_

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace erfnet {

struct Picture {
  std::string name;
  std::filesystem::path image;
  std::optional<std::filesystem::path> label;
};

// The pictures of files, flat folders, cities, splits and whole datasets in Cityscapes' layout, sorted by name. Of a
// dataset `split` is taken. With `labels`, a folder of the same kinds, each has its label where there is one.
// Throws Fault (kBadData) where there is no such path, no picture, or with `labels` no label at all.
std::vector<Picture> FindPictures(const std::vector<std::filesystem::path>& images,
                                  const std::optional<std::filesystem::path>& labels, const std::string& split);

// Throws Fault (kUsage) where `output` is the folder of a picture or label: what is written there could replace one,
// and would be taken for pictures the next time.
void CheckApart(const std::vector<Picture>& pictures, const std::filesystem::path& output);

// How many files FindPictures leaves alone in flat folders, for they are not called as pictures that it reads.
std::size_t CountOthers(const std::vector<std::filesystem::path>& images);

}  // namespace erfnet

#endif  // ASCEND310_INFER_PICTURES_H_
