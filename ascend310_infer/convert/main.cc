// erfnet_convert: an ONNX file of ERFNet to the MINDIR that this MindSpore Lite reads.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "captured_output.h"
#include "child.h"
#include "converter.h"
#include "fault.h"
#include "files.h"
#include "lite_model.h"
#include "one_line.h"
#include "tell.h"

namespace {

namespace fs = std::filesystem;
using erfnet::ExitCode;
using erfnet::Fault;

constexpr const char* kUsage =
    "usage: erfnet_convert --onnx FILE --output FILE\n\n"
    "Converts ERFNet from ONNX to the MINDIR that this MindSpore Lite reads.\n\n"
    "  --onnx FILE        what `erfnet-jobs run export --format onnx` writes\n"
    "  --output FILE      the MINDIR; its folder must be there\n"
    "  --help, --version  print this or the versions, and end\n";

constexpr const char* kRemedy = "give the ONNX file that `erfnet-jobs run export --format onnx` writes";

struct Arguments {
  fs::path onnx;
  fs::path output;
};

Arguments Parse(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    const bool known = words[i] == "--onnx" || words[i] == "--output";
    if (!known || i + 1 == words.size() || words[i + 1].empty()) {
      throw Fault(ExitCode::kUsage,
                  words[i] + (known ? " lacks its value" : " is no option") + ": see erfnet_convert --help");
    }
    (words[i] == "--onnx" ? arguments.onnx : arguments.output) = words[i + 1];
  }
  if (arguments.onnx.empty() || arguments.output.empty()) {
    throw Fault(ExitCode::kUsage, "give --onnx and --output: see erfnet_convert --help");
  }
  return arguments;
}

void CheckOnnx(const fs::path& onnx) {
  if (!fs::is_regular_file(onnx) || access(onnx.c_str(), R_OK) != 0) {
    throw Fault(ExitCode::kBadModel, "there is no file " + onnx.string() + " that can be read: " + kRemedy);
  }
}

// A folder beside the output, where the converter may write what it likes; gone with all that is in it at the end.
class Workplace {
 public:
  explicit Workplace(const fs::path& output) {
    const fs::path folder = output.parent_path().empty() ? fs::path(".") : output.parent_path();
    // Tells what is wrong with the folder before anything else is done.
    {
      const erfnet::NewFile probe(output);
    }
    std::string name = (folder / ".erfnet_convert.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), folder.string() + " takes no folder");
    }
    path_ = name;
  }
  ~Workplace() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;

  [[nodiscard]] fs::path File() const { return path_ / "model.mindir"; }

 private:
  fs::path path_;
};

// The converter says success of graphs that end the process that runs them.
void Try(const fs::path& onnx, const fs::path& made) {
  try {
    const erfnet::LoadedModel loaded = erfnet::LoadModel(made, erfnet::Device{}, erfnet::Precision::kFp32, 1);
    const std::vector<std::byte> black(erfnet::BytesOf(loaded.form.input));
    loaded.copies.front()->Predict(black.data());
  } catch (const Fault& fault) {
    std::string reason = fault.what();
    if (const std::size_t place = reason.find(made.string()); place != std::string::npos) {
      reason.replace(place, made.string().size(), "it");
    }
    throw Fault(ExitCode::kBadModel,
                "MindSpore Lite converts " + onnx.string() + ", but what comes out is of no use: " + reason);
  }
}

void CheckRoom(const fs::path& onnx, const fs::path& folder) {
  std::error_code error;
  // The converter keeps weights as ONNX does, some twice.
  const auto needed = 2 * fs::file_size(onnx);
  const auto room = fs::space(folder, error);
  if (!error && room.available < needed) {
    throw Fault(ExitCode::kDiskFull, "no room in " + folder.string() + ": free some " + std::to_string(needed >> 20U) +
                                         " MiB, or give another --output");
  }
}

void Convert(const Arguments& arguments) {
  CheckOnnx(arguments.onnx);
  const Workplace workplace(arguments.output);
  const fs::path made = workplace.File();
  CheckRoom(arguments.onnx, made.parent_path());
  const std::string lite = "MindSpore Lite " + erfnet::LiteVersion();
  erfnet::RunInChild(lite + ", which converts " + arguments.onnx.string() + ",", kRemedy,
                     [&] { erfnet::ConvertOnnx(fs::absolute(arguments.onnx), fs::absolute(made)); });
  erfnet::RunInChild(lite + ", which runs what it converted from " + arguments.onnx.string() + ",", kRemedy,
                     [&] { Try(arguments.onnx, made); });
  erfnet::MoveFile(made, arguments.output);
}

int Run(const std::vector<std::string>& words) {
  if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h" || words[0] == "--version")) {
    erfnet::Tell(std::cout, words[0] == "--version" ? "erfnet_convert " ERFNET_INFER_VERSION " (MindSpore Lite " +
                                                          erfnet::LiteVersion() + ")\n"
                                                    : kUsage);
    return 0;
  }
  Convert(Parse(words));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    erfnet::LetWarningsBeLogged(argv);
    return Run(words);
  } catch (const Fault& fault) {
    std::cerr << "erfnet_convert: " << erfnet::OneLine(fault.what()) << '\n';
    return static_cast<int>(fault.code());
  } catch (const std::exception& error) {
    std::cerr << "erfnet_convert: " << error.what() << '\n';
    return static_cast<int>(ExitCode::kUnexpected);
  }
}
