#include "mindir_version.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <istream>

#include "fault.h"

namespace erfnet {
namespace {

// Protobuf's wire types (developers.google.com/protocol-buffers, "Encoding").
enum WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kDelimited = 2, kFixed32 = 5 };

// Fields of mind_ir.ModelProto (mind_ir.proto).
constexpr std::uint64_t kIrVersion = 1;
constexpr std::uint64_t kProducerName = 2;
constexpr std::uint64_t kProducerVersion = 3;
constexpr std::uint64_t kMindIrVersion = 13;
constexpr std::uint64_t kLastField = 64;
// How checkpoint.proto's Value begins: field 1, delimited.
constexpr int kTag = 0x0a;
constexpr std::uint64_t kLongestName = 200;

class Scanner {
 public:
  Scanner(std::istream& file, std::uint64_t size) : file_(file), left_(size) {}

  [[nodiscard]] bool AtEnd() const { return left_ == 0; }

  std::optional<std::uint64_t> Varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && left_ > 0; shift += 7) {
      const int byte = file_.get();
      if (byte == std::istream::traits_type::eof()) {
        return std::nullopt;
      }
      --left_;
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) {
        return value;
      }
    }
    return std::nullopt;
  }

  // What comes next.
  int Peek() { return left_ == 0 ? std::istream::traits_type::eof() : file_.peek(); }

  bool Skip(std::uint64_t bytes) {
    if (bytes > left_) {
      return false;
    }
    left_ -= bytes;
    return static_cast<bool>(file_.seekg(static_cast<std::streamoff>(bytes), std::ios::cur));
  }

  std::optional<std::string> Text(std::uint64_t bytes) {
    if (bytes > left_ || bytes > kLongestName) {
      return std::nullopt;
    }
    std::string text(static_cast<std::size_t>(bytes), '\0');
    left_ -= bytes;
    if (!file_.read(text.data(), static_cast<std::streamsize>(bytes))) {
      return std::nullopt;
    }
    return text;
  }

 private:
  std::istream& file_;
  std::uint64_t left_;
};

bool ScanDelimited(Scanner& scanner, std::uint64_t field, MindirHeader& header, std::string& name,
                   std::string& version) {
  const auto length = scanner.Varint();
  if (!length) {
    return false;
  }
  header.checkpoint = header.checkpoint && scanner.Peek() == kTag;
  if ((field != kProducerName && field != kProducerVersion) || *length > kLongestName) {
    return scanner.Skip(*length);
  }
  const auto text = scanner.Text(*length);
  if (text) {
    (field == kProducerName ? name : version) = *text;
  }
  return text.has_value();
}

// Whether it is one as far as is known, with a field more.
bool MayBeCheckpoint(const MindirHeader& header, std::uint64_t field) {
  return header.checkpoint && field == kIrVersion;
}

std::string Printable(std::string text) {
  for (char& letter : text) {
    if (letter < ' ' || letter > '~') {
      letter = '?';
    }
  }
  return text;
}

bool StartsWith(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

std::string RefusalOf(const std::filesystem::path& model, const MindirHeader& header, std::uint64_t newest,
                      const std::string& lite_version) {
  const std::string producer = header.producer.empty() ? "" : " (written by " + header.producer + ")";
  return model.string() + " is MINDIR of version " + std::to_string(*header.version) + producer +
         ", and MindSpore Lite " + lite_version + " reads up to version " + std::to_string(newest) +
         ": export the checkpoint with `--format lite`, which goes through ONNX and this Lite's converter, or use the "
         "MindSpore Lite of the version that wrote the file";
}

}  // namespace

std::optional<MindirHeader> ScanMindir(std::istream& file, std::uint64_t size) {
  Scanner scanner(file, size);
  MindirHeader header;
  header.checkpoint = size > 0;
  std::string name;
  std::string version;
  while (!scanner.AtEnd()) {
    const auto key = scanner.Varint();
    if (!key || *key >> 3U == 0 || *key >> 3U > kLastField) {
      return std::nullopt;
    }
    const std::uint64_t field = *key >> 3U;
    // Its text tells MINDIR from ONNX, which has a number there.
    if (field == kIrVersion && (*key & 7U) != kDelimited) {
      return std::nullopt;
    }
    bool whole = false;
    header.checkpoint = MayBeCheckpoint(header, field);
    switch (*key & 7U) {
      case kVarint: {
        const auto value = scanner.Varint();
        whole = value.has_value();
        if (field == kMindIrVersion) {
          header.version = value;
        }
        break;
      }
      case kFixed64:
        whole = scanner.Skip(8);
        break;
      case kFixed32:
        whole = scanner.Skip(4);
        break;
      case kDelimited:
        whole = ScanDelimited(scanner, field, header, name, version);
        break;
      default:
        break;
    }
    if (!whole) {
      return std::nullopt;
    }
  }
  header.producer = Printable(version.empty() ? name : name + " " + version);
  return header;
}

std::optional<std::uint64_t> NewestReadable(const std::string& lite_version) {
  // 2.0.0 was asked with files of version 1 and 3; a log of 2.2.11 says that it stops at 1. No other one is known.
  for (const char* known : {"2.0.", "2.1.", "2.2."}) {
    if (StartsWith(lite_version, known)) {
      return 1;
    }
  }
  return std::nullopt;
}

void CheckMindir(const std::filesystem::path& model, const std::string& lite_version) {
  std::error_code error;
  const auto status = std::filesystem::status(model, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    throw Fault(ExitCode::kBadModel, "there is no model " + model.string() + ": give the path of a MINDIR file");
  }
  // Nothing else is opened: a pipe would wait for who writes into it.
  const bool ordinary = std::filesystem::is_regular_file(status);
  std::ifstream file;
  std::uint64_t size = 0;
  if (ordinary) {
    size = std::filesystem::file_size(model, error);
    file.open(model, std::ios::binary);
  }
  if (error || (ordinary && !file)) {
    throw Fault(ExitCode::kBadModel, model.string() +
                                         " cannot be read: " + (error ? error.message() : std::strerror(errno)) +
                                         "; correct its permissions");
  }
  const auto header = size == 0 ? std::nullopt : ScanMindir(file, size);
  if (!header) {
    throw Fault(ExitCode::kBadModel, model.string() +
                                         " is no MINDIR, or only part of one: give the file that `erfnet-jobs run "
                                         "export --format lite` or MindSpore Lite's converter writes");
  }
  if (header->checkpoint) {
    throw Fault(ExitCode::kBadModel, model.string() +
                                         " is a MindSpore checkpoint, not a MINDIR: give it to `erfnet-jobs run "
                                         "310-infer --checkpoint`, or first to `erfnet-jobs run export --format lite`");
  }
  const auto newest = NewestReadable(lite_version);
  if (newest && header->version && *header->version > *newest) {
    throw Fault(ExitCode::kBadModel, RefusalOf(model, *header, *newest, lite_version));
  }
}

}  // namespace erfnet
