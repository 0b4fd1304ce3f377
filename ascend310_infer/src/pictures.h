// Which pictures are segmented, what they are called, and which label belongs to which.
#ifndef ASCEND310_INFER_PICTURES_H_
#define ASCEND310_INFER_PICTURES_H_

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

}  // namespace erfnet

#endif  // ASCEND310_INFER_PICTURES_H_
