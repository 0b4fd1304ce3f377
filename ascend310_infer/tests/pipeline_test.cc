#include "pipeline.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <exception>
#include <fstream>
#include <limits>
#include <set>
#include <string>
#include <thread>

#include "classes.h"
#include "expect_fault.h"
#include "image_reader.h"
#include "in_child.h"
#include "png_file.h"
#include "temporary_folder.h"

namespace erfnet {
namespace {

constexpr Size kSize{8, 16};

// Says class N of every pixel of a picture that is as bright as N; counts the pictures.
class Brightness : public Predictor {
 public:
  const void* Predict(const void* input) override {
    const float first = *static_cast<const float*>(input);
    const auto chosen = static_cast<std::size_t>(first * 255.0F + 0.5F);
    const std::size_t pixels = kSize.height * kSize.width;
    logits_.assign(kOutputs * pixels, -1.0F);
    std::fill_n(logits_.begin() + static_cast<std::ptrdiff_t>(chosen * pixels), pixels,
                spoilt ? std::numeric_limits<float>::quiet_NaN() : 1.0F);
    if (++calls == raise_at) {
      raise(SIGTERM);
    }
    return logits_.data();
  }

  std::atomic<int> calls{0};
  int raise_at = 0;
  bool spoilt = false;

 private:
  std::vector<float> logits_;
};

class Recorder : public Reporter {
 public:
  void Started(const Start&) override {}
  void Advanced(const Advance& advance) override { last = advance; }
  void Saved(const std::string& name, const Files&) override { names.push_back(name); }
  void Skipped(const std::filesystem::path& image, const std::string& reason) override {
    names.push_back("-" + image.stem().string());
    reasons.push_back(reason);
  }
  void Ended(const End&) override {}
  void Failed(ExitCode, const std::string&) override {}
  [[nodiscard]] std::chrono::milliseconds Interval() const override { return std::chrono::milliseconds(0); }

  Advance last;
  std::vector<std::string> names;
  std::vector<std::string> reasons;
};

struct Setting {
  explicit Setting(std::size_t count) : output(folder.path() / "out") {
    std::filesystem::create_directory(output);
    for (std::size_t i = 0; i < count; ++i) {
      Add("p" + std::to_string(1000 + i), static_cast<std::uint8_t>(i % kClasses));
    }
    form = UnderstandModel("m", {1, 3, 8, 16}, ElementType::kFloat32, {1, 20, 8, 16}, ElementType::kFloat32);
    for (int i = 0; i < 2; ++i) {
      auto predictor = std::make_unique<Brightness>();
      brightness.push_back(predictor.get());
      predictors.push_back(std::move(predictor));
    }
  }

  void Add(const std::string& name, std::uint8_t value) {
    const std::size_t pixels = kSize.height * kSize.width;
    const auto image = EncodePng({kSize, 3, std::vector<std::uint8_t>(pixels * 3, value)}, Rows::kAsTheyAre);
    const auto label = EncodePng({kSize, 1, std::vector<std::uint8_t>(pixels, value)}, Rows::kAsTheyAre);
    pictures.push_back({name, folder.Write(name + ".png", {image.begin(), image.end()}),
                        folder.Write(name + "_gtFine_labelTrainIds.png", {label.begin(), label.end()})});
  }

  End Run(Saves saves = {true, false, false, false}, std::size_t writers = 2) {
    const Work work{pictures, true, "m.mindir", form, saves, output, 2, writers};
    return RunPipeline(work, predictors, recorder, interrupts);
  }

  std::size_t Written() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(output), {}));
  }

  Interrupts interrupts;
  TemporaryFolder folder;
  std::filesystem::path output;
  std::vector<Picture> pictures;
  ModelForm form;
  std::vector<Brightness*> brightness;
  std::vector<std::unique_ptr<Predictor>> predictors;
  Recorder recorder;
};

TEST_CASE("segments, writes and measures every picture once, and tells them in their order") {
  Setting setting(100);
  const End end = setting.Run({true, true, true, true});
  CHECK(end.images == 100);
  CHECK(end.skipped == 0);
  CHECK(setting.brightness[0]->calls + setting.brightness[1]->calls == 100);
  CHECK(std::is_sorted(setting.recorder.names.begin(), setting.recorder.names.end()));
  CHECK(setting.recorder.names.size() == 100);
  CHECK(setting.recorder.last.done == 100);
  CHECK(setting.Written() == 400);
  REQUIRE(end.metric.has_value());
  CHECK(end.metric->images == 100);
  CHECK(end.metric->confusion.MeanIou() == 1.0);
  CHECK(end.phases.predict.mean > 0);
  CHECK(end.phases.write.p99 >= end.phases.write.p50);
  CHECK(end.phases.prepare.threads == 2);
  CHECK(end.phases.predict.threads == 2);
  CHECK(end.phases.write.threads == 2);
  for (std::size_t i = 0; i < 100; ++i) {
    const Image labels = ReadImage(setting.output / (setting.pictures[i].name + "_pred_labelIds.png"));
    CHECK(labels.pixels[0] == kLabelIds[i % kClasses]);
  }
}

TEST_CASE("skips pictures and labels that cannot be read, and names them in their order") {
  Setting setting(30);
  setting.pictures[3].image = setting.folder.Write("p1003.png", "no picture");
  setting.pictures[29].label = setting.folder.path() / "none_labelIds.png";
  const End end = setting.Run();
  CHECK(end.images == 28);
  CHECK(end.skipped == 2);
  CHECK(setting.recorder.names[3] == "-p1003");
  CHECK(setting.recorder.names[29] == "-p1029");
  CHECK(setting.recorder.reasons[0].find("p1003.png") != std::string::npos);
  CHECK(setting.recorder.reasons[1].find("none_labelIds.png") != std::string::npos);
  CHECK(setting.recorder.last.done == 30);
  CHECK(end.metric->images == 28);
}

TEST_CASE("skips a picture whose label is of another size") {
  Setting setting(3);
  const auto small = EncodePng({{4, 16}, 1, std::vector<std::uint8_t>(64)}, Rows::kAsTheyAre);
  setting.pictures[1].label = setting.folder.Write("small_labelIds.png", {small.begin(), small.end()});
  const End end = setting.Run();
  CHECK(end.images == 2);
  REQUIRE(setting.recorder.reasons.size() == 1);
  CHECK(setting.recorder.reasons[0].find("small_labelIds.png is 4x16 and its image 8x16") != std::string::npos);
}

#ifndef __SANITIZE_ADDRESS__  // which takes address space by the terabyte
TEST_CASE("where the system refuses a thread, those that run already end, and that is thrown") {
  const int status = InChild([] {
    Setting setting(20);
    rlimit few{};
    getrlimit(RLIMIT_AS, &few);
    std::ifstream pages("/proc/self/statm");
    pages >> few.rlim_cur;
    // For the stacks of a few threads, of 8 MiB each where no limit says otherwise.
    few.rlim_cur = few.rlim_cur * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (rlim_t{64} << 20U);
    setrlimit(RLIMIT_AS, &few);
    try {
      setting.Run({true, false, false, false}, 200);
    } catch (const std::exception&) {
      _exit(7);
    }
  });
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 7);
}
#endif

TEST_CASE("ends where all pictures are bad") {
  Setting setting(50);
  for (Picture& picture : setting.pictures) {
    picture.image = setting.folder.path() / "none.png";
  }
  const End end = setting.Run();
  CHECK(end.images == 0);
  CHECK(end.skipped == 50);
  CHECK(end.metric->confusion.MeanIou() == 0);
}

TEST_CASE("a fault of a writer ends all, and is told once") {
  Setting setting(200);
  setting.output = setting.folder.path() / "none";
  ExpectFault([&] { setting.Run(); }, ExitCode::kUsage, {"none", "--output"});
  CHECK(setting.brightness[0]->calls + setting.brightness[1]->calls < 200);
}

TEST_CASE("a model that says no numbers ends all, with the picture's name") {
  Setting setting(50);
  setting.brightness[0]->spoilt = true;
  setting.brightness[1]->spoilt = true;
  ExpectFault([&] { setting.Run(); }, ExitCode::kBadModel, {"m.mindir", ".png", "not finite"});
  CHECK(setting.Written() == 0);
}

TEST_CASE("a signal ends it after what is being written, and leaves whole files only") {
  Setting setting(500);
  setting.brightness[0]->raise_at = 3;
  setting.brightness[1]->raise_at = -1;
  const End end = setting.Run();
  // The signal is taken by another thread, which may come late.
  CHECK(end.images <= 500);
  CHECK(end.images == setting.recorder.names.size());
  CHECK(setting.Written() == end.images);
  for (const auto& entry : std::filesystem::directory_iterator(setting.output)) {
    CHECK(entry.path().extension() == ".png");
    CHECK(ReadImage(entry.path()).size == kSize);
  }
}

}  // namespace
}  // namespace erfnet
