#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ostream>

#include "one_line.h"
#include "reporter.h"

namespace erfnet {
namespace {

std::string Fixed(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string Duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::round(seconds));
  const std::string minutes = std::to_string(whole / 60 % 60) + " min";
  if (whole >= 3600) {
    return std::to_string(whole / 3600) + " h " + minutes;
  }
  return (whole >= 60 ? minutes + " " : "") + std::to_string(whole % 60) + " s";
}

class AsText : public Reporter {
 public:
  AsText(std::ostream& out, bool terminal) : out_(out), terminal_(terminal) {}

  void Started(const Start& start) override {
    const std::string device = start.device.ascend ? "Ascend " + std::to_string(*start.device.ascend) : "CPU";
    Line("erfnet_infer " ERFNET_INFER_VERSION ", MindSpore Lite " + start.lite + ", " + device + ", " +
         (start.precision == Precision::kFp16 ? "fp16, " : "fp32, ") + std::to_string(start.threads) + " threads");
    Line(std::to_string(start.images) + " images, " + std::to_string(start.labelled) + " with labels, at " +
         std::to_string(start.form.input.size.height) + "x" + std::to_string(start.form.input.size.width) + " with " +
         start.model.string());
  }

  void Advanced(const Advance& advance) override {
    const auto eta = advance.EtaSeconds();
    const std::string text = std::to_string(advance.done) + "/" + std::to_string(advance.total) + " images, " +
                             Fixed(advance.ImagesPerSecond(), 2) + " images/s" +
                             (eta && advance.done < advance.total ? ", " + Duration(*eta) + " left" : "");
    if (!terminal_) {
      Line(text);
      return;
    }
    out_ << '\r' << text << "\x1b[K" << std::flush;
    in_line_ = true;
  }

  void Saved(const std::string&, const Files&) override {}

  void Skipped(const std::filesystem::path& image, const std::string& reason) override {
    // The reason may be the label's, and names its file.
    const bool named = reason.rfind(image.string() + " ", 0) == 0;
    Line("skipped " + (named ? "" : image.string() + ": ") + reason);
  }

  void Ended(const End& end) override {
    Line(std::to_string(end.images) + " images in " + Fixed(end.seconds, 2) + " s, " +
         Fixed(Advance{end.images, end.images, end.seconds}.ImagesPerSecond(), 2) + " images/s, " +
         std::to_string(end.skipped) + " skipped, at most " + std::to_string(end.peak_memory >> 20U) +
         " MiB of memory");
    Line("ms an image     mean      p50      p95      p99  threads");
    Line(Row("read", end.phases.read));
    Line(Row("prepare", end.phases.prepare));
    Line(Row("predict", end.phases.predict));
    Line(Row("write", end.phases.write));
    if (end.metric) {
      Line("mean IoU " + Fixed(end.metric->confusion.MeanIou(), 4) + ", pixel accuracy " +
           Fixed(end.metric->PixelAccuracy(), 4) + " of " + std::to_string(end.metric->images) + " labelled images");
    }
  }

  void Failed(ExitCode, const std::string& message) override { Line("erfnet_infer: " + message); }

  [[nodiscard]] std::chrono::milliseconds Interval() const override {
    return std::chrono::milliseconds(terminal_ ? 200 : 10'000);
  }

 private:
  static std::string Row(const char* name, const Phase& phase) {
    std::array<char, 128> text{};
    std::snprintf(text.data(), text.size(), "%-11s %8.1f %8.1f %8.1f %8.1f %8zu", name, phase.mean, phase.p50,
                  phase.p95, phase.p99, phase.threads);
    return text.data();
  }

  void Line(const std::string& text) {
    if (in_line_) {
      out_ << '\n';
      in_line_ = false;
    }
    out_ << OneLine(text) << '\n' << std::flush;
  }

  std::ostream& out_;
  bool terminal_;
  // A progress line is there that has not ended.
  bool in_line_ = false;
};

}  // namespace

std::unique_ptr<Reporter> TextReporter(std::ostream& out, bool terminal) {
  return std::make_unique<AsText>(out, terminal);
}

}  // namespace erfnet
