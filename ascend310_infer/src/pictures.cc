#include "pictures.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "fault.h"
#include "folders.h"
#include "label_files.h"
#include "suffix.h"

namespace erfnet {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kImages = "leftImg8bit";
constexpr std::array<std::string_view, 3> kCityscapes = {"_leftImg8bit.png", "_leftImg8bit.jpg", "_leftImg8bit.jpeg"};
constexpr std::array<std::string_view, 3> kKinds = {".png", ".jpg", ".jpeg"};

// A file name without Cityscapes' suffix; nothing where it has none.
std::optional<std::string> CityscapesName(const fs::path& path) {
  const std::string file = path.filename().string();
  for (const std::string_view suffix : kCityscapes) {
    if (EndsWith(file, suffix) && file.size() > suffix.size()) {
      return file.substr(0, file.size() - suffix.size());
    }
  }
  return std::nullopt;
}

std::string BaseName(const fs::path& path) {
  const auto name = CityscapesName(path);
  return name ? *name : path.stem().string();
}

bool IsPicture(const fs::path& path) {
  std::string kind = path.extension().string();
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::find(kKinds.begin(), kKinds.end(), kind) != kKinds.end() && IsFile(path);
}

Paths FlatPictures(const fs::path& folder) {
  Paths found;
  for (const fs::path& path : EntriesIn(folder)) {
    if (IsPicture(path)) {
      found.push_back(path);
    }
  }
  return found;
}

// SPLIT/CITY/NAME_leftImg8bit.png
Paths SplitPictures(const fs::path& split) {
  Paths found;
  for (const fs::path& city : FoldersIn(split)) {
    for (const fs::path& path : EntriesIn(city)) {
      if (CityscapesName(path)) {
        found.push_back(path);
      }
    }
  }
  return found;
}

[[noreturn]] void RefuseSplit(const fs::path& folder, const std::string& split) {
  std::vector<std::string> splits;
  for (const fs::path& entry : FoldersIn(folder)) {
    splits.push_back(entry.filename().string());
  }
  throw Fault(ExitCode::kBadData, "--images: " + (folder / split).string() +
                                      " has no images CITY/NAME_leftImg8bit.png: "
                                      "splits in " +
                                      folder.string() + " are " + (splits.empty() ? "none" : Listed(splits)) +
                                      "; give one with --split");
}

// A dataset in Cityscapes' layout, or the folder of its images.
bool IsDataset(const fs::path& folder) { return IsFolder(folder / kImages) || NameOf(folder) == kImages; }

// Whatever kind of folder it is: a dataset, its leftImg8bit, a split, or one with pictures in it, as a city is.
Paths FolderPictures(const fs::path& folder, const std::string& split) {
  if (IsDataset(folder)) {
    const fs::path images = IsFolder(folder / kImages) ? folder / kImages : folder;
    Paths found = IsFolder(images / split) ? SplitPictures(images / split) : Paths();
    if (found.empty()) {
      RefuseSplit(images, split);
    }
    return found;
  }
  Paths found = FlatPictures(folder);
  if (found.empty()) {
    found = SplitPictures(folder);
  }
  if (found.empty()) {
    throw Fault(ExitCode::kBadData, "--images: " + folder.string() +
                                        " has no pictures (.png, .jpg, .jpeg): give another "
                                        "folder, or a dataset in Cityscapes' layout");
  }
  return found;
}

// Each file once, however often it was named.
Paths AllPictures(const Paths& images, const std::string& split) {
  Paths found;
  std::set<fs::path> seen;
  for (const fs::path& given : images) {
    std::error_code error;
    if (!fs::exists(given, error)) {
      throw Fault(ExitCode::kBadData, "--images: " + given.string() + " does not exist" +
                                          (error ? " (" + error.message() + ")" : "") +
                                          ": give files, folders, or a dataset in Cityscapes' layout");
    }
    for (const fs::path& path : IsFolder(given) ? FolderPictures(given, split) : Paths{given}) {
      if (seen.insert(fs::absolute(path).lexically_normal()).second) {
        found.push_back(path);
      }
    }
  }
  return found;
}

// What is written for a picture is called by its base name, or by its whole file name where the base is another's too.
std::vector<std::string> DistinctNames(const Paths& paths) {
  std::map<std::string, std::size_t> bases;
  std::set<std::string> files;
  for (const fs::path& path : paths) {
    ++bases[BaseName(path)];
    files.insert(path.filename().string());
  }
  std::vector<std::string> names;
  for (const fs::path& path : paths) {
    const std::string base = BaseName(path);
    names.push_back(bases[base] == 1 && files.count(base) == 0 ? base : path.filename().string());
  }
  return names;
}

void RefuseDoubles(const std::vector<Picture>& pictures) {
  std::vector<std::string> doubles;
  for (std::size_t i = 1; i < pictures.size(); ++i) {
    if (pictures[i].name == pictures[i - 1].name) {
      doubles.push_back(pictures[i - 1].image.string() + " and " + pictures[i].image.string());
    }
  }
  if (!doubles.empty()) {
    throw Fault(ExitCode::kBadData,
                "--images: files of one name in two folders: " + Listed(doubles) + "; rename one, or give them apart");
  }
}

void AddLabels(std::vector<Picture>& pictures, const fs::path& root, const std::string& split) {
  const LabelFiles labels(root, split);
  bool any = false;
  for (Picture& picture : pictures) {
    picture.label = labels.Find(picture.image, BaseName(picture.image));
    any = any || picture.label;
  }
  if (!any) {
    throw Fault(ExitCode::kBadData, "--labels: none of the labels in " + root.string() +
                                        " belongs to a picture, such as " + pictures.front().image.string() +
                                        ": give the labels of these pictures");
  }
}

}  // namespace

std::vector<Picture> FindPictures(const Paths& images, const std::optional<fs::path>& labels,
                                  const std::string& split) {
  const Paths paths = AllPictures(images, split);
  const std::vector<std::string> names = DistinctNames(paths);
  std::vector<Picture> pictures;
  pictures.reserve(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    pictures.push_back({names[i], paths[i], std::nullopt});
  }
  std::sort(pictures.begin(), pictures.end(), [](const Picture& one, const Picture& other) {
    return std::tie(one.name, one.image) < std::tie(other.name, other.image);
  });
  RefuseDoubles(pictures);
  if (labels) {
    AddLabels(pictures, *labels, split);
  }
  return pictures;
}

void CheckApart(const std::vector<Picture>& pictures, const fs::path& output) {
  std::set<fs::path> folders;
  for (const Picture& picture : pictures) {
    folders.insert(fs::absolute(picture.image).parent_path());
    if (picture.label) {
      folders.insert(fs::absolute(*picture.label).parent_path());
    }
  }
  for (const fs::path& folder : folders) {
    std::error_code error;
    // Nor by a link or another way to write it; an output that is not there yet is none of them.
    if (fs::equivalent(folder, output, error)) {
      throw Fault(ExitCode::kUsage, "--output " + output.string() +
                                        " is a folder of the pictures or labels themselves, which it could replace: "
                                        "give another");
    }
  }
}

std::size_t CountOthers(const Paths& images) {
  std::size_t count = 0;
  for (const fs::path& given : images) {
    if (!IsFolder(given) || IsDataset(given) || FlatPictures(given).empty()) {
      continue;
    }
    const Paths entries = EntriesIn(given);
    count += static_cast<std::size_t>(std::count_if(
        entries.begin(), entries.end(), [](const fs::path& path) { return IsFile(path) && !IsPicture(path); }));
  }
  return count;
}

}  // namespace erfnet
