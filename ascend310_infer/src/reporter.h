// What the program tells while it works: JSON lines for programs, text for people.
#ifndef ASCEND310_INFER_REPORTER_H_
#define ASCEND310_INFER_REPORTER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "arguments.h"
#include "fault.h"
#include "metric.h"
#include "predictor.h"
#include "statistics.h"

namespace erfnet {

struct Start {
  std::string lite;
  Device device;
  int threads = 0;
  Precision precision = Precision::kFp32;
  std::size_t images = 0;
  std::size_t labelled = 0;
  std::filesystem::path model;
  ModelForm form;
};

struct Advance {
  std::size_t done = 0;
  std::size_t total = 0;
  double seconds = 0;

  [[nodiscard]] double ImagesPerSecond() const;
  // Nothing before there is a rate.
  [[nodiscard]] std::optional<double> EtaSeconds() const;
};

// Milliseconds of a picture, in each of so many threads at once; the same ones read and prepare.
struct Phase : Summary {
  std::size_t threads = 0;
};

struct Phases {
  Phase read;
  Phase prepare;
  Phase predict;
  Phase write;
};

struct End {
  std::size_t images = 0;
  std::size_t skipped = 0;
  double seconds = 0;
  std::uint64_t peak_memory = 0;
  Phases phases;
  std::optional<Metric> metric;
};

using Files = std::map<std::string, std::filesystem::path>;

// Used by one thread at a time.
class Reporter {
 public:
  Reporter() = default;
  virtual ~Reporter() = default;
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  virtual void Started(const Start& start) = 0;
  virtual void Advanced(const Advance& advance) = 0;
  virtual void Saved(const std::string& name, const Files& files) = 0;
  virtual void Skipped(const std::filesystem::path& image, const std::string& reason) = 0;
  virtual void Ended(const End& end) = 0;
  virtual void Failed(ExitCode code, const std::string& message) = 0;
  // Advances are told no more often than this.
  [[nodiscard]] virtual std::chrono::milliseconds Interval() const = 0;
};

// The lines that ascend310_infer/README.md describes. Throws Fault where `out` takes no more, as Tell.
std::unique_ptr<Reporter> JsonReporter(std::ostream& out);

// For people; with `terminal` progress stays on one line.
std::unique_ptr<Reporter> TextReporter(std::ostream& out, bool terminal);

}  // namespace erfnet

#endif  // ASCEND310_INFER_REPORTER_H_
