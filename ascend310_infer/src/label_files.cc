#include "label_files.h"

#include <array>
#include <string_view>

#include "fault.h"
#include "folders.h"
#include "suffix.h"

namespace erfnet {
namespace {

namespace fs = std::filesystem;

// What wins is added last.
constexpr std::array<std::string_view, 2> kSuffixes = {"_gtFine_labelTrainIds.png", "_gtFine_labelIds.png"};

std::optional<std::string> NameWithout(std::string_view suffix, const fs::path& path) {
  const std::string file = path.filename().string();
  if (!EndsWith(file, suffix) || file.size() == suffix.size()) {
    return std::nullopt;
  }
  return file.substr(0, file.size() - suffix.size());
}

bool HasFiles(const fs::path& folder) {
  for (const fs::path& entry : EntriesIn(folder)) {
    if (IsFile(entry) && EndsWith(entry.filename().string(), ".png")) {
      return true;
    }
  }
  return false;
}

}  // namespace

LabelFiles::LabelFiles(const fs::path& root, const std::string& split) {
  if (!IsFolder(root)) {
    throw Fault(ExitCode::kBadData,
                "--labels: " + root.string() +
                    " is no folder: give a dataset in Cityscapes' layout, its gtFine, or a folder of label files");
  }
  const fs::path fine = IsFolder(root / "gtFine") ? root / "gtFine" : root;
  if (HasFiles(fine)) {
    AddFlat(fine);
  } else if (IsFolder(fine / split)) {
    AddCities(fine / split);
  } else {
    AddCities(fine);
  }
  if (of_cities_.empty() && flat_.empty()) {
    throw Fault(ExitCode::kBadData, "--labels: " + root.string() + " has no labels NAME_gtFine_labelIds.png of split " +
                                        split + ", nor PNGs called as the pictures: give their folder");
  }
}

void LabelFiles::AddCities(const fs::path& split) {
  for (const std::string_view suffix : kSuffixes) {
    for (const fs::path& city : FoldersIn(split)) {
      for (const fs::path& path : EntriesIn(city)) {
        if (const auto name = NameWithout(suffix, path)) {
          of_cities_[{city.filename().string(), *name}] = path;
        }
      }
    }
  }
}

void LabelFiles::AddFlat(const fs::path& folder) {
  const Paths entries = EntriesIn(folder);
  for (const fs::path& path : entries) {
    if (const auto stem = NameWithout(".png", path)) {
      flat_[*stem] = path;
    }
  }
  for (const std::string_view suffix : kSuffixes) {
    for (const fs::path& path : entries) {
      if (const auto name = NameWithout(suffix, path)) {
        flat_[*name] = path;
      }
    }
  }
}

std::optional<fs::path> LabelFiles::Find(const fs::path& image, const std::string& name) const {
  if (const auto label = of_cities_.find({NameOf(image.parent_path()), name}); label != of_cities_.end()) {
    return label->second;
  }
  for (const std::string& key : {name, image.stem().string()}) {
    // A folder of pictures given as labels too holds the picture itself under its name.
    if (const auto label = flat_.find(key); label != flat_.end() && label->second != image) {
      return label->second;
    }
  }
  return std::nullopt;
}

}  // namespace erfnet
