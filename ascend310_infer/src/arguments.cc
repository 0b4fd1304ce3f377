#include "arguments.h"

#include <getopt.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "fault.h"

namespace erfnet {
namespace {

constexpr int kMostThreads = 256;
constexpr std::size_t kMostPictures = std::size_t{1} << 31;

enum Option : int {
  kModel,
  kImages,
  kOutput,
  kLabels,
  kSplit,
  kLimit,
  kDevice,
  kThreads,
  kPrecision,
  kSave,
  kJson,
  kHelp,
  kVersion,
  kOptions,
};

// getopt_long gives Option + kFirst: above any character, and above 1, its sign for an argument without an option.
constexpr int kFirst = 256;

constexpr std::array<option, kOptions + 1> kLongOptions = {{
    {"model", required_argument, nullptr, kFirst + kModel},
    {"images", required_argument, nullptr, kFirst + kImages},
    {"output", required_argument, nullptr, kFirst + kOutput},
    {"labels", required_argument, nullptr, kFirst + kLabels},
    {"split", required_argument, nullptr, kFirst + kSplit},
    {"limit", required_argument, nullptr, kFirst + kLimit},
    {"device", required_argument, nullptr, kFirst + kDevice},
    {"threads", required_argument, nullptr, kFirst + kThreads},
    {"precision", required_argument, nullptr, kFirst + kPrecision},
    {"save", required_argument, nullptr, kFirst + kSave},
    {"json", no_argument, nullptr, kFirst + kJson},
    {"help", no_argument, nullptr, kFirst + kHelp},
    {"version", no_argument, nullptr, kFirst + kVersion},
    {nullptr, 0, nullptr, 0},
}};

[[noreturn]] void Refuse(const std::string& what, const std::string& why, const std::string& remedy) {
  throw Fault(ExitCode::kUsage, what + " " + why + ": " + remedy);
}

// "--device gpu", as it was said.
std::string Said(const char* option, std::string_view value) {
  return std::string(option) + " '" + std::string(value) + "'";
}

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  // from_chars takes a minus, of which no number here has one.
  if (error != std::errc() || stop != end || text.front() == '-') {
    return std::nullopt;
  }
  return number;
}

template <typename Number>
Number ParseCount(const char* option, std::string_view text, Number most) {
  const auto number = ParseNumber<Number>(text);
  if (!number || *number < 1 || *number > most) {
    Refuse(Said(option, text), "is no whole number from 1 to " + std::to_string(most), "give such a number");
  }
  return *number;
}

Device ParseDevice(std::string_view text) {
  constexpr std::string_view kAscend = "ascend:";
  if (text == "cpu") {
    return {};
  }
  if (text.substr(0, kAscend.size()) == kAscend) {
    if (const auto id = ParseNumber<int>(text.substr(kAscend.size()))) {
      return {id};
    }
  }
  Refuse(Said("--device", text), "is no device", "give cpu, or ascend:N with the number of a device, such as ascend:0");
}

Precision ParsePrecision(std::string_view text) {
  if (text == "fp32") {
    return Precision::kFp32;
  }
  if (text == "fp16") {
    return Precision::kFp16;
  }
  Refuse(Said("--precision", text), "is no precision", "give fp32 or fp16");
}

void SaveAlso(Saves& saves, std::string_view item, std::string_view text) {
  struct Choice {
    std::string_view name;
    bool* chosen;
  };
  for (const Choice& choice : {Choice{"labels", &saves.labels}, Choice{"color", &saves.color},
                               Choice{"overlay", &saves.overlay}, Choice{"logits", &saves.logits}}) {
    if (choice.name == item) {
      if (*choice.chosen) {
        Refuse(Said("--save", text), "names " + std::string(item) + " twice", "name it once");
      }
      *choice.chosen = true;
      return;
    }
  }
  Refuse(Said("--save", text), "holds '" + std::string(item) + "', which cannot be saved",
         "give some of labels, color, overlay, logits with commas between them, or none alone");
}

Saves ParseSaves(std::string_view text) {
  Saves saves;
  if (text == "none") {
    return saves;
  }
  std::size_t start = 0;
  while (start <= text.size()) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    SaveAlso(saves, text.substr(start, end - start), text);
    start = end + 1;
  }
  return saves;
}

std::string ParseSplit(std::string_view text) {
  if (text == "." || text == ".." || text.find('/') != std::string_view::npos) {
    Refuse(Said("--split", text), "is no folder of a dataset", "give a name such as val, train or test");
  }
  return std::string(text);
}

class Parser {
 public:
  Arguments Parse(int argc, const char* const* argv) {
    // getopt takes char*, and may not be handed what is not ours.
    std::vector<std::string> words(argv, argv + argc);
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string& word : words) {
      pointers.push_back(word.data());
    }
    pointers.push_back(nullptr);
    optind = 0;  // glibc: start anew
    opterr = 0;
    for (;;) {
      // "-": arguments without an option are given in their order, as 1; ":": a missing value is told from a wrong
      // name.
      const int code = getopt_long(argc, pointers.data(), "-:", kLongOptions.data(), nullptr);
      if (code == -1) {
        break;
      }
      Take(code, pointers[static_cast<std::size_t>(std::max(optind - 1, 0))]);
    }
    // What follows "--".
    for (int i = optind; i < argc; ++i) {
      TakeFree(argv[i]);
    }
    return arguments_;
  }

  void RequireAll() const {
    for (const Option option : {kModel, kImages, kOutput}) {
      if (!given_[option]) {
        Refuse(Name(option), "is missing", "give --model, --images and --output; erfnet_infer --help explains them");
      }
    }
  }

 private:
  static std::string Name(int option) {
    return std::string("--") + kLongOptions.at(static_cast<std::size_t>(option)).name;
  }

  void Take(int code, const char* word) {
    if (code == 1) {
      TakeFree(optarg);
    } else if (code == ':') {
      Refuse(Name(optopt - kFirst), "has no value", "give one after it; erfnet_infer --help explains them");
    } else if (code == '?' && optopt >= kFirst) {
      Refuse(Name(optopt - kFirst), "takes no value", "leave out what follows =");
    } else if (code == '?') {
      Refuse("'" + std::string(word) + "'", "is no option, or short for several", "see erfnet_infer --help");
    } else {
      TakeOption(code - kFirst);
    }
  }

  void TakeFree(const char* word) {
    if (last_ != kImages) {
      Refuse("'" + std::string(word) + "'", "stands behind no option", "give pictures behind --images");
    }
    AddImages(word);
  }

  void TakeOption(int option) {
    const auto index = static_cast<std::size_t>(option);
    if (given_.at(index) && option != kImages) {
      Refuse(Name(option), "is given twice", "give it once");
    }
    given_.at(index) = true;
    last_ = option;
    if (optarg != nullptr && *optarg == '\0') {
      Refuse(Name(option), "is empty", "give a value");
    }
    Set(option);
  }

  void Set(int option) {
    switch (option) {
      case kModel:
        arguments_.model = optarg;
        break;
      case kImages:
        AddImages(optarg);
        break;
      case kOutput:
        arguments_.output = optarg;
        break;
      case kLabels:
        arguments_.labels = optarg;
        break;
      case kSplit:
        arguments_.split = ParseSplit(optarg);
        break;
      case kLimit:
        arguments_.limit = ParseCount("--limit", optarg, kMostPictures);
        break;
      case kDevice:
        arguments_.device = ParseDevice(optarg);
        break;
      case kThreads:
        arguments_.threads = ParseCount("--threads", optarg, kMostThreads);
        break;
      case kPrecision:
        arguments_.precision = ParsePrecision(optarg);
        break;
      case kSave:
        arguments_.saves = ParseSaves(optarg);
        break;
      case kJson:
        arguments_.json = true;
        break;
      case kHelp:
        arguments_.help = true;
        break;
      default:
        arguments_.version = true;
    }
  }

  void AddImages(const char* word) {
    if (*word == '\0') {
      Refuse("--images", "has an empty value", "give folders or files");
    }
    arguments_.images.emplace_back(word);
  }

  Arguments arguments_;
  std::array<bool, kOptions> given_{};
  int last_ = kOptions;
};

}  // namespace

Arguments ParseArguments(int argc, const char* const* argv) {
  Parser parser;
  Arguments arguments = parser.Parse(argc, argv);
  if (!arguments.help && !arguments.version) {
    parser.RequireAll();
  }
  return arguments;
}

std::string Usage() {
  return R"(usage: erfnet_infer --model FILE --images DIR|FILE... --output DIR [OPTION...]

Segments pictures with ERFNet on Ascend 310 and 310P, or on a CPU.

  --model FILE         the model: a MINDIR that this MindSpore Lite reads
  --images DIR|FILE... pictures (PNG, JPEG): files, folders of them, or a
                       dataset in Cityscapes' layout (the dataset, its
                       leftImg8bit, a split or a city)
  --output DIR         where the results are written; made if it is missing
  --labels DIR         also measure: the dataset, its gtFine, or a folder of
                       label files named after the pictures
  --split NAME         which split of a dataset (default: val)
  --limit N            only the first N pictures
  --device DEVICE      cpu, or ascend:N (default: cpu)
  --threads N          threads of the engine on the CPU (default: one for each
                       core)
  --precision P        fp32 or fp16 (default: fp32)
  --save WHAT,...      some of labels, color, overlay, logits, or none
                       (default: labels)
  --json               print one JSON document a line instead of text
  --help, --version    print this or the versions, and end
)";
}

}  // namespace erfnet
