// Which label file belongs to a picture: by name, and in Cityscapes' layout by city, never by position.
#ifndef ASCEND310_INFER_LABEL_FILES_H_
#define ASCEND310_INFER_LABEL_FILES_H_

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace erfnet {

class LabelFiles {
 public:
  // `root` is a dataset, its gtFine, a split, a city, or a flat folder with NAME_gtFine_labelIds.png,
  // NAME_gtFine_labelTrainIds.png or files called as their pictures. Throws Fault (kBadData) where it is none of them.
  LabelFiles(const std::filesystem::path& root, const std::string& split);

  // `name` is the picture's name without Cityscapes' suffix. Where both are there labelIds win: trainIds are made from
  // them, and may be older.
  std::optional<std::filesystem::path> Find(const std::filesystem::path& image, const std::string& name) const;

 private:
  void AddCities(const std::filesystem::path& split);
  void AddFlat(const std::filesystem::path& folder);

  // By city and name.
  std::map<std::pair<std::string, std::string>, std::filesystem::path> of_cities_;
  // By name with Cityscapes' suffix taken off, or by whole stem.
  std::map<std::string, std::filesystem::path> flat_;
};

}  // namespace erfnet

#endif  // ASCEND310_INFER_LABEL_FILES_H_
